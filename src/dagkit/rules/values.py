"""What the constants of a Python file are worth, as far as the file alone says."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable
from typing import Any, Final, TypeGuard


class Missing(enum.Enum):
    """What stands where a value is not."""

    UNKNOWN = "only running the file would say"
    ABSENT = "it is not given"


UNKNOWN: Final = Missing.UNKNOWN
ABSENT: Final = Missing.ABSENT


def known(value: Any) -> bool:
    """Whether a value is known, all the way down."""
    if isinstance(value, Missing):
        return False
    if isinstance(value, dict):
        return all(known(item) for item in value.values())
    return all(known(item) for item in value) if isinstance(value, list) else True


def is_text(value: Any) -> TypeGuard[str]:
    """Whether a value is known text without anything that Airflow fills in when the task runs."""
    return isinstance(value, str) and "{{" not in value and "{%" not in value


class Scope:
    """The names of a file: what they were imported as, and what constants are worth.

    Args:
        tree: The file.
        nodes: Everything in it.
    """

    def __init__(self, tree: ast.Module, nodes: Iterable[ast.AST]) -> None:
        self.imported: dict[str, str] = {}
        self.assigned: dict[str, ast.expr | None] = {}
        for node in tree.body:
            self._imports(node)
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                self._assign(node.targets[0].id, node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                self._assign(node.target.id, node.value)
        # a name that anything else stores to (a loop, a condition, a second assignment) could be anything
        stored: dict[str, int] = {}
        for inner in nodes:
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                stored[inner.id] = stored.get(inner.id, 0) + 1
            elif isinstance(inner, ast.arg):
                stored[inner.arg] = 2
            elif isinstance(inner, ast.Import | ast.ImportFrom):
                self._imports(inner)
        for name, times in stored.items():
            if times > 1 and name in self.assigned:
                self.assigned[name] = None

    def _assign(self, name: str, value: ast.expr) -> None:
        self.assigned[name] = value

    def _imports(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                self.imported[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def qualified(self, node: ast.expr) -> str:
        """The full name of what an expression refers to (``airflow.DAG``), or an empty text."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            inner = self.qualified(node.value)
            return f"{inner}.{node.attr}" if inner else ""
        return ""

    def definition(self, node: ast.expr) -> ast.expr:
        """The expression that a name stands for; the expression itself where it is not a plain name."""
        seen: set[str] = set()
        while isinstance(node, ast.Name) and node.id not in seen:
            seen.add(node.id)
            found = self.assigned.get(node.id)
            if found is None:
                break
            node = found
        return node

    def value(self, node: ast.expr | None, depth: int = 0) -> Any:
        """What an expression is worth: a constant, a list or dict of such, or UNKNOWN."""
        if node is None or depth > 20:
            return UNKNOWN
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.value(self.assigned.get(node.id), depth + 1)
        if isinstance(node, ast.JoinedStr):
            return self._text(node, depth)
        if isinstance(node, ast.BinOp):
            return self._sum(node, depth)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.value(node.operand, depth + 1)
            return -inner if isinstance(inner, int | float) else UNKNOWN
        if isinstance(node, ast.List | ast.Tuple):
            return [self.value(item, depth + 1) for item in node.elts]
        if isinstance(node, ast.Dict):
            return self._dict(node, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            if node.args or any(keyword.arg is None for keyword in node.keywords):
                return UNKNOWN
            return {str(keyword.arg): self.value(keyword.value, depth + 1) for keyword in node.keywords}
        return UNKNOWN

    def _text(self, node: ast.JoinedStr, depth: int) -> Any:
        parts = []
        for part in node.values:
            plain = (
                isinstance(part, ast.FormattedValue) and part.conversion == -1 and part.format_spec is None
            )
            inner = part.value if isinstance(part, ast.FormattedValue) and plain else part
            value = UNKNOWN if isinstance(inner, ast.FormattedValue) else self.value(inner, depth + 1)
            if not isinstance(value, str | int | float):
                return UNKNOWN
            parts.append(str(value))
        return "".join(parts)

    def _sum(self, node: ast.BinOp, depth: int) -> Any:
        left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
        if isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(node.op, ast.BitOr) and isinstance(left, dict) and isinstance(right, dict):
            return left | right
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if numbers and isinstance(node.op, ast.Mult | ast.Add | ast.Sub):
            return (
                left * right
                if isinstance(node.op, ast.Mult)
                else (left + right if isinstance(node.op, ast.Add) else left - right)
            )
        return UNKNOWN

    def _dict(self, node: ast.Dict, depth: int) -> Any:
        found: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item, depth + 1)
            if key is None:
                if not isinstance(value, dict):
                    return UNKNOWN
                found |= value
                continue
            name = self.value(key, depth + 1)
            if not isinstance(name, str | int):
                return UNKNOWN
            found[name] = value
        return found
