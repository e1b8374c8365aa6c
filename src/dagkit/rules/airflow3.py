"""DK2, last part: what Airflow 3 no longer takes. Everything that is advised works on Airflow 2.11 too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rule
from dagkit.rules.facts import Call, DagFile, PythonModule
from dagkit.rules.values import Missing

# Removed in Airflow 3, with what does the same in 2.11 and 3; None where it was without effect.
DAG_ARGUMENTS: dict[str, str | None] = {
    "schedule_interval": "schedule",
    "timetable": "schedule",
    "concurrency": "max_active_tasks",
    "default_view": None,
    "orientation": None,
    "full_filepath": None,
    "sla_miss_callback": None,
    "task_concurrency": "max_active_tis_per_dag",
}
TASK_ARGUMENTS: dict[str, str | None] = {
    "provide_context": None,
    "sla": None,
    "task_concurrency": "max_active_tis_per_dag",
    "is_delete_operator_pod": "on_finish_action",
    "resources": "container_resources",
    "node_selectors": "node_selector",
}
RENAMES = ("schedule_interval", "timetable", "concurrency", "task_concurrency", "node_selectors")


class RemovedArgument(Rule):
    """DAGs and tasks use no argument that Airflow 3 refuses."""

    code = "DK218"
    name = "removed-argument"
    why = "The DAG disappears on the day that Airflow is brought up to date."
    bad = examples.in_dag('# no schedule\nschedule_interval="@daily",')
    good = examples.in_dag('schedule="@daily",')
    explains = (
        r"unexpected keyword argument|Invalid arguments were passed|Use of `\w+` is not allowed"
        r"|missing 1 required|got multiple values"
    )

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """Wherever one stands: in DAG(…), in a task, in default_args."""
        for dag in dag_file.dags:
            yield from self._of(dag.call, DAG_ARGUMENTS, "DAG")
            defaults = dag.call.defaults
            for name, node in defaults.items() if not isinstance(defaults, Missing) else ():
                if name in ("sla", "provide_context", "task_concurrency"):
                    place = dag.file.source.place(node)
                    yield self.finding(
                        place, f"Airflow 3 has no argument '{name}' for tasks", f"Remove '{name}'."
                    )
        for call in {id(task.call.node): task.call for task in dag_file.tasks}.values():
            yield from self._of(call, TASK_ARGUMENTS, "task")

    def _of(self, call: Call, removed: Mapping[str, str | None], what: str) -> Iterator[Finding]:
        for keyword in call.node.keywords if call.node is not None else ():
            if keyword.arg is None or keyword.arg not in removed:
                continue
            new = removed[keyword.arg]
            changes = []
            if keyword.arg in RENAMES and new not in call.keywords:
                value = call.source.segment(keyword.value)
                changes.append(call.source.replace(keyword, f"{new}={value}"))
            yield self.finding(
                call.source.place(keyword),
                f"Airflow 3 has no argument '{keyword.arg}' of a {what}",
                f"Write '{new}' instead." if new else f"Remove '{keyword.arg}'.",
                *changes,
            )


PODS = "airflow.providers.cncf.kubernetes.operators"
REMOVED_MODULES = {
    "airflow.contrib": None,
    "airflow.operators.dummy": "airflow.providers.standard.operators.empty (EmptyOperator)",
    "airflow.operators.dummy_operator": "airflow.providers.standard.operators.empty (EmptyOperator)",
    "airflow.operators.python_operator": "airflow.providers.standard.operators.python",
    "airflow.operators.bash_operator": "airflow.providers.standard.operators.bash",
    "airflow.operators.email_operator": "airflow.providers.smtp.operators.smtp",
    "airflow.operators.subdag": "airflow.sdk.TaskGroup",
    "airflow.operators.subdag_operator": "airflow.sdk.TaskGroup",
    "airflow.utils.dates": "a fixed datetime(…)",
    "airflow.utils.helpers": "airflow.sdk (chain, cross_downstream)",
    "airflow.kubernetes": "airflow.providers.cncf.kubernetes",
    f"{PODS}.kubernetes_pod": f"{PODS}.pod",
    "airflow.hooks.base_hook": "airflow.sdk.BaseHook",
    "airflow.sensors.base_sensor_operator": "airflow.sdk.BaseSensorOperator",
}
REMOVED_NAMES = {
    "days_ago": "a fixed datetime(…)",
    "DummyOperator": "EmptyOperator",
    "SubDagOperator": "TaskGroup",
}
STILL_THERE = ("airflow.utils.helpers",)


class RemovedImport(Rule):
    """DAGs import nothing that Airflow 3 no longer has."""

    code = "DK219"
    name = "removed-import"
    why = "The DAG disappears on the day that Airflow is brought up to date."
    bad = examples.above_dag("from airflow.operators.dummy_operator import DummyOperator")
    good = examples.above_dag("from airflow.providers.standard.operators.empty import EmptyOperator")
    explains = r"ModuleNotFoundError: No module named 'airflow\.|ImportError: cannot import name"

    def check(self, python: PythonModule) -> Iterator[Finding]:
        """In DAG files and modules."""
        for each in python.imports:
            parts = each.module.split(".")
            prefixes = [".".join(parts[:length]) for length in range(len(parts), 1, -1)]
            gone = next((prefix for prefix in prefixes if prefix in REMOVED_MODULES), None)
            if gone in STILL_THERE:
                gone = None
            taken = next((name for name in each.names if name in REMOVED_NAMES), None)
            if gone is not None or (taken and parts[0] == "airflow"):
                new = REMOVED_MODULES[gone] if gone else REMOVED_NAMES[taken or ""]
                yield self.finding(
                    each.place,
                    f"Airflow 3 has no '{each.module if gone else taken}'",
                    f"Use {new}." if new else "Use the provider that has it now.",
                )


REMOVED_VARIABLES = {
    "execution_date": "logical_date",
    "next_ds": "data_interval_end | ds",
    "next_ds_nodash": "data_interval_end | ds_nodash",
    "next_execution_date": "data_interval_end",
    "prev_ds": "prev_data_interval_start_success | ds",
    "prev_ds_nodash": "prev_data_interval_start_success | ds_nodash",
    "prev_execution_date": "prev_data_interval_start_success",
    "prev_execution_date_success": "prev_data_interval_start_success",
    "tomorrow_ds": "macros.ds_add(ds, 1)",
    "tomorrow_ds_nodash": "macros.ds_add(ds, 1)",
    "yesterday_ds": "macros.ds_add(ds, -1)",
    "yesterday_ds_nodash": "macros.ds_add(ds, -1)",
    "conf": "a value written in the DAG",
}
VARIABLE = re.compile(
    r"{{\s*(" + "|".join(sorted(REMOVED_VARIABLES, key=len, reverse=True)) + r")\b(?!\s*\()"
)


class RemovedVariable(Rule):
    """Templates name no variable that Airflow 3 no longer has."""

    code = "DK220"
    name = "removed-template-variable"
    why = "The task fails when it is about to start, and not before."
    bad = examples.in_task('env_vars={"DAY": "{{ execution_date }}"},')
    good = examples.in_task('env_vars={"DAY": "{{ logical_date }}"},')

    def check(self, python: PythonModule) -> Iterator[Finding]:
        """In every text of the file."""
        for node in python.source.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{{" in node.value:
                for match in VARIABLE.finditer(node.value):
                    yield self.finding(
                        python.source.place(node),
                        f"Airflow 3 has no '{match[1]}' in templates",
                        f"Write {{{{ {REMOVED_VARIABLES[match[1]]} }}}}.",
                    )


class AirflowWarning(Rule):
    """Airflow has nothing to complain about when it reads the file."""

    code = "DK221"
    name = "deprecated"
    why = "What Airflow calls deprecated today, its next version refuses."
    needs = "dag"
    severity = "warning"
    bad = examples.in_task("reattach_on_restart=False,")
    good = examples.in_task("retries=2,")

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """Its warnings about what the file itself says."""
        for warning in dag_file.loaded.warnings if dag_file.loaded else ():
            said = " ".join(str(warning["message"]).split()).rstrip(".")
            # what is advised has to work on Airflow 2 too, which has no airflow.sdk
            if "airflow.sdk" not in said:
                yield self.finding(
                    Place(dag_file.path, warning["line"]), f"Airflow warns: {said}", "Do as the warning says."
                )
