"""What happened in a run: plain values, for the terminal, the Markdown and the JSON alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED = "success", "failed", "skipped", "upstream_failed"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Attempt:
    """One try of a task.

    Attributes:
        number: From 1.
        state: Airflow's word for how it ended; ``stopped`` where the run was.
        started: In UTC.
        ended: In UTC.
        exit_code: Of its pod; None where it had none.
        reason: Why it failed, where the exit code does not say.
    """

    number: int
    state: str
    started: datetime
    ended: datetime
    exit_code: int | None = None
    reason: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True)
class TaskRecord:
    """One task.

    Attributes:
        name: Its task_id, with its index where it is mapped.
        operator: The class of its operator.
        downstream: The tasks that come after it.
        state: Airflow's word: success, failed, skipped, upstream_failed; or ``not run``.
        attempts: Its tries, in order.
        log: Its log, from the run's folder; None where it wrote nothing.
        last_lines: The end of its log, where it failed.
        notes: What was different here from the platform.
    """

    name: str
    operator: str
    downstream: tuple[str, ...]
    state: str
    attempts: tuple[Attempt, ...] = ()
    log: str | None = None
    last_lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long its tries took together; None where it did not run."""
        return sum(attempt.seconds for attempt in self.attempts) if self.attempts else None

    @property
    def problem(self) -> str | None:
        """Why it failed, in a few words; None where it did not."""
        if self.state != FAILED or not self.attempts:
            return None
        last = self.attempts[-1]
        code = f"exit code {last.exit_code}" if last.exit_code is not None else ""
        reason = last.reason or ""
        return ", ".join(part for part in (code, reason) if part) or None


@dataclass(frozen=True)
class WrittenObject:
    """An object that a task wrote to S3 and that is there at the end.

    Attributes:
        path: ``s3://bucket/key``.
        size: In bytes.
        tasks: The tasks that wrote it.
        preview: Its first characters, where it is a small text; None otherwise.
    """

    path: str
    size: int
    tasks: tuple[str, ...]
    preview: str | None = None


@dataclass(frozen=True)
class RefusedCall:
    """A permission that a task needed and did not have; once, however often it was asked for.

    Attributes:
        task: The task.
        action: As policies write it: ``s3:PutObject``.
        resource: Its ARN.
        reason: The authority's sentence.
        times: How often it was refused.
        file: The role's YAML.
        lines: The lines for that file which would allow it; empty where none can.
        advice: What to know about those lines; empty where nothing.
    """

    task: str
    action: str
    resource: str
    reason: str
    times: int
    file: str
    lines: str
    advice: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Attributes:
        run_id: Its folder's name: the time it started, in UTC.
        folder: Its folder.
        dag_id: The DAG.
        dag_file: The DAG's file.
        environment: ``dev`` or ``prod``.
        role: The IAM role.
        role_file: The role's YAML.
        enforced: Whether the role was enforced; not where only a role was to be suggested.
        engine: The engine.
        logical_date: The run's logical date, ISO 8601.
        params: The DAG parameters that were given.
        state: ``success`` or ``failed``.
        started: In UTC.
        seconds: How long it took, with all that comes before the first task.
        tasks: In the order in which they started; then those that did not.
        written: What was written to S3.
        refused: What was refused.
        notes: What was different here from the platform.
    """

    run_id: str
    folder: str
    dag_id: str
    dag_file: str
    environment: str
    role: str
    role_file: str
    enforced: bool
    engine: str
    logical_date: str
    params: dict[str, Any]
    state: str
    started: datetime
    seconds: float
    tasks: tuple[TaskRecord, ...]
    written: tuple[WrittenObject, ...] = ()
    refused: tuple[RefusedCall, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it did what it should: the DAG succeeded."""
        return self.state == SUCCESS

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; times in ISO 8601."""
        values: dict[str, Any] = _plain(asdict(self))
        for task, record in zip(values["tasks"], self.tasks, strict=True):
            task["seconds"] = record.seconds
            task["problem"] = record.problem
        return values


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
