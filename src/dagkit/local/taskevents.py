"""Tells the conductor when tasks start and end, and what those print that are not pods."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from dagkit.errors import DagkitError
from dagkit.local.podhook import airflow_exceptions, task_name

if TYPE_CHECKING:
    from dagkit.local.dagrun import Order
    from dagkit.local.podhook import Hook

# Whose log lines are Airflow's and its libraries' own noise, and not a task's.
_NOISE = (
    "airflow.", "alembic", "asyncio", "botocore", "cadwyn", "docker", "fastapi", "httpcore", "httpx",
    "kubernetes", "py.warnings", "requests", "root.airflow", "sqlalchemy", "task", "urllib3", "uvicorn",
)  # fmt: skip

TIMEOUT = "AirflowTaskTimeout"

# How Airflow's own log lines begin, each of which is written at once.
_OF_AIRFLOW = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\S* \[(debug|info|warning|error|critical) *\]")


def listen(hook: Hook, order: Order) -> None:
    """Register with Airflow's listeners, which it calls at each change of a task's state."""
    listener = _listener(hook, order)
    for manager in _managers():
        manager.add_listener(listener)


def _managers() -> list[Any]:
    try:
        from airflow.sdk.listener import get_listener_manager
    except ImportError:  # Airflow 3.1
        from airflow.listeners.listener import get_listener_manager
    return [get_listener_manager()]


def _listener(hook: Hook, order: Order) -> Any:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from pluggy import HookimplMarker

    hookimpl = HookimplMarker("airflow")
    no_retry = airflow_exceptions().AirflowFailException

    class Listener:
        """What Airflow calls."""

        def __init__(self) -> None:
            self._capture: Capture | None = None

        @hookimpl
        def on_task_instance_running(self, task_instance: Any) -> None:
            task = _name(task_instance)
            hook.link.tell("started", task=task, attempt=task_instance.try_number, time=_now())
            if not isinstance(task_instance.task, KubernetesPodOperator):
                self._capture = Capture(hook, task)

        @hookimpl
        def on_task_instance_success(self, task_instance: Any) -> None:
            self._finished(task_instance, "success")

        @hookimpl
        def on_task_instance_skipped(self, task_instance: Any) -> None:
            self._finished(task_instance, "skipped")

        @hookimpl
        def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
            again = task_instance.try_number <= task_instance.max_tries
            again = again and not isinstance(error, no_retry)
            self._finished(task_instance, "up_for_retry" if again else "failed", error)

        def _finished(self, instance: Any, state: str, error: Any = None) -> None:
            if self._capture is not None:
                self._capture.close()
                self._capture = None
            task = _name(instance)
            outcome = hook.outcomes.get((task, instance.try_number))
            told = isinstance(getattr(error, "__cause__", None), DagkitError)
            if isinstance(error, BaseException) and outcome is None and not told:
                for line in user_traceback(error, order):
                    hook.link.tell("log", task=task, line=line)
            reason = outcome.reason if outcome else _reason(error)
            hook.link.tell(
                "finished",
                task=task,
                attempt=instance.try_number,
                state=state,
                time=_now(),
                exit_code=outcome.exit_code if outcome else None,
                reason=reason,
            )

    return Listener()


class Capture(logging.Handler):
    """What a task prints or logs in Airflow's own process, as log lines of the task."""

    def __init__(self, hook: Hook, task: str) -> None:
        super().__init__()
        self._hook = hook
        self._task = task
        self._stdout = sys.stdout
        sys.stdout = _Lines(self, self._stdout)
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Give the streams back."""
        sys.stdout = self._stdout
        logging.getLogger().removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """A log record of the task's own code."""
        if not record.name.startswith(_NOISE):
            self.line(record.getMessage())

    def line(self, text: str) -> None:
        """One line."""
        self._hook.link.tell("log", task=self._task, line=text)


class _Lines:
    """A stream that hands on whole lines, and is otherwise the one it stands for."""

    def __init__(self, capture: Capture, stream: TextIO) -> None:
        self._capture = capture
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        self._stream.write(text)
        if _OF_AIRFLOW.match(text):
            return len(text)
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._capture.line(line)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def user_traceback(error: BaseException, order: Order) -> list[str]:
    """An error of a task that is not a pod: its lines of the DAG file, and what it says."""
    frames = [
        f"{order.original}:{frame.lineno}, in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == order.staged
    ]
    return [*frames, f"{type(error).__name__}: {error}"] if type(error).__name__ != TIMEOUT else []


def _reason(error: Any) -> str | None:
    if error is None:
        return None
    if type(error).__name__ == TIMEOUT:
        return "stopped: it took longer than its execution_timeout"
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _name(instance: Any) -> str:
    return task_name(instance.task_id, getattr(instance, "map_index", -1))


def _now() -> str:
    return datetime.now(UTC).isoformat()
