"""A review as the comment that people read on GitHub.

Everything that comes from the pull request stands in code, with nothing in it that could end the code: so it
cannot mention anybody, link anywhere, or bring HTML along.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from dagkit.deploy import permissions
from dagkit.deploy.dagviews import DagView, TaskView
from dagkit.deploy.review import Change, DagChange, Review, RoleChange

MARKER = "<!-- dagkit review -->"
LIMIT = 65_536
"""What a comment on GitHub holds. It counts characters; bytes are counted here, which are never fewer."""

_LONGEST = 200
_MOST_ROWS = 60
_MOST_TASKS = 100
_MOST_NAMES = 10
_NOTHING = "—"
_KINDS = tuple(permissions.Kind)


def render(found: Review, again: str, limit: int = LIMIT) -> str:
    """The comment.

    Args:
        found: The review.
        again: The command that shows all of it, where it has to be cut.
        limit: Bytes that the comment may have.
    """
    head = _head(found)
    sections = [(_role_title(role), _role(role)) for role in found.roles]
    sections += [(_dag_title(dag), _dag(dag)) for dag in found.dags]
    if found.files:
        sections.append(("other files", _files(found)))
    text = "\n".join([head, *(section for _, section in sections)])
    if _bytes(text) <= limit:
        return text
    kept: list[str] = []
    left: list[str] = []
    longest = sorted((title for title, _ in sections), key=_bytes)[-_MOST_NAMES:]
    room = limit - _bytes(head) - _bytes(_cut(longest, 10**6, again)) - 2
    for title, section in sections:
        # whole sections only, in order: half a table would read like a whole one
        if left or _bytes(section) + 1 > room:
            left.append(title)
        else:
            kept.append(section)
            room -= _bytes(section) + 1
    return "\n".join([head, *kept, _cut(left[:_MOST_NAMES], len(left), again)])


def _cut(titles: Sequence[str], number: int, again: str) -> str:
    more = f" and {number - len(titles)} more" if number > len(titles) else ""
    return (
        f"> **{number} sections are left out**, as a comment holds no more: {'; '.join(titles)}{more}.\n"
        f"> All of it: {code(again)}\n"
    )


def code(text: object) -> str:
    """Text as code, safe anywhere in a comment, a table included."""
    shown = "".join(_visible(character) for character in str(text))
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}…"
    return f"`{shown}`" if shown.strip() else _NOTHING


def _visible(character: str) -> str:
    # a backtick or a pipe would end the code or the cell
    return f"\\u{ord(character):04x}" if character in "`|" or unseen(character) else character


def unseen(character: str) -> bool:
    """Whether a character cannot be seen, and so could mislead a reader: control, direction, line ends."""
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _several(items: Sequence[str], most: int = _MOST_NAMES) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(code(item) for item in items[:most]) + more


def _head(found: Review) -> str:
    widening = [role for role in found.roles if role.widens]
    unknown = [role for role in found.roles if role.problem]
    lines = [MARKER, "## What this pull request changes", ""]
    if not found.changed:
        return "\n".join([*lines, "Nothing.", ""])
    lines += [f"- {line}" for line in _approval(found)]
    if found.roles:
        said = f"{len(widening)} of {len(found.roles)} changed roles may do more than before"
        lines.append(f"- **Permissions:** {f'⚠️ {said}' if widening else said}.")
    if unknown:
        lines.append(f"- ⚠️ Permissions that cannot be told: {_several([role.name for role in unknown])}.")
    counts = [(sum(dag.change is change for dag in found.dags), change) for change in Change]
    if found.dags:
        lines.append(f"- **DAGs:** {', '.join(f'{number} {change}' for number, change in counts if number)}.")
    return "\n".join([*lines, ""])


def _approval(found: Review) -> Iterable[str]:
    approvals = found.approvals
    if approvals.problem:
        yield f"**Approval:** not known: {code(approvals.problem)}."
        return
    for owners, files in approvals.needed.items():
        who = " or ".join(code(owner) for owner in owners)
        yield f"**Approval** of {who} for {_several(files)}."
    if not approvals.needed:
        yield "**Approval:** CODEOWNERS asks for none."


# -- roles ------------------------------------------------------------------------------------------------


def _role_title(role: RoleChange) -> str:
    widens = ", may do more" if role.widens else ""
    return f"role {code(role.name)} in {code(role.environment)} ({role.change}{widens})"


def _role(role: RoleChange) -> str:
    lines = [f"### {'⚠️ ' if role.widens else ''}{_capital(_role_title(role))}", ""]
    used = _several(role.used_by) if role.used_by else "no DAG, as far as the files say"
    lines += [f"Used by {used}.", ""]
    if role.problem:
        return "\n".join([*lines, f"⚠️ What it permits cannot be told: {code(role.problem)}", ""])
    if not role.rows:
        return "\n".join([*lines, "It permits nothing.", ""])
    lines += ["| | On | Before | After | Note |", "|---|---|---|---|---|"]
    lines += [_row(role, row) for row in role.rows[:_MOST_ROWS]]
    left = role.rows[_MOST_ROWS:]
    if left:
        changed = sum(row.changed for row in left)
        lines += ["", f"{len(left)} more rows are left out; {changed} of them change."]
    return "\n".join([*lines, ""])


def _row(role: RoleChange, row: permissions.Row) -> str:
    mark = "⚠️ wider" if row.widened else "narrower" if row.changed else ""
    resource = row.resource.removeprefix(permissions.S3)
    where = f"{row.service}: {code('everything' if resource == '*' else resource)}"
    notes = list(row.sensitive)
    if row.resource in role.others:
        notes.append(f"also written by {_several(role.others[row.resource], 3)} of another team")
    if row.exceptions:
        notes.append(f"except {_several([e.removeprefix(permissions.S3) for e in row.exceptions], 3)}")
    if row.condition:
        notes.append(f"only if {code(row.condition)}")
    if row.widened and row.widened <= row.before:
        notes.append(f"new: {_several(row.actions, 3)}")
    return f"| {mark} | {where} | {_words(row.before)} | {_words(row.after)} | {'; '.join(notes)} |"


def _words(kinds: Iterable[permissions.Kind]) -> str:
    has = set(kinds)
    return ", ".join(kind for kind in _KINDS if kind in has) or _NOTHING


# -- DAGs -------------------------------------------------------------------------------------------------


def _dag_title(change: DagChange) -> str:
    view = change.after or change.before
    return f"DAG {code(view.dag_id if view else change.path)} in {code(change.environment)} ({change.change})"


def _dag(change: DagChange) -> str:
    lines = [f"### {_capital(_dag_title(change))}", "", f"{code(change.path)}", ""]
    before, after = change.before, change.after
    if after and after.problem:
        lines += [f"⚠️ It cannot be loaded: {code(after.problem)}", ""]
    lines += [f"Runs {_before_after(_schedule(before), _schedule(after))}.", ""]
    lines += _pods(before, after)
    lines += _graph(before, after)
    return "\n".join(lines)


def _schedule(view: DagView | None) -> str | None:
    if view is None:
        return None
    return code(view.schedule) if view.schedule else "at times that the file alone does not say"


def _before_after(before: str | None, after: str | None) -> str:
    if before is None or after is None or before == after:
        return after or before or _NOTHING
    return f"{after} (before: {before})"


def _pods(before: DagView | None, after: DagView | None) -> list[str]:
    old = {task.task_id: task for task in before.tasks} if before else {}
    new = {task.task_id: task for task in after.tasks} if after else {}
    groups: dict[tuple[str, str, str], list[str]] = {}
    for task_id in (*new, *(name for name in old if name not in new)):
        was, now = old.get(task_id), new.get(task_id)
        role = _before_after(_role_of(was), _role_of(now))
        groups.setdefault((_image(was), _image(now), role), []).append(task_id)
    if not groups:
        return []
    rows = [
        f"| {_several(tasks)} | {was} | {now if now == was else f'**{now}**'} | {role} |"
        for (was, now, role), tasks in groups.items()
    ]
    left = [f"{len(rows) - _MOST_ROWS} more rows are left out."] if len(rows) > _MOST_ROWS else []
    header = ["| Tasks | Image before | Image after | Role |", "|---|---|---|---|"]
    return [*header, *rows[:_MOST_ROWS], "", *left]


def _image(task: TaskView | None) -> str:
    if task is None:
        return _NOTHING
    return code(task.image) if task.image else code(task.operator)


def _role_of(task: TaskView | None) -> str | None:
    return code(task.role) if task and task.role else None


def _graph(before: DagView | None, after: DagView | None) -> list[str]:
    if after is None or not after.tasks:
        return []
    if after.edges is None:
        return ["The order of its tasks cannot be told from the file alone.", ""]
    if len(after.tasks) > _MOST_TASKS:
        return [f"It has {len(after.tasks)} tasks: too many for a picture.", ""]
    said: list[str] = []
    if before is not None and before.edges is not None and set(before.edges) != set(after.edges):
        said = ["The order of its tasks is different from before.", ""]
    number = {task.task_id: f"t{index}" for index, task in enumerate(after.tasks)}
    nodes = [f'  {number[task.task_id]}["{_label(task.task_id)}"]' for task in after.tasks]
    arrows = [f"  {number[a]} --> {number[b]}" for a, b in after.edges if a in number and b in number]
    return [*said, "```mermaid", "flowchart LR", *nodes, *arrows, "```", ""]


def _label(task_id: str) -> str:
    # Mermaid reads #35; as a character; nothing else that could mean something to it is let through
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"#{ord(found[0])};", task_id[:_LONGEST])


# -- the rest ---------------------------------------------------------------------------------------------


def _files(found: Review) -> str:
    lines = ["### Other files", ""]
    for path, users in list(found.files.items())[:_MOST_ROWS]:
        said = ""
        if users:
            said = f", imported by {_several(users)}"
        elif path.startswith(".github/"):
            said = ": decides what runs when this repository is deployed" if "workflows" in path else ""
        lines.append(f"- {code(path)}{said}")
    if len(found.files) > _MOST_ROWS:
        lines.append(f"- and {len(found.files) - _MOST_ROWS} more")
    return "\n".join([*lines, ""])


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
