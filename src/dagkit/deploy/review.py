"""What a pull request changes, for the person who approves it: facts; `markdown.py` puts them in words."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from dagkit import names
from dagkit.dagrepo import DagRepository
from dagkit.deploy import permissions
from dagkit.deploy.approvals import Approvals, ask
from dagkit.deploy.dagviews import DagView, views
from dagkit.deploy.trees import Trees
from dagkit.errors import DagkitError, UsageError
from dagkit.pipeline import RoleFile, read_yaml
from dagkit.rules.facts import DagFile
from dagkit.rules.values import is_text


class Change(enum.StrEnum):
    """What happened to a file."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class DagChange:
    """A DAG file that was added, changed or removed."""

    environment: str
    path: str
    change: Change
    before: DagView | None
    after: DagView | None


@dataclass(frozen=True)
class RoleChange:
    """A role file that was added, changed or removed.

    Attributes:
        environment: Whose it is.
        name: The role.
        path: The file.
        change: What happened.
        rows: Effective permissions, before and after.
        used_by: dag_ids of the DAGs that run with it, after.
        others: What is also written by the roles of other teams, by the row's resource.
        problem: Why the permissions cannot be told.
    """

    environment: str
    name: str
    path: str
    change: Change
    rows: tuple[permissions.Row, ...]
    used_by: tuple[str, ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None

    @property
    def widens(self) -> bool:
        """Whether somebody may do what nobody could show they might before."""
        return any(row.widened for row in self.rows)


@dataclass(frozen=True)
class Review:
    """What a pull request changes.

    Attributes:
        base: Commit it starts from.
        head: Commit under review.
        dags: DAG files.
        roles: Role files; those that widen access first.
        files: Every changed file that is neither, to the DAGs (`dev: dag_id`) that import it directly.
        approvals: Whose approval GitHub will ask for.
    """

    base: str
    head: str
    dags: tuple[DagChange, ...]
    roles: tuple[RoleChange, ...]
    files: Mapping[str, tuple[str, ...]]
    approvals: Approvals

    @property
    def changed(self) -> bool:
        """Whether there is anything to review."""
        return bool(self.dags or self.roles or self.files)


def review(trees: Trees, environment: str | None, *, load: bool) -> Review:
    """Compare two states of a DAG repository.

    Args:
        trees: The two.
        environment: Only this one; all of them when None.
        load: Let Airflow load, in a process without secrets, those DAGs whose files alone do not say enough.

    Raises:
        UsageError: The head is not a DAG repository, or has no such environment.
    """
    after = trees.repository(trees.after)
    if after is None:
        raise UsageError("The head is not a DAG repository: it has no dagkit.toml")
    before = trees.repository(trees.before)
    if environment is not None and environment not in after.environments:
        raise UsageError(
            f"There is no environment '{environment}'{names.closest(environment, after.environments)}",
            fix=f"Environments: {', '.join(after.environments)}",
        )
    wanted = [path for path in trees.changed if environment in (None, _environment(path))]
    dag_paths = [path for path in wanted if _is_in(path, "dags", 5, ".py")]
    role_paths = [path for path in wanted if _is_in(path, "roles", 4, ".yaml")]
    rest = [path for path in wanted if path not in {*dag_paths, *role_paths}]
    old = views(before, dag_paths, load=load)
    new = views(after, dag_paths, load=load)
    dags = tuple(
        DagChange(_environment(path) or "", path, _change(path, old, new), old.get(path), new.get(path))
        for path in dag_paths
    )
    everything = (
        _Everything(after) if role_paths or any(path.startswith("imports/") for path in rest) else None
    )
    roles = [_role(trees, path, everything) for path in role_paths] if everything else []
    files = {path: everything.importing(path) if everything else () for path in rest}
    return Review(
        trees.base,
        trees.head,
        dags,
        tuple(sorted(roles, key=lambda role: not role.widens)),
        files,
        ask(trees.before, trees.changed),
    )


def _environment(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "environments" else None


def _is_in(path: str, folder: str, depth: int, suffix: str) -> bool:
    parts = PurePosixPath(path).parts
    return (
        _environment(path) is not None
        and parts[2] == folder
        and len(parts) == depth
        and path.endswith(suffix)
    )


def _change(path: str, old: Mapping[str, object], new: Mapping[str, object]) -> Change:
    if path not in new:
        return Change.REMOVED
    return Change.CHANGED if path in old else Change.ADDED


def _role(trees: Trees, path: str, everything: _Everything) -> RoleChange:
    environment = _environment(path) or ""
    name = PurePosixPath(path).stem
    here = {root: (root / path).is_file() for root in (trees.before, trees.after)}
    kind = _change(path, {path: 0} if here[trees.before] else {}, {path: 0} if here[trees.after] else {})
    change = RoleChange(environment, name, path, kind, (), everything.users(environment, name))
    try:
        before = _access(trees.before / path, environment) if here[trees.before] else permissions.Access()
    except DagkitError:
        # what was wrong before granted nothing that is known, so all there is now counts as new
        before = permissions.Access()
    try:
        after = _access(trees.after / path, environment) if here[trees.after] else permissions.Access()
    except DagkitError as error:
        return replace(change, problem=error.what)
    rows = permissions.compare(before, after)
    return replace(change, rows=rows, others=everything.others(environment, name, rows))


def _access(path: Path, environment: str) -> permissions.Access:
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise DagkitError("The role's file is empty or is not a set of keys", where=str(path))
    return permissions.access(RoleFile(path, environment, path.stem, config).policy())


class _Everything:
    """What the whole repository says about who uses what, read once and only when asked."""

    def __init__(self, repository: DagRepository) -> None:
        from dagkit.rules.subject import of_dag_repository

        self._subject = of_dag_repository(repository)
        self._users: dict[tuple[str, str], list[DagFile]] = {}
        for file in self._subject.dag_files.values():
            for role in {task.pod.role for task in file.tasks if task.pod and is_text(task.pod.role)}:
                self._users.setdefault((file.environment, role), []).append(file)

    def users(self, environment: str, role: str) -> tuple[str, ...]:
        """The dag_ids that run with a role, as far as the files alone say."""
        return tuple(sorted(file.dag_id for file in self._users.get((environment, role), [])))

    def importing(self, path: str) -> tuple[str, ...]:
        """The dag_ids that import a module of `imports/` directly."""
        if not path.startswith("imports/"):
            return ()
        module = f"imports.{PurePosixPath(path).stem}"
        return tuple(
            sorted(
                f"{file.environment}: {file.dag_id}"
                for file in self._subject.dag_files.values()
                if any(
                    module in (found.module, *(f"{found.module}.{name}" for name in found.names))
                    for found in file.imports
                )
            )
        )

    def others(
        self, environment: str, role: str, rows: Sequence[permissions.Row]
    ) -> dict[str, tuple[str, ...]]:
        """Roles of other teams that write to what a role may use, by the row's resource."""
        mine = self._projects(environment, role)
        found: dict[str, tuple[str, ...]] = {}
        objects = [
            row
            for row in rows
            if row.after and row.resource.startswith(permissions.S3) and "/" in row.resource
        ]
        for row in objects:
            theirs = [
                name
                for name, other in self._subject.roles.get(environment, {}).items()
                if name != role
                and any(
                    path.grant in ("write_only", "read_write")
                    and permissions.overlap(permissions.S3 + path.text, row.resource)
                    for path in other.paths
                )
                and not (mine & self._projects(environment, name))
            ]
            if theirs:
                found[row.resource] = tuple(sorted(theirs))
        return found

    def _projects(self, environment: str, role: str) -> set[str]:
        """The projects whose DAGs use a role; where none does, those whose name its own starts with."""
        used = {file.project for file in self._users.get((environment, role), [])}
        prefix = f"{names.ROLE_PREFIX}_{environment}_"
        projects = {file.project for file in self._subject.dag_files.values()}
        return used or {p for p in projects if f"{role}_".startswith(f"{prefix}{p}_")}


def as_data(found: Review) -> dict[str, Any]:
    """The review for programs."""
    return {
        "base": found.base,
        "head": found.head,
        "dags": [_plain(asdict(change)) for change in found.dags],
        "roles": [{**_plain(asdict(change)), "widens": change.widens} for change in found.roles],
        "files": _plain(dict(found.files)),
        "approvals": {
            "needed": [{"owners": who, "files": files} for who, files in found.approvals.needed.items()],
            "free": found.approvals.free,
            "problem": found.approvals.problem,
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
