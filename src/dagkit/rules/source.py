"""Files as rules read them: each parsed once, with the places of everything in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dagkit.rules.base import Edit, Place

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be read, and where."""

    line: int
    message: str


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """A node and everything in it, in the file's order; `ast.walk` takes three times as long."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        inner: list[ast.AST] = []
        held = vars(node)
        for name in node._fields:
            value = held.get(name)
            if isinstance(value, list):
                inner += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                inner.append(value)
        waiting += reversed(inner)


@dataclass(frozen=True)
class PythonSource:
    """A Python file.

    Attributes:
        path: From the repository's root, with ``/``.
        text: Its content; empty where it is not UTF-8.
        tree: Its syntax tree; an empty module where it has none.
        problem: Why it has none.
    """

    path: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)
    problem: Problem | None

    @classmethod
    def read(cls, root: Path, path: Path) -> PythonSource:
        """Parse a file; what is wrong with it is kept, not raised."""
        return cls.parse(path.relative_to(root).as_posix(), path.read_bytes())

    @classmethod
    def parse(cls, name: str, content: bytes) -> PythonSource:
        """Parse a file's content."""
        nothing = ast.Module([], [])
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            return cls(name, "", nothing, Problem(line, "the file is not UTF-8 text"))
        text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
        try:
            return cls(name, text, ast.parse(text), None)
        except SyntaxError as error:
            return cls(
                name, text, nothing, Problem(error.lineno or 1, f"{type(error).__name__}: {error.msg}")
            )
        except (ValueError, RecursionError) as error:
            return cls(name, text, nothing, Problem(1, str(error)))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Everything in the file, in its order: found once, as that takes as long as parsing."""
        return tuple(walk(self.tree))

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line starts, in characters."""
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def offset(self, line: int, column: int) -> int:
        """The character that a place of the syntax tree (line from 1, column in bytes) is."""
        start = self._starts[line - 1]
        text = self.text[start : self._starts[line] - 1]
        return start + (column if text.isascii() else len(text.encode()[:column].decode(errors="ignore")))

    def span(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> tuple[int, int]:
        """First character and the one after the last of something in the file."""
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def replace(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias, text: str) -> Edit:
        """The edit that puts something in the place of something in the file."""
        return Edit(self.path, *self.span(node), text)

    def segment(self, node: ast.expr | ast.stmt | ast.keyword) -> str:
        """The text of something in the file."""
        start, end = self.span(node)
        return self.text[start:end]

    def place(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> Place:
        """Where something in the file stands."""
        return Place(self.path, node.lineno, node.col_offset + 1)


@dataclass(frozen=True)
class YamlSource:
    """A YAML file.

    Attributes:
        path: From the repository's root, with ``/``.
        text: Its content.
        node: Its outermost node, with places; None where it is empty or broken.
        data: Its content as Python objects.
        problem: Why it cannot be read.
    """

    path: str
    text: str = field(repr=False)
    node: yaml.Node | None = field(repr=False)
    data: Any
    problem: Problem | None

    @classmethod
    def read(cls, root: Path, path: Path) -> YamlSource:
        """Parse a file; what is wrong with it is kept, not raised."""
        return cls.parse(path.relative_to(root).as_posix(), path.read_bytes())

    @classmethod
    def parse(cls, name: str, content: bytes) -> YamlSource:
        """Parse a file's content."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            return cls(name, "", None, None, Problem(line, "the file is not UTF-8 text"))
        text = text.replace("\r\n", "\n")
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            said = f"the file is not valid YAML: {error.problem or error.context}"
            return cls(name, text, None, None, Problem(mark.line + 1 if mark else 1, said))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            return cls(name, text, None, None, Problem(1, f"the file is not valid YAML: {error}"))
        return cls(name, text, node, data, None)

    def find(self, *keys: str | int) -> yaml.Node | None:
        """The node of a value, by the keys and positions that lead to it."""
        node = self.node
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                node = next((v for k, v in node.value if k.value == str(key)), None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
            else:
                return None
        return node

    def place(self, *keys: str | int) -> Place:
        """Where a key stands, or the nearest thing around it that exists."""
        node, place = self.node, Place(self.path)
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
                if pair is None:
                    break
                mark, node = pair[0].start_mark, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                mark = node.start_mark
            else:
                break
            place = Place(self.path, mark.line + 1, mark.column + 1)
        return place

    def replace(self, node: yaml.Node, text: str) -> Edit:
        """The edit that puts something in the place of a value."""
        start, end = (self._offset(mark) for mark in (node.start_mark, node.end_mark))
        return Edit(self.path, start, end, text)

    def _offset(self, mark: yaml.Mark) -> int:
        # C marks have no index into the text that can be relied on, so the line is looked up
        lines = self.text.split("\n")
        return sum(len(line) + 1 for line in lines[: mark.line]) + mark.column

    def duplicates(self) -> Iterator[tuple[str, Place]]:
        """Keys that stand twice in the same mapping; YAML would keep the last without a word."""
        stack = [self.node]
        while stack:
            node = stack.pop()
            if isinstance(node, yaml.MappingNode):
                seen: set[str] = set()
                for key, value in node.value:
                    if key.value in seen:
                        mark = key.start_mark
                        yield str(key.value), Place(self.path, mark.line + 1, mark.column + 1)
                    if isinstance(key.value, str):
                        seen.add(key.value)
                    stack.append(value)
            elif isinstance(node, yaml.SequenceNode):
                stack.extend(node.value)
