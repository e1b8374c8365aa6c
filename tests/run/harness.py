"""How tests start `dagkit run`, and see what it left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

DAGKIT = Path(sys.executable).parent / "dagkit"
MARK = "LC_DAGKIT_TEST"
"""A variable that marks the processes of one test: Airflow's process keeps it, a pod must not."""


@dataclass(frozen=True)
class Done:
    """A `dagkit run` that has ended."""

    code: int
    out: str
    err: str
    repository: Path

    @property
    def folder(self) -> Path:
        """The folder of its report."""
        return max((self.repository / ".dagkit" / "runs").iterdir())

    @property
    def report(self) -> dict[str, Any]:
        """Its report."""
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    def task(self, name: str) -> dict[str, Any]:
        """What the report says about a task."""
        return next(task for task in self.report["tasks"] if task["name"] == name)

    def log(self, name: str) -> str:
        """The log of a task."""
        return (self.folder / "logs" / f"{name}.log").read_text()

    @property
    def states(self) -> dict[str, str]:
        """The state of each task."""
        return {task["name"]: task["state"] for task in self.report["tasks"]}


def start(
    repository: Path, *words: str, env: Mapping[str, str] | None = None, **kwargs: Any
) -> subprocess.Popen[str]:
    """Start `dagkit run` on a repository."""
    return subprocess.Popen(
        [str(DAGKIT), "run", str(repository), *words],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def run(repository: Path, *words: str, env: Mapping[str, str] | None = None) -> Done:
    """Run `dagkit run` on a repository to its end."""
    process = start(repository, *words, env=env)
    out, err = process.communicate(timeout=300)
    return Done(process.returncode, out, err, repository)


def dag(repository: Path, text: str, name: str = "pipe") -> Path:
    """Make a text the repository's DAG of a name."""
    path = repository / "airflow" / "dags" / f"{name}.py"
    path.write_text(text)
    return path


def processes(mark: str) -> list[str]:
    """The command lines of the processes that have a mark in their variables or arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            words = process.cmdline()
            if mark in " ".join(words) or process.environ().get(MARK) == mark:
                found.append(" ".join(words))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def containers(pipeline: str) -> list[str]:
    """The containers of a pipeline, running or not."""
    if shutil.which("docker") is None:
        return []
    done = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"label=dagkit.pipeline={pipeline}"],
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Whether a condition came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False
