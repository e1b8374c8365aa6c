"""Airflow's process: loads one DAG file and runs it with Airflow's own `dag.test()`.

`python -m dagkit.local.dagrun ORDER.json`. Started by the conductor, with an environment of its own; what it
prints is Airflow's own noise, and what happens goes to the conductor as messages:

| kind | fields |
|---|---|
| `loading` | |
| `refused` | what, where, fix, usage: the DAG or the call is wrong; nothing has run |
| `loaded` | dag_id, tasks, params, logical_date, notes |
| `ready` (asked: answered when tasks may start) | |
| `started` | task, attempt, time |
| `pod` (asked: answered with its environment) | task, image, role, env |
| `log` | task, line |
| `note` | task, text |
| `problem` | task, what, where, fix: why a task could not run |
| `finished` | task, attempt, state, time, exit_code, reason |
| `ended` | state, tasks |
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit.errors import DagkitError, UsageError
from dagkit.local import podhook
from dagkit.names import closest

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass(frozen=True)
class Order:
    """What is to be run.

    Attributes:
        settings: What the hook needs.
        staged: The DAG file as Airflow loads it.
        original: The DAG file as the repository has it, for errors.
        dag_id: What its DAG must be called.
        logical_date: ISO 8601; None is now.
        params: DAG parameters as typed: ``{"name": "text"}``.
        task: The only task to run; None is all.
    """

    settings: podhook.Settings
    staged: str
    original: str
    dag_id: str
    logical_date: str | None
    params: dict[str, str]
    task: str | None

    def to_json(self) -> str:
        """The order as JSON."""
        return json.dumps({**asdict(self), "settings": self.settings.to_json()})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "settings": podhook.Settings.from_json(values["settings"])})


def main(order_file: str) -> int:
    """Run one order; does not return where the DAG has run."""
    order = Order.from_json(Path(order_file).read_text(encoding="utf-8"))
    scratch = Path(order.settings.ground.scratch)

    def leave() -> None:
        # whoever is left clears up: where the conductor was killed, nobody else does
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(143)

    # before Airflow is imported, which takes seconds: the end of the conductor must not be missed
    try:
        hook = podhook.Hook(order.settings, leave)
    except OSError:
        leave()
    signal.signal(signal.SIGTERM, lambda _signum, _frame: hook.end())
    hook.link.tell("loading")
    podhook.install(hook)
    try:
        dag, notes = load(order)
        params = checked_params(dag, order)
        when = logical_date(dag, order)
    except DagkitError as error:
        usage = isinstance(error, UsageError)
        hook.link.tell("refused", what=error.what, where=error.where, fix=error.fix, usage=usage)
        return 1
    hook.link.tell(
        "loaded",
        dag_id=dag.dag_id,
        tasks=[describe(task) for task in dag.task_dict.values()],
        params=params,
        logical_date=when.isoformat(),
        notes=notes,
    )
    # while the conductor still builds an image, or fetches packages
    from dagkit.local.airflow_api import warm_up

    warm_up()
    hook.link.ask("ready")
    if order.task is not None:
        dag = dag.partial_subset([order.task], include_upstream=False, include_downstream=False)
    from dagkit.local.taskevents import listen

    listen(hook, order)
    run = dag.test(logical_date=when, run_conf=params)
    if hook.ending:  # it came to its end because its pods were ended, and clears up itself
        leave()
    tasks = [
        {
            "task": podhook.task_name(instance.task_id, instance.map_index),
            "state": str(instance.state or "not run").rpartition(".")[2],
            "attempts": instance.try_number,
        }
        for instance in run.get_task_instances()
    ]
    hook.link.tell("ended", state=str(run.state).rpartition(".")[2], tasks=tasks)
    hook.link.close()
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do, and Airflow takes its time to end


def load(order: Order) -> tuple[DAG, list[str]]:
    """The DAG of the file, made fit for this machine, and what was changed for that.

    Raises:
        DagkitError: The file does not load, or holds no DAG, several, or one of another name.
    """
    from dagkit.local.dagload import load_dag

    dag = load_dag(Path(order.staged), Path(order.original), order.dag_id)
    if order.task is not None and order.task not in dag.task_dict:
        raise UsageError(
            f"There is no task '{order.task}' in {dag.dag_id}{closest(order.task, dag.task_dict)}",
            where=order.original,
            fix=f"Its tasks: {', '.join(dag.task_dict)}",
        )
    from dagkit.local.dagload import localise

    return dag, localise(dag)


def logical_date(dag: DAG, order: Order) -> datetime:
    """The run's logical date; now, where none is asked for.

    Raises:
        UsageError: It is before the DAG, or one of its tasks, begins: Airflow would wait for ever.
    """
    when = datetime.fromisoformat(order.logical_date) if order.logical_date else datetime.now(UTC)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    starts = [task.start_date for task in dag.task_dict.values()] + [dag.start_date]
    ends = [task.end_date for task in dag.task_dict.values()] + [dag.end_date]
    first = max((start for start in starts if start), default=None)
    last = min((end for end in ends if end), default=None)
    if (first and when < first) or (last and when > last):
        bound = f"starts on {first:%Y-%m-%d}" if first and when < first else f"ended on {last:%Y-%m-%d}"
        raise UsageError(
            f"The DAG {bound}, and the run would be for {when:%Y-%m-%d}",
            where=order.original,
            fix="Choose another day with --date, such as: --date 2026-01-31",
        )
    return when


def checked_params(dag: DAG, order: Order) -> dict[str, Any]:
    """The DAG's parameters with the values asked for.

    Raises:
        UsageError: It has no such parameter, or the value is not one that it accepts.
    """
    given: dict[str, Any] = {}
    for name, text in order.params.items():
        if name not in dag.params:
            known = ", ".join(dag.params) or "none"
            raise UsageError(
                f"The DAG has no parameter '{name}'{closest(name, dag.params)}",
                where=order.original,
                fix=f"Its parameters: {known}",
            )
        given[name] = _typed(text, dag.params.get_param(name))
    for name in dag.params:
        param = dag.params.get_param(name)
        try:
            param.resolve(given[name]) if name in given else param.resolve()
        except podhook.airflow_exceptions().ParamValidationError as error:
            raise UsageError(
                f"The parameter '{name}' is not valid: {str(error).splitlines()[0]}",
                where=order.original,
                fix=f"Give it with: --param {name}=VALUE",
            ) from error
    return given


def _typed(text: str, param: Any) -> Any:
    """The value that a text stands for: JSON, unless the parameter is a string."""
    kinds = param.schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    if kinds == ["string"] or (not kinds and isinstance(param.value, str)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def describe(task: Any) -> dict[str, Any]:
    """What the report says about a task of the DAG."""
    return {
        "task": task.task_id,
        "operator": getattr(task, "task_type", type(task).__name__),
        "downstream": sorted(task.downstream_task_ids),
        "trigger_rule": str(getattr(task, "trigger_rule", "")).rpartition(".")[2].lower(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
