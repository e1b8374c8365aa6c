"""A run's folder: `.dagkit/runs/<UTC time>/`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

from dagkit.local.record import RunRecord


def make_run_folder(state: Path, started: datetime) -> Path:
    """Make the folder of a run that starts now; two that start in one second get two."""
    runs = state / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    ignore = state / ".gitignore"
    if not ignore.is_file():
        ignore.write_text("*\n", encoding="utf-8")
    name = started.strftime("%Y-%m-%dT%H%M%SZ")
    for number in count(1):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        try:
            (folder / "logs").mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


def write(record: RunRecord, folder: Path) -> None:
    """Write the report, as Markdown and as JSON."""
    from dagkit.local.markdown import markdown

    text = json.dumps(record.as_json(), indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(record), encoding="utf-8")


def recorded(state: Path) -> Iterator[RunRecord]:
    """The runs that came to a report, newest first; one that cannot be read is left out.

    Args:
        state: The pipeline's state folder.
    """
    from pydantic import TypeAdapter, ValidationError

    reader = TypeAdapter(RunRecord)
    found = []
    for report in state.glob("runs/*/report.json"):
        try:
            found.append(reader.validate_json(report.read_bytes()))
        except (OSError, ValidationError):  # half deleted, or of another version
            continue
    yield from sorted(found, key=lambda record: (record.started, record.run_id), reverse=True)


def discard_unless_useful(folder: Path) -> None:
    """Remove the folder of a run that did not come to a report, unless a task wrote a log."""
    logs = {path.name for path in (folder / "logs").glob("*.log")} - {"airflow.log"}
    if not logs:
        shutil.rmtree(folder, ignore_errors=True)
