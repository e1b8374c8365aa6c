"""What a plan is made of, for roles and for DAGs alike."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol


class Action(enum.StrEnum):
    """What happens to a role or a key; `kept` is one of ours without a file, that `--prune` would delete."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEPT = "kept"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.DELETE: "-",
    Action.KEPT: "·",
    Action.REFUSED: "!",
    Action.UNCHANGED: "=",
}
CHANGES = (Action.CREATE, Action.UPDATE, Action.DELETE)


class Step(Protocol):
    """One part of a plan."""

    @property
    def action(self) -> Action:
        """What happens."""

    @property
    def name(self) -> str:
        """The role, or the key in the bucket."""

    @property
    def problem(self) -> str | None:
        """Why it is refused."""

    @property
    def detail(self) -> str:
        """What differs, or where it comes from."""


def line(step: Step) -> str:
    """A step for people."""
    detail = step.problem or step.detail
    if step.action is Action.KEPT:
        detail = "no file asks for it any more; --prune deletes it"
    return f"  {SIGNS[step.action]} {step.name}  {detail}".rstrip()


def summary(steps: Sequence[Step]) -> str:
    """How many of each action, as in `1 create, 998 unchanged`."""
    counted = Counter(step.action for step in steps)
    return ", ".join(f"{counted[action]} {action}" for action in Action if counted[action]) or "nothing to do"


def as_data(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps for programs."""
    return [
        {"name": s.name, "action": str(s.action), "detail": s.detail, "problem": s.problem} for s in steps
    ]
