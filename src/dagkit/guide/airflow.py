"""The real Airflow beside notebooks 3 and 5: started, looked at, and ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagkit import names
from dagkit.errors import DagkitError
from dagkit.guide import breaking, edits, show
from dagkit.guide.handle import Guide, step
from dagkit.guide.work import working

if TYPE_CHECKING:
    from dagkit.pipeline import Pipeline
    from dagkit.ui.background import Opened

_PATIENCE = 120.0
_EDIT = "airflow"
_STATES = {"success": "✓", "failed": "✗", "up_for_retry": "✗"}


class AirflowSteps(Guide):
    """The steps with Airflow's own page."""

    @step
    def airflow(self, wanted: bool = True) -> None:
        """Start Airflow: what `dagkit ui` does.

        Args:
            wanted: Whether to start it at all: the notebook's parameter ``airflow``.
        """
        from dagkit.ui import background

        if not wanted:
            show.say("info", "Airflow's own page is left out, as the parameter airflow says")
            return
        pipeline = self.need()
        with working("Starting Airflow: its scheduler, its page, and a local AWS") as work:
            opened = background.start(pipeline.root, self.engine if self.asked_engine else None, work.say)
            dag_id = _dag_id(pipeline)
            if dag_id not in opened.api.dag_ids():
                raise DagkitError(
                    f"Airflow's page does not show {dag_id}",
                    where=opened.record.url,
                    fix="Open it there: it says on top which DAG file does not load, and why.",
                )
        lines = [("Open", opened.record.url), ("User", "analyst"), ("Password", opened.password)]
        show.say("good", f"Airflow's page answers, and shows {dag_id}", lines)

    @step
    def fail_in_airflow(self, wanted: bool = True) -> None:
        """Let a run fail in Airflow, for want of a path in the role; show the task, its retry and its log.

        The role is put back at once, so that the retry can succeed.

        Args:
            wanted: Whether to do it at all: the notebook's parameter ``airflow``.
        """
        from dagkit.ui import background

        if not wanted:
            return
        pipeline = self.need()
        opened = background.find(pipeline.root)
        if opened is None:
            raise DagkitError("Airflow does not run", fix="Run the cell with here.airflow(airflow) first.")
        file = pipeline.role("dev").path.relative_to(pipeline.root).as_posix()

        def plan() -> edits.Edit:
            from dagkit.local.files import recorded

            before = edits.read(pipeline, file)
            granted = breaking.paths(before)
            if not granted:
                raise DagkitError(
                    "The role grants no S3 path on a line of its own, so there is none to take out",
                    where=str(pipeline.root / file),
                    fix="Go on without this experiment.",
                )
            run = next((each for each in recorded(pipeline.state) if each.passed), None)
            gone = breaking.telling_path(granted, run)
            return edits.Edit(file, before, breaking.without_path(before, gone))

        with working("A run whose role lacks a path") as work:
            edits.make(pipeline, _EDIT, plan)
            try:
                run_id = _trigger(opened, _dag_id(pipeline))
                work.say(f"triggered {run_id}")
                task = _first_failed(opened, _dag_id(pipeline), run_id)
            finally:
                edits.undo(pipeline, _EDIT, keep="original")
        _show_task(opened, _dag_id(pipeline), run_id, task)

    @step
    def end_airflow(self) -> None:
        """End Airflow, and all that it has started."""
        from dagkit.ui import background

        ended = background.stop(self.need().root)
        show.say("good", "Airflow has ended, and all it had started" if ended else "No Airflow runs")


def _dag_id(pipeline: Pipeline) -> str:
    return names.dag_id(pipeline.project, pipeline.dag().stem)


def _trigger(opened: Opened, dag_id: str) -> str:
    opened.api.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    made = opened.api.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": datetime.now(UTC).isoformat()})
    return str(made["dag_run_id"])


def _first_failed(opened: Opened, dag_id: str, run_id: str) -> dict[str, Any]:
    """The first task of a run that has failed a try.

    Raises:
        DagkitError: None does in time, or the run succeeds.
    """
    until = time.monotonic() + _PATIENCE
    at = f"/dags/{dag_id}/dagRuns/{run_id}"
    while time.monotonic() < until:
        found = opened.api.ask("GET", f"{at}/taskInstances")["task_instances"]
        for task in found:
            if task["state"] in ("up_for_retry", "failed"):
                return dict(task)
        if opened.api.ask("GET", at)["state"] == "success":
            break
        time.sleep(0.5)
    raise DagkitError(
        f"The run {run_id} did not fail",
        where=opened.record.url,
        fix="The path that was taken out is none that the pipeline needs: look at the run on the page.",
    )


def _show_task(opened: Opened, dag_id: str, run_id: str, task: dict[str, Any]) -> None:
    name, attempt = task["task_id"], int(task["try_number"])
    again = task["state"] == "up_for_retry"
    rows = [
        (_STATES.get(task["state"], ""), "task", name),
        ("", "state", task["state"]),
        ("", "try", f"{attempt} of {int(task['max_tries']) + 1}"),
        ("", "what comes next", "another try, after the DAG's retry_delay" if again else "nothing"),
    ]
    show.table(("", "", f"in the run {run_id}"), rows)
    at = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{name}/logs/{attempt}"
    log = opened.api.ask("GET", at)["content"]
    lines = [str(each["event"]) for each in log] if isinstance(log, list) else str(log).splitlines()
    telling = [line for line in lines if "[base]" in line or "dagkit:" in line]
    show.text("\n".join(telling or lines[-20:]), f"The log of {name}, try {attempt}, as the page shows it")
    url = f"{opened.record.url}dags/{dag_id}/runs/{run_id}/tasks/{name}"
    show.say("info", "The same on Airflow's page", [("Open", url)])
