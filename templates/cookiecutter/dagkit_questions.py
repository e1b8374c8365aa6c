"""The questions of copier.yml, asked and checked as Copier does, with no more than what Cookiecutter brings.

A state of the template is a git commit: what is asked is what that release asks which is copied from.
"""

import re
import subprocess
from pathlib import Path

import yaml
from jinja2 import FunctionLoader
from jinja2.sandbox import SandboxedEnvironment

FOLDER = "my-pipeline"
"""What the folder is called as long as no answer names it, and so what the default answers are made from."""

_RELEASE = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)")
_YES = ("y", "yes", "t", "true", "on", "1")
_NO = ("n", "no", "f", "false", "off", "~", "null", "none", "0", "")


class RefusedError(ValueError):
    """An answer, or a template, that nothing can be made from; said in one sentence."""


def git(root, *words):
    """What git says in a folder; None where it fails."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def newest_release(root):
    """The tag that Copier takes where it is told none: the highest version; None where there is none."""
    found = [(match, tag) for tag in (git(root, "tag") or "").split() if (match := _RELEASE.fullmatch(tag))]
    return max(found, key=lambda pair: [int(part) for part in pair[0][1].split(".")])[1] if found else None


def chosen(root):
    """The state to ask from: what was asked for with --checkout, otherwise the newest release."""
    branch = (git(root, "symbolic-ref", "--quiet", "--short", "HEAD") or "").strip()
    default = (git(root, "rev-parse", "--abbrev-ref", "origin/HEAD") or "").strip()
    if not branch or (default and default != f"origin/{branch}"):
        return "HEAD"
    return newest_release(root) or "HEAD"


class Questions:
    """The questions of one state of the template.

    Args:
        root: A clone of the template.
        ref: A commit in it.
    """

    def __init__(self, root, ref):
        def text(path):
            return git(root, "show", f"{ref}:{path}")

        source = text("copier.yml")
        if source is None:
            raise RefusedError(f"The template has no copier.yml at {ref}: {root}")
        everything = yaml.safe_load(source)
        self.all = {name: details for name, details in everything.items() if not name.startswith("_")}
        self.environment = SandboxedEnvironment(loader=FunctionLoader(text), **everything.get("_envops", {}))
        self.environment.filters.update(
            regex_search=lambda value, regex: (re.search(regex, value) or [None])[0],
            regex_findall=lambda value, regex: re.findall(regex, value),
            regex_replace=lambda value, regex, new: re.sub(regex, new, value),
        )

    def answers(self, given):
        """Every question's answer: the given one, having seen that it is accepted, or the default.

        Raises:
            RefusedError: An answer is not accepted; in Copier's words.
        """
        known = {"_folder_name": FOLDER, "_copier_conf": {"data": given}}
        for name, details in self.all.items():
            value = given[name] if name in given else self._render(details["default"], known)
            known[name] = self.accepted(name, value, known, name in given)
        return {name: known[name] for name in self.all}

    def before(self, name, given):
        """What a question may be made from: the answers to those before it."""
        known = {"_folder_name": FOLDER, "_copier_conf": {"data": given}}
        for other, details in self.all.items():
            if other == name:
                break
            known[other] = given[other] if other in given else self._render(details["default"], known)
            known[other] = self._cast(other, known[other])
        return known

    def accepted(self, name, value, known, given=True):
        """The answer in its type.

        Raises:
            RefusedError: It is not accepted; in Copier's words.
        """
        value = self._cast(name, value)
        choices = list(self.choices(name).values())
        if choices and value not in choices:
            raise RefusedError(f"Invalid choice for '{name}': {value!r} is not in {choices}")
        if given or self.relevant(name, known):
            problem = self._render(self.all[name].get("validator", ""), {**known, name: value}).strip()
            if problem:
                raise RefusedError(f"Validation error for question '{name}': {problem}")
        return value

    def relevant(self, name, known):
        """Whether the question is asked at all, after those answers."""
        return _truth(self._render(self.all[name].get("when", True), known))

    def choices(self, name):
        """What can be chosen, by what it is called; empty where anything can be answered."""
        choices = self.all[name].get("choices", {})
        return choices if isinstance(choices, dict) else {choice: choice for choice in choices}

    def help(self, name, known):
        """The question as people read it."""
        return self._render(self.all[name].get("help", name), known).strip()

    def default(self, name, known):
        """The default answer, in its type."""
        return self._cast(name, self._render(self.all[name]["default"], known))

    def _cast(self, name, value):
        return _truth(value) if self.all[name]["type"] == "bool" else str(value)

    def _render(self, value, known):
        return self.environment.from_string(value).render(known) if isinstance(value, str) else value


def folder(answers):
    """The name of the folder to make: that of the repository on GitHub."""
    if answers["kind"] == "airflow":
        return answers["dag_repository"].partition("/")[2]
    return answers["repository"]


def root_of(door):
    """The clone that a folder of the template lies in.

    Raises:
        RefusedError: It is no clone, so nothing made from it could ever be updated.
    """
    top = git(door, "rev-parse", "--show-toplevel")
    if top is None:
        raise RefusedError(
            f"The template in {door} has no history, so what is made from it could never be updated.\n"
            "  what to do: give cookiecutter the address of the git repository, or a clone of it"
        )
    return Path(top.rstrip("\n"))


def _truth(value):
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES or word in _NO:
            return word in _YES
    return bool(value)
