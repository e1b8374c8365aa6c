"""When a DAG runs, in words."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dagkit.rules.facts import Dag
from dagkit.rules.values import ABSENT

_PRESETS = {
    "@once": "once",
    "@continuous": "again as soon as it has ended",
    "@hourly": "every hour",
    "@daily": "every day at 00:00 UTC",
    "@weekly": "every Sunday at 00:00 UTC",
    "@monthly": "on the 1st of every month at 00:00 UTC",
    "@quarterly": "on the 1st of every third month at 00:00 UTC",
    "@yearly": "on the 1st of January at 00:00 UTC",
    "@annually": "on the 1st of January at 00:00 UTC",
}
BY_HAND = "only when somebody starts it"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def of(dag: Dag) -> str | None:
    """The schedule of a DAG in words; None where only running the file would say."""
    if dag.facts is not None and "schedule" in dag.facts:
        return words(dag.facts["schedule"])
    expression = dag.call.expression("schedule")
    if expression is ABSENT:
        return f"none is given: {BY_HAND}, in Airflow 3"
    if not isinstance(expression, ast.expr):
        return None
    node = dag.call.scope.definition(expression)
    value = dag.call.scope.value(node)
    if value is None or isinstance(value, str):
        return words(value)
    return _delta(node, dag)


def words(schedule: Any) -> str | None:
    """A schedule in words.

    Args:
        schedule: A cron expression, a preset, `{"seconds": …}` for a fixed distance, `{"timetable": …}` for
            the class of a timetable, None for no schedule.
    """
    if schedule is None:
        return BY_HAND
    if isinstance(schedule, Mapping):
        return _distance(schedule["seconds"]) if "seconds" in schedule else f"by {schedule['timetable']}"
    if schedule in _PRESETS:
        return _PRESETS[schedule]
    from cron_descriptor import ExpressionDescriptor, FormatException, MissingFieldException, Options
    from cron_descriptor import WrongArgumentException as Wrong

    options = Options()
    options.use_24hour_time_format = True
    try:
        said = ExpressionDescriptor(str(schedule), options).get_description()
    except (FormatException, MissingFieldException, Wrong, ValueError, IndexError):
        return None
    return f"{said[0].lower()}{said[1:]}, UTC"


def _distance(seconds: float) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0 or size == 1)
    number = f"{seconds / size:g}"
    return f"every {unit}" if number == "1" else f"every {number} {unit}s"


def _delta(node: ast.expr, dag: Dag) -> str | None:
    if not (isinstance(node, ast.Call) and dag.call.scope.qualified(node.func).endswith("timedelta")):
        return None
    parts = {str(keyword.arg): dag.call.scope.value(keyword.value) for keyword in node.keywords}
    try:
        distance = timedelta(*[dag.call.scope.value(argument) for argument in node.args], **parts)
    except TypeError:
        return None
    return words({"seconds": distance.total_seconds()})
