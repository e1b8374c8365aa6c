"""Notebook 3: the DAG run on the local AWS, broken on purpose, put back, and changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from dagkit.errors import DagkitError, UsageError
from dagkit.guide import breaking, edits, show
from dagkit.guide.airflow import AirflowSteps
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide, step
from dagkit.guide.previews import preview
from dagkit.guide.work import Work
from dagkit.local.record import FAILED, SUCCESS, RunRecord
from dagkit.text import human_size, human_time

if TYPE_CHECKING:
    from dagkit.deploy.dagviews import DagView
    from dagkit.local.record import Attempt
    from dagkit.pipeline import Pipeline

ROLE, CODE = "role", "code"
"""The guide's edits, by name."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_SIGNS = {SUCCESS: "✓", FAILED: "✗"}


class Steps(AirflowSteps):
    """The steps of notebook 3."""

    @step
    def draw(self) -> None:
        """Draw the DAG, as its file says it."""
        view = dag_view(self.need())
        if view.problem:
            raise DagkitError(
                f"Airflow would not load the DAG: {view.problem}",
                where=str(self.need().dag()),
                fix="Correct the file, save it, and run this cell again.",
            )
        show.mermaid(dag_picture(view))
        rows = [(each.task_id, each.operator, each.image or "", each.role or "") for each in view.tasks]
        show.table(
            ("task", "operator", "image", "role"), rows, caption=f"{view.dag_id} runs {view.schedule or '?'}"
        )

    @step
    def run(self, *, task: str | None = None, environment: str = "dev") -> None:
        """Run the DAG here: what `dagkit run` does.

        Args:
            task: The only task to run; None runs them all.
            environment: Whose role is used: dev or prod.
        """
        from dagkit.local import conductor
        from dagkit.local import plan as planning

        engine = self.engine if self.asked_engine else None
        options = planning.Options(self.need().root, environment, engine=engine, task=task)
        plan = planning.plan(options)
        work = Work(f"Running {plan.dag_id} in {environment}")
        work.begin()
        passed = False
        try:
            record = conductor.run(plan, _Watcher(work))
            passed = record.passed
        finally:
            work.end(ok=passed)
        summary(record)

    @step
    def timeline(self) -> None:
        """Draw when each task of the last run began and ended."""
        from dagkit.local.markdown import gantt

        run = _last(self.need())
        show.mermaid(gantt(run).replace("gantt\n", f"gantt\n  title The run {run.run_id}\n", 1))

    @step
    def results(self) -> None:
        """Show what the last run left in S3."""
        record = _last(self.need())
        if not record.written:
            show.say("note", "The last run left nothing in S3", [("Run", record.run_id)])
            return
        rows = [(each.path, human_size(each.size), ", ".join(each.tasks)) for each in record.written]
        show.table(("in S3", "size", "written by"), rows, caption=f"What the run {record.run_id} left in S3")
        for each in record.written[:5]:
            preview(each.path, each.preview)

    @step
    def take_out(self, path: str | None = None) -> None:
        """Comment a path out of dev's role.

        Args:
            path: The path, as the role has it; None takes one that the last run wrote to.
        """
        pipeline = self.need()
        file = pipeline.role("dev").path.relative_to(pipeline.root).as_posix()

        def plan() -> edits.Edit:
            before = edits.read(pipeline, file)
            granted = breaking.paths(before)
            if not granted:
                raise UsageError(
                    "The role grants no S3 path on a line of its own, so there is none to take out",
                    where=str(pipeline.root / file),
                    fix="docs/roles.md shows a role. Go on without this experiment, or write one such path.",
                )
            run = next((each for each in _runs(pipeline) if each.passed), None)
            gone = path or breaking.telling_path(granted, run)
            return edits.Edit(file, before, breaking.without_path(before, gone))

        edit = edits.make(pipeline, ROLE, plan)
        show.say("note", "A path is out of the role, until you put it back")
        show.text(edit.diff(), file)

    @step
    def refusals(self) -> None:
        """Show what the last run was refused, and the lines that would allow it."""
        record = _last(self.need())
        if not record.refused:
            show.say("info", "The last run was refused nothing", [("Run", record.run_id)])
            return
        for call in record.refused:
            lines = [("On", call.resource), ("Because", call.reason)]
            if call.advice:
                lines.append(("", call.advice))
            show.say("bad", f"{call.task}: {call.action} was refused", lines)
            if call.lines:
                show.text(call.lines, f"{Path(call.file).name} would allow it with")
        for each in record.tasks:
            if each.last_lines:
                show.text("\n".join(each.last_lines), f"The end of the log of {each.name}", unfolded=False)

    @step
    def put_back(self, keep: str | None = None) -> None:
        """Undo what `take_out` did.

        Args:
            keep: Where you changed the same lines: ``mine``, or ``original``.
        """
        self._undo(ROLE, keep, "The path is in the role again", "Nothing was taken out of the role")

    @step
    def change_code(self) -> None:
        """Change one line of the example's code."""
        pipeline = self.need()
        file = breaking.EXAMPLE[pipeline.language][0]

        def plan() -> edits.Edit:
            before = edits.read(pipeline, file) if (pipeline.root / file).is_file() else ""
            return edits.Edit(file, before, breaking.changed_example(before, pipeline.language))

        edit = edits.make(pipeline, CODE, plan)
        show.say("note", "One line of the code is another, until you undo it")
        show.text(edit.diff(), file)

    @step
    def undo_change(self, keep: str | None = None) -> None:
        """Undo what `change_code` did.

        Args:
            keep: Where you changed the same lines: ``mine``, or ``original``.
        """
        self._undo(CODE, keep, "The code is as it was", "The guide has changed nothing in your code")

    def _undo(self, name: str, keep: str | None, done: str, nothing: str) -> None:
        pipeline = self.need()
        edit = edits.made(pipeline, name)
        came_to = edits.undo(pipeline, name, keep=keep)
        words = {"undone": done, "nothing": nothing, "yours": "You have put it right yourself already"}
        show.say("good", words[came_to], [("File", edit.path)] if edit else [])


class _Watcher:
    """Shows a run as it goes on."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tasks = 0
        self._done: set[str] = set()

    def say(self, text: str) -> None:
        self._work.say(text)

    def note(self, task: str | None, text: str) -> None:
        self._work.say(f"note: {f'{task}: ' if task else ''}{text}", headline=False)

    def loaded(self, tasks: Sequence[str]) -> None:
        self._tasks = len(tasks)
        self._work.say(f"Airflow has loaded the DAG: {', '.join(tasks)}")

    def started(self, task: str, attempt: int) -> None:
        again = f" (try {attempt})" if attempt > 1 else ""
        share = len(self._done) / self._tasks if self._tasks else None
        self._work.say(f"{task} started{again}", share=share)

    def log(self, task: str, line: str) -> None:
        self._work.say(f"{task} | {line}")

    def finished(self, task: str, attempt: Attempt) -> None:
        from dagkit.local.words import state_word

        self._done.add(task)
        self._work.say(f"{task}: {state_word(attempt.state)} after {human_time(attempt.seconds)}")

    def airflow(self, line: str) -> None:
        self._work.say(f"airflow | {line}", headline=False)


def dag_view(pipeline: Pipeline) -> DagView:
    """The pipeline's DAG as its file has it now; Airflow is asked only where the file alone does not say."""
    from dagkit.deploy import dagviews
    from dagkit.rules.subject import of_pipeline

    return dagviews.of_pipeline(of_pipeline(pipeline), pipeline.dag())


def dag_picture(view: DagView) -> str:
    """A DAG as a Mermaid flowchart."""
    known = {each.task_id: f"t{number}" for number, each in enumerate(view.tasks)}
    lines = ["flowchart LR"]
    lines += [f'  {key}["{show.label(name)}"]' for name, key in known.items()]
    edges = view.edges or ()
    lines += [f"  {known[one]} --> {known[other]}" for one, other in edges if {one, other} <= known.keys()]
    return "\n".join(lines)


def summary(record: RunRecord) -> None:
    """Show what became of a run's tasks, and what was different here."""
    from dagkit.local.words import state_word, task_problem

    rows = [
        (
            _SIGNS.get(each.state, "○"),
            each.name,
            state_word(each.state),
            human_time(each.seconds) if each.seconds is not None else "",
            str(len(each.attempts) or ""),
            task_problem(each),
        )
        for each in record.tasks
    ]
    word = "Succeeded" if record.passed else "Failed"
    caption = f"{word} in {human_time(record.seconds)}, as {record.role}, on the engine {record.engine}"
    show.table(("", "task", "", "time", "tries", ""), rows, caption=caption)
    notes = [*record.notes, *(f"{each.name}: {note}" for each in record.tasks for note in each.notes)]
    if notes:
        show.text("\n".join(notes), "What was different here from the platform", unfolded=False)


def _runs(pipeline: Pipeline) -> Iterator[RunRecord]:
    from dagkit.local.files import recorded

    return recorded(pipeline.state)


def _last(pipeline: Pipeline) -> RunRecord:
    run = next(_runs(pipeline), None)
    if run is None:
        raise UsageError("There is no run yet", fix="Run the cell with here.run() first.")
    return run


@check("3.dag", title="Your DAG says its tasks and their order")
def _dag(here: Guide) -> Seen:
    pipeline = here.need()
    view = dag_view(pipeline)
    file = pipeline.dag().relative_to(pipeline.root)
    if view.problem:
        raise NotYet(f"{file}: {view.problem}", todo="Correct the file, save it, and run this cell again.")
    if not view.tasks:
        raise NotYet(f"{file} has no task", todo="Write one; docs/concepts.md says what a task is.")
    return Seen(f"{view.dag_id} in {file}: {', '.join(each.task_id for each in view.tasks)}")


@check("3.run", title="The run wrote its files to S3")
def _ran(here: Guide) -> Seen:
    runs = list(_runs(here.need()))
    if not runs:
        raise NotYet("There is no run in .dagkit/runs/", todo="Run the cell with here.run() above.")
    run = next((each for each in runs if each.passed), None)
    if run is None:
        why = "; ".join(f"{each.name}: {each.problem}" for each in runs[0].tasks if each.problem)
        raise NotYet(
            f"No run succeeded yet. The last one, {runs[0].run_id}: {why or runs[0].state}",
            todo="Look at its table and its log above, put right what it says, and run again.",
        )
    if not run.written:
        raise NotYet(
            f"The run {run.run_id} succeeded, and left nothing in S3",
            todo="See in the DAG where its tasks write to; then run again.",
        )
    files = ", ".join(f"{each.path} ({human_size(each.size)})" for each in run.written)
    return Seen(f"{files}, by the run {run.run_id} on the engine {run.engine}")


@check("3.refused", title="Without the path, AWS refused the call")
def _refused(here: Guide) -> Seen:
    run = next((each for each in _runs(here.need()) if each.refused), None)
    if run is None:
        raise NotYet(
            "No run was refused anything yet",
            todo="Take a path out of the role with the cell above, and run again. If the pipeline does not"
            ' need that path, name another: here.take_out("bucket/folder/*")',
        )
    call = run.refused[0]
    return Seen(f"{call.action} on {call.resource} in the run {run.run_id}: {call.reason}")


@check("3.mended", title="The role allows it again")
def _mended(here: Guide) -> Seen:
    from dagkit.local.authority import Request, decide

    pipeline = here.need()
    edit = edits.made(pipeline, ROLE)
    if edit is not None and edits.read(pipeline, edit.path) == edit.after:
        raise NotYet(f"The path is still out of {edit.path}", todo="Put it back: here.put_back()")
    run = next((each for each in _runs(pipeline) if each.refused), None)
    if run is None:
        raise NotYet("No run was refused anything yet", todo="Break it first, with the cells above.")
    role = pipeline.role(run.environment)
    policy = role.policy()
    for call in run.refused:
        decision = decide([policy], Request(call.action, call.resource))
        if not decision.allowed:
            raise NotYet(
                f"{role.path.name} for {run.environment} still refuses it: {decision.reason}",
                todo="Put the path back: here.put_back()",
            )
    allowed = ", ".join(dict.fromkeys(f"{call.action} on {call.resource}" for call in run.refused))
    return Seen(f"{role.path.relative_to(pipeline.root)} allows {allowed}")


@check("3.changed", title="What the changed code wrote is in S3")
def _changed(here: Guide) -> Seen:
    passed = [each for each in _runs(here.need()) if each.passed and each.written]
    for new, old in pairwise(passed):
        before = {each.path: _timeless(each.preview) for each in old.written}
        for each in new.written:
            now = _timeless(each.preview)
            if each.path in before and now != before[each.path]:
                return Seen(
                    f"{each.path} said “{before[each.path]}” and says “{now}” since the run {new.run_id}"
                )
    if len(passed) < 2:
        raise NotYet("There are no two runs to compare yet", todo="Change the code, and run again.")
    raise NotYet(
        "Every run wrote the same, but for the time of day",
        todo="Change the code with here.change_code(), or by hand, and run again.",
    )


@check("3.undone", title="Nothing of the guide's is left in your files")
def _undone(here: Guide) -> Seen:
    pipeline = here.need()
    left = {name: edit for name in (ROLE, CODE) if (edit := edits.made(pipeline, name))}
    for edit in left.values():
        if edits.read(pipeline, edit.path) != edit.before:
            raise NotYet(
                f"The guide's edit is still in {edit.path}",
                todo="Undo it: here.put_back() for the role, here.undo_change() for the code.",
            )
    code = breaking.EXAMPLE[pipeline.language][0]
    role = pipeline.role("dev").path.relative_to(pipeline.root)
    return Seen(f"{role} and {code} hold what is yours alone")


def _timeless(text: str | None) -> str:
    """A preview without what differs from run to run."""
    return _TIME.sub("…", text or "")
