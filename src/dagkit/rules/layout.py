"""DK1: where files are, and what they are called, in the DAG repository."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from dagkit import names
from dagkit.dagrepo import PLATFORM_MODULES, README, DagRepository
from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rename, Rule
from dagkit.rules.facts import DagFile, PythonModule
from dagkit.rules.subject import Subject, owner

PACKAGE = "__init__.py"
IGNORED = (README, "__pycache__", ".gitkeep", ".DS_Store", ".ipynb_checkpoints")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, without what may lie anywhere."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if entry.name not in IGNORED), key=lambda entry: entry.name)


def _place(repository: DagRepository, entry: os.DirEntry[str]) -> Place:
    return Place(Path(entry.path).relative_to(repository.root).as_posix())


class UnknownFile(Rule):
    """Nothing lies in `environments/` and `imports/` but what belongs there."""

    code = "DK101"
    name = "unknown-file"
    why = "What lies anywhere else is not deployed, and nobody notices until it is missing."
    bad = examples.files({"environments/dev/dags/example/sql/query.sql": "select 1\n"})
    good = examples.files({"imports/example_queries.py": 'QUERY = "select 1"\n'})

    def check(self, layout: DagRepository) -> Iterator[Finding]:
        """Each folder holds what it is for, and nothing else."""
        for entry in _entries(layout.root / "environments"):
            if entry.name not in layout.environments:
                yield self._unknown(
                    layout, entry, f"the environments of dagkit.toml are {', '.join(layout.environments)}"
                )
                continue
            for part in _entries(Path(entry.path)):
                if part.name not in ("dags", "roles"):
                    yield self._unknown(layout, part, "an environment holds dags/ and roles/")
            for project in _entries(layout.dags_folder(entry.name)):
                if project.is_dir():
                    for file in _entries(Path(project.path)):
                        known = file.name.endswith((".py", ".yml", ".yaml"))
                        if file.is_dir() or not known or file.name == PACKAGE:
                            yield self._unknown(layout, file, f"a project holds DAG files and a {README}")
                else:
                    yield self._unknown(
                        layout, project, "DAG files lie in a folder, which is their project's"
                    )
            for role in _entries(layout.roles_folder(entry.name)):
                if role.is_dir():
                    yield self._unknown(layout, role, "roles/ holds one YAML file a role, and no folders")
        for module in _entries(layout.imports_folder):
            if module.is_dir():
                yield self._unknown(layout, module, "imports/ holds modules, and no folders")

    def _unknown(self, layout: DagRepository, entry: os.DirEntry[str], because: str) -> Finding:
        kind = "folder" if entry.is_dir() else "file"
        return self.finding(
            _place(layout, entry), f"Unknown {kind}: {because}", f"Move or remove the {kind} '{entry.name}'."
        )


class WrongExtension(Rule):
    """A DAG is a `.py` file, a role a `.yaml` file, a module a `.py` file."""

    code = "DK102"
    name = "wrong-extension"
    why = "A file with another extension is not found, so the DAG or role it holds never exists."
    bad = examples.files({examples.ROLE_PATH: None, examples.ROLE_PATH[:-5] + ".yml": examples.ROLE})
    good = examples.files({examples.ROLE_PATH: examples.ROLE})

    def check(self, layout: DagRepository) -> Iterator[Finding]:
        """By the folder that a file lies in."""
        for environment in layout.environments:
            for entry in _entries(layout.roles_folder(environment)):
                if entry.is_file() and not entry.name.endswith(".yaml"):
                    yield self._wrong(layout, entry, "A role", ".yaml", (".yml", ".YAML", ".YML"))
            for project in _entries(layout.dags_folder(environment)):
                for entry in _entries(Path(project.path)) if project.is_dir() else []:
                    if entry.is_file() and entry.name.endswith((".yml", ".yaml")):
                        yield self._wrong(layout, entry, "A DAG", ".py", ())
        for entry in _entries(layout.imports_folder):
            if entry.is_file() and not entry.name.endswith(".py"):
                yield self._wrong(layout, entry, "A module", ".py", ())

    def _wrong(
        self, layout: DagRepository, entry: os.DirEntry[str], what: str, right: str, near: tuple[str, ...]
    ) -> Finding:
        place = _place(layout, entry)
        message = f"{what} is a file that ends in {right}, and this is '{entry.name}'"
        new = str(PurePosixPath(place.path).with_suffix(right))
        if entry.name.endswith(near) and not (layout.root / new).exists():
            return self.finding(place, message, f"Rename it to '{Path(new).name}'.", Rename(place.path, new))
        return self.finding(place, message, "Rename, move or remove it.")


class NoReadme(Rule):
    """Each project's folder has a README.md."""

    code = "DK103"
    name = "project-without-readme"
    why = "When a DAG fails at night, this is where people look up whose it is and what it is for."
    bad = examples.files({"environments/dev/dags/example/README.md": None})
    good = examples.files({"environments/dev/dags/example/README.md": "# example\n"})

    def check(self, layout: DagRepository) -> Iterator[Finding]:
        """A README of any content will do, but an empty one."""
        for environment in layout.environments:
            for project in _entries(layout.dags_folder(environment)):
                if not project.is_dir() or not any(
                    e.name.endswith(".py") for e in _entries(Path(project.path))
                ):
                    continue
                readme = Path(project.path) / README
                if not readme.is_file() or not readme.read_bytes().strip():
                    said = "is empty" if readme.is_file() else "is missing"
                    yield self.finding(
                        _place(layout, project),
                        f"The project's {README} {said}",
                        f"Write {README}: what the project is for, and whom to ask about it.",
                    )


class UnusableName(Rule):
    """Projects and DAG files have names of lower-case letters, digits and single underscores."""

    code = "DK104"
    name = "unusable-name"
    why = "The names become the dag_id, part of the role's name, and Python modules, which take nothing else."
    bad = examples.files(
        {
            examples.DAG_PATH: None,
            "environments/dev/dags/example/daily-report.py": examples.DAG.replace(
                "example.daily", "example.daily-report"
            ),
        }
    )
    good = examples.files(
        {
            examples.DAG_PATH: None,
            "environments/dev/dags/example/daily_report.py": examples.DAG.replace(
                "example.daily", "example.daily_report"
            ),
        }
    )

    def check(self, layout: DagRepository) -> Iterator[Finding]:
        """Of each project and each DAG file."""
        for environment in layout.environments:
            for project in _entries(layout.dags_folder(environment)):
                if not project.is_dir():
                    continue
                if not names.matches(names.PROJECT, project.name):
                    yield self._unusable(layout, project, "project", project.name)
                for entry in _entries(Path(project.path)):
                    stem, dot, _ = entry.name.rpartition(".py")
                    usable = names.matches(names.PIPELINE, stem) or entry.name == PACKAGE
                    if entry.is_file() and dot and not usable:
                        yield self._unusable(layout, entry, "DAG file", stem)

    def _unusable(self, layout: DagRepository, entry: os.DirEntry[str], what: str, name: str) -> Finding:
        return self.finding(
            _place(layout, entry),
            f"'{name}' cannot be the name of a {what}",
            "Use lower-case letters, digits and single underscores, and begin with a letter: daily_report.",
        )


class ModuleName(Rule):
    """A module of `imports/` starts with the name of a DAG folder."""

    code = "DK105"
    name = "module-without-project"
    why = "The name says whose module it is: all projects share the one folder."
    bad = examples.files({"imports/helpers.py": "LIMIT = 10\n"})
    good = examples.files({"imports/example_helpers.py": "LIMIT = 10\n"})

    def check(self, layout: DagRepository, subject: Subject) -> Iterator[Finding]:
        """Of each module but the platform's own."""
        projects = subject.projects
        for path in layout.imports:
            if path.stem not in PLATFORM_MODULES and not owner(path.stem, projects):
                yield self.finding(
                    Place(path.relative_to(layout.root).as_posix()),
                    f"'{path.stem}' starts with no project's name{names.closest(path.stem, projects)}",
                    f"Rename it to <project>_{path.stem}.py, and what imports it.",
                )


class OtherProjectsModule(Rule):
    """A DAG imports its own project's modules, and the platform's."""

    code = "DK106"
    name = "import-of-another-project"
    why = "The other project may change its module at any time without knowing that your DAG depends on it."
    bad = examples.above_dag(
        "from imports.other_helpers import LIMIT",
        {
            "imports/other_helpers.py": "LIMIT = 10\n",
            "environments/dev/dags/other/README.md": "# other\n",
            "environments/dev/dags/other/weekly.py": examples.DAG.replace("example.daily", "other.weekly"),
        },
    )
    good = examples.above_dag(
        "from imports.example_helpers import LIMIT", {"imports/example_helpers.py": "LIMIT = 10\n"}
    )

    def check(self, python: PythonModule, modules: Mapping[str, PythonModule]) -> Iterator[Finding]:
        """Of each DAG file and each module."""
        for each in python.imports:
            for stem in _of_imports(each.module, each.names):
                module = modules.get(f"imports/{stem}.py")
                if module is not None and python.project and module.project not in ("", python.project):
                    own = f"{python.project}{stem.removeprefix(module.project)}"
                    yield self.finding(
                        each.place,
                        f"'imports.{stem}' belongs to the project '{module.project}'",
                        f"Copy what you need into imports/{own}.py.",
                    )


def _of_imports(module: str, taken: tuple[str, ...]) -> Iterator[str]:
    """The modules of ``imports/`` that an import statement names."""
    parts = module.split(".")
    if parts[0] == "imports":
        yield from parts[1:2] or taken
    elif module.startswith("."):
        yield from [module.strip(".")] if module.strip(".") else taken


class SeveralDags(Rule):
    """One file makes one DAG."""

    code = "DK107"
    name = "several-dags"
    why = "The dag_id is the file's place, so a second DAG in a file can have no correct one."
    bad = examples.in_tasks(
        'with DAG(dag_id="example.weekly", catchup=False) as weekly:\n    pass'.replace("\n", "\n")
    )
    good = examples.whole(examples.DAG)

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """As many as Airflow finds; where it was not asked, as many as the file shows."""
        seen = len({dag.dag_id for dag in dag_file.dags if dag.facts}) or len(dag_file.dags)
        if seen > 1:
            lines = sorted({dag.place() for dag in dag_file.dags})
            yield self.finding(
                lines[1] if len(lines) > 1 else lines[0],
                f"The file makes {seen} DAGs",
                "Give each DAG a file of its own; what they share goes to imports/.",
            )


class NoDag(Rule):
    """A file in a project's folder makes a DAG."""

    code = "DK108"
    name = "no-dag"
    why = "Airflow reads the file again and again, and nothing ever runs; what DAGs share is in imports/."
    needs = "dag"
    bad = examples.files({"environments/dev/dags/example/helpers.py": "LIMIT = 10\n"})
    good = examples.files({"imports/example_helpers.py": "LIMIT = 10\n"})

    def check(self, dag_file: DagFile) -> Iterator[Finding]:
        """As Airflow finds."""
        loaded = dag_file.loaded
        if dag_file.path.endswith(f"/{PACKAGE}"):
            return
        if loaded is not None and not loaded.dags and loaded.error is None:
            called = any(isinstance(node, ast.FunctionDef) for node in dag_file.source.tree.body)
            hint = " A function under @dag has to be called." if called and dag_file.dags else ""
            yield self.finding(
                Place(dag_file.path),
                f"The file makes no DAG.{hint}".rstrip("."),
                f"Move it to imports/{dag_file.project}_{dag_file.stem}.py, or make the DAG in it.",
            )
