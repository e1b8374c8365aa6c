"""Airflow's page as a person uses it: one `dagkit ui` on the newest Airflow, its pods as processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.run.harness import wait_until
from tests.ui import harness
from tests.ui.harness import Ui, shoot


@pytest.fixture(scope="module")
def ui(make_pipeline: Callable[..., Path]) -> Iterator[Ui]:
    with harness.running(make_pipeline("every_minute", "stumbles", "waits"), "--engine", "process") as ui:
        yield ui


@pytest.fixture
def page(ui: Ui, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    harness.log_in(page, ui)
    yield page
    page.close()


def open_dag(page: Page, dag_id: str) -> None:
    page.get_by_role("link", name="Dags", exact=True).first.click()
    page.get_by_role("link", name=dag_id, exact=True).click()
    expect(page.get_by_role("heading", name=dag_id)).to_be_visible()


def unpause_and_trigger(page: Page) -> None:
    page.get_by_role("button", name="Trigger Dag").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Unpause")).to_be_visible()
    dialog.get_by_role("button", name="Trigger").last.click()
    expect(dialog).to_be_hidden()


def open_task(page: Page, ui: Ui, dag_id: str, task: str) -> None:
    """Go to a task of the last run."""
    run = ui.api.ask("GET", f"/dags/{dag_id}/dagRuns?order_by=-run_after")["dag_runs"][0]["dag_run_id"]
    page.goto(f"{ui.url}dags/{dag_id}/runs/{run}/tasks/{task}")


def test_nobody_gets_in_without_the_password(ui: Ui, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{ui.url}dags")
    expect(page.get_by_role("heading", name="Sign into Airflow")).to_be_visible()
    page.get_by_role("textbox", name="Username").fill("analyst")
    page.get_by_role("textbox", name="Password").fill("guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Invalid credentials", exact=True)).to_be_visible()
    shoot(page, "airflow-3-wrong-password")
    page.close()


def test_the_page_shows_the_repositorys_dags_and_no_others(ui: Ui, page: Page) -> None:
    page.get_by_role("link", name="Dags", exact=True).first.click()
    expect(page.get_by_role("heading", name="4 Dags")).to_be_visible()
    for dag_id in ("example.pipe", "example.every_minute", "example.stumbles", "example.waits"):
        expect(page.get_by_role("link", name=dag_id, exact=True)).to_be_visible()
    shoot(page, "airflow-3-dags")


def test_the_worked_example_is_read_run_and_its_log_found(ui: Ui, page: Page) -> None:
    open_dag(page, "example.pipe")
    page.get_by_role("button", name="Dag Docs").click()
    expect(page.get_by_text("Write a text to S3, then copy it.")).to_be_visible()
    shoot(page, "airflow-3-documentation")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name=re.compile("^Show Graph")).click()
    expect(page.get_by_text("PipelinePodOperator")).to_have_count(2)
    shoot(page, "airflow-3-graph")

    unpause_and_trigger(page)
    page.wait_for_url("**/dags/example.pipe/runs/*")  # Airflow leads to the run
    expect(page.get_by_text(re.compile("^success$", re.IGNORECASE)).first).to_be_visible(timeout=180_000)
    under_way = page.get_by_text(re.compile("^(queued|running)$", re.IGNORECASE))  # the run, and its tasks
    expect(under_way).to_have_count(0, timeout=180_000)
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    expect(page.get_by_text("Failed", exact=True)).to_have_count(0)
    shoot(page, "airflow-3-green")

    page.get_by_role("button", name=re.compile("^Show Grid")).click()
    page.locator("a[href*='/runs/'][href*='/tasks/write']").last.click()
    line = "wrote \\d+ bytes to s3://alpha-everyone/airflow-example/analyst/dev/text.txt"
    expect(page.get_by_text(re.compile(line)).first).to_be_visible()
    shoot(page, "airflow-3-log")


def test_a_dag_with_a_schedule_starts_by_itself(ui: Ui, page: Page) -> None:
    open_dag(page, "example.every_minute")
    page.get_by_role("checkbox").first.dispatch_event("click")

    def runs() -> list[str]:
        found = ui.api.ask("GET", "/dags/example.every_minute/dagRuns")["dag_runs"]
        return [run["state"] for run in found if run["run_type"] == "scheduled"]

    assert wait_until(lambda: "success" in runs(), 180), f"{runs()}\n{ui.out}"
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.get_by_text("scheduled").first).to_be_visible()
    shoot(page, "airflow-3-started-by-itself")
    ui.api.ask("PATCH", "/dags/example.every_minute", {"is_paused": True})


class TestStumbles:
    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def run_id(ui: Ui) -> str:
        run_id = ui.run("example.stumbles")
        ui.wait_for_state("example.stumbles", run_id, "failed")
        return run_id

    def test_a_task_that_fails_twice_and_then_works_shows_its_tries(self, ui: Ui, page: Page) -> None:
        open_task(page, ui, "example.stumbles", "third-time-lucky")
        expect(page.get_by_role("heading", name="Task Tries")).to_be_visible()
        expect(page.get_by_text("[base] this is try 3")).to_be_visible()
        shoot(page, "airflow-3-third-try")
        page.get_by_role("button", name="1", exact=True).click()
        expect(page.get_by_text("[base] this is try 1")).to_be_visible()
        expect(page.get_by_text("exit code 7").first).to_be_visible()
        shoot(page, "airflow-3-first-try")

    def test_tries_keep_the_distance_that_the_dag_says(self, ui: Ui, run_id: str) -> None:
        at = f"/dags/example.stumbles/dagRuns/{run_id}/taskInstances/third-time-lucky/tries"
        tries = ui.api.ask("GET", at)["task_instances"]
        assert [each["state"] for each in tries] == ["failed", "failed", "success"]

    def test_a_refused_call_shows_with_the_line_for_the_roles_file(self, ui: Ui, page: Page) -> None:
        open_task(page, ui, "example.stumbles", "not-allowed")
        expect(page.get_by_text("not authorized to perform: s3:PutObject").first).to_be_visible()
        expect(page.get_by_text("dagkit: airflow/roles/dev/pipe.yaml would allow it with:")).to_be_visible()
        expect(page.get_by_text("- alpha-everyone/somebody-else/text.txt")).to_be_visible()
        shoot(page, "airflow-3-access-denied")

    def test_the_corrected_role_counts_without_a_restart(self, ui: Ui, run_id: str) -> None:
        role = ui.repository / "airflow" / "roles" / "dev" / "pipe.yaml"
        text = role.read_text()
        role.write_text(re.sub(r"( *)read_write:\n", r"\g<0>\1  - alpha-everyone/somebody-else/*\n", text))
        clear = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["not-allowed"], "reset_dag_runs": True}
        ui.api.ask("POST", "/dags/example.stumbles/clearTaskInstances", clear)
        ui.wait_for_state("example.stumbles", run_id, "success")
        role.write_text(text)


def test_a_task_that_waits_without_a_process_gets_a_triggerer_and_only_then(ui: Ui) -> None:
    assert "triggerer" not in ui.out
    run_id = ui.run("example.waits")
    ui.wait_for("started Airflow's triggerer", 120)
    ui.wait_for_state("example.waits", run_id, "success")


def test_a_changed_dag_file_appears_within_seconds(ui: Ui, page: Page) -> None:
    file = ui.repository / "airflow" / "dags" / "pipe.py"
    text = file.read_text()
    file.write_text(text.replace("Write a text to S3, then copy it.", "Changed while Airflow runs."))
    ui.wait_for("example.pipe: Airflow has the changed file", 60)
    file.write_text(text + "\nthis_is_wrong = 1 / 0\n")
    ui.wait_for("ZeroDivisionError", 60)
    assert f"{file}:" in ui.out, "the error is at the line of the repository's own file"
    new = file.with_name("later.py")
    new.write_text(text.replace("example.pipe", "example.later"))
    ui.wait_for("example.later: Airflow has the changed file", 60)
    new.write_text(text.replace("example.pipe", "example.another"))
    ui.wait_for(f"{new}: the dag_id is 'example.another', and must be 'example.later'", 60)
    file.write_text(text)
    new.unlink()


def test_the_dag_files_are_untouched_and_the_state_is_for_this_user_alone(ui: Ui) -> None:
    assert not (ui.repository / "airflow" / "dags" / "__pycache__").exists()
    assert (ui.repository / ".dagkit" / "ui").stat().st_mode & 0o077 == 0
