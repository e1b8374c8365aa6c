"""Checks: each looks at the world (files, the engine, a remote), never at what a cell left in the kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING

from dagkit.errors import DagkitError
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.progress import Outcome

if TYPE_CHECKING:
    from dagkit.guide.handle import Guide


@dataclass(frozen=True)
class Seen:
    """What a check saw, where all is well: one sentence with the facts (a path, a number, a name)."""

    text: str


class NotYet(Exception):  # noqa: N818 - nothing is wrong with the program
    """What a check raises where the step is not done, or was undone.

    Args:
        what: What is wrong, in one sentence.
        todo: What to do next.
    """

    def __init__(self, what: str, *, todo: str) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo


Look = Callable[["Guide"], Seen]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: ``<notebook>.<name>``.
        title: What is so when it is green.
        look: Looks, and returns what it saw or raises `NotYet`.
    """

    name: str
    title: str
    look: Look

    @property
    def notebook(self) -> int:
        """The number of the notebook that it belongs to."""
        return int(self.name.partition(".")[0])


_CHECKS: dict[str, Check] = {}


def check(name: str, *, title: str) -> Callable[[Look], Look]:
    """Register a check.

    Args:
        name: ``<notebook>.<name>``; a cell calls it as ``here.check("<name>")``.
        title: What is so when it is green: "The run wrote its file".
    """

    def register(look: Look) -> Look:
        _CHECKS[name] = Check(name, title, look)
        return look

    return register


def all_checks() -> Mapping[str, Check]:
    """Every check by name, in the order of the notebooks."""
    for chapter in CHAPTERS:
        import_module(f"dagkit.guide.{chapter.module}")
    return dict(sorted(_CHECKS.items(), key=lambda item: item[1].notebook))


def look(check: Check, here: Guide) -> Outcome:
    """Make a check. Whatever happens there is an outcome: only an interrupt ends it without one."""
    saw: str
    todo: str | None = None
    ok = False
    try:
        saw, ok = check.look(here).text, True
    except NotYet as error:
        saw, todo = error.what, error.todo
    except DagkitError as error:
        saw, todo = error.what, error.fix
        if error.where:
            saw = f"{saw} ({error.where})"
    except Exception as error:
        saw = f"The check could not look: {type(error).__name__}: {error}"
        todo = "Run the step above it again; if this stays, tell the people who keep dagkit."
    return Outcome(ok, saw, todo, datetime.now(UTC).isoformat(timespec="seconds"))
