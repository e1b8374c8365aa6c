"""GitHub's expression language, as far as workflows here use it: ``github.ref_name``, ``always()``.

Written from GitHub's documentation "Evaluate expressions in workflows and actions". One thing is stricter: a
context, function or property that does not exist is an error, where GitHub would quietly put nothing.
A property of null is null, as on GitHub.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.harness.syntax import (
    Call,
    Context,
    ExpressionError,
    Filter,
    Index,
    Literal,
    Node,
    Value,
    split_template,
)

STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})


class Sparse(dict[str, Any]):
    """A mapping that may rightly lack names, such as the outputs of a step that failed; they are null."""


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
