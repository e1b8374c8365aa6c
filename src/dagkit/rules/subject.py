"""What is validated: a DAG repository, or the `airflow/` folder of an image repository."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dagkit import names
from dagkit.dagfile import with_settings
from dagkit.dagrepo import PLATFORM_MODULES, SETTINGS_FILE, DagRepository, Registry, RuleSettings
from dagkit.errors import UsageError
from dagkit.pipeline import ANSWERS_FILE, Pipeline
from dagkit.rules.facts import DagFile, PythonModule, Role
from dagkit.rules.reading import read_dag_file, read_module
from dagkit.rules.source import PythonSource, YamlSource


@dataclass(frozen=True)
class Subject:
    """What is validated, each file read once, when it is first asked for.

    Attributes:
        root: The repository's folder.
        environments: The environments there are.
        registry: Where images come from.
        rules: What may be chosen about the rules.
        layout: The DAG repository; None for an image repository, which has a layout of its own.
        pipeline: The image repository; None for a DAG repository.
    """

    root: Path
    environments: tuple[str, ...]
    registry: Registry
    rules: RuleSettings
    layout: DagRepository | None = None
    pipeline: Pipeline | None = None

    @cached_property
    def dag_files(self) -> Mapping[str, DagFile]:
        """Every DAG file by its path, as it says itself."""
        return {file.path: file for file in self._dag_files()}

    def _dag_files(self) -> Iterator[DagFile]:
        if self.layout is not None:
            for environment in self.environments:
                for dag in self.layout.dags(environment):
                    source = PythonSource.read(self.root, dag.path)
                    yield read_dag_file(source, environment, dag.project, dag.stem, self.registry.host)
        elif self.pipeline is not None:
            for path in self.pipeline.dags:
                source = PythonSource.read(self.root, path)
                yield self._submitted(self.pipeline, source, path)

    def other_environments(self) -> Iterator[DagFile]:
        """The DAG files of an image repository as `dagkit submit` sends them to the other environments."""
        if self.pipeline is None:
            return
        for path in self.pipeline.dags:
            source = PythonSource.read(self.root, path)
            for environment in self.environments if source.problem is None else ():
                if environment != self.dag_files[source.path].environment:
                    text = with_settings(source.text, path, {"ENVIRONMENT": environment})
                    changed = PythonSource.parse(source.path, text.encode())
                    yield self._submitted(self.pipeline, changed, path)

    def _submitted(self, pipeline: Pipeline, source: PythonSource, path: Path) -> DagFile:
        """A DAG file of an image repository: its environment is the one that it says."""
        file = read_dag_file(source, self.environments[0], pipeline.project, path.stem, self.registry.host)
        said = file.scope.value(file.scope.assigned.get("ENVIRONMENT"))
        if said in self.environments and said != file.environment:
            return read_dag_file(source, said, pipeline.project, path.stem, self.registry.host)
        return file

    @cached_property
    def projects(self) -> frozenset[str]:
        """The projects there are: the folders of the DAGs."""
        if self.pipeline is not None:
            return frozenset([self.pipeline.project])
        folders = (self.root / "environments").glob("*/dags/*/")
        return frozenset(folder.name for folder in folders if folder.is_dir())

    @cached_property
    def modules(self) -> Mapping[str, PythonModule]:
        """Every module of ``imports/`` that belongs to a project, by its path."""
        found = self.layout.imports if self.layout is not None else ()
        projects = self.projects
        modules = (
            read_module(PythonSource.read(self.root, path), owner(path.stem, projects))
            for path in found
            if path.stem not in PLATFORM_MODULES
        )
        return {module.path: module for module in modules}

    @contextmanager
    def search(self) -> Iterator[list[Path]]:
        """The folders that hold ``imports/``, for as long as they are needed."""
        if self.pipeline is None:
            yield [self.root]
            return
        # an image repository has none of its own: it gets what the DAG repository will have for it
        from dagkit.local import platform_imports

        with tempfile.TemporaryDirectory(prefix="dagkit-imports-") as folder:
            platform_imports.write(self.pipeline.platform, Path(folder))
            yield [Path(folder)]

    @cached_property
    def roles(self) -> Mapping[str, Mapping[str, Role]]:
        """Every role, by environment and name."""
        return {environment: dict(self._roles(environment)) for environment in self.environments}

    def _roles(self, environment: str) -> Iterator[tuple[str, Role]]:
        if self.layout is not None:
            for path in sorted(self.layout.roles_folder(environment).glob("*.y*ml")):
                yield path.stem, Role(YamlSource.read(self.root, path), environment, path.stem)
        elif self.pipeline is not None:
            for path in sorted((self.root / "airflow" / "roles" / environment).glob("*.yaml")):
                name = names.role(environment, self.pipeline.project, path.stem)
                yield name, Role(YamlSource.read(self.root, path), environment, name)


def owner(stem: str, projects: AbstractSet[str]) -> str:
    """The project that a module of ``imports/`` belongs to: the longest whose name it starts with."""
    fitting = [project for project in projects if stem == project or stem.startswith(f"{project}_")]
    return max(fitting, key=len, default="")


def find(path: Path) -> Subject:
    """What ``path`` is, or lies in.

    Raises:
        UsageError: It does not exist, or is neither in a DAG repository nor in an image repository.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder '{path}'", fix="Name a file or folder that exists.")
    start = path.resolve()
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return of_dag_repository(DagRepository.load(folder))
        if (folder / ANSWERS_FILE).is_file():
            return of_pipeline(Pipeline.load(folder))
    raise UsageError(
        f"{start} is neither in a DAG repository (no {SETTINGS_FILE} in it or above it)"
        f" nor in an image repository (no {ANSWERS_FILE})",
        fix="Go to the folder of your pipeline, or to a clone of the DAG repository.",
    )


def find_all(paths: Sequence[Path]) -> Subject:
    """The one repository that all of these lie in.

    Raises:
        UsageError: One does not exist or is in none, or they lie in several.
    """
    found = {subject.root: subject for subject in map(find, paths)}
    if len(found) > 1:
        raise UsageError(
            "The paths lie in several repositories: " + ", ".join(str(root) for root in found),
            fix="Validate one repository at a time.",
        )
    return next(iter(found.values()))


def of_dag_repository(repository: DagRepository) -> Subject:
    """A DAG repository."""
    settings = repository.settings
    return Subject(
        repository.root, repository.environments, settings.registry, settings.rules, layout=repository
    )


def of_pipeline(pipeline: Pipeline) -> Subject:
    """An image repository."""
    registry = Registry(account=pipeline.platform.ecr_account, region=pipeline.platform.ecr_region)
    return Subject(pipeline.root, names.ENVIRONMENTS, registry, RuleSettings(), pipeline=pipeline)
