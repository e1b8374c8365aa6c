"""The page where it is opened on the platform: behind jupyter-server-proxy, below a base URL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.run.harness import free_port, listens, wait_until
from tests.ui import harness

BASE = "/user/jo/"
TOKEN = "let-me-in"


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """A JupyterLab with a base URL; its address."""
    port = free_port()
    words = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    words += [f"--port={port}", f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}"]
    words += [f"--ServerApp.root_dir={folder}"]
    env = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
    }
    with (folder / "jupyter.log").open("w") as log:
        lab = subprocess.Popen(words, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: listens(port), 120), (folder / "jupyter.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        lab.terminate()
        lab.wait(30)


def test_the_page_works_below_the_address_of_a_jupyterhub(
    make_pipeline: Callable[..., Path], tmp_path: Path, browser: Browser
) -> None:
    with jupyter(tmp_path) as address:
        hub = {"JUPYTERHUB_SERVICE_PREFIX": BASE, "JUPYTERHUB_PUBLIC_URL": f"{address}{BASE}"}
        with harness.running(make_pipeline(), "--engine", "process", env=hub) as ui:
            port = ui.record.port
            assert ui.url == f"{address}{BASE}proxy/absolute/{port}/"
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.goto(f"{address}{BASE}login?token={TOKEN}")
            # in a log-in, styles, scripts, API calls and redirections all have to find their way
            harness.log_in(page, ui)
            page.get_by_role("link", name="Dags", exact=True).first.click()
            expect(page.get_by_role("link", name="example.pipe", exact=True)).to_be_visible()
            assert page.url.startswith(ui.url)
            run_id = ui.run("example.pipe")
            ui.wait_for_state("example.pipe", run_id, "success")
            page.goto(f"{ui.url}dags/example.pipe/runs/{run_id}/tasks/write")
            expect(page.get_by_text("[base] wrote").first).to_be_visible()
            harness.shoot(page, "airflow-3-behind-jupyter")
            page.close()
