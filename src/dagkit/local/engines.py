"""Engines: run one pod and stream its log. Who runs a DAG does not know which one it has."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dagkit.errors import UsageError
from dagkit.local.pods import PodRun
from dagkit.names import closest

ENGINES = {
    "docker": "dagkit.local.docker_engine:DockerEngine",
    "process": "dagkit.local.process_engine:ProcessEngine",
}
"""Where each engine is, by name."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ground:
    """What an engine stands on: plain values, as it lives in the conductor and in Airflow's process.

    Attributes:
        run_id: Names the run; what an engine starts can be found by it.
        dag_id: The DAG, for labels.
        root: The image repository's folder.
        repository: The image's name in the registry.
        language: ``python`` or ``r``.
        registry: The registry's host name; its images of this repository are built here.
        scratch: A folder of this run's own, removed at its end.
        base_image: What the image is built on, instead of what its Dockerfile says; empty: as that says.
        has_image: Whether the image is made of this repository; otherwise pods run what the DAG names.
        context: The folder in the repository that the image is built from.
        dockerfile: The Dockerfile's path in the repository.
        target: The stage of it that is the image.
    """

    run_id: str
    dag_id: str
    root: str
    repository: str
    language: str
    registry: str
    scratch: str
    base_image: str = ""
    has_image: bool = True
    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str = "final"

    @property
    def folder(self) -> Path:
        """The image repository's folder."""
        return Path(self.root)

    @property
    def code(self) -> Path:
        """The folder that the image is built from."""
        return self.folder / self.context


@dataclass(frozen=True)
class Reach:
    """How pods reach local AWS.

    Attributes:
        host: The name under which they see this machine.
        bind: The addresses of this machine that local AWS has to listen on.
    """

    host: str
    bind: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a pod ended.

    Attributes:
        exit_code: As a container's: 0 is success, 128 + n is signal n.
        reason: Why, where the exit code alone does not say; None otherwise.
        result: What the task wrote to /airflow/xcom/return.json; None where nothing.
    """

    exit_code: int
    reason: str | None = None
    result: str | None = None


class Engine(Protocol):
    """Runs pods.

    Attributes:
        name: As `--engine` calls it.
    """

    name: str

    def reach(self) -> Reach:
        """How its pods reach local AWS."""

    def prepare(self, say: Say, build: bool) -> tuple[str, ...]:
        """Make what pods need: an image, an environment. Slow; called once, before any pod.

        Args:
            say: Told about progress.
            build: Whether what exists may be out of date, and is made again where it is.

        Returns:
            What is different here from the platform, a sentence each.

        Raises:
            DagkitError: It cannot be made.
        """

    def run(self, pod: PodRun, environment: Mapping[str, str], log: Say, note: Say) -> Outcome:
        """Run one pod to its end.

        Args:
            pod: The pod.
            environment: Its variables: its own, and those of its role. Nothing is added from this machine.
            log: Called with each line it writes.
            note: Called with each sentence about what is different here.

        Raises:
            DagkitError: It cannot be started.
        """

    def stop(self) -> None:
        """End every pod of the run, whichever process started it, and start no more."""


def open_engine(name: str, ground: Ground) -> Engine:
    """The engine called ``name``.

    Raises:
        UsageError: There is none.
    """
    check_name(name)
    module, _, factory = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), factory)(ground)
    return engine


def check_name(name: str) -> None:
    """See that there is an engine called ``name``.

    Raises:
        UsageError: There is none; the error lists all.
    """
    if name not in ENGINES:
        raise UsageError(
            f"There is no engine '{name}'{closest(name, ENGINES)}", fix=f"Engines: {', '.join(ENGINES)}"
        )
