"""What every call to the local AWS was, and how it ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from dagkit.local.authority import Decision, Verdict
from dagkit.local.conditions import Context


@dataclass(frozen=True)
class Judged:
    """One permission a call needed, and the decision on it.

    Args:
        action: As policies write it: `s3:GetObject`.
        resource: ARN or `*`; None when it could not be worked out.
        decision: The authority's.
        context: What was known of the request when it decided.
    """

    action: str
    resource: str | None
    decision: Decision
    context: Context = field(default_factory=Context, repr=False, compare=False)


@dataclass(frozen=True)
class Written:
    """An object a call put into a bucket; `size` in bytes."""

    bucket: str
    key: str
    size: int


@dataclass(frozen=True)
class Call:
    """One call.

    Args:
        time: When it came, in UTC.
        role: The caller's role; empty when the caller is not known.
        session: The role session: the task.
        service: As the AWS CLI names it (`s3`, `cloudwatch`).
        operation: `GetObject`; empty when it was not recognised.
        needs: What it needed, in AWS's order, each with its decision.
        status: The HTTP status the caller got.
        refused: Why it was refused; empty when it was not. A batch that was refused in part is here too.
        unavailable: It was not refused for want of permission: the local AWS cannot do it.
        bucket: The S3 bucket it was about.
        key: The S3 key it was about.
        written: What it wrote.
        deleted: The keys it deleted.
    """

    time: datetime
    role: str
    session: str
    service: str
    operation: str
    needs: tuple[Judged, ...]
    status: int
    refused: str = ""
    unavailable: bool = False
    bucket: str = ""
    key: str = ""
    written: tuple[Written, ...] = ()
    deleted: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Judged, ...]:
        """The needs that were not met."""
        return tuple(need for need in self.needs if not need.decision.allowed)

    @property
    def undecided(self) -> bool:
        """Whether it was refused because it could not be decided."""
        return any(need.decision.verdict is Verdict.UNDECIDED for need in self.refusals)


class Ledger:
    """Collects calls from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Adds one call."""
        with self._lock:
            self._calls.append(call)

    def calls(self) -> list[Call]:
        """Returns all calls so far, in the order they ended."""
        with self._lock:
            return list(self._calls)
