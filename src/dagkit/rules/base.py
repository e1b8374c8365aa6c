"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dagkit.rules.examples import Example

Needs = Literal["files", "dag", "network"]
"""What a rule needs: the files alone, the DAGs as Airflow loads them, or the network."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands.

    Attributes:
        path: The file (or folder), from the repository's root, with ``/``.
        line: From 1.
        column: From 1; None for the whole line.
    """

    path: str
    line: int = 1
    column: int | None = None


@dataclass(frozen=True)
class Edit:
    """A change of one file that a fix makes: the characters ``start`` to ``end`` (from 0) become ``text``."""

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Rename:
    """A file that a fix gives another name, from the repository's root."""

    path: str
    new: str


@dataclass(frozen=True)
class Fix:
    """What to do about a finding.

    Attributes:
        text: One sentence.
        changes: What `--fix` does; nothing where only a person can decide.
    """

    text: str
    changes: tuple[Edit | Rename, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One place that breaks one rule.

    Attributes:
        path: The file (or folder), from the repository's root, with ``/``.
        line: From 1.
        column: From 1, or None.
        code: The rule.
        message: What is wrong there, in one sentence.
        fix: What to do about it.
        severity: An error fails a validation; a warning is only reported.
        related: Other files that the finding is about.
        cause: Airflow's own words, where the finding repeats them; another rule may explain them better.
    """

    path: str
    line: int
    column: int | None
    code: str
    message: str
    fix: Fix
    severity: Severity = "error"
    related: tuple[str, ...] = ()
    cause: str | None = field(default=None, compare=False)

    @property
    def sort_key(self) -> tuple[str, int, str, int, str]:
        """By file, line and rule."""
        return (self.path, self.line, self.code, self.column or 0, self.message)


class Rule:
    """A rule. A subclass sets the attributes and has a method ``check``.

    ``check`` takes any of the inputs that `inputs.py` lists, by name, and yields findings: for an input that
    is one thing of many (a role, a task …) it is called for each of them.

    Attributes:
        code: ``DK`` and three digits; the first is the family.
        name: What it is called, in kebab-case.
        why: One sentence: what goes wrong without it.
        bad: What breaks it.
        good: The same, put right.
        needs: What has to be at hand.
        severity: Whether it fails a validation.
        explains: A pattern of those import errors of Airflow that this rule says better, if it has one.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    why: ClassVar[str]
    bad: ClassVar[Example]
    good: ClassVar[Example]
    needs: ClassVar[Needs] = "files"
    severity: ClassVar[Severity] = "error"
    explains: ClassVar[str | None] = None
    check: ClassVar[Callable[..., Iterator[Finding]]]

    @classmethod
    def finding(
        cls,
        place: Place,
        message: str,
        fix: str,
        *changes: Edit | Rename,
        related: tuple[str, ...] = (),
        cause: str | None = None,
    ) -> Finding:
        """A finding of this rule.

        Args:
            place: Where.
            message: What is wrong, in one sentence without a full stop.
            fix: What to do, in one sentence.
            changes: What `--fix` may do.
            related: Other files that it is about.
            cause: Airflow's own words, where it only repeats them.
        """
        return Finding(
            place.path,
            place.line,
            place.column,
            cls.code,
            message,
            Fix(fix, changes),
            cls.severity,
            related,
            cause,
        )
