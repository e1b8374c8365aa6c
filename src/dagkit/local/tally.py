"""Keeps count of a run as it goes on, and makes its record in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from dagkit.local import aftermath
from dagkit.local.link import Message
from dagkit.local.record import FAILED, NOT_RUN, SUCCESS, Attempt, RunRecord, TaskRecord
from dagkit.local.words import plain

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS
    from dagkit.local.plan import Plan

LAST_LINES = 15
"""Lines of a failed task's log that the report shows."""


class Watcher(Protocol):
    """Who is told what happens, as it happens."""

    def say(self, text: str) -> None:
        """Progress."""

    def note(self, task: str | None, text: str) -> None:
        """Something is different here from the platform; of one task, or of the run."""

    def loaded(self, tasks: Sequence[str]) -> None:
        """The DAG has been loaded; these are its tasks."""

    def started(self, task: str, attempt: int) -> None:
        """A task starts."""

    def log(self, task: str, line: str) -> None:
        """A task wrote a line."""

    def finished(self, task: str, attempt: Attempt) -> None:
        """A try of a task has ended."""

    def airflow(self, line: str) -> None:
        """A line of Airflow's own log, where it is to be shown."""


class Tally:
    """What is known so far.

    Args:
        watch: Told what happens.
        folder: The run's folder; tasks' logs go to ``logs/`` in it.
        started: When the run started.
    """

    def __init__(self, watch: Watcher, folder: Path, started: datetime) -> None:
        self._watch = watch
        self._folder = folder
        self._started = started
        self._loaded: Message = {}
        self._ended: Message = {}
        self._begun: dict[str, tuple[int, datetime]] = {}
        self._attempts: dict[str, list[Attempt]] = {}
        self._notes: dict[str | None, list[str]] = {}
        self._problems: dict[str, str] = {}
        self._last: dict[str, deque[str]] = {}
        self._files: dict[str, IO[str]] = {}

    def loaded(self, message: Message) -> None:
        """The DAG has been loaded."""
        self._loaded = message
        self._watch.loaded([task["task"] for task in message["tasks"]])

    def ended(self, message: Message) -> None:
        """The DAG has ended."""
        self._ended = message
        for handle in self._files.values():
            handle.close()

    def take(self, kind: str, message: Message) -> None:
        """Anything that happens to one task."""
        task = message["task"]
        if kind == "started":
            self._begun[task] = (message["attempt"], _time(message["time"]))
            self._attempts.setdefault(task, [])
            if message["attempt"] > 1:
                self._write(task, f"--- try {message['attempt']} ---")
                self._last[task].clear()
            self._watch.started(task, message["attempt"])
        elif kind == "log":
            self._write(task, message["line"])
            self._watch.log(task, plain(message["line"]))
        elif kind == "note":
            self.note(task, message["text"])
        elif kind == "problem":
            text = "\n".join(str(message[key]) for key in ("what", "fix") if message.get(key))
            self._problems[task] = message["what"].splitlines()[0]
            for line in text.splitlines():
                self._write(task, line)
                self._watch.log(task, line)
        elif kind == "finished":
            self._finished(task, message)

    def note(self, task: str | None, text: str) -> None:
        """Something is different here, about a task or about the run; said once."""
        notes = self._notes.setdefault(task, [])
        if text not in notes:
            notes.append(text)
            self._watch.note(task, text)

    def record(self, plan: Plan, aws: LocalAWS, folder: Path, seconds: float) -> RunRecord:
        """The record of the run that has ended."""
        role = plan.role
        state = SUCCESS if self._ended["state"] == SUCCESS else FAILED
        calls = aws.ledger
        tasks = self._tasks()
        unreached = [aftermath.UNREACHED] if aftermath.unreached(calls, tasks) else []
        return RunRecord(
            run_id=folder.name,
            folder=str(folder),
            dag_id=self._loaded["dag_id"],
            dag_file=str(plan.dag_file),
            environment=plan.options.environment,
            role=role.name,
            role_file=str(role.path),
            enforced=plan.options.enforce,
            engine=plan.engine,
            logical_date=self._loaded["logical_date"],
            params=self._loaded["params"],
            state=state,
            started=self._started,
            seconds=seconds,
            tasks=tasks,
            written=aftermath.written(aws, calls),
            refused=aftermath.refused(calls, role),
            notes=(*unreached, *self._notes.get(None, ()), *self._loaded["notes"]),
        )

    def _tasks(self) -> tuple[TaskRecord, ...]:
        states: dict[str, str] = {each["task"]: each["state"] for each in self._ended["tasks"]}
        known: dict[str, Mapping[str, Any]] = {each["task"]: each for each in self._loaded["tasks"]}
        order = [*self._attempts, *(name for name in states if name not in self._attempts)]
        order += [name for name in known if not any(_base(each) == name for each in order)]
        return tuple(
            self._task(name, known.get(_base(name), {}), states.get(name, NOT_RUN)) for name in order
        )

    def _task(self, name: str, known: Mapping[str, Any], state: str) -> TaskRecord:
        return TaskRecord(
            name=name,
            operator=known.get("operator", ""),
            downstream=tuple(known.get("downstream", ())),
            state=NOT_RUN if state == "None" else state,
            attempts=tuple(self._attempts.get(name, ())),
            log=f"logs/{_file_name(name)}" if name in self._files else None,
            last_lines=tuple(self._last.get(name, ())) if state == FAILED else (),
            notes=tuple(self._notes.get(name, ())),
        )

    def _finished(self, task: str, message: Message) -> None:
        ended = _time(message["time"])
        # a task whose templates cannot be filled in fails before it starts
        number, started = self._begun.get(task, (0, ended))
        attempt = Attempt(
            number=message["attempt"],
            state=message["state"],
            started=started if number == message["attempt"] else ended,
            ended=ended,
            exit_code=message["exit_code"],
            reason=self._problems.get(task) or message["reason"],
        )
        self._attempts.setdefault(task, []).append(attempt)
        self._watch.finished(task, attempt)

    def _write(self, task: str, line: str) -> None:
        if task not in self._files:
            path = self._folder / "logs" / _file_name(task)
            self._files[task] = path.open("w", encoding="utf-8", buffering=1)
            self._last[task] = deque(maxlen=LAST_LINES)
        self._files[task].write(f"{line}\n")
        self._last[task].append(plain(line))


def _base(name: str) -> str:
    """The task_id of a task, which may be mapped."""
    return name.partition("[")[0]


def _file_name(task: str) -> str:
    return f"{task.replace('/', '-')}.log"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
