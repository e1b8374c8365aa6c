"""A run's report in Markdown: GitHub and JupyterLab draw its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dagkit.local.record import FAILED, NOT_RUN, SKIPPED, SUCCESS, UPSTREAM_FAILED, RunRecord, TaskRecord
from dagkit.local.words import state_word, task_problem
from dagkit.text import human_size, human_time

_COLOURS = {
    SUCCESS: "fill:#d7f0dd,stroke:#1a7f37,color:#0b3d1a",
    FAILED: "fill:#ffdcd7,stroke:#cf222e,color:#5c0a11",
    SKIPPED: "fill:#fbe9f5,stroke:#bf4b8a,color:#4d1433",
    UPSTREAM_FAILED: "fill:#fff1cc,stroke:#bf8700,color:#4d3600",
    NOT_RUN: "fill:#f0f1f3,stroke:#8c959f,color:#32383f",
}


def markdown(record: RunRecord) -> str:
    """The whole report."""
    parts = [
        f"# {record.dag_id}: {'succeeded' if record.passed else 'failed'}",
        _facts(record),
        "## Tasks",
        f"```mermaid\n{graph(record)}\n```",
        _table(
            ("task", "state", "time", "tries", "log"),
            [
                (
                    each.name,
                    state_word(each.state) + (f": {task_problem(each)}" if task_problem(each) else ""),
                    human_time(each.seconds) if each.seconds is not None else "",
                    str(len(each.attempts) or ""),
                    f"[{each.log}]({each.log})" if each.log else "",
                )
                for each in record.tasks
            ],
        ),
        *([f"```mermaid\n{gantt(record)}\n```"] if any(each.attempts for each in record.tasks) else []),
        *(part for each in record.tasks if each.last_lines for part in _last_lines(each)),
        "## Written to S3",
        _table(
            ("path", "size", "task", "begins with"),
            [
                (each.path, human_size(each.size), ", ".join(each.tasks), each.preview or "")
                for each in record.written
            ],
        )
        or "Nothing.",
        "## Refused",
        *(_refused(record) or ["Nothing."]),
        *_notes(record),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def graph(record: RunRecord) -> str:
    """The DAG as a Mermaid flowchart, each task in the colour of its state."""
    known = {each.name: f"t{number}" for number, each in enumerate(record.tasks)}
    lines = ["flowchart LR"]
    lines += [f'  {known[each.name]}["{_label(each)}"]:::{_class(each.state)}' for each in record.tasks]
    for each in record.tasks:
        for after in each.downstream:
            # a mapped task is drawn once an index
            targets = [key for name, key in known.items() if name == after or name.startswith(f"{after}[")]
            lines += [f"  {known[each.name]} --> {target}" for target in targets]
    used = {_class(each.state) for each in record.tasks}
    styles = {_class(state): style for state, style in _COLOURS.items()}
    lines += [f"  classDef {name} {style}" for name, style in styles.items() if name in used]
    return "\n".join(lines)


def gantt(record: RunRecord) -> str:
    """The tries of the tasks over time as a Mermaid Gantt chart."""
    lines = ["gantt", "  dateFormat x", "  axisFormat %H:%M:%S"]
    for each in record.tasks:
        if not each.attempts:
            continue
        lines.append(f"  section {_plain(each.name)}")
        for attempt in each.attempts:
            begin, end = (int(at.timestamp() * 1000) for at in (attempt.started, attempt.ended))
            mark = "done" if attempt.state in (SUCCESS, SKIPPED) else "crit"
            word = _plain(state_word(attempt.state))
            lines.append(f"  try {attempt.number} {word} :{mark}, {begin}, {max(end, begin + 1)}")
    return "\n".join(lines)


def _facts(record: RunRecord) -> str:
    params = ", ".join(f"{name}={value}" for name, value in record.params.items())
    enforced = "enforced" if record.enforced else "not enforced: everything was allowed"
    rows = [
        ("environment", record.environment),
        ("role", f"`{record.role}`, {enforced}"),
        ("engine", record.engine),
        ("logical date", record.logical_date),
        ("parameters", params),
        ("started", f"{record.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("took", human_time(record.seconds)),
    ]
    return _table(("", ""), [row for row in rows if row[1]])


def _last_lines(task: TaskRecord) -> list[str]:
    fence = "`" * max(3, *(len(run) + 1 for line in task.last_lines for run in re.findall("`+", line)), 3)
    lines = "\n".join(task.last_lines)
    return [f"### The last lines of {_escape(task.name)}", f"{fence}text\n{lines}\n{fence}"]


def _refused(record: RunRecord) -> list[str]:
    parts = []
    for each in record.refused:
        often = f", {each.times} times" if each.times > 1 else ""
        call = f"`{each.action}` on `{each.resource}`{often}"
        parts.append(f"**{_escape(each.task)}**: {call}. {_escape(each.reason)}")
        if each.lines:
            parts.append(f"`{_short(each.file, record)}` would allow it with:\n\n```yaml\n{each.lines}\n```")
        if each.advice:
            parts.append(_escape(each.advice))
    return parts


def _notes(record: RunRecord) -> list[str]:
    notes = [_escape(note) for note in record.notes]
    notes += [f"{_escape(each.name)}: {_escape(note)}" for each in record.tasks for note in each.notes]
    return ["## Different here from the platform", "\n".join(f"- {note}" for note in notes)] if notes else []


def _short(path: str, record: RunRecord) -> str:
    root = Path(record.folder).parents[2]
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = [f"| {' | '.join(_escape(cell) for cell in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body]) if body else ""


def _escape(text: str) -> str:
    """Text that is data: no Markdown and no HTML in it, and all on one line."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "")
    return text.replace("|", "\\|").replace("\n", "<br>")


def _plain(text: str) -> str:
    """Text that Mermaid takes as a name in a Gantt chart."""
    return re.sub(r"[^\w .\[\]-]", " ", text)


def _label(task: TaskRecord) -> str:
    took = f" {human_time(task.seconds)}" if task.seconds is not None else ""
    return f"{_plain(task.name).replace('[', '(').replace(']', ')')}<br>{state_word(task.state)}{took}"


def _class(state: str) -> str:
    return (state if state in _COLOURS else NOT_RUN).replace(" ", "_")
