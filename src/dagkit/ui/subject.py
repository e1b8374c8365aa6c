"""Whose DAGs are shown: those of an image repository, or all of one environment of a DAG repository."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dagkit import dagfile, names
from dagkit.dagrepo import SETTINGS_FILE, DagRepository
from dagkit.errors import DagkitError, UsageError
from dagkit.local import platform_imports
from dagkit.pipeline import ANSWERS_FILE, Fixture, Pipeline, RoleFile


@dataclass(frozen=True)
class DagFile:
    """A DAG file of the repository, and the folder that it is in on the platform."""

    path: Path
    project: str

    @property
    def dag_id(self) -> str:
        """What its DAG must be called."""
        return names.dag_id(self.project, self.path.stem)

    @property
    def place(self) -> Path:
        """Where Airflow finds it, below its folder of DAGs."""
        return Path(self.project) / self.path.name


class Subject(Protocol):
    """Whose DAGs are shown.

    Attributes:
        root: The repository's folder.
        title: What it is called: a dag_id, or the folder's name.
        environment: ``dev`` or ``prod``.
        account: The AWS account of data and roles.
        region: Its AWS region.
        has_image: Whether the image is made of this repository.
    """

    root: Path
    title: str
    environment: str
    account: str
    region: str
    has_image: bool

    def dags(self) -> tuple[DagFile, ...]:
        """The DAG files that there are now."""

    def text(self, dag: DagFile) -> str:
        """A DAG's source as Airflow is to load it."""

    def role_files(self) -> tuple[Path, ...]:
        """The files of the roles that there are now."""

    def roles(self) -> tuple[RoleFile, ...]:
        """The roles, read afresh; what cannot be read is left out, or an error."""

    def fixtures(self) -> Iterable[Fixture]:
        """What lies in S3 at the start."""

    def imports(self) -> tuple[Path, ...]:
        """The files that DAGs import, and that may change."""

    def write_imports(self, folder: Path) -> None:
        """Put the package `imports` into a folder."""


class PipelineSubject:
    """An image repository: its DAGs, with the settings of an environment."""

    def __init__(self, pipeline: Pipeline, environment: str) -> None:
        self.pipeline = pipeline
        self.root = pipeline.root
        self.title = names.dag_id(pipeline.project, pipeline.name)
        self.environment = environment
        self.account = pipeline.platform.data_account
        self.region = pipeline.platform.ecr_region
        self.has_image = pipeline.has_image

    def dags(self) -> tuple[DagFile, ...]:
        """Every DAG of the repository."""
        return tuple(DagFile(path, self.pipeline.project) for path in self.pipeline.dags)

    def text(self, dag: DagFile) -> str:
        """Its source with ENVIRONMENT set; as it is where it is no Python, so that Airflow says so."""
        source = dag.path.read_text(encoding="utf-8", errors="replace")
        try:
            return dagfile.with_settings(source, dag.path, {dagfile.ENVIRONMENT: self.environment})
        except DagkitError:
            return source

    def role_files(self) -> tuple[Path, ...]:
        """The YAML files of the environment."""
        return tuple(sorted((self.root / "airflow" / "roles" / self.environment).glob("*.yaml")))

    def roles(self) -> tuple[RoleFile, ...]:
        """Every role of the environment, the pipeline's own first."""
        return self.pipeline.roles(self.environment)

    def fixtures(self) -> Iterable[Fixture]:
        """Those of the repository."""
        return self.pipeline.fixtures()

    def imports(self) -> tuple[Path, ...]:
        """None: they are the platform's own."""
        return ()

    def write_imports(self, folder: Path) -> None:
        """The platform's modules."""
        platform_imports.write(self.pipeline.platform, folder)


class RepositorySubject:
    """A DAG repository: every DAG of one environment, each with its role."""

    def __init__(self, repository: DagRepository, environment: str) -> None:
        self.repository = repository
        self.root = repository.root
        self.title = repository.root.name
        self.environment = environment
        self.account = repository.settings.environments[environment].account
        self.region = repository.settings.environments[environment].region
        self.has_image = False

    def dags(self) -> tuple[DagFile, ...]:
        """Every DAG of the environment."""
        return tuple(DagFile(each.path, each.project) for each in self.repository.dags(self.environment))

    def text(self, dag: DagFile) -> str:
        """Its source as it is."""
        return dag.path.read_text(encoding="utf-8", errors="replace")

    def role_files(self) -> tuple[Path, ...]:
        """The YAML files of the environment."""
        return tuple(sorted(self.repository.roles_folder(self.environment).glob("*.yaml")))

    def roles(self) -> tuple[RoleFile, ...]:
        """Every role of the environment that can be read."""
        return self.repository.roles(self.environment)

    def fixtures(self) -> Iterable[Fixture]:
        """None."""
        return ()

    def imports(self) -> tuple[Path, ...]:
        """The modules of the repository."""
        return tuple(sorted(self.repository.imports_folder.rglob("*.py")))

    def write_imports(self, folder: Path) -> None:
        """The repository's own modules."""
        target = folder / platform_imports.PACKAGE
        shutil.rmtree(target, ignore_errors=True)
        if self.repository.imports_folder.is_dir():
            shutil.copytree(
                self.repository.imports_folder, target, ignore=shutil.ignore_patterns("__pycache__")
            )


def find(path: Path, environment: str) -> Subject:
    """The repository that ``path`` is, or lies in, with one of its environments.

    Raises:
        UsageError: It is neither an image repository nor a DAG repository, or has no such environment.
        DagkitError: The pipeline's role or a fixture is wrong.
    """
    start = path.resolve()
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return _of_repository(DagRepository.load(folder), environment)
        if (folder / ANSWERS_FILE).is_file():
            return _of_pipeline(Pipeline.load(folder), environment)
    raise UsageError(
        f"{start} is neither in an image repository nor in a DAG repository:"
        f" no {ANSWERS_FILE} and no {SETTINGS_FILE} in it or above it",
        fix="Go to the folder of your pipeline, or make one with: dagkit new my-pipeline",
    )


def _of_pipeline(pipeline: Pipeline, environment: str) -> Subject:
    role = pipeline.role(environment)
    role.policy()
    pipeline.check_fixtures(role)
    if not pipeline.dags:
        pipeline.dag()  # says what is missing
    return PipelineSubject(pipeline, environment)


def _of_repository(repository: DagRepository, environment: str) -> Subject:
    if environment not in repository.environments:
        hint = names.closest(environment, repository.environments)
        raise UsageError(
            f"There is no environment '{environment}'{hint}",
            where=str(repository.root / SETTINGS_FILE),
            fix=f"Environments: {', '.join(repository.environments)}",
        )
    return RepositorySubject(repository, environment)
