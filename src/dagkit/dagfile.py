"""A DAG file as text: whether it is Python, and its settings ENVIRONMENT and RELEASE. Nothing is executed."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from pathlib import Path

from dagkit.errors import DagkitError

ENVIRONMENT = "ENVIRONMENT"
RELEASE = "RELEASE"


def read(path: Path) -> str:
    """The source of a DAG file that is Python.

    Raises:
        DagkitError: It cannot be read, or is not Python; the error has the line.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DagkitError(
            f"The DAG file cannot be read: {error}", where=str(path), fix="Save it as plain UTF-8 text."
        ) from error
    parse(source, path)
    return source


def parse(source: str, path: Path) -> ast.Module:
    """The syntax tree of a DAG file's source.

    Raises:
        DagkitError: It is not Python; the error has the line and what stands there.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, str(path))
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise DagkitError(
            f"The DAG does not parse: {error.msg}" + (f"\n  {line}" if line else ""),
            where=f"{path}:{error.lineno}" if error.lineno else str(path),
            fix="Correct that line, or the one above it.",
        ) from error
    except ValueError as error:
        raise DagkitError(f"The DAG does not parse: {error}", where=str(path)) from error


def with_settings(source: str, path: Path, settings: Mapping[str, str]) -> str:
    """The same DAG with other values in its settings; every line keeps its number.

    Args:
        source: The DAG's source.
        path: Its file, for errors.
        settings: The value by the name of an assignment at the top level, such as ``ENVIRONMENT``. A name
            that is not assigned a plain string there is left alone.
    """
    lines = source.encode().splitlines(keepends=True)
    for node in reversed(parse(source, path).body):
        if (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in settings
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            and node.value.lineno == node.value.end_lineno
        ):
            # columns of the syntax tree count bytes
            line, value = lines[node.value.lineno - 1], node.value
            text = _quoted(settings[node.targets[0].id])
            lines[value.lineno - 1] = line[: value.col_offset] + text + line[value.end_col_offset :]
    return b"".join(lines).decode()


def settings(source: str, path: Path) -> dict[str, str]:
    """Every plain string that a DAG file assigns at the top level, by name; the first one counts."""
    found: dict[str, str] = {}
    for node in parse(source, path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    found.setdefault(target.id, node.value.value)
    return found


def _quoted(text: str) -> bytes:
    import json

    return json.dumps(text).encode()
