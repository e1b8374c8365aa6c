"""Carries out what findings say may safely be changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dagkit.rules.base import Edit, Finding, Rename


def apply(root: Path, findings: Iterable[Finding]) -> int:
    """Make the changes of findings' fixes.

    Changes that overlap an earlier one are left out: a second call finds and makes them.

    Args:
        root: The repository.
        findings: What was found, in the files as they are now.

    Returns:
        How many findings were fixed.
    """
    edits: dict[str, list[Edit]] = {}
    renames: list[Rename] = []
    fixed = 0
    for finding in findings:
        changes = finding.fix.changes
        wanted = [change for change in changes if isinstance(change, Edit)]
        if not changes or any(_overlaps(edit, edits.get(edit.path, [])) for edit in wanted):
            continue
        fixed += 1
        for edit in wanted:
            edits.setdefault(edit.path, []).append(edit)
        renames += [change for change in changes if isinstance(change, Rename)]
    for path, wanted in edits.items():
        _edit(root / path, wanted)
    for rename in renames:
        (root / rename.path).rename(root / rename.new)
    return fixed


def _overlaps(edit: Edit, others: Iterable[Edit]) -> bool:
    return any(edit.start <= other.end and other.start <= edit.end for other in others)


def _edit(path: Path, edits: list[Edit]) -> None:
    content = path.read_bytes().decode("utf-8")
    # places count from after a byte order mark, and each line's end as one character
    mark = "\ufeff" if content.startswith("\ufeff") else ""
    ends = "\r\n" if "\r\n" in content else "\n"
    text = content.removeprefix(mark).replace("\r\n", "\n")
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    path.write_bytes((mark + text.replace("\n", ends)).encode())
