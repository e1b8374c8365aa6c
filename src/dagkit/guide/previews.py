"""The beginning of an object in S3, shown for what it is: a table, or a text."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from dagkit.guide import show

MOST_ROWS = 10
CUT = "…"
"""What a preview of a longer object ends in."""

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def preview(path: str, text: str | None) -> None:
    """Show the beginning of an object.

    Args:
        path: ``s3://bucket/key``.
        text: Its first characters; None where it is not text, or is large.
    """
    name = PurePosixPath(path)
    if text is None:
        show.say("info", f"{name.name} is not shown: it is large, or no text", [("", path)])
        return
    rows = rows_of(text, _SEPARATORS[name.suffix.lower()]) if name.suffix.lower() in _SEPARATORS else []
    if len(rows) > 1:
        show.table(rows[0], rows[1 : MOST_ROWS + 1], caption=f"{name.name} begins with")
    else:
        show.text(text, f"{name.name} begins with")


def rows_of(text: str, separator: str) -> list[list[str]]:
    """The rows of a CSV whose end may be cut off: whole rows only, each as wide as the first."""
    lines = text.splitlines()
    if text.endswith(CUT):
        lines = lines[:-1]
    rows = [row for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator) if row]
    return [row for row in rows if len(row) == len(rows[0])]
