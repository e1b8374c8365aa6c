"""What the guide breaks and changes on purpose, as text: a path of a role, a line of the example's code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import yaml

from dagkit.errors import DagkitError, UsageError
from dagkit.local.record import RunRecord
from dagkit.names import closest

GRANTS = ("read_only", "write_only", "read_write")

CHANGED = "(changed in the guide)"
"""What the example's code adds to its text, once changed."""

EXAMPLE = {
    "python": (
        "scripts/run.py",
        '    body = text.encode(errors="surrogateescape")\n',
        f'    body = f"{{text}} {CHANGED}".encode(errors="surrogateescape")\n',
    ),
    "r": (
        "scripts/run.R",
        '    text <- value_of("TEXT")\n',
        f'    text <- paste(value_of("TEXT"), "{CHANGED}")\n',
    ),
}
"""By language: a file of the worked example, one of its lines, and what the guide makes of that line."""


@dataclass(frozen=True)
class _Line:
    """A path in a role's YAML, and the lines (from 0) to comment out so that it is gone."""

    path: str
    lines: tuple[int, ...]


def paths(text: str) -> tuple[str, ...]:
    """The S3 paths that a role's YAML grants, one a line, in the file's order."""
    return tuple(line.path for line in _lines(text))


def without_path(text: str, path: str) -> str:
    """A role's YAML with one path commented out, and with it the keys that would be left empty.

    Raises:
        UsageError: The YAML does not grant the path on a line of its own.
    """
    found = {line.path: line for line in _lines(text)}
    if path not in found:
        raise UsageError(
            f"The role grants no path '{path}' on a line of its own{closest(path, found)}",
            fix=f"Its paths: {', '.join(found) or 'none'}",
        )
    lines = text.splitlines(keepends=True)
    for number in found[path].lines:
        line = lines[number]
        words = line.lstrip()
        lines[number] = f"{line[: len(line) - len(words)]}# {words}"
    return "".join(lines)


def telling_path(granted: Sequence[str], run: RunRecord | None) -> str:
    """The path whose loss a run would feel: one that the last run wrote to, or else the first."""
    written = [each.path.removeprefix("s3://") for each in run.written] if run else []
    used = (path for path in granted if any(fnmatchcase(name, path) for name in written))
    return next(used, granted[0])


def changed_example(text: str, language: str) -> str:
    """The example's code with its one line changed.

    Raises:
        DagkitError: The line is not there: the code is no longer the example's.
    """
    path, old, new = EXAMPLE[language]
    if text.count(old) != 1:
        raise DagkitError(
            f"Your code is your own by now: {path} has not the example's line {old.strip()}",
            fix="Change something in your code yourself, save, and go on with the next cell.",
        )
    return text.replace(old, new)


def _lines(text: str) -> Iterator[_Line]:
    root = yaml.compose(text)
    s3 = _value(root, "s3")
    if not isinstance(s3, yaml.MappingNode):
        return
    grants = [(key, value) for key, value in s3.value if isinstance(value, yaml.SequenceNode)]
    for key, listed in grants:
        if key.value not in GRANTS or listed.flow_style:
            continue
        for item in listed.value:
            gone = [item.start_mark.line]
            if len(listed.value) == 1:
                gone.append(key.start_mark.line)
                if len(s3.value) == 1:
                    gone.append(_key_line(root, "s3"))
            if isinstance(item, yaml.ScalarNode) and item.start_mark.line == item.end_mark.line:
                yield _Line(item.value, tuple(gone))


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _key_line(node: yaml.Node | None, name: str) -> int:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(int(key.start_mark.line) for key, _ in pairs if key.value == name)
