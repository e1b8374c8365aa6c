"""Reading what Airflow says: why a run failed, and when a run starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from dagkit.local.record import RunRecord, TaskRecord

SERIES = "0 6 * * *"
"""A schedule to explain with, where the DAG has none."""


@dataclass(frozen=True)
class Reading:
    """What a log means.

    Attributes:
        sign: What stands in the log.
        meaning: What happened.
        todo: What to do.
    """

    sign: str
    meaning: str
    todo: str


@dataclass(frozen=True)
class _Known:
    pattern: str
    meaning: str
    todo: str


_KNOWN = (
    _Known(
        r"Pod took too long to start|PodLaunchFailed|ImagePullBackOff|ErrImagePull",
        "Kubernetes could not start the pod in time; mostly because the image's tag was never pushed",
        "See on GitHub that the workflow “release” of the tag is green, and that RELEASE in the DAG says it."
        " With high-memory a node has to be made first, which takes minutes: clear the task once.",
    ),
    _Known(
        r"AccessDenied|Access Denied|not authorized to perform|\(403\)",
        "The role does not allow this call",
        "Put the path into airflow/roles/<environment>/, try it with dagkit run, and submit.",
    ),
    _Known(
        r"OOMKilled|exit code 137|MemoryError|cannot allocate (?:vector|memory)",
        "The pod used more memory than it has",
        'Read the data in parts, or set compute="high-memory" in the DAG.',
    ),
    _Known(
        r"No module named|there is no package called",
        "A package is missing in the image",
        "Ask for it (requirements.in, or renv::install), lock, and release.",
    ),
    _Known(
        r"environment variable \S+ is missing",
        "The DAG does not tell the code what it needs to know",
        "Add the variable to env_vars of that task.",
    ),
    _Known(
        r"Permission denied|EACCES|Read-only file system",
        "The code writes where a pod may not",
        "Write to /tmp (tempfile), and results to S3.",
    ),
    _Known(
        r"NoSuchKey|NoSuchBucket|\(404\)",
        "The file is not in S3, or not yet",
        "Check the path, and whether what writes it ran before; a date in it is in UTC.",
    ),
    _Known(
        r"violates PodSecurity|CreateContainerConfigError|runAsNonRoot",
        "The cluster refuses such a pod",
        "Use PipelinePodOperator, and run dagkit validate.",
    ),
    _Known(
        r"Could not connect|Connect(?:ion)? ?timed? ?out|Name or service not known|Connection refused",
        "The pod could not reach what it called",
        "Clear the task once; if it stays, ask the data engineers whether pods may go there.",
    ),
    _Known(
        r"AirflowTaskTimeout|DagRunTimeout|execution_timeout",
        "The task took longer than the DAG allows",
        "See what took so long; then raise execution_timeout, or read less.",
    ),
)


def explain(log: str) -> Reading | None:
    """What a log means; None where it has none of the known signs."""
    for known in _KNOWN:
        if found := re.search(known.pattern, log):
            return Reading(found[0], known.meaning, known.todo)
    return None


def signs() -> list[tuple[str, str, str]]:
    """What is known: a sign, what it means, what to do."""
    shown = [known.pattern.split("|")[0].replace("\\S+", "…") for known in _KNOWN]
    return [(sign, known.meaning, known.todo) for sign, known in zip(shown, _KNOWN, strict=True)]


def first_failure(run: RunRecord) -> TaskRecord | None:
    """The task whose failure came first: the others failed, or were left out, because of it."""
    failed = [each for each in run.tasks if each.problem is not None]
    return min(failed, key=lambda each: each.attempts[-1].ended, default=None)


@dataclass(frozen=True)
class Interval:
    """One run of a schedule, in UTC.

    Attributes:
        begin: From when its data is; in Airflow 2 also what the run is called by.
        end: Until when its data is, which is when the run starts.
    """

    begin: datetime
    end: datetime


def intervals(schedule: str, now: datetime, number: int = 3) -> list[Interval]:
    """The next runs of a schedule.

    Args:
        schedule: A cron expression, or a preset such as ``@daily``.
        now: In UTC.
        number: How many.

    Raises:
        ValueError: It is not a cron expression.
    """
    from croniter import croniter

    series = croniter(schedule, now.astimezone(UTC))
    begin = series.get_prev(datetime)
    found = []
    for _ in range(number):
        end = series.get_next(datetime)
        while end <= begin:
            end = series.get_next(datetime)
        found.append(Interval(begin, end))
        begin = end
    return found


def picture(found: list[Interval]) -> str:
    """The runs of a schedule as a Mermaid Gantt chart: each begins where the interval of its data ends."""
    lines = ["gantt", "  dateFormat YYYY-MM-DDTHH:mm", "  axisFormat %d %b %H:%M"]
    for number, each in enumerate(found, start=1):
        begin, end = (f"{at:%Y-%m-%dT%H:%M}" for at in (each.begin, each.end))
        length = max(int((each.end - each.begin).total_seconds() // 60 // 8), 1)
        lines.append(f"  section run {number}")
        lines += [f"  its data :done, {begin}, {end}", f"  it runs :active, {end}, {length}m"]
    return "\n".join(lines)
