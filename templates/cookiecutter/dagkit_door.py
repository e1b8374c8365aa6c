"""What Cookiecutter loads (`_extensions` in cookiecutter.json): Copier's questions in place of its own.

Cookiecutter asks every variable, whatever was answered before, and takes any answer. So its two functions for
a variable are wrapped, for this template alone: a question that does not apply is not asked, a default is
worked out from the answers before it, and an answer that is refused is asked for again, with Copier's reason.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

from cookiecutter import prompt
from cookiecutter.exceptions import FailedHookException
from dagkit_questions import Questions, RefusedError, chosen, folder, git, root_of
from jinja2.ext import Extension
from rich import print as say
from rich.markup import escape

STARTED_IN = Path.cwd()
DOOR = Path(__file__).resolve().parent
FOLDER = "{{ cookiecutter | folder }}"
"""The one variable that is not a question: cookiecutter.json gives it this text."""
NEEDS = "copier>=9.10"


class Door(Extension):
    """Adds two filters for the variables of Cookiecutter, and wraps its questions."""

    def __init__(self, environment):
        super().__init__(environment)
        try:
            root = root_of(DOOR)
            ref = chosen(root)
            self.questions = Questions(root, ref)
            self.order = {"door": str(DOOR), "root": str(root), "copier": runner(), "ref": ref}
        except RefusedError as error:
            raise FailedHookException(str(error)) from error
        environment.filters["folder"] = self._folder
        environment.filters["order"] = self._order
        environment.dagkit_door = self
        _wrap()

    def _folder(self, variables):
        """The folder to make; every answer has been seen to be accepted."""
        try:
            return folder(self.questions.answers(given(variables)))
        except RefusedError as error:
            raise FailedHookException(f"{error}\n  Nothing was made.") from error

    def _order(self, variables):
        """What the hook is told: what to copy, with which answers."""
        root = Path(self.order["root"])
        template = variables["_template"]
        local = (STARTED_IN / Path(template).expanduser()).resolve()
        if local == root.resolve():
            address = str(root)
        else:
            # not `git remote get-url`, which gives the address that the user's settings put in its place
            address = (git(root, "config", "--get", "remote.origin.url") or str(root)).strip()
            short = template.partition(":")[2].strip("/").removesuffix(".git")
            if template.startswith("gh:") and address in (
                f"https://github.com/{short}.git",
                f"https://github.com/{short}",
            ):
                address = template  # Copier knows the short form, too
        asked = {name: value for name, value in given(variables).items() if name in self.questions.all}
        ref = variables.get("_checkout") or self.order["ref"]
        return {**self.order, "address": address, "ref": ref, "data": asked}

    def ask(self, name, value, earlier):
        """Ask one question until its answer is accepted; None where it does not apply."""
        known = self.questions.before(name, given(earlier))
        if not self.questions.relevant(name, known):
            return value
        text = escape(self.questions.help(name, known))
        default = self.questions.default(name, known) if value is None else value
        while True:
            answer = self._answer(name, text, default)
            try:
                return self.questions.accepted(name, answer, known)
            except RefusedError as error:
                say(f"  [red]{escape(str(error).partition(': ')[2])}[/]")

    def _answer(self, name, text, default):
        choices = self.questions.choices(name)
        if choices:
            options = sorted(
                choices.values(), key=lambda option: option != default
            )  # the default comes first
            labels = {option: escape(str(label)) for label, option in choices.items()}
            return prompt.read_user_choice(name, options, {name: {"__prompt__": text, **labels}}, "  ")
        if isinstance(default, bool):
            return prompt.read_user_yes_no(name, default, {name: text}, "  ")
        return _read(name, default, {name: text}, "  ")


def given(variables):
    """The answers among Cookiecutter's variables: what was typed, or said on its command line."""
    return {
        name: value for name, value in variables.items() if not name.startswith("_") and value is not None
    }


def runner():
    """How to call Copier: as it is installed, or through a program that fetches it."""
    if importlib.util.find_spec("copier"):
        return [sys.executable, "-m", "copier"]
    for words in (["copier"], ["uvx", "--from", NEEDS, "copier"], ["pipx", "run", "--spec", NEEDS, "copier"]):
        if shutil.which(words[0]):
            return words
    raise RefusedError(
        "Copier is not installed. It makes the repository, and brings it the template's next versions.\n"
        f'  what to do: {sys.executable} -m pip install "{NEEDS}"'
    )


_read, _render = prompt.read_user_variable, prompt.render_variable
_asking = {"door": None, "earlier": {}}


def _wrap():
    prompt.read_user_variable, prompt.render_variable = _ask_variable, _render_variable


def _render_variable(env, raw, cookiecutter_dict):
    """An answer given beforehand stays what it is, whatever stands in it; the rest is Cookiecutter's."""
    door = getattr(env, "dagkit_door", None)
    _asking.update(door=door, earlier=cookiecutter_dict)
    if door and isinstance(raw, str) and raw != FOLDER:
        return raw
    return _render(env, raw, cookiecutter_dict)


def _ask_variable(var_name, default_value, prompts=None, prefix=""):
    door = _asking["door"]
    if door is None:
        return _read(var_name, default_value, prompts, prefix)
    if var_name not in door.questions.all:
        return default_value  # a later release asks it
    return door.ask(var_name, default_value, _asking["earlier"])
