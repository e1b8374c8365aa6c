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


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.4 s``, ``12 s``, ``2 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def size(number: int) -> str:
    """Bytes in the unit that fits: ``39 B``, ``1.2 MB``."""
    amount = float(number)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def plain(line: str) -> str:
    """A line of a task's log as a terminal and a report may have it.

    Without colours and control characters; of a progress bar, its last state.
    """
    line = _ESCAPE.sub("", line).rstrip("\r").rpartition("\r")[2]
    return "".join(c for c in line if c.isprintable() or c == "\t")


def shorten(text: str, width: int) -> str:
    """The text on one line of at most ``width`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
