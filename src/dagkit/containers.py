"""The Docker engine of this machine: how to reach it, and what is wrong where it cannot be reached.

Only the Docker SDK is needed, never the `docker` command.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dagkit.errors import DagkitError
from dagkit.machine import this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

TIMEOUT = 60.0
"""Seconds that one answer of the engine may take; builds and logs have no limit."""

POD_USER = 1337
"""The user that the platform's pods run as; an image must work as any."""

LABEL_PIPELINE = "dagkit.pipeline"
"""The label with the dag_id, on every container that dagkit starts."""

UNANSWERED = 3.0
"""Seconds within which the engine makes a container whose creation was interrupted before it answered."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def docker_client() -> docker.DockerClient:
    """A client of this machine's Docker engine: that of DOCKER_HOST, or else of the current Docker context.

    Raises:
        DagkitError: One sentence each for: the Docker SDK is missing, Docker is not installed, not running,
            may not be used by this user, is on another machine, or DOCKER_HOST or DOCKER_CONTEXT is wrong.
    """
    try:
        import docker
        from docker.context import ContextAPI
    except ImportError as error:
        raise DagkitError(
            "The Docker SDK for Python is not installed",
            where=sys.executable,
            fix="pip install 'dagkit[local]'",
        ) from error

    host = os.environ.get("DOCKER_HOST", "")
    origin = f"DOCKER_HOST={host}"
    if not host:
        name = os.environ.get("DOCKER_CONTEXT") or None
        try:
            context = ContextAPI.get_context(name)
        except Exception as error:
            raise DagkitError(
                f"The Docker context cannot be read: {error}", fix="docker context use default"
            ) from error
        if context is None:
            raise DagkitError(
                f"There is no Docker context '{name or 'of the name that is set as current'}'",
                where="DOCKER_CONTEXT" if name else "~/.docker/config.json, currentContext",
                fix="unset DOCKER_CONTEXT" if name else "docker context use default",
            )
        host = context.Host or "unix:///var/run/docker.sock"
        origin = f"Docker context '{context.Name}' ({host})"
    _check_local(host, origin)
    try:
        client = docker.from_env(timeout=int(TIMEOUT))
        client.ping()
    except (docker.errors.DockerException, OSError, ValueError) as error:
        raise _unreachable(origin, error) from error
    return client


def remove(client: docker.DockerClient, name: str) -> None:
    """Remove a container by its name, running or not; one that is not there is no error.

    Called in a `finally`: where an interrupt is on its way, the engine may still be making the container,
    and has not answered yet. So it is waited for, a little.

    Args:
        client: A client of the engine that has it.
        name: The container's, chosen before it was made.
    """
    from docker.errors import NotFound

    until = time.monotonic() + (UNANSWERED if isinstance(sys.exception(), KeyboardInterrupt) else 0)
    while True:
        try:
            client.api.remove_container(name, force=True)
        except NotFound:
            if time.monotonic() < until:
                time.sleep(0.1)
                continue
        return


def engine_available() -> bool:
    """Whether this machine's Docker engine answers."""
    try:
        docker_client().close()
    except DagkitError:
        return False
    return True


def confinement(user: int) -> dict[str, Any]:
    """How the platform confines a pod, as options of the Docker SDK's ``containers.run``.

    Pod Security Standard "restricted": any user but root, no capabilities, no new privileges. A step further
    than it: only /tmp can be written to.
    """
    return {
        "user": str(user),
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,exec,mode=1777"},  # noqa: S108
    }


def docker_installed() -> bool:
    """Whether Docker is on this machine, running or not."""
    if any(shutil.which(command) for command in ("docker", "dockerd", "colima")):
        return True
    return sys.platform == "darwin" and Path("/Applications/Docker.app").exists()


def _check_local(host: str, origin: str) -> None:
    """An engine on another machine could not reach the local AWS that a run starts here."""
    parts = urlsplit(host)
    fix = "unset DOCKER_HOST" if origin.startswith("DOCKER_HOST") else "docker context use default"
    if parts.scheme not in ("unix", "npipe", "tcp", "http", "https", "ssh", "http+unix"):
        raise DagkitError(
            "The address of the Docker engine is not one: it starts with unix:// or tcp://",
            where=origin,
            fix=fix,
        )
    if parts.scheme == "ssh" or (parts.scheme in ("tcp", "http", "https") and parts.hostname not in LOOPBACK):
        raise DagkitError(
            "The Docker engine is on another machine; pipelines run on this one's", where=origin, fix=fix
        )


def _unreachable(origin: str, error: Exception) -> DagkitError:
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return DagkitError(
            "Docker is running, but you may not use it",
            where=origin,
            fix="sudo usermod -aG docker $USER, then log out and in again",
        )
    gone = any(isinstance(cause, (FileNotFoundError, ConnectionRefusedError)) for cause in causes)
    if os.environ.get("DOCKER_HOST") and gone:
        return DagkitError(
            "No Docker engine answers where DOCKER_HOST says", where=origin, fix="unset DOCKER_HOST"
        )
    if gone and not docker_installed():
        return DagkitError("Docker is not installed", where=origin, fix=this_machine().install("docker"))
    if gone:
        return DagkitError(
            "Docker is installed but not running", where=origin, fix=this_machine().start_docker
        )
    return DagkitError(
        f"The Docker engine does not answer: {error}", where=origin, fix=this_machine().start_docker
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors an error was made of: docker and requests keep the operating system's in ``args``."""
    yield error
    for inner in (error.__cause__, error.__context__, *error.args):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
