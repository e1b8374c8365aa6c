"""From a parsed Python file to facts: what is imported, which DAGs and tasks are made, and with what."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dagkit.rules.facts import Call, Dag, DagFile, Import, Loaded, PythonModule, Task
from dagkit.rules.source import PythonSource
from dagkit.rules.values import ABSENT, UNKNOWN, Missing, Scope

DECORATED = {
    "task": "@task",
    "task.python": "@task",
    "task.virtualenv": "@task.virtualenv",
    "task.external_python": "@task.external_python",
    "task.bash": "@task.bash",
    "task.branch": "BranchPythonOperator",
    "task.short_circuit": "ShortCircuitOperator",
    "task.kubernetes": "KubernetesPodOperator",
    "task.sensor": "PythonSensor",
    "task.docker": "@task.docker",
    "task.pyspark": "@task.pyspark",
}
"""What each decorator of Airflow makes of a function."""


def read_module(source: PythonSource, project: str) -> PythonModule:
    """A module of ``imports/``."""
    scope = Scope(source.tree, source.nodes)
    return PythonModule(source, scope, tuple(_imports(source)), project)


def read_dag_file(source: PythonSource, environment: str, project: str, stem: str, registry: str) -> DagFile:
    """A DAG file, as it says itself.

    Args:
        source: The file.
        environment: Whose it is.
        project: Its folder.
        stem: Its name without ``.py``.
        registry: The host name of the platform's own registry.
    """
    scope = Scope(source.tree, source.nodes)
    file = DagFile(source, scope, tuple(_imports(source)), project, environment, stem)
    # most files make one DAG, and then every task is its own
    made = list(_dags(source, scope))
    dags = tuple(Dag(file, environment, file.dag_id, call, function) for call, function in made)
    defaults = _defaults(made[0][0]) if len(made) == 1 else ({} if not made else UNKNOWN)
    tasks = tuple(
        Task(file, environment, call, operator, registry=registry)
        for call, operator in _tasks(source, scope, defaults)
    )
    return replace(file, dags=dags, tasks=tasks)


def complete(file: DagFile, loaded: Loaded) -> DagFile:
    """The same DAG file with what Airflow says about it."""
    if not loaded.dags:
        return replace(file, loaded=loaded)
    dags, tasks = [], []
    unclaimed = list(file.dags)
    for facts in loaded.dags:
        same = next((dag for dag in unclaimed if dag.call.value("dag_id") == facts["dag_id"]), None)
        found = same or (unclaimed[0] if unclaimed else None)
        if found is not None:
            unclaimed.remove(found)
        call = found.call if found else _unseen(file, 1)
        function = found.function if found else None
        dags.append(Dag(file, file.environment, file.dag_id, call, function, facts))
        tasks += [_task(file, dict(task)) for task in facts["tasks"]]
    return replace(file, dags=tuple(dags), tasks=tuple(tasks), loaded=loaded)


def _task(file: DagFile, facts: dict[str, object]) -> Task:
    line = facts["line"] if isinstance(facts["line"], int) else None
    found = None
    for task in file.tasks:
        node = task.call.node
        inside = (
            node is not None and line is not None and node.lineno <= line <= (node.end_lineno or node.lineno)
        )
        if inside and (found is None or task.call.line >= found.call.line):
            found = task
    if found is not None:
        return replace(found, facts=facts, operator=str(facts["operator"]))
    registry = file.tasks[0].registry if file.tasks else ""
    call = _unseen(file, line or (file.dags[0].call.line if file.dags else 1))
    return Task(file, file.environment, call, str(facts["operator"]), facts, registry)


def _unseen(file: DagFile, line: int) -> Call:
    """What is made somewhere else than in the file itself."""
    return Call(file.source, file.scope, None, line, {}, UNKNOWN, complete=False)


def _imports(source: PythonSource) -> Iterator[Import]:
    top = {id(node) for node in _at_import(source.tree.body)}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), source.place(node), node, id(node) in top)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = tuple(alias.name for alias in node.names)
            yield Import(module, names, source.place(node), node, id(node) in top)


def _at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the file is imported, but not those for type checkers alone."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _at_import(node.orelse)
            continue
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from _at_import(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from _at_import(handler.body)


def at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run when a file is imported: not those in functions, nor for type checkers alone.

    A statement that holds others (``with``, ``if`` …) comes itself, and then those in it.
    """
    return _at_import(tree.body)


def _dags(source: PythonSource, scope: Scope) -> Iterator[tuple[Call, ast.FunctionDef | None]]:
    decorated: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                if _airflow(scope.qualified(call.func if call else decorator), "dag"):
                    if call is not None:
                        decorated.add(id(call))
                        yield _call(source, scope, call, first="dag_id"), node
                    else:
                        yield Call(source, scope, None, decorator.lineno, {}, {}), node
        elif (
            isinstance(node, ast.Call)
            and id(node) not in decorated
            and _airflow(scope.qualified(node.func), "DAG")
        ):
            yield _call(source, scope, node, first="dag_id"), None


def _airflow(name: str, last: str) -> bool:
    return name.startswith("airflow.") and name.rsplit(".", 1)[-1] == last


def _call(
    source: PythonSource,
    scope: Scope,
    node: ast.Call,
    *,
    first: str = "",
    defaults: Mapping[str, ast.expr] | Missing | None = None,
) -> Call:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if first and node.args:
        keywords.setdefault(first, node.args[0])
    complete = all(keyword.arg for keyword in node.keywords)
    complete = complete and not any(isinstance(argument, ast.Starred) for argument in node.args)
    call = Call(source, scope, node, node.lineno, keywords, {}, complete)
    return replace(call, defaults=_defaults(call) if defaults is None else defaults)


def _defaults(call: Call) -> Mapping[str, ast.expr] | Missing:
    """What ``default_args`` holds, by name."""
    given = call.keywords.get("default_args")
    if given is None:
        return {} if call.complete else UNKNOWN
    node = call.scope.definition(given)
    if isinstance(node, ast.Dict):
        names = [call.scope.value(key) if key is not None else UNKNOWN for key in node.keys]
        if all(isinstance(name, str) for name in names):
            return {str(name): value for name, value in zip(names, node.values, strict=True)}
    made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
    if isinstance(node, ast.Call) and made and not node.args and all(each.arg for each in node.keywords):
        return {str(keyword.arg): keyword.value for keyword in node.keywords}
    return UNKNOWN


def _tasks(
    source: PythonSource, scope: Scope, defaults: Mapping[str, ast.expr] | Missing
) -> Iterator[tuple[Call, str]]:
    own = {node.name for node in source.nodes if isinstance(node, ast.ClassDef)}
    decorated: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                name = scope.qualified(call.func if call else decorator)
                kind = name.removeprefix("airflow.decorators.").removeprefix("airflow.sdk.")
                if name.startswith("airflow.") and kind in DECORATED:
                    if call is not None:
                        decorated.add(id(call))
                        made = _call(source, scope, call, defaults=defaults)
                    else:
                        made = Call(source, scope, None, decorator.lineno, {}, {})
                    if made.value("task_id") is ABSENT:
                        named = ast.copy_location(ast.Constant(node.name), decorator)
                        made = replace(
                            made, keywords={**made.keywords, "task_id": named}, line=decorator.lineno
                        )
                    yield made, DECORATED[kind]
        elif isinstance(node, ast.Call) and id(node) not in decorated:
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr == "partial":
                function = function.value
            name = scope.qualified(function)
            last = name.rsplit(".", 1)[-1]
            foreign = name.startswith(("airflow.", "imports."))
            if foreign and last.endswith(("Operator", "Sensor")) and last not in own:
                made = _call(source, scope, node, defaults=defaults)
                if function is not node.func:
                    # the rest comes with .expand()
                    made = replace(made, complete=False)
                yield made, last
