"""Ends whatever a session of `dagkit ui` has started, found by the marks that all of it carries."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit.errors import DagkitError

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

SESSION = "DAGKIT_UI"
"""The variable with the session's id, in every process of its Airflow."""

PART = "DAGKIT_UI_PART"
"""The variable with the part's name."""

_PATIENCE = 10.0


def processes(session: str, scratch: Path | None = None, part: str | None = None) -> Iterator[psutil.Process]:
    """The processes of a session that are alive.

    Args:
        session: Its id.
        scratch: Its scratch folder; those of its pods that are processes are found by it.
        part: Only those of this part of Airflow.
    """
    import psutil

    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            variables = process.environ()
        except (psutil.Error, OSError):  # gone, or somebody else's
            continue
        ours = variables.get(SESSION) == session and part in (None, variables.get(PART))
        if ours or (
            scratch is not None and Path(variables.get("TMPDIR", "")).is_relative_to(scratch / "pods")
        ):
            yield process


def kill(session: str, scratch: Path | None = None, part: str | None = None) -> int:
    """Kill the processes of a session, and what they start meanwhile.

    Returns:
        How many there were.
    """
    import psutil

    seen = set()
    until = time.monotonic() + _PATIENCE
    while found := list(processes(session, scratch, part)):
        for process in found:
            seen.add(process.pid)
            with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
                if process.environ().get(SESSION) is None:  # a pod: with all of its group
                    os.killpg(os.getpgid(process.pid), signal.SIGKILL)
                process.kill()
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return len(seen)


def remove_containers(session: str) -> int:
    """Remove the containers of a session; none where no engine answers.

    Returns:
        How many there were.
    """
    from dagkit.containers import docker_client
    from dagkit.local.docker_engine import RUN_LABEL

    try:
        client = docker_client()
    except DagkitError:
        return 0
    import docker

    found = [
        container
        for container in client.containers.list(all=True, ignore_removed=True, filters={"label": RUN_LABEL})
        if container.labels.get(RUN_LABEL, "").startswith(f"{session}.")
    ]
    for container in found:
        with contextlib.suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
    client.close()
    return len(found)


def clear(record: dict[str, Any]) -> tuple[int, int]:
    """End all that a session which was killed has left.

    Args:
        record: The session's: ``session``, ``scratch`` and ``engine``.

    Returns:
        How many processes and containers there were.
    """
    scratch = Path(record["scratch"])
    killed = kill(record["session"], scratch)
    removed = remove_containers(record["session"]) if record["engine"] == "docker" else 0
    shutil.rmtree(scratch, ignore_errors=True)
    return killed, removed
