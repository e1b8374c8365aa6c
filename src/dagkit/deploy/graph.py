"""The order of a DAG's tasks as its file says, where the file alone says it. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import pairwise

from dagkit.rules.facts import DagFile
from dagkit.rules.values import is_text

Edge = tuple[str, str]


def edges(file: DagFile) -> frozenset[Edge] | None:
    """Which task comes directly before which, by task_id; None where only running the file would say.

    Read are plain statements of a file with one DAG: `a >> [b, c]`, `chain(…)`, `a.set_downstream(b)`.
    Tasks made in a loop, a function, a condition or a task group are not.
    """
    tasks: dict[int, str] = {}
    for task in file.tasks:
        if task.call.node is None or not is_text(task.task_id) or not task.call.complete:
            return None
        tasks[id(task.call.node)] = task.task_id
    if len(file.dags) != 1 or file.dags[0].function is not None:
        return None
    reader = _Reader(tasks, {id(dag.call.node) for dag in file.dags})
    try:
        reader.block(file.source.tree.body)
    except _NotStaticError:
        return None
    # a task that was not met stands somewhere that is not read
    return frozenset(reader.edges) if reader.met == set(tasks.values()) else None


class _NotStaticError(Exception):
    pass


class _Reader:
    def __init__(self, tasks: dict[int, str], dags: set[int]) -> None:
        self.tasks = tasks
        self.dags = dags
        self.names: dict[str, list[str]] = {}
        self.edges: set[Edge] = set()
        self.met: set[str] = set()

    def block(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.With) and any(
                id(i.context_expr) in self.dags for i in statement.items
            ):
                self.block(statement.body)
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self._bind(statement.targets[0], self._value(statement.value))
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self._bind(statement.target, self._value(statement.value))
            elif isinstance(statement, ast.Expr):
                self._value(statement.value)
            elif any(self._matters(node) for node in ast.walk(statement)):
                raise _NotStaticError

    def _matters(self, node: ast.AST) -> bool:
        shift = isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift | ast.LShift)
        named = isinstance(node, ast.Name) and node.id in self.names
        return shift or named or id(node) in self.tasks or id(node) in self.dags

    def _bind(self, target: ast.expr, value: list[str]) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
            if not value:
                del self.names[target.id]
        elif value:
            raise _NotStaticError

    def _value(self, node: ast.expr) -> list[str]:
        """The tasks that an expression stands for; the edges it makes are kept."""
        if id(node) in self.tasks:
            self.met.add(self.tasks[id(node)])
            return [self.tasks[id(node)]]
        if isinstance(node, ast.Name):
            return self.names.get(node.id, [])
        if isinstance(node, ast.List | ast.Tuple):
            return [task for element in node.elts for task in self._value(element)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift | ast.LShift):
            left, right = self._value(node.left), self._value(node.right)
            self._join(left, right) if isinstance(node.op, ast.RShift) else self._join(right, left)
            return right
        if isinstance(node, ast.Call) and self._call(node):
            return []
        if id(node) not in self.dags and any(self._matters(inner) for inner in ast.walk(node)):
            raise _NotStaticError
        return []

    def _call(self, node: ast.Call) -> bool:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name == "chain":
            self._chain([(isinstance(arg, ast.List | ast.Tuple), self._value(arg)) for arg in node.args])
            return True
        if isinstance(function, ast.Attribute) and name in ("set_downstream", "set_upstream") and node.args:
            left, right = self._value(function.value), self._value(node.args[0])
            self._join(left, right) if name == "set_downstream" else self._join(right, left)
            return True
        return False

    def _chain(self, links: Sequence[tuple[bool, list[str]]]) -> None:
        for (one_listed, left), (other_listed, right) in pairwise(links):
            if one_listed and other_listed:
                if len(left) != len(right):
                    raise _NotStaticError
                self.edges |= set(zip(left, right, strict=True))
            else:
                self._join(left, right)

    def _join(self, left: list[str], right: list[str]) -> None:
        if not left or not right:
            raise _NotStaticError
        self.edges |= {(one, other) for one in left for other in right}
