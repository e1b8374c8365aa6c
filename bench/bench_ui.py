"""`dagkit ui`: until its page answers, against `airflow standalone`; memory; from trigger to first line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from bench.bench_python import ANSWERS, BARE, BIN
from bench.side_by_side import command
from dagkit.ui import record, sweep
from dagkit.ui.rest import Api

TIMES = 3
PATIENCE = 300.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_page(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.perf_counter() + PATIENCE
    session = requests.Session()
    session.trust_env = False
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with exit code {process.returncode}")
        with contextlib.suppress(requests.RequestException):
            if session.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise SystemExit(f"{process.args}: no page after {PATIENCE:.0f} s")


@contextmanager
def ui(pipeline: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [BIN / "dagkit", "ui", "--engine", "process", "--port", str(port)]
    with ended(subprocess.Popen(words, cwd=pipeline, stdout=subprocess.DEVNULL)) as process:
        yield process


@contextmanager
def standalone(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    dags = home / "dags"
    dags.mkdir(parents=True, exist_ok=True)
    (dags / "bare.py").write_text(BARE)
    env = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}/",
    }
    with ended(
        subprocess.Popen(
            [BIN / "airflow", "standalone"],
            cwd=home,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ) as process:
        yield process


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        tree = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        for each in [*tree, process]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                each.kill()
        process.wait()


def memory(session: record.Record) -> float:
    """Megabytes of the whole tree; what several processes share is counted once."""
    tree = {psutil.Process(session.pid), *psutil.Process(session.pid).children(recursive=True)}
    total = 0
    for process in {*tree, *sweep.processes(session.session)}:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total / 1e6


def first_line(api: Api, dag_id: str) -> float:
    """Seconds from the trigger to the first line of the task's pod in its log."""
    api.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    start = time.perf_counter()
    when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    run = api.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": when})["dag_run_id"]
    while time.perf_counter() < start + PATIENCE:
        with contextlib.suppress(requests.RequestException):
            log = api.ask("GET", f"/dags/{dag_id}/dagRuns/{run}/taskInstances/write/logs/1")
            if "[base] " in json.dumps(log["content"]):
                return time.perf_counter() - start
        time.sleep(0.1)
    raise SystemExit("no line of the task came")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dagkit-bench-") as name:
        folder = Path(name)
        pipeline = folder / "pipeline"
        command([BIN / "dagkit", "new", pipeline, "--defaults", *ANSWERS], folder)()
        ratios, ours, theirs = [], [], []
        for number in range(TIMES + 1):  # the first one warms up: caches, and both databases
            port = free_port()
            start = time.perf_counter()
            with ui(pipeline, port) as process:
                wait_for_page(port, process)
                a = time.perf_counter() - start
                if number == TIMES:
                    last(pipeline)
            port = free_port()
            start = time.perf_counter()
            with standalone(folder / "standalone", port) as process:
                wait_for_page(port, process)
                b = time.perf_counter() - start
            if number:
                ratios.append(a / b)
                ours.append(a)
                theirs.append(b)
        print(
            f"dagkit ui until its page answers, against airflow standalone: {statistics.median(ours):.1f} s"
            f" against {statistics.median(theirs):.1f} s, ratio {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f}; goal 0.8)",
            flush=True,
        )


def last(pipeline: Path) -> None:
    """What is measured on one that is running."""
    state = pipeline / ".dagkit" / "ui"
    found = None
    until = time.perf_counter() + PATIENCE
    while (found := record.read(state)) is None or found.state != record.RUNNING:
        if time.perf_counter() > until:
            raise SystemExit("dagkit ui did not get ready")
        time.sleep(0.1)
    secrets = json.loads((Path(found.home) / "secrets.json").read_text())
    api = Api(found.local, secrets["password"], airflow_2=False)
    dag_id = next(iter(api.dag_ids()))
    lines = [first_line(api, dag_id) for _ in range(3)]
    print(f"dagkit ui from trigger to the task's first line: {statistics.median(lines):.1f} s", flush=True)
    print(f"dagkit ui, memory of the whole tree: {memory(found):.0f} MB (goal under 2000)", flush=True)


if __name__ == "__main__":
    main()
