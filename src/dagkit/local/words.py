"""How a report says things: states, sizes, times."""

from __future__ import annotations

import re

from dagkit.local.record import TaskRecord

_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")

_STATES = {
    "upstream_failed": "not run, a task before it failed",
    "up_for_retry": "failed",
    "None": "not run",
}


def state_word(state: str) -> str:
    """Airflow's word for a state, said for people."""
    return _STATES.get(state, state.replace("_", " "))


def task_problem(task: TaskRecord) -> str:
    """Why a task failed, in a few words; empty where it did not."""
    return task.problem or ""


def plain(line: str) -> str:
    """A line of a task's log as a terminal and a report may have it.

    Without colours and control characters; of a progress bar, its last state.
    """
    line = _ESCAPE.sub("", line).rstrip("\r").rpartition("\r")[2]
    return "".join(c for c in line if c.isprintable() or c == "\t")
