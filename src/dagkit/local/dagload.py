"""A DAG file in Airflow's hands: loaded, what is wrong said at its line, and made fit for this machine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit.errors import DagkitError

if TYPE_CHECKING:
    from airflow.sdk import DAG

_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+)', re.MULTILINE)


def load_dag(staged: Path, original: Path, dag_id: str) -> DAG:
    """The one DAG of a file.

    Args:
        staged: The file as Airflow loads it.
        original: The file as the repository has it.
        dag_id: What the DAG must be called.

    Raises:
        DagkitError: The file does not load, or holds no DAG, several, or one of another name.
    """
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag

    bag = DagBag(dag_folder=str(staged), safe_mode=False)
    for trace in bag.import_errors.values():
        raise parse_error(str(trace), staged, original)
    if not bag.dags:
        raise DagkitError(
            "The file holds no DAG",
            where=str(original),
            fix=f'It needs one: with DAG(dag_id="{dag_id}", ...) as dag:',
        )
    if len(bag.dags) > 1:
        raise DagkitError(
            f"The file holds {len(bag.dags)} DAGs: {', '.join(sorted(bag.dags))}",
            where=str(original),
            fix="Give each DAG a file of its own: the platform takes one DAG a file.",
        )
    dag: DAG = next(iter(bag.dags.values()))
    if dag.dag_id != dag_id:
        raise DagkitError(
            f"The dag_id is '{dag.dag_id}', and must be '{dag_id}': the project and the file's name",
            where=f"{original}:{_line_of(original, dag.dag_id)}",
            fix=f'Write dag_id="{dag_id}"',
        )
    if not dag.task_dict:
        raise DagkitError("The DAG has no tasks", where=str(original), fix="Add one inside the with block.")
    return dag


def parse_error(trace: str, staged: Path, original: Path) -> DagkitError:
    """One sentence, at the line of the DAG, from the traceback that Airflow keeps of a file."""
    lines = [line for line in trace.strip().splitlines() if line.strip()]
    frames = [m for m in _FRAME.finditer(trace) if Path(m["file"]).resolve() == staged.resolve()]
    message = lines[-1].strip() if lines else "unknown error"
    for number, line in enumerate(lines):
        # an error's message may have several lines: it begins where the traceback's indentation ends
        if frames and number > 0 and re.match(r"[\w.]+(Error|Exception|Exit|Interrupt|Timeout)\b", line):
            message = " ".join(part.strip() for part in lines[number:])
    message = re.sub(r"^(\w+\.)+(?=\w+:)", "", message).replace(str(staged), original.name)
    where, code = str(original), ""
    if frames:
        number = int(frames[-1]["line"])
        where = f"{original}:{number}"
        source = original.read_text(encoding="utf-8").splitlines()
        code = f"\n  {source[number - 1].strip()}" if number <= len(source) else ""
    return DagkitError(f"The DAG does not parse: {message}{code}", where=where, fix=_fix(message))


def localise(dag: DAG) -> list[str]:
    """Change what makes no sense on this machine, and say so.

    Retries come at once, and no e-mail is sent.
    """
    notes: list[str] = []
    tasks = list(dag.task_dict.values())
    if any((task.retries or 0) > 0 for task in tasks):
        for task in tasks:
            set_on(task, "retry_delay", timedelta(0))
            set_on(task, "retry_exponential_backoff", False)
        notes.append("a failed task is tried again at once: its retry_delay counts on the platform only")
    if any(task.email and (task.email_on_failure or task.email_on_retry) for task in tasks):
        for task in tasks:
            set_on(task, "email_on_failure", False)
            set_on(task, "email_on_retry", False)
        notes.append("no e-mail is sent from here")
    return notes


def set_on(task: Any, name: str, value: Any) -> None:
    """Set an attribute of a task, which a mapped one keeps for the tasks it expands to."""
    if hasattr(task, "partial_kwargs"):
        task.partial_kwargs[name] = value
    else:
        setattr(task, name, value)


def _line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((n for n, line in enumerate(lines, 1) if text in line or "dag_id" in line), 1)


def _fix(message: str) -> str:
    if match := re.search(r"No module named '([^']+)'", message):
        if match[1].startswith("imports"):
            return "Only the platform's own modules of imports/ are here: see that the name is right."
        return (
            f"A DAG may import what Airflow has. Work that needs '{match[1]}' belongs into the image:"
            " import it in scripts/."
        )
    return "Correct that line, and run again."
