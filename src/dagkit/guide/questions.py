"""The template's questions, read from copier.yml and answered as Copier does: its rules, its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from dagkit import scaffold
from dagkit.git import git

FOLDER = "my-pipeline"
"""The folder's name while no answer names it; default answers are made from it."""

_RELEASE = re.compile(r"v?\d+(\.\d+)*")
_YES = frozenset({"y", "yes", "t", "true", "on", "1"})


@dataclass(frozen=True)
class Asked:
    """A question as it stands after the answers so far.

    Attributes:
        name: The answer's name.
        help: The question.
        choices: What can be chosen: text and value; empty where anything can be written.
        yes_or_no: Whether it is answered by yes or no.
        value: The answer: the given one, else the default.
        default: The default answer.
        problem: Why the answer is refused, in the template's words; None where it is accepted.
    """

    name: str
    help: str
    choices: tuple[tuple[str, str], ...]
    yes_or_no: bool
    value: Any
    default: Any
    problem: str | None


class Questions:
    """The questions of one state of the template.

    Args:
        text: Gives a file of the template; None where it has no such file.
    """

    def __init__(self, text: Any) -> None:
        from jinja2 import FunctionLoader
        from jinja2.sandbox import SandboxedEnvironment

        content = yaml.safe_load(text("copier.yml"))
        self._questions = {name: how for name, how in content.items() if not name.startswith("_")}
        # the filters that Copier gives its templates
        environment = SandboxedEnvironment(
            loader=FunctionLoader(text),
            extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
            **content.get("_envops", {}),
        )
        self._template = lru_cache(maxsize=None)(environment.from_string)

    @classmethod
    def read(cls, source: scaffold.Source) -> Questions:
        """The questions of what a repository is made from.

        Args:
            source: A folder, as `scaffold.source` gives it for dagkit's own template.

        Raises:
            DagkitError: Its versions cannot be read.
        """
        root = Path(source.src)
        ref = source.ref
        if ref is None and (root / ".git").exists():
            # as Copier does: the newest release, and the files as they lie there before the first one
            tags = git(root, "tag", "--sort=-version:refname").split()
            ref = next((tag for tag in tags if _RELEASE.fullmatch(tag)), None)

        def text(path: str) -> str | None:
            if ref not in (None, scaffold.LATEST):
                return git(root, "show", f"{ref}:{path}")
            file = root / path
            return file.read_text(encoding="utf-8") if file.is_file() else None

        return cls(text)

    @property
    def names(self) -> tuple[str, ...]:
        """Every question's name, in order."""
        return tuple(self._questions)

    def ask(self, given: Mapping[str, Any]) -> tuple[Asked, ...]:
        """The questions that these answers leave to be asked, in order.

        Args:
            given: Answers by name; others get the default answer, which may depend on earlier answers.
        """
        known: dict[str, Any] = {"_folder_name": FOLDER, "_copier_conf": {"data": {}}}
        asked = []
        for name, how in self._questions.items():
            default = self._cast(how, self._render(how.get("default", ""), known))
            if not self._true(self._render(how.get("when", True), known)):
                known[name] = default
                continue
            value = known[name] = self._cast(how, given[name]) if name in given else default
            choices = tuple((str(text), str(chosen)) for text, chosen in how.get("choices", {}).items())
            problem = self._render(how.get("validator", ""), known).strip() or None
            if choices and value not in dict(choices).values():
                problem = f"Choose one of: {', '.join(dict(choices).values())}"
            question = " ".join(str(self._render(how.get("help", name), known)).split())
            asked.append(Asked(name, question, choices, how["type"] == "bool", value, default, problem))
            if value == "":  # not answered yet: what follows from it shows what an answer will look like
                known[name] = default
        return tuple(asked)

    def _cast(self, how: Mapping[str, Any], value: Any) -> Any:
        return self._true(value) if how["type"] == "bool" else str(value)

    def _true(self, value: Any) -> bool:
        return value.strip().lower() in _YES if isinstance(value, str) else bool(value)

    def _render(self, value: Any, known: Mapping[str, Any]) -> Any:
        return self._template(value).render(known) if isinstance(value, str) else value
