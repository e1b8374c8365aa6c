"""How tests start `dagkit ui`, look at its page with a browser, and see what it left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from dagkit.ui import record
from dagkit.ui.rest import Api
from tests.run.harness import DAGKIT, MARK, wait_until

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
BROWSER = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
READY = re.compile(r"^Airflow (\S+): (\S+) \(user (\S+), password (\S+)\); Ctrl-C ends it$", re.MULTILINE)

expect.set_options(timeout=90_000)


class Ui:
    """A `dagkit ui` that is under way, and what it prints."""

    def __init__(
        self, repository: Path, *words: str, mark: str = "", env: Mapping[str, str] | None = None
    ) -> None:
        self.repository = repository
        self.process = subprocess.Popen(
            [str(DAGKIT), "ui", str(repository), *words],
            env={**os.environ, **({MARK: mark} if mark else {}), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._printed.append(line)

    @property
    def out(self) -> str:
        """All that it has printed."""
        return "".join(self._printed)

    def wait_for(self, text: str, seconds: float = 240) -> None:
        """Wait until it has printed a text."""
        found = wait_until(lambda: text in self.out or self.process.poll() is not None, seconds)
        assert found and text in self.out, self.out

    def wait_until_ready(self) -> Ui:
        """Wait until it says where the page is."""
        self.wait_for("Ctrl-C ends it", 300)
        return self

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._ready(2)

    @property
    def password(self) -> str:
        """The login's."""
        return self._ready(4)

    def _ready(self, group: int) -> str:
        found = READY.search(self.out)
        assert found, self.out
        return found[group]

    @property
    def record(self) -> record.Record:
        """What it keeps about itself."""
        found = record.read(self.repository / ".dagkit" / "ui")
        assert found is not None
        return found

    @property
    def api(self) -> Api:
        """Airflow's REST API."""
        return Api(self.record.local, self.password, airflow_2=self.record.version.startswith("2."))

    def run(self, dag_id: str) -> str:
        """Unpause and trigger a DAG; its run's id."""
        self.api.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        made = self.api.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": when})
        return str(made["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a run."""
        return str(self.api.ask("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_state(self, dag_id: str, run_id: str, state: str, seconds: float = 180) -> None:
        """Wait until a run has a state."""
        assert wait_until(lambda: self.state(dag_id, run_id) == state, seconds), (
            self.state(dag_id, run_id) + "\n" + self.out
        )

    def log(self, dag_id: str, run_id: str, task: str, attempt: int = 1) -> str:
        """A task's log, as the page shows it."""
        at = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/logs/{attempt}"
        content: Any = self.api.ask("GET", at)["content"]
        return content if isinstance(content, str) else "\n".join(str(each["event"]) for each in content)

    def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """End it with a signal; all that it has printed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(90)
        self._reader.join(10)
        return self.out


@contextmanager
def running(repository: Path, *words: str, **kwargs: Any) -> Iterator[Ui]:
    """A `dagkit ui` whose page can be opened; ended with the block."""
    ui = Ui(repository, *words, **kwargs)
    try:
        yield ui.wait_until_ready()
    finally:
        ui.end()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER)
        try:
            yield browser
        finally:
            browser.close()


def shoot(page: Page, name: str) -> None:
    """Keep what the page shows, to be looked at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))


def log_in(page: Page, ui: Ui, url: str = "") -> None:
    """Open the page of Airflow 3 and log in, as a person does who reads the line in the terminal."""
    page.set_default_timeout(90_000)
    page.goto(url or ui.url)
    page.get_by_role("textbox", name="Username").fill("analyst")
    page.get_by_role("textbox", name="Password").fill(ui.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags", exact=True).first).to_be_visible()
