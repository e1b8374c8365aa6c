"""A run's report as lines for a terminal. What is printed is decided here; in which colour, elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from dagkit.local.aftermath import UNREACHED
from dagkit.local.record import FAILED, SKIPPED, SUCCESS, RefusedCall, RunRecord
from dagkit.local.words import state_word, task_problem
from dagkit.text import human_size, human_time, shorten

Style = Callable[[str, str], str]

_MARKS = {
    SUCCESS: ("✓", "green"),
    FAILED: ("✗", "red"),
    "up_for_retry": ("✗", "yellow"),
    SKIPPED: ("-", "dim"),
}
_OTHER = ("·", "dim")
PREVIEW_LINES = 3
PROBLEM_WIDTH = 80


def mark(state: str, style: Style) -> str:
    """The sign of a state."""
    sign, colour = _MARKS.get(state, _OTHER)
    return style(sign, colour)


def lines(record: RunRecord, style: Style, here: Path) -> list[str]:
    """The report.

    Args:
        record: The run.
        style: Gives a text its style: ``bold``, ``dim``, ``red``, ``green``.
        here: Paths are shown from here, where they lie below it.
    """
    out = ["", style("Tasks", "bold"), *_tasks(record, style)]
    for task in record.tasks:
        if task.last_lines:
            out += ["", style(f"Last lines of {task.name}", "bold")]
            out += [f"  {line}" for line in task.last_lines]
    if record.written:
        out += ["", style("Written to S3", "bold"), *_written(record, style)]
    if UNREACHED in record.notes:
        out += ["", f"{style('Note', 'bold')}: {UNREACHED}"]
    if record.refused:
        out += ["", style("Refused by the role", "bold"), *_refused(record, style, here)]
    folder = _from(Path(record.folder) / "report.md", here)
    took = human_time(record.seconds)
    if record.passed:
        end = f"{style('Succeeded', 'green')} in {took}. The report: {folder}"
    else:
        end = f"{style('Failed', 'red')} after {took}. The report, with all logs: {folder}"
    return [*out, "", end]


def _tasks(record: RunRecord, style: Style) -> list[str]:
    rows = [
        (
            each.name,
            state_word(each.state),
            human_time(each.seconds) if each.seconds is not None else "",
            f"{len(each.attempts)} tries" if len(each.attempts) > 1 else "",
            shorten(task_problem(each), PROBLEM_WIDTH),
        )
        for each in record.tasks
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return [
        f"  {mark(each.state, style)} "
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width), row[4]]
        ).rstrip()
        for each, row in zip(record.tasks, rows, strict=True)
    ]


def _written(record: RunRecord, style: Style) -> Iterable[str]:
    path_width = max(len(each.path) for each in record.written)
    size_width = max(len(human_size(each.size)) for each in record.written)
    for each in record.written:
        yield f"  {each.path.ljust(path_width)}  {human_size(each.size).rjust(size_width)}"
        shown = (each.preview or "").splitlines()
        for line in shown[:PREVIEW_LINES]:
            yield style(f"    | {line}", "dim")
        if len(shown) > PREVIEW_LINES:
            yield style("    | …", "dim")


def _refused(record: RunRecord, style: Style, here: Path) -> Iterable[str]:
    for each in record.refused:
        often = f" ({each.times} times)" if each.times > 1 else ""
        yield f"  {style('✗', 'red')} {each.task}: {style(each.action, 'bold')} on {each.resource}{often}"
        if each.lines:
            if _is_last_of_its_lines(each, record):
                yield f"    {_from(Path(each.file), here)} would allow it with:"
                yield from (style(f"      {line}", "green") for line in each.lines.splitlines())
        elif each.advice:
            yield f"    {each.advice}"
        else:
            yield f"    {each.reason}"


def _is_last_of_its_lines(call: RefusedCall, record: RunRecord) -> bool:
    """One line may allow several calls of several tasks: it is shown after the last of them."""
    return [each for each in record.refused if each.lines == call.lines][-1] is call


def _from(path: Path, here: Path) -> str:
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
