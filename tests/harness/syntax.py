"""GitHub's expression language read: from ``github.ref_name == 'main'`` to a tree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""None, bool, int, float, str, a list of values, or a mapping from names to values."""


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that would quietly be empty there."""


@dataclass(frozen=True)
class Literal:
    """A value written out: ``'text'``, ``3``, ``true``, ``null``."""

    value: Value


@dataclass(frozen=True)
class Context:
    """A named context: ``github``, ``steps``."""

    name: str


@dataclass(frozen=True)
class Index:
    """``of.name`` or ``of[key]``."""

    of: Node
    key: Node


@dataclass(frozen=True)
class Filter:
    """``of.*``: the values of a list or a mapping."""

    of: Node


@dataclass(frozen=True)
class Call:
    """``name(arguments)``; operators too, named by their sign."""

    name: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Literal | Context | Index | Filter | Call

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))
    | '(?P<string>(?:[^']|'')*)'
    | (?P<name>[A-Za-z_][A-Za-z0-9_-]*)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[<>!().,\[\]*])
    )""",
    re.VERBOSE,
)
_LITERALS: Mapping[str, Value] = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": math.nan,
    "Infinity": math.inf,
}
# Loosest first: each level is one group of operators that bind equally.
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ExpressionError(
                    f"cannot read {text[position:].strip()!r} in expression {text.strip()!r}"
                )
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind]))
            position = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            found = self.peek()[1] or "the end"
            raise ExpressionError(
                f"expected {sign!r} but found {found!r} in expression {self.text.strip()!r}"
            )

    def binary(self, level: int = 0) -> Node:
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while (token := self.peek())[0] == "sign" and token[1] in _LEVELS[level]:
            self.at += 1
            left = Call(token[1], (left, self.binary(level + 1)))
        return left

    def unary(self) -> Node:
        if self.take("!"):
            return Call("!", (self.unary(),))
        return self.postfix(self.primary())

    def primary(self) -> Node:
        kind, text = self.peek()
        self.at += 1
        if kind == "number":
            return Literal(int(text, 16) if "0x" in text else float(text))
        if kind == "string":
            return Literal(text.replace("''", "'"))
        if kind == "name":
            if self.take("("):
                return Call(text.lower(), tuple(self.arguments()))
            return Literal(_LITERALS[text]) if text in _LITERALS else Context(text.lower())
        if (kind, text) == ("sign", "("):
            inner = self.binary()
            self.expect(")")
            return inner
        raise ExpressionError(f"{text or 'the end'!r} is out of place in expression {self.text.strip()!r}")

    def arguments(self) -> Iterator[Node]:
        if self.take(")"):
            return
        yield self.binary()
        while self.take(","):
            yield self.binary()
        self.expect(")")

    def postfix(self, node: Node) -> Node:
        while True:
            if self.take("."):
                kind, text = self.peek()
                self.at += 1
                if (kind, text) == ("sign", "*"):
                    node = Filter(node)
                elif kind == "name":
                    node = Index(node, Literal(text))
                else:
                    raise ExpressionError(f"{text or 'the end'!r} cannot follow '.' in {self.text.strip()!r}")
            elif self.take("["):
                node = Index(node, self.binary())
                self.expect("]")
            else:
                return node


def parse(text: str) -> Node:
    """Parse the inside of ``${{ … }}``.

    Raises:
        ExpressionError: It is not an expression.
    """
    parser = _Parser(text)
    node = parser.binary()
    if parser.peek()[0] != "end":
        raise ExpressionError(f"{parser.peek()[1]!r} is out of place in expression {text.strip()!r}")
    return node


def walk(node: Node) -> Iterator[Node]:
    """Yield ``node`` and everything in it."""
    yield node
    match node:
        case Index(of, key):
            yield from walk(of)
            yield from walk(key)
        case Filter(of):
            yield from walk(of)
        case Call(_, arguments):
            for argument in arguments:
                yield from walk(argument)
        case _:
            pass


def split_template(text: str) -> list[str | Node]:
    """Return the parts of a string that may hold ``${{ … }}``: text as it is, expressions parsed.

    Raises:
        ExpressionError: A ``${{`` is not closed, or what is inside is not an expression.
    """
    parts: list[str | Node] = []
    position = 0
    while (start := text.find("${{", position)) >= 0:
        # A closing }} inside a string literal does not close the expression.
        body = re.compile(r"((?:'(?:[^']|'')*'|[^'])*?)\}\}").match(text, start + 3)
        if body is None:
            raise ExpressionError(f"'${{{{' is not closed in {text.strip()!r}")
        parts += [text[position:start], parse(body[1])]
        position = body.end()
    parts.append(text[position:])
    return [part for part in parts if part != ""]
