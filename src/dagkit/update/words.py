"""An update in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dagkit.text import shorten
from dagkit.update.merge import Conflict, Hunk
from dagkit.update.plan import Answer, Plan
from dagkit.update.state import BACK

_SHOWN = 8
"""Lines of one side of a conflict that are shown; the file has all."""


@dataclass(frozen=True)
class Section:
    """A heading, and what is said under it."""

    title: str
    lines: tuple[str, ...]


def sections(plan: Plan, *, done: bool, width: int) -> Iterator[Section]:
    """Everything there is to say of an update, in the order it is read.

    Args:
        plan: The update.
        done: Whether it has been brought in; otherwise it says what would be.
        width: Characters that fit on a line.
    """
    if plan.news:
        yield Section("What the template says of it", tuple(_news(plan)))
    named = {conflict.path for conflict in plan.conflicts}
    if rows := [_row(c.what, c.path, c.before) for c in plan.changes if c.path not in named]:
        yield Section("What changed in your repository" if done else "What would change", tuple(rows))
    if plan.answers:
        yield Section("Answers", tuple(_answer(answer) for answer in plan.answers))
    if plan.kept:
        yield Section("Left as you have it", tuple(_kept(plan)))
    if plan.conflicts:
        lines = [line for conflict in plan.conflicts for line in _conflict(conflict, width)]
        yield Section("Needs your decision", tuple(lines))


def how_to_settle(conflicts: Sequence[str]) -> tuple[str, ...]:
    """What to do when an update has conflicts."""
    several = len(conflicts) > 1
    return (
        f"1. Open {'each of these files' if several else conflicts[0]}. Your lines stand after <<<<<<< HEAD,",
        "   the template's before >>>>>>>. Keep what is right, of one side or of both; remove the lines with",
        "   <<<<<<<, ======= and >>>>>>>.",
        "   Or take a file whole: yours (git checkout --ours -- FILE), the template's (--theirs).",
        "2. dagkit update --continue",
        f"Or go back to how it was: {BACK}",
    )


def _news(plan: Plan) -> Iterator[str]:
    for each in plan.news:
        yield each.version
        for line in each.text.splitlines():
            yield f"  {line}".rstrip()


def _row(what: str, path: str, before: str | None) -> str:
    return f"{what:<8} {before} -> {path}" if before else f"{what:<8} {path}"


def _answer(answer: Answer) -> str:
    if answer.before is None:
        another = f"dagkit update -d {answer.question}=..."
        return f"{answer.question}: {_value(answer.after)} (a new question; for another answer: {another})"
    if answer.after is None:
        return f"{answer.question}: no longer asked; it was {_value(answer.before)}"
    return f"{answer.question}: {_value(answer.after)} instead of {_value(answer.before)}"


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kept(plan: Plan) -> Iterator[str]:
    for each in plan.kept:
        if each.removed:
            yield f"{each.path}: you changed it, and the template has removed it. Remove it when you like."
        else:
            yield f"{each.path}: you removed it, and the template has changed it. It stays removed."


def _conflict(conflict: Conflict, width: int) -> Iterator[str]:
    if not conflict.hunks:
        yield f"{conflict.path}: {conflict.why}"
    for hunk in conflict.hunks:
        yield f"{conflict.path}:{hunk.line}"
        yield from _sides(hunk, width)


def _sides(hunk: Hunk, width: int) -> Iterator[str]:
    for name, side in (("yours", hunk.yours), ("the template's", hunk.template)):
        for number, line in enumerate(side[:_SHOWN] or ("(nothing)",)):
            text = line if len(line) <= width - 24 else shorten(line, width - 24)
            yield f"  {name if number == 0 else '':<14} | {text}".rstrip()
        if len(side) > _SHOWN:
            yield f"  {'':<14} | ... {len(side) - _SHOWN} more lines"
