"""GitHub's expression language, as far as workflows here use it: ``github.ref_name``, ``always()``.

Written from GitHub's documentation "Evaluate expressions in workflows and actions". One thing is stricter: a
context, function or property that does not exist is an error, where GitHub would quietly put nothing.
A property of null is null, as on GitHub.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""None, bool, int, float, str, a list of values, or a mapping from names to values."""

STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})


class ExpressionError(Exception):
    """An expression that GitHub would refuse, or that would quietly be empty there."""


class Sparse(dict[str, Any]):
    """A mapping that may rightly lack names, such as the outputs of a step that failed; they are null."""


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


def to_string(value: Value) -> str:
    """Return ``value`` as GitHub puts it into text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.15g}"
    if isinstance(value, str):
        return value
    raise ExpressionError(
        f"a whole {'mapping' if isinstance(value, Mapping) else 'list'} cannot be put into text"
    )


def truthy(value: Value) -> bool:
    """Return whether GitHub takes ``value`` for true: all but false, null, 0, NaN and the empty string."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value) or isinstance(value, list | Mapping)


def _number(value: Value) -> float:
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return (
            float(int(value, 16) if value.startswith("0x") else value) if isinstance(value, str) else math.nan
        )
    except ValueError:
        return math.nan


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()  # GitHub ignores case
    if isinstance(left, list | Mapping) or isinstance(right, list | Mapping):
        return left is right
    if type(left) is type(right):
        return bool(left == right)
    return _number(left) == _number(right)


def _compare(left: Value, right: Value) -> float:
    if isinstance(left, str) and isinstance(right, str):
        return float((left.lower() > right.lower()) - (left.lower() < right.lower()))
    return _number(left) - _number(right)


def _contains(within: Value, item: Value) -> bool:
    if isinstance(within, list):
        return any(_equal(element, item) for element in within)
    return to_string(item).lower() in to_string(within).lower()


def _format(template: Value, *values: Value) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] is None or int(match[1]) >= len(values):
            raise ExpressionError(f"format() has no value for {match[0]!r} in {template!r}")
        return to_string(values[int(match[1])])

    return re.sub(r"\{\{|\}\}|\{(\d+)\}|[{}]", fill, to_string(template))


def _join(values: Value, separator: Value = ",") -> str:
    if not isinstance(values, list):
        return to_string(values)
    return to_string(separator).join(to_string(value) for value in values)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "!": lambda value: not truthy(value),
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": lambda left, right: _compare(left, right) < 0,
    "<=": lambda left, right: _compare(left, right) <= 0,
    ">": lambda left, right: _compare(left, right) > 0,
    ">=": lambda left, right: _compare(left, right) >= 0,
    "contains": _contains,
    "startswith": lambda text, start: to_string(text).lower().startswith(to_string(start).lower()),
    "endswith": lambda text, end: to_string(text).lower().endswith(to_string(end).lower()),
    "format": _format,
    "join": _join,
    "tojson": lambda value: json.dumps(value, indent=2),
    "fromjson": lambda text: json.loads(to_string(text)),
}
KNOWN_FUNCTIONS = frozenset(FUNCTIONS) | STATUS_FUNCTIONS | {"&&", "||"}


def _index(of: Value, key: Value, written: str) -> Value:
    if of is None:
        return None
    if isinstance(of, Mapping):
        names = {str(name).lower(): name for name in of}  # GitHub ignores case
        if to_string(key).lower() not in names:
            if isinstance(of, Sparse):
                return None
            raise ExpressionError(f"there is no {written}; there is: {', '.join(map(str, of)) or 'nothing'}")
        return of[names[to_string(key).lower()]]
    if (
        isinstance(of, Sequence)
        and not isinstance(of, str)
        and isinstance(key, int | float)
        and int(key) < len(of)
    ):
        return of[int(key)]
    raise ExpressionError(f"there is no {written}")


def describe(node: Node) -> str:
    """Return roughly how ``node`` was written, for messages."""
    match node:
        case Literal(value):
            return f"'{value}'" if isinstance(value, str) else to_string(value)
        case Context(name):
            return name
        case Index(of, Literal(str(name))):
            return f"{describe(of)}.{name}"
        case Index(of, key):
            return f"{describe(of)}[{describe(key)}]"
        case Filter(of):
            return f"{describe(of)}.*"
        case Call(name, arguments):
            return f"{name}({', '.join(describe(argument) for argument in arguments)})"


def evaluate(node: Node, contexts: Mapping[str, Value], status: Mapping[str, bool]) -> Value:
    """Return the value of an expression.

    Args:
        node: The parsed expression.
        contexts: What ``github``, ``env``, ``steps`` … stand for here.
        status: What ``success()``, ``failure()``, ``always()``, ``cancelled()`` answer here.

    Raises:
        ExpressionError: Something in it does not exist.
    """
    match node:
        case Literal(value):
            return value
        case Context(name):
            if name not in contexts:
                raise ExpressionError(
                    f"there is no context {name!r} here; there is: {', '.join(sorted(contexts))}"
                )
            return contexts[name]
        case Index(Filter() as of, key):
            name = evaluate(key, contexts, status)
            return [_index(element, name, describe(node)) for element in evaluate(of, contexts, status) or []]
        case Index(of, key):
            return _index(evaluate(of, contexts, status), evaluate(key, contexts, status), describe(node))
        case Filter(of):
            value = evaluate(of, contexts, status)
            return list(value.values()) if isinstance(value, Mapping) else value
        case Call("&&" | "||" as name, (left, right)):
            value = evaluate(left, contexts, status)
            return evaluate(right, contexts, status) if truthy(value) == (name == "&&") else value
        case Call(name, ()) if name in STATUS_FUNCTIONS:
            if name not in status:
                raise ExpressionError(f"{name}() cannot be used here")
            return status[name]
        case Call(name, arguments):
            if name not in FUNCTIONS:
                raise ExpressionError(f"there is no function {name}() here")
            values = [evaluate(argument, contexts, status) for argument in arguments]
            try:
                return FUNCTIONS[name](*values)
            except (TypeError, ValueError) as error:
                raise ExpressionError(f"{describe(node)} does not work: {error}") from error


def fill(text: str, contexts: Mapping[str, Value]) -> str:
    """Return ``text`` with every ``${{ … }}`` replaced by its value."""
    return "".join(
        part if isinstance(part, str) else to_string(evaluate(part, contexts, {}))
        for part in split_template(text)
    )
