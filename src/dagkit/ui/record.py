"""Which session of `dagkit ui` a repository has: a lock that ends with it, a file that says where it is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from dagkit.errors import DagkitError

STARTING, RUNNING = "starting", "running"

_STOP_PATIENCE = 60.0


@dataclass(frozen=True)
class Record:
    """A session.

    Attributes:
        session: Its id, which marks its processes and containers.
        pid: The process of `dagkit ui`.
        state: ``starting`` or ``running``.
        environment: ``dev`` or ``prod``.
        engine: The engine of its pods.
        version: Of Airflow.
        url: Where the page is opened.
        local: Its address on this machine.
        port: Its port.
        home: Airflow's home folder.
        scratch: Its scratch folder.
    """

    session: str
    pid: int
    state: str
    environment: str
    engine: str
    version: str
    url: str
    local: str
    port: int
    home: str
    scratch: str


def folder_of(root: Path) -> Path:
    """Where a repository keeps what its Airflow leaves; only this user may look into it."""
    folder = root / ".dagkit" / "ui"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def read(folder: Path) -> Record | None:
    """The last session, whether it is alive or not; None where there was none."""
    try:
        return Record(**json.loads((folder / "session.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(folder: Path, record: Record) -> None:
    """Keep a session's record."""
    part = folder / "session.part"
    part.write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
    part.replace(folder / "session.json")


def is_alive(folder: Path) -> bool:
    """Whether a session is under way."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the repository's lock, which goes with this process however that ends.

    Raises:
        DagkitError: Another process holds it.
    """
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _runs_already(read(folder)) from None
        yield


def stop(folder: Path) -> Record | None:
    """End the session that is under way, as Ctrl-C would, and wait until it has ended.

    Returns:
        The session; None where there was none.

    Raises:
        DagkitError: It does not end.
    """
    record = read(folder)
    if record is None or not is_alive(folder):
        return None
    os.kill(record.pid, signal.SIGINT)
    until = time.monotonic() + _STOP_PATIENCE
    while is_alive(folder):
        if time.monotonic() > until:
            raise DagkitError(
                "The Airflow that runs here does not end", where=f"process {record.pid}", fix="Kill it."
            )
        time.sleep(0.1)
    return record


def _runs_already(record: Record | None) -> DagkitError:
    fix = "Open it there. To end it: Ctrl-C where it was started, or dagkit ui --stop"
    if record is None:
        return DagkitError("An Airflow is just starting for this repository", fix=fix)
    doing = "is starting" if record.state == STARTING else "runs already"
    return DagkitError(
        f"An Airflow {doing} for this repository ({record.environment}, process {record.pid})",
        where=record.url,
        fix=fix,
    )
