"""The DAGs of one environment: from the repository to a plan. Pure; `bucket.py` carries it out."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from dagkit.dagrepo import DagRepository
from dagkit.deploy.manifest import Entry, Manifest
from dagkit.deploy.steps import Action

IMPORTS = "imports"


@dataclass(frozen=True)
class DeployedFile:
    """A file that Airflow reads.

    Attributes:
        key: Where it goes in the bucket.
        path: Where it is in the repository, relative to its root.
        body: Its content.
        wave: Files of a lower wave have to be there first: imports by what they import, then DAGs.
    """

    key: str
    path: str
    body: bytes
    wave: int

    @property
    def sha256(self) -> str:
        """Checksum of the content."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def md5(self) -> str:
        """The content's ETag in a bucket without KMS."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class DagStep:
    """One key's part of the plan.

    Attributes:
        action: What happens.
        name: The key.
        file: The file; None for a key that no file asks for.
        etag: What S3 says of the object that is there; empty where there is none.
        problem: Why it is refused.
    """

    action: Action
    name: str
    file: DeployedFile | None = None
    etag: str = ""
    problem: str | None = None

    @property
    def detail(self) -> str:
        """Where it comes from."""
        return self.file.path if self.file else ""


@dataclass(frozen=True)
class DagPlan:
    """What has to happen for a bucket to hold what the repository says.

    Attributes:
        steps: One for each key, sorted by key.
        commit: The commit that will be live.
        before: The bucket's manifest as it is.
    """

    steps: tuple[DagStep, ...]
    commit: str
    before: Manifest

    def of(self, *actions: Action) -> tuple[DagStep, ...]:
        """The steps with one of these actions."""
        return tuple(step for step in self.steps if step.action in actions)

    @property
    def waves(self) -> tuple[tuple[DagStep, ...], ...]:
        """What to upload, in order: no file comes before one that it imports."""
        uploads = self.of(Action.CREATE, Action.UPDATE)
        numbers = sorted({step.file.wave for step in uploads if step.file})
        return tuple(tuple(s for s in uploads if s.file and s.file.wave == number) for number in numbers)

    @property
    def removals(self) -> tuple[tuple[DagStep, ...], ...]:
        """What to delete, in order: DAGs before the imports they may use."""
        deletes = self.of(Action.DELETE)
        dags = tuple(step for step in deletes if not _is_import(step.name))
        imports = tuple(step for step in deletes if _is_import(step.name))
        return tuple(group for group in (dags, imports) if group)

    @property
    def claim(self) -> Manifest:
        """The manifest to write before the first change."""
        claimed = {
            s.name: Entry() for s in self.of(Action.CREATE, Action.UPDATE) if s.name not in self.before.files
        }
        return self.before.model_copy(
            update={"deploying": self.commit, "files": {**self.before.files, **claimed}}
        )

    def done(self, etags: Mapping[str, str]) -> Manifest:
        """The manifest to write after the last change.

        Args:
            etags: What S3 answered for each key that was put.
        """
        files: dict[str, Entry] = {}
        for step in self.steps:
            if step.file and step.action is not Action.REFUSED:
                files[step.name] = Entry(sha256=step.file.sha256, etag=etags.get(step.name, step.etag))
            elif step.action is Action.KEPT:
                files[step.name] = self.before.files[step.name]
        return self.before.model_copy(update={"commit": self.commit, "deploying": "", "files": files})


def _is_import(key: str) -> bool:
    return key.rpartition("/")[0].endswith(f"dags/{IMPORTS}")


def files(repository: DagRepository, environment: str) -> tuple[DeployedFile, ...]:
    """Every file that Airflow reads in an environment, imports first, each after what it imports."""
    prefix = repository.settings.environments[environment].dags_prefix
    found: list[DeployedFile] = []
    waves = _waves(repository.imports)
    for wave, paths in enumerate(waves):
        found += [_file(repository.root, path, f"{prefix}dags/{IMPORTS}/{path.name}", wave) for path in paths]
    for dag in repository.dags(environment):
        key = f"{prefix}dags/{dag.project}/{dag.path.name}"
        found.append(_file(repository.root, dag.path, key, len(waves)))
    return tuple(found)


def _file(root: Path, path: Path, key: str, wave: int) -> DeployedFile:
    return DeployedFile(key, path.relative_to(root).as_posix(), path.read_bytes(), wave)


def _waves(modules: Sequence[Path]) -> list[list[Path]]:
    by_name = {path.stem: path for path in modules}
    graph = {path.stem: _imported(path) & by_name.keys() - {path.stem} for path in modules}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError:
        # modules that import each other have no right order
        return [list(modules)]
    waves: list[list[Path]] = []
    while ready := sorter.get_ready():
        waves.append(sorted(by_name[name] for name in ready))
        sorter.done(*ready)
    return waves


def _imported(path: Path) -> set[str]:
    """The modules of `imports/` that a module of it imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = {"__init__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith(f"{IMPORTS}.")
            }
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if node.level == 0:
                if parts[0] != IMPORTS:
                    continue
                parts = parts[1:]
            found |= {parts[0]} if parts and parts[0] else {alias.name for alias in node.names}
    return found


def plan(
    wanted: Iterable[DeployedFile],
    listed: Mapping[str, str],
    manifest: Manifest,
    commit: str,
    *,
    prune: bool,
    adopt: bool,
) -> DagPlan:
    """Compare what the repository says with what the bucket holds.

    Args:
        wanted: From `files`.
        listed: ETag of every key under `<prefix>dags/`.
        manifest: The bucket's manifest.
        commit: The commit of the files.
        prune: Delete keys of ours that no file asks for.
        adopt: Take over keys that somebody else put there, where a file asks for them.
    """
    by_key = {file.key: file for file in wanted}
    steps = [_step(file, listed.get(file.key), manifest, adopt=adopt) for file in by_key.values()]
    # a key of ours that is in neither place was claimed and never written, or is gone already
    leftover = (key for key in manifest.files if key not in by_key and key in listed)
    steps += [DagStep(Action.DELETE if prune else Action.KEPT, key, etag=listed[key]) for key in leftover]
    return DagPlan(tuple(sorted(steps, key=lambda step: step.name)), commit, manifest)


def _step(file: DeployedFile, etag: str | None, manifest: Manifest, *, adopt: bool) -> DagStep:
    entry = manifest.files.get(file.key)
    if etag is None:
        return DagStep(Action.CREATE, file.key, file)
    if entry is None and not adopt:
        problem = (
            "somebody else put an object there, so it is left alone."
            " Delete it, or take over all such keys with --adopt"
        )
        return DagStep(Action.REFUSED, file.key, file, etag, problem)
    known = entry is not None and (entry.sha256, entry.etag) == (file.sha256, etag)
    return DagStep(Action.UNCHANGED if known or etag == file.md5 else Action.UPDATE, file.key, file, etag)
