"""What a change touches, and everything that depends on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dagkit.dagrepo import PLATFORM_MODULES, SETTINGS_FILE
from dagkit.errors import UsageError
from dagkit.rules.facts import DagFile, PythonModule
from dagkit.rules.reading import read_dag_file
from dagkit.rules.source import PythonSource
from dagkit.rules.subject import Subject
from dagkit.rules.values import UNKNOWN


@dataclass(frozen=True)
class Touched:
    """What to check.

    Attributes:
        paths: Files, from the repository's root; some may be gone.
    """

    paths: frozenset[str]

    def includes(self, *paths: str) -> bool:
        """Whether one of these files or folders is to be checked."""
        return any(path in self.paths or self._holds(path) for path in paths)

    def _holds(self, folder: str) -> bool:
        return any(path.startswith(f"{folder}/") for path in self.paths)


def within(subject: Subject, paths: Iterable[Path]) -> Touched | None:
    """What lies in files and folders; None where that is the whole repository."""
    wanted = [path.resolve() for path in paths]
    if subject.root in wanted:
        return None
    found: set[str] = set()
    for path in wanted:
        inside = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        found |= {each.relative_to(subject.root).as_posix() for each in inside}
        found.add(path.relative_to(subject.root).as_posix())
    return Touched(frozenset(found))


def since(subject: Subject, ref: str) -> Touched | None:
    """What has changed since a commit, committed or not, and what depends on it; None for everything.

    Raises:
        UsageError: The repository is not in git, or git does not know the commit.
    """
    base = _git(subject.root, "merge-base", "--end-of-options", ref, "HEAD", wrong=ref).strip()
    # Both names of a renamed file count, so renames are not looked for
    changed = _git(subject.root, "diff", "--name-only", "--no-renames", "--relative", "-z", base, "--", ".")
    new = _git(subject.root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    paths = {path for path in (changed + new).split("\0") if path}
    if SETTINGS_FILE in paths or subject.layout is None:
        return None
    if any(path == f"imports/{name}.py" for path in paths for name in PLATFORM_MODULES):
        return None
    return Touched(frozenset(_dependents(subject, paths, base)))


def _git(root: Path, *words: str, wrong: str | None = None) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed, so what has changed cannot be told") from None
    if done.returncode == 0:
        return done.stdout
    if wrong is None or "not a git repository" in done.stderr:
        raise UsageError(
            "What has changed cannot be told: git says " + (done.stderr.strip() or "nothing"), where=str(root)
        )
    raise UsageError(
        f"git knows no commit '{wrong}' that shares history with this one",
        where=str(root),
        fix="Fetch it first (git fetch origin), or name another branch or commit.",
    )


def _dependents(subject: Subject, changed: set[str], base: str) -> set[str]:
    touched = set(changed)
    modules = _importing(subject.modules, changed)
    touched |= {f"imports/{name}.py" for name in modules} & set(subject.modules)
    roles = {
        (parts[1], PurePosixPath(path).stem)
        for path in changed
        if len(parts := PurePosixPath(path).parts) == 4 and parts[0] == "environments" and parts[2] == "roles"
    }
    for file in subject.dag_files.values():
        if _imported(file) & modules or _names_one(file, roles):
            touched.add(file.path)
    for path in changed:
        # the roles that a DAG names, and those it named before: they may be without a DAG now
        versions = [subject.dag_files[path]] if path in subject.dag_files else []
        if before := _before(subject, path, base):
            versions.append(before)
        for version in versions:
            known = subject.roles.get(version.environment, {})
            touched |= {known[name].path for name in _roles(version) if name in known}
    return touched


def _importing(modules: Mapping[str, PythonModule], changed: set[str]) -> set[str]:
    """The changed modules of ``imports/``, and those that import one of them, however far away."""
    found = {
        path.removeprefix("imports/").removesuffix(".py") for path in changed if path.startswith("imports/")
    }
    while True:
        more = {
            PurePosixPath(path).stem
            for path, module in modules.items()
            if PurePosixPath(path).stem not in found and _imported(module) & found
        }
        if not more:
            return found
        found |= more


def _imported(file: PythonModule) -> set[str]:
    """The modules of ``imports/`` that a file imports."""
    found: set[str] = set()
    for each in file.imports:
        parts = each.module.lstrip(".").split(".")
        if parts[0] == "imports" and len(parts) > 1:
            found.add(parts[1])
        elif parts[0] == "imports" or each.module == ".":
            found |= set(each.names)
        elif each.module.startswith("."):
            found.add(parts[0])
    return found


def _roles(file: DagFile) -> set[str]:
    return {task.pod.role for task in file.tasks if task.pod and isinstance(task.pod.role, str)}


def _names_one(file: DagFile, roles: set[tuple[str, str]]) -> bool:
    """Whether a DAG names one of these roles; a DAG of which the file alone does not say may."""
    of_environment = {name for environment, name in roles if environment == file.environment}
    if not of_environment:
        return False
    unsure = any(task.pod and task.pod.role is UNKNOWN for task in file.tasks)
    return bool(_roles(file) & of_environment) or unsure or not file.tasks


def _before(subject: Subject, path: str, base: str) -> DagFile | None:
    """A DAG file as it was."""
    parts = PurePosixPath(path).parts
    if len(parts) != 5 or parts[0] != "environments" or parts[2] != "dags" or not path.endswith(".py"):
        return None
    done = subprocess.run(
        ["git", "-C", str(subject.root), "show", f"{base}:./{path}"], capture_output=True, check=False
    )
    if done.returncode != 0:
        return None
    source = PythonSource.parse(path, done.stdout)
    return read_dag_file(source, parts[1], parts[3], PurePosixPath(path).stem, subject.registry.host)
