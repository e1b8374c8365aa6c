"""However `dagkit ui` or a part of it ends, nothing of it is left: no process, no port, no container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from dagkit.ui import sweep
from tests.run import harness as runs
from tests.run.harness import wait_until
from tests.ui import harness
from tests.ui.harness import Ui

SLEEPER = """
from datetime import UTC, datetime
from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

with DAG("example.pipe", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    PipelinePodOperator(
        task_id="sleep",
        repository="pipe",
        release="v0.0.1",
        role="airflow_dev_example_pipe",
        environment="dev",
        cmds=["python", "-c"],
        arguments=["import time; print('asleep', flush=True); time.sleep(600)", "MARK"],
    )
"""


def sleeper(make: Callable[..., Path], mark: str) -> Path:
    """A repository whose only task sleeps for ten minutes."""
    repository = make()
    runs.dag(repository, SLEEPER.replace("MARK", mark))
    return repository


def asleep(ui: Ui, mark: str) -> None:
    """Trigger the DAG, and wait until its pod is there."""
    run_id = ui.run("example.pipe")
    assert wait_until(lambda: "asleep" in _log(ui, run_id), 120), ui.out


def _log(ui: Ui, run_id: str) -> str:
    try:
        return ui.log("example.pipe", run_id, "sleep")
    except OSError:  # not begun
        return ""


def listening(session: str) -> set[str]:
    """The addresses that Airflow's processes listen on."""
    found = set()
    for process in sweep.processes(session):
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.add(f"{connection.laddr.ip}:{connection.laddr.port}")
    return found


def assert_nothing_is_left(mark: str, ui: Ui) -> None:
    record = ui.record
    assert wait_until(lambda: not runs.processes(mark), 30), runs.processes(mark)
    assert list(sweep.processes(record.session)) == []
    assert not runs.listens(record.port)
    assert not Path(record.scratch).exists()
    assert wait_until(lambda: not runs.containers("example.pipe"), 20)


def test_it_listens_on_loopback_alone_runs_once_and_ends_with_ctrl_c(
    make_pipeline: Callable[..., Path], mark: str
) -> None:
    repository = sleeper(make_pipeline, mark)
    with harness.running(repository, "--engine", "process", mark=mark) as ui:
        record = ui.record
        assert listening(record.session) == {f"127.0.0.1:{record.port}"}
        second = subprocess.run([str(runs.DAGKIT), "ui", str(repository)], capture_output=True, text=True)
        assert second.returncode == 1
        assert "runs already" in second.stderr
        assert record.url in second.stderr
        asleep(ui, mark)
        out = ui.end()
    assert ui.process.returncode == 0
    assert "stopped: Airflow, its tasks and local AWS have ended" in out
    assert "Traceback" not in out
    assert_nothing_is_left(mark, ui)

    # a second start finds again what the first one left: the login, and the run; and `--stop` ends it
    with harness.running(repository, "--engine", "process", mark=mark) as again:
        assert again.password == ui.password
        assert again.url == ui.url
        assert len(again.api.ask("GET", "/dags/example.pipe/dagRuns")["dag_runs"]) == 1
        stop = [str(runs.DAGKIT), "ui", "--stop", str(repository)]
        assert "ended: " in subprocess.run(stop, capture_output=True, text=True).stdout
        again.process.wait(10)
        assert "no Airflow runs" in subprocess.run(stop, capture_output=True, text=True).stdout
    assert_nothing_is_left(mark, again)


def test_a_part_that_is_killed_is_started_again_and_the_page_goes_on(
    make_pipeline: Callable[..., Path], mark: str
) -> None:
    with harness.running(make_pipeline(), "--engine", "process", mark=mark) as ui:
        session = ui.record.session
        for part, said in (
            ("scheduler", "Airflow's scheduler ended"),
            ("dag-processor", "Airflow's DAG processor ended"),
            ("api-server", "the web page ended"),
        ):
            before = list(sweep.processes(session, part=part))
            for process in before:
                if not any(parent in before for parent in process.parents()):
                    process.kill()
            ui.wait_for(said, 60)
            assert wait_until(lambda: not any(each.is_running() for each in before), 30)  # noqa: B023
        keeper = next(
            each for each in psutil.Process(ui.process.pid).children() if "keeper" in str(each.cmdline())
        )
        keeper.kill()
        assert wait_until(ui.api.is_ready, 120)
        run_id = ui.run("example.pipe")
        ui.wait_for_state("example.pipe", run_id, "success")
    assert_nothing_is_left(mark, ui)


def test_what_is_left_of_one_that_was_killed_ends_by_itself(
    make_pipeline: Callable[..., Path], mark: str
) -> None:
    repository = sleeper(make_pipeline, mark)
    with harness.running(repository, "--engine", "process", mark=mark) as ui:
        asleep(ui, mark)
        ui.end(signal.SIGKILL)
        assert_nothing_is_left(mark, ui)


@pytest.mark.docker
def test_the_next_start_clears_up_what_nobody_could(
    make_pipeline: Callable[..., Path], mark: str, python_base_image: str
) -> None:
    repository = sleeper(make_pipeline, mark)
    words = ("--engine", "docker", "--base-image", python_base_image)
    with harness.running(repository, *words, mark=mark) as ui:
        asleep(ui, mark)
        assert len(runs.containers("example.pipe")) == 1
        # both at once, so that neither clears up after the other
        keepers = [e for e in psutil.Process(ui.process.pid).children() if "keeper" in str(e.cmdline())]
        os.kill(ui.process.pid, signal.SIGSTOP)
        for keeper in keepers:
            keeper.kill()
        ui.end(signal.SIGKILL)
        assert list(sweep.processes(ui.record.session))
        assert len(runs.containers("example.pipe")) == 1
    again = Ui(repository, *words, mark=mark)
    try:
        again.wait_for("cleared up after the last start: ")
        assert list(sweep.processes(ui.record.session)) == []
        assert runs.containers("example.pipe") == []
        again.wait_for("starting Airflow")
    finally:
        again.end()
    assert_nothing_is_left(mark, again)


def test_it_can_be_stopped_while_it_starts(make_pipeline: Callable[..., Path], mark: str) -> None:
    ui = Ui(make_pipeline(), "--engine", "process", mark=mark)
    ui.wait_for("starting Airflow")
    out = ui.end(signal.SIGTERM)
    assert ui.process.returncode == 130, out
    assert "Traceback" not in out
    assert_nothing_is_left(mark, ui)


def test_airflow_beside_a_program_ends_when_the_program_is_killed(
    make_pipeline: Callable[..., Path], mark: str
) -> None:
    repository = make_pipeline()
    code = (
        "import sys, time; from pathlib import Path; from dagkit.ui import background;"
        "opened = background.start(Path(sys.argv[1]), 'process', print);"
        "print(opened.record.session, sorted(opened.api.dag_ids()), flush=True); time.sleep(600)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(repository)],
        env={**os.environ, runs.MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    try:
        session = next(line for line in program.stdout if line.startswith("ui-"))
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert "['example.pipe']" in session
    assert wait_until(lambda: not runs.processes(mark), 60), runs.processes(mark)
    assert list(sweep.processes(session.split()[0])) == []
