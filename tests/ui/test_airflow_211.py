"""Airflow 2.11, in an environment of its own: its page as a person uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, expect

from tests.ui import harness
from tests.ui.harness import shoot


def test_the_worked_example_runs_on_airflow_211_and_the_page_shows_it(
    make_pipeline: Callable[..., Path], airflow_211: Path, browser: Browser
) -> None:
    repository = make_pipeline("stumbles")
    words = ("--engine", "process", "--airflow", str(airflow_211))
    with harness.running(repository, *words) as ui:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(90_000)
        page.goto(ui.url)
        page.get_by_label("Username").fill("analyst")
        page.get_by_label("Password").fill(ui.password)
        page.get_by_role("button", name="Sign In").click()
        expect(page.get_by_role("link", name="example.pipe", exact=True)).to_be_visible()
        shoot(page, "airflow-2.11-dags")
        assert ui.api.dag_ids() == {"example.pipe", "example.stumbles"}

        worked = ui.run("example.pipe")
        stumbled = ui.run("example.stumbles")
        ui.wait_for_state("example.pipe", worked, "success")
        ui.wait_for_state("example.stumbles", stumbled, "failed")
        page.goto(
            f"{ui.url}dags/example.pipe/grid?dag_run_id={quote(worked, safe='')}&task_id=write&tab=logs"
        )
        expect(page.get_by_text(re.compile(r"wrote \d+ bytes to s3://")).first).to_be_visible()
        shoot(page, "airflow-2.11-log")
        for attempt in (1, 2, 3):
            log = ui.log("example.stumbles", stumbled, "third-time-lucky", attempt)
            assert f"this is try {attempt}" in log
        refused = ui.log("example.stumbles", stumbled, "not-allowed")
        assert "AccessDenied" in refused
        assert "dagkit:       - alpha-everyone/somebody-else/text.txt" in refused
        page.close()
