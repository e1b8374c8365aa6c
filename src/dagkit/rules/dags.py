"""DK2: DAGs. What they are called, when they run, and what they say about themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache

from dagkit.rules import examples
from dagkit.rules.base import Edit, Finding, Place, Rule
from dagkit.rules.facts import Call, Dag, DagFile, PythonModule
from dagkit.rules.values import ABSENT, UNKNOWN, Missing, Scope, is_text

PLACEHOLDER_OWNERS = (
    "",
    "airflow",
    "owner",
    "default",
    "unknown",
    "your-github-username",
)  # the last: copier.yml
PRESETS = (
    "@once",
    "@continuous",
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@quarterly",
    "@yearly",
    "@annually",
)


class DoesNotImport(Rule):
    """Airflow can import the file."""

    code = "DK201"
    name = "does-not-import"
    why = "A DAG that does not import disappears from Airflow, with the error where few people look."
    bad = examples.above_dag("LIMIT = int('10'")
    good = examples.above_dag("LIMIT = int('10')")

    def check(self, python: PythonModule) -> Iterator[Finding]:
        """What Python says of the file, or else Airflow."""
        if problem := python.source.problem:
            yield self.finding(
                Place(python.path, problem.line),
                f"The file is not Python: {problem.message}",
                "Correct that line.",
            )
            return
        loaded = python.loaded if isinstance(python, DagFile) else None
        if loaded is not None and loaded.error is not None:
            said = str(loaded.error["message"])
            yield self.finding(
                Place(python.path, loaded.error["line"] or 1),
                f"The file does not import: {said}",
                "Correct that line; `dagkit run` loads the DAG in the same way.",
                cause=str(loaded.error["text"]),
            )


class DagIdMismatch(Rule):
    """The dag_id is `<folder>.<file name>`."""

    code = "DK202"
    name = "dag-id-mismatch"
    why = "From the dag_id, people and tools find the file, the project and the role without searching."
    bad = examples.in_dag('dag_id="daily_report",')
    good = examples.in_dag('dag_id="example.daily",')

    def check(self, dag: Dag) -> Iterator[Finding]:
        """Of each DAG."""
        found, right = dag.dag_id, dag.expected_id
        if found is UNKNOWN or found == right:
            return
        node = dag.call.keywords.get("dag_id")
        changes: list[Edit] = []
        if node is not None and isinstance(node, ast.Constant):
            changes.append(dag.file.source.replace(node, f'"{right}"'))
        said = "The DAG has no dag_id" if found is ABSENT else f"The dag_id is '{found}'"
        yield self.finding(
            dag.place("dag_id"), f"{said}, and must be '{right}'", f'Write dag_id="{right}".', *changes
        )


class DuplicateDagId(Rule):
    """No two DAGs of an environment have the same dag_id."""

    code = "DK203"
    name = "duplicate-dag-id"
    why = "Airflow keeps one of them, and which one changes from one moment to the next."
    bad = examples.Example(
        'dag_id="example.daily",  # in environments/dev/dags/example/daily.py, and in weekly.py beside it',
        {"environments/dev/dags/example/weekly.py": examples.DAG},
    )
    good = examples.Example(
        'dag_id="example.weekly",  # in environments/dev/dags/example/weekly.py',
        {"environments/dev/dags/example/weekly.py": examples.DAG.replace("example.daily", "example.weekly")},
    )
    explains = "AirflowDagDuplicatedIdException"

    def check(self, dag_files: tuple[DagFile, ...]) -> Iterator[Finding]:
        """Among all of them; the one whose place the dag_id fits is in the right."""
        seen: dict[tuple[str, str], list[Dag]] = {}
        for file in dag_files:
            for dag in file.dags:
                if is_text(dag.dag_id):
                    seen.setdefault((dag.environment, dag.dag_id), []).append(dag)
        for (_, dag_id), dags in seen.items():
            if len({dag.file.path for dag in dags}) < 2:
                continue
            dags.sort(key=lambda dag: (dag.expected_id != dag_id, dag.file.path))
            for dag in dags[1:]:
                if dag.file.path != dags[0].file.path:
                    yield self.finding(
                        dag.place("dag_id"),
                        f"The dag_id '{dag_id}' is also that of {dags[0].file.path}",
                        f'Write dag_id="{dag.expected_id}".',
                        related=(dags[0].file.path,),
                    )


class NoOwner(Rule):
    """Each DAG has an owner."""

    code = "DK204"
    name = "no-owner"
    why = "Somebody has to be told when it fails, and asked when it has to change."
    bad = examples.in_dag("default_args={},")
    good = examples.in_dag('default_args={"owner": "octocat"},')

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """In default_args, or on every task."""
        fix = 'Name a GitHub user or team: default_args={"owner": "octocat"}.'
        for dag in dag_file.dags:
            call = dag.call
            defaults = dict(call.defaults) if isinstance(call.defaults, dict) else {}
            given = call.scope.value(defaults["owner"]) if "owner" in defaults else ABSENT
            if isinstance(given, str):
                if _nobody(given):
                    yield self.finding(call.place("owner"), f"The owner is '{given}', which is nobody", fix)
                continue
            if dag.facts is not None:
                missing = any(_nobody(task["owner"]) for task in dag.facts["tasks"])
            else:
                sure = given is ABSENT and isinstance(call.defaults, dict)
                missing = sure and not _on_every_task(dag_file, "owner")
            if missing:
                yield self.finding(dag.place("default_args"), "The DAG has no owner", fix)


def _nobody(owner: str) -> bool:
    return owner.strip().lower() in PLACEHOLDER_OWNERS


def _on_every_task(dag_file: DagFile, keyword: str) -> bool:
    """Whether each task says it itself, or may: that of one that is made elsewhere, only Airflow knows."""
    tasks = dag_file.tasks
    return not tasks or all(task.call.expression(keyword) is not ABSENT for task in tasks)


class NoStartDate(Rule):
    """Each DAG has a start_date."""

    code = "DK205"
    name = "no-start-date"
    why = "Without one, Airflow refuses to schedule the DAG, or begins at a moment nobody chose."
    bad = examples.in_dag("# no start_date")
    good = examples.in_dag("start_date=datetime(2026, 1, 1, tzinfo=UTC),")
    explains = r"is missing the start_date parameter"

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """Of the DAG, in default_args, or on every task."""
        for dag in dag_file.dags:
            if dag.facts is not None:
                tasks = dag.facts["tasks"]
                on_tasks = bool(tasks) and all(task["started"] for task in tasks)
                missing = dag.facts["start_date"] is None and not on_tasks
            else:
                given = dag.call.expression("start_date")
                missing = given is ABSENT and not (dag_file.tasks and _on_every_task(dag_file, "start_date"))
            if missing:
                yield self.finding(
                    dag.place("start_date"),
                    "The DAG has no start_date",
                    "Add a fixed day: start_date=datetime(2026, 1, 1, tzinfo=UTC).",
                )


DYNAMIC = re.compile(r"(^|\.)(now|utcnow|today|days_ago|yesterday|tomorrow|localtime|gmtime|time)$")


class DynamicStartDate(Rule):
    """The start_date is a fixed day."""

    code = "DK206"
    name = "dynamic-start-date"
    why = "A start_date that moves with the clock is always new, so runs are lost or repeated."
    bad = examples.in_dag("start_date=datetime.now(tz=UTC),")
    good = examples.in_dag("start_date=datetime(2026, 1, 1, tzinfo=UTC),")

    def check(self, dag: Dag) -> Iterator[Finding]:
        """Neither now, nor so many days ago."""
        given = dag.call.expression("start_date")
        if isinstance(given, Missing):
            return
        node = dag.call.scope.definition(given)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and DYNAMIC.search(dag.call.scope.qualified(inner.func)):
                yield self.finding(
                    dag.place("start_date"),
                    f"The start_date moves with the clock: {dag.file.source.segment(inner)}",
                    "Write a fixed day: datetime(2026, 1, 1, tzinfo=UTC).",
                )
                return


class Backfill(Rule):
    """A DAG that is new does not start by making up for the past."""

    code = "DK207"
    name = "backfill"
    why = "With catchup, the first day starts a run for every interval since the start_date, all at once."
    bad = examples.in_dag("start_date=datetime(2020, 1, 1, tzinfo=UTC),\ncatchup=True,")
    good = examples.in_dag("start_date=datetime(2020, 1, 1, tzinfo=UTC),\ncatchup=False,")

    def check(self, dag: Dag) -> Iterator[Finding]:
        """Where catchup is on and the start_date is past."""
        if dag.call.value("catchup") is not True or dag.call.value("schedule") is None:
            return
        start = _date(dag)
        if start is not None and start < datetime.now(tz=UTC):
            yield self.finding(
                dag.place("catchup"),
                f"The first day would start a run for every interval since {start:%Y-%m-%d}",
                "Write catchup=False, or a start_date that is to come.",
            )


def _date(dag: Dag) -> datetime | None:
    """The start_date, where it is known."""
    if dag.facts is not None and dag.facts["start_date"]:
        found = datetime.fromisoformat(dag.facts["start_date"])
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    given = dag.call.expression("start_date")
    node = None if isinstance(given, Missing) else dag.call.scope.definition(given)
    if isinstance(node, ast.Call) and dag.call.scope.qualified(node.func).endswith("datetime"):
        numbers = [dag.call.scope.value(argument) for argument in node.args[:3]]
        if len(numbers) == 3 and all(isinstance(number, int) for number in numbers):
            with suppress(ValueError):
                return datetime(numbers[0], numbers[1], numbers[2], tzinfo=UTC)
    return None


class Schedule(Rule):
    """The schedule is one that Airflow understands, and it is written down."""

    code = "DK208"
    name = "schedule"
    why = "A wrong schedule removes the DAG; without one, Airflow 2 runs it daily and Airflow 3 never."
    bad = examples.in_dag('schedule="0 25 * * *",')
    good = examples.in_dag('schedule="0 5 * * *",')
    explains = r"AirflowTimetableInvalid|CroniterBad|Exactly 5|not acceptable, out of range|[Ii]nvalid.*cron"

    def check(self, dag: Dag) -> Iterator[Finding]:
        """A cron expression, a preset, a timedelta, None, or anything else that is made for it."""
        call = dag.call
        given = call.expression("schedule")
        if given is UNKNOWN or any(name in call.keywords for name in ("schedule_interval", "timetable")):
            return
        if isinstance(given, Missing):
            yield self.finding(
                dag.place(), "The DAG has no schedule", 'Write schedule="0 6 * * *" (UTC), or schedule=None.'
            )
            return
        value = call.scope.value(given)
        wrong = _wrong_cron(value) if isinstance(value, str) else None
        if isinstance(value, int | float):
            wrong = f"{value!r} is a number"
        length = _timedelta(call.scope, given)
        if length is not None and length <= timedelta(0):
            wrong = "it is no length of time"
        if wrong is not None:
            yield self.finding(
                dag.place("schedule"),
                f"The schedule cannot be understood: {wrong}",
                'Write five fields in UTC (schedule="0 6 * * *" is six in the morning), a preset such as'
                ' "@daily", timedelta(hours=6), or None.',
            )


@cache
def _wrong_cron(text: str) -> str | None:
    if text.startswith("@"):
        return None if text in PRESETS else f"'{text}' is no preset of Airflow's"
    from croniter import CroniterError, croniter

    if len(text.split()) not in (5, 6):
        return f"'{text}' has {len(text.split())} fields instead of five"
    try:
        croniter(text)
    except (CroniterError, ValueError, KeyError) as error:
        return str(error)
    return None


def _timedelta(scope: Scope, given: ast.expr) -> timedelta | None:
    node = scope.definition(given)
    if not isinstance(node, ast.Call) or not scope.qualified(node.func).endswith("timedelta"):
        return None
    named = {keyword.arg: scope.value(keyword.value) for keyword in node.keywords}
    values = [scope.value(argument) for argument in node.args]
    if not all(isinstance(value, int | float) for value in [*named.values(), *values]):
        return None
    try:
        return timedelta(*values, **{str(key): value for key, value in named.items()})
    except (TypeError, OverflowError):
        return None


class NoCatchup(Rule):
    """Each DAG says whether it makes up for the past."""

    code = "DK209"
    name = "no-catchup"
    why = (
        "The default differs: Airflow 2 makes up for every interval since the start_date, Airflow 3 for none."
    )
    bad = examples.in_dag("# no catchup")
    good = examples.in_dag("catchup=False,")

    def check(self, dag: Dag) -> Iterator[Finding]:
        """Of each DAG."""
        call = dag.call
        if "catchup" in call.keywords or not call.complete or (call.node is None and dag.function is None):
            return
        changes = [] if call.node is None else [_add_argument(call, call.node, "catchup=False")]
        yield self.finding(
            dag.place(), "The DAG does not say whether it catches up", "Write catchup=False.", *changes
        )


def _add_argument(call: Call, node: ast.Call, argument: str) -> Edit:
    """The edit that gives a call one more argument, laid out like the others."""
    source = call.source
    end = source.span(node)[1]
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    if not given:
        return Edit(source.path, end - 1, end - 1, argument)
    last = max(given, key=lambda each: (each.end_lineno or 0, each.end_col_offset or 0))
    after = source.span(last)[1]
    rest = source.text[after : end - 1]
    if node.lineno == node.end_lineno:
        comma = rest.find(",")
        return Edit(source.path, end - 1, end - 1, f" {argument}" if comma >= 0 else f", {argument}")
    places = [(each.lineno, each.col_offset) for each in node.args]
    line, column = min(places + [(each.lineno, each.col_offset) for each in node.keywords])
    indent = " " * (column if line > node.lineno else node.col_offset + 4)
    if "," in rest.split("#")[0]:
        at = after + rest.index(",") + 1
        line_end = source.text.index("\n", at)
        return Edit(source.path, line_end, line_end, f"\n{indent}{argument},")
    return Edit(source.path, after, after, f",\n{indent}{argument}")


class NoDocumentation(Rule):
    """Each DAG says what it is for."""

    code = "DK210"
    name = "no-documentation"
    why = "Airflow shows it beside the DAG: it is what the person who looks after a failed run has to go by."
    bad = examples.in_dag("# no doc_md")
    good = examples.in_dag("doc_md=__doc__,")

    def check(self, dag: Dag) -> Iterator[Finding]:
        """In doc_md or description, or in the text under the function."""
        call = dag.call
        if dag.facts is not None:
            missing = not dag.facts["documented"]
        else:
            given = [call.expression(name) for name in ("doc_md", "description")]
            empty = all(node is ABSENT or self._nothing(call, node) for node in given)
            missing = empty and not (dag.function and ast.get_docstring(dag.function))
            missing = missing and (call.node is not None or dag.function is not None)
        if missing:
            yield self.finding(
                dag.place("doc_md", "description"),
                "The DAG has no documentation",
                "Begin the file with a text in triple quotes, and write doc_md=__doc__.",
            )

    def _nothing(self, call: Call, node: ast.expr | Missing) -> bool:
        if isinstance(node, Missing):
            return node is ABSENT
        if isinstance(node, ast.Name) and node.id == "__doc__":
            return not ast.get_docstring(call.source.tree)
        value = call.scope.value(node)
        return value is None or value == ""
