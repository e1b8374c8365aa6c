"""Airflow beside a program, such as a notebook: it is started, and ends with the program at the latest."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.ui import record as records
from dagkit.ui.record import RUNNING, Record
from dagkit.ui.rest import Api

_TICK = 0.1
_END_PATIENCE = 60.0

_STARTED: dict[Path, subprocess.Popen[str]] = {}
"""What this program has started, by repository: the pipes are open as long as it lives."""


@dataclass(frozen=True)
class Opened:
    """An Airflow whose page can be opened.

    Attributes:
        record: Where it is.
        password: The login's.
    """

    record: Record
    password: str

    @property
    def api(self) -> Api:
        """Its REST API."""
        return Api(self.record.local, self.password, airflow_2=self.record.version.startswith("2."))


def find(root: Path) -> Opened | None:
    """The Airflow that runs for a repository, whoever has started it; None where none does."""
    folder = records.folder_of(root)
    record = records.read(folder)
    if record is None or record.state != RUNNING or not records.is_alive(folder):
        return None
    secrets = json.loads((Path(record.home) / "secrets.json").read_text(encoding="utf-8"))
    return Opened(record, secrets["password"])


def start(root: Path, engine: str | None, say: Callable[[str], None]) -> Opened:
    """Start Airflow for a repository, unless it runs already; returns when its page can be opened.

    Args:
        root: The repository.
        engine: The engine's name; None is what this machine has.
        say: Told what it prints.

    Raises:
        DagkitError: It does not start.
        KeyboardInterrupt: It was stopped while it started; nothing is left.
    """
    if found := find(root):
        return found
    words = [*(["--engine", engine] if engine else []), "--until-input-ends"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dagkit", "ui", str(root), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # an interrupt of this program is this program's to handle
    )
    _STARTED[root] = process
    said: list[str] = []

    def listen() -> None:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:  # each as it comes
            said.append(line.rstrip())  # noqa: PERF401

    listener = threading.Thread(target=listen, daemon=True, name="dagkit-ui")
    listener.start()
    shown = 0
    try:
        while process.poll() is None:
            for line in said[shown:]:
                shown += 1
                say(line.strip())
            if (found := find(root)) and found.record.pid == process.pid:
                return found
            time.sleep(_TICK)
    except BaseException:
        stop(root)
        raise
    listener.join(5)
    raise DagkitError(
        "Airflow did not start:\n" + "\n".join(said[-8:]),
        where=str(root),
        fix="Put right what it says, and try again.",
    )


def stop(root: Path) -> bool:
    """End the Airflow of a repository; whether there was one."""
    process = _STARTED.pop(root, None)
    if process is None or process.poll() is not None:
        return records.stop(records.folder_of(root)) is not None
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    return True
