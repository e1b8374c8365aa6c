"""DK2, third part: how the tasks of a DAG hang together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rule
from dagkit.rules.facts import DagFile

EMPTY = "from airflow.providers.standard.operators.empty import EmptyOperator"
BRANCHING = {"BranchMixIn", "BaseBranchOperator", "BranchPythonOperator"}
BRANCHES = "from airflow.providers.standard.operators.python import BranchPythonOperator\n" + EMPTY


class Cycle(Rule):
    """Tasks do not wait for each other in a circle."""

    code = "DK215"
    name = "cycle"
    why = "No task of the circle could ever be the first, so Airflow refuses the whole DAG."
    needs = "dag"
    bad = examples.in_tasks('check = EmptyOperator(task_id="check")\nwrite >> check >> write', top=EMPTY)
    good = examples.in_tasks('check = EmptyOperator(task_id="check")\nwrite >> check', top=EMPTY)
    explains = "AirflowDagCycleException|Cycle detected in DAG"

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """What Airflow says of the DAG."""
        error = dag_file.loaded.error if dag_file.loaded else None
        found = (
            re.search(r"[Cc]ycle detected.*?(?:[Tt]ask|task_id):? *'?([\w.-]+)?", str(error["text"]))
            if error
            else None
        )
        if error and (found or "CycleException" in str(error["text"])):
            named = f" ('{found[1]}' is one of them)" if found and found[1] else ""
            place = dag_file.dags[0].place() if dag_file.dags else Place(dag_file.path)
            yield self.finding(
                place,
                f"The tasks wait for each other in a circle{named}",
                "Take away one of the arrows (>>).",
            )


class NeverRuns(Rule):
    """Every task can run, whichever way a branch goes."""

    code = "DK216"
    name = "never-runs"
    why = "A task after several branches is skipped with those not chosen: the rest of the DAG never happens."
    needs = "dag"
    severity = "warning"
    bad = examples.in_tasks(
        """\
choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "left")
left, right = EmptyOperator(task_id="left"), EmptyOperator(task_id="right")
join = EmptyOperator(task_id="join")
write >> choose >> [left, right] >> join""",
        top=BRANCHES,
    )
    good = examples.in_tasks(
        """\
choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "left")
left, right = EmptyOperator(task_id="left"), EmptyOperator(task_id="right")
join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
write >> choose >> [left, right] >> join""",
        top=BRANCHES,
    )

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """For each branch, each of its ways is gone in thought."""
        places = _places(dag_file)
        for dag in dag_file.dags:
            tasks = {str(task["task_id"]): task for task in (dag.facts or {}).get("tasks", ())}
            for branch, never in _never(tasks):
                yield self.finding(
                    places.get(never, dag.place()),
                    f"Whichever way '{branch}' goes, '{never}' is skipped with the ways not taken",
                    'Give it trigger_rule="none_failed_min_one_success".',
                )


def _places(dag_file: DagFile) -> dict[str, Place]:
    """Where each task is made, by its task_id."""
    return {str(task.facts["task_id"]): task.place() for task in dag_file.tasks if task.facts}


def _never(tasks: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Branches, and the tasks behind them that are always skipped."""
    reported: set[str] = set()
    for branch, task in tasks.items():
        ways = task["downstream"]
        if not BRANCHING & set(task["bases"]) or len(ways) < 2:
            continue
        always: set[str] = set.intersection(*[_skipped(tasks, ways, way) for way in ways])
        for never in sorted(always - reported):
            # only the first of a chain: the others follow from it
            if not set(tasks[never]["upstream"]) & always:
                reported.add(never)
                yield branch, never


def _skipped(tasks: Mapping[str, Mapping[str, Any]], ways: list[str], chosen: str) -> set[str]:
    """The tasks that are skipped when a branch goes one way."""
    followed, stack = {chosen}, [chosen]
    while stack:
        for after in tasks[stack.pop()]["downstream"]:
            if after not in followed:
                followed.add(after)
                stack.append(after)
    # a way that also lies behind the chosen one is not skipped by the branch itself
    skipped = {way for way in ways if way not in followed}
    waiting = list(skipped)
    while waiting:
        for after in tasks[waiting.pop()]["downstream"]:
            rule, upstream = tasks[after]["trigger_rule"], set(tasks[after]["upstream"])
            all_skipped = upstream <= skipped and rule not in ("all_done", "always", "all_done_setup_success")
            if after not in skipped and (rule == "all_success" or (all_skipped and rule != "all_skipped")):
                skipped.add(after)
                waiting.append(after)
    return skipped


class LonelyTask(Rule):
    """Where tasks wait for each other, each is part of it."""

    code = "DK217"
    name = "unconnected-task"
    why = "A task that was left out of the arrows starts at once, usually before what it needs is there."
    needs = "dag"
    severity = "warning"
    bad = examples.in_tasks(
        'check = EmptyOperator(task_id="check")\ntell = EmptyOperator(task_id="tell")\nwrite >> check',
        top=EMPTY,
    )
    good = examples.in_tasks(
        'check = EmptyOperator(task_id="check")\n'
        'tell = EmptyOperator(task_id="tell")\nwrite >> check >> tell',
        top=EMPTY,
    )

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """One without arrows, in a DAG in which all others have some."""
        places = _places(dag_file)
        for dag in dag_file.dags:
            tasks = (dag.facts or {}).get("tasks", ())
            alone = [
                str(task["task_id"]) for task in tasks if not task["upstream"] and not task["downstream"]
            ]
            if len(alone) == 1 and len(tasks) > 2:
                yield self.finding(
                    places.get(alone[0], dag.place()),
                    f"'{alone[0]}' is not connected to any other task",
                    "Put it behind what it needs with >>, or give it a DAG of its own.",
                )
