"""A run before it starts: what was asked for, and every check that needs neither Airflow nor local AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dagkit import dagfile, names
from dagkit.errors import DagkitError, UsageError
from dagkit.local import airflow_home
from dagkit.local.engines import check_name
from dagkit.pipeline import Pipeline, RoleFile


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        path: The image repository, or a folder in it.
        environment: ``dev`` or ``prod``: whose role is used.
        engine: None: what this machine has.
        dag: The DAG's name, where there are several.
        task: The only task to run.
        params: DAG parameters, ``name=value``.
        date: The logical date, ISO 8601; None is now.
        build: Whether the image is built first.
        base_image: What it is built on; None: as its Dockerfile says.
        enforce: Whether the role is enforced; not where it is to be suggested.
        port: Of local AWS; 0 is any free one.
        verbose: Whether Airflow's own log is shown, too.
    """

    path: Path
    environment: str = "dev"
    engine: str | None = None
    dag: str | None = None
    task: str | None = None
    params: Sequence[str] = ()
    date: str | None = None
    build: bool = True
    base_image: str | None = None
    enforce: bool = True
    port: int = 0
    verbose: bool = False


@dataclass(frozen=True)
class Plan:
    """A run that passed every check that needs neither Airflow nor local AWS.

    Attributes:
        options: What was asked for.
        pipeline: The image repository.
        dag_file: The DAG's file.
        source: Its text, with the settings of the environment.
        role: The role of the environment.
        policy: The policy that iam-builder makes of it.
        params: DAG parameters as typed, by name.
        engine: The engine's name.
        engine_reason: Why it is this engine, where it is not the one wished for; else empty.
    """

    options: Options
    pipeline: Pipeline
    dag_file: Path
    source: str
    role: RoleFile
    policy: Mapping[str, Any]
    params: Mapping[str, str]
    engine: str
    engine_reason: str

    @property
    def dag_id(self) -> str:
        """What the DAG must be called."""
        return names.dag_id(self.pipeline.project, self.dag_file.stem)


def plan(options: Options) -> Plan:
    """Check what can be checked at once.

    Raises:
        DagkitError: The DAG, the role or a fixture is wrong, or Airflow is missing.
        UsageError: The call is.
    """
    if options.engine is not None:
        check_name(options.engine)
    params = _params(options.params)
    _date(options.date)
    pipeline = Pipeline.load(options.path)
    dag_file = pipeline.dag(options.dag)
    source = dagfile.with_settings(
        dagfile.read(dag_file), dag_file, {dagfile.ENVIRONMENT: options.environment}
    )
    role = pipeline.role(options.environment)
    policy = role.policy()
    pipeline.check_fixtures(role)
    airflow_home.airflow_version()
    engine, reason = choose_engine(options.engine, has_image=pipeline.has_image)
    return Plan(options, pipeline, dag_file, source, role, policy, params, engine, reason)


def choose_engine(wanted: str | None, *, has_image: bool) -> tuple[str, str]:
    """The engine to use, and why it is not the one wished for; empty where it is.

    Args:
        wanted: None: what this machine has.
        has_image: Whether the image is made here; otherwise there is no code that could run without Docker.

    Raises:
        DagkitError: There has to be Docker, and there is none.
    """
    return _engine(wanted) if has_image else _container_engine(wanted)


def _engine(wanted: str | None) -> tuple[str, str]:
    """The engine that is wanted; otherwise Docker where it answers; else the other one, and why."""
    from dagkit.containers import docker_client

    if wanted is not None:
        return wanted, ""
    try:
        docker_client().close()
    except DagkitError as error:
        fix = f" (what to do: {error.fix})" if error.fix else ""
        return "process", f"{error.what}{fix}: pods run as processes of this machine"
    return "docker", ""


def _container_engine(wanted: str | None) -> tuple[str, str]:
    """Docker: there is no code here that another engine could run."""
    from dagkit.containers import docker_client

    if wanted == "process":
        raise UsageError(
            "There is no code here to run as a process: the image is made elsewhere",
            fix="Start Docker, and leave out --engine process.",
        )
    try:
        docker_client().close()
    except DagkitError as error:
        raise DagkitError(
            f"The image is made elsewhere, so it runs only in Docker: {error.what}",
            where=error.where,
            fix=error.fix,
        ) from error
    return wanted or "docker", ""


def _params(words: Sequence[str]) -> dict[str, str]:
    params = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(
                f"--param takes NAME=VALUE, and got '{word}'", fix="Such as: --param region=london"
            )
        params[name] = value
    return params


def _date(text: str | None) -> None:
    try:
        datetime.fromisoformat(text or "2026-01-01")
    except ValueError:
        raise UsageError(
            f"--date takes a date, and got '{text}'",
            fix="Such as: --date 2026-01-31, or --date 2026-01-31T06:00",
        ) from None
