"""What this machine's R has, and what renv.lock asks for: read and compared, nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagkit.errors import DagkitError

LOCK = "renv.lock"

# What R is asked: its version, renv's, the project's library, and the libraries R itself would use.
_ASK = """
renv <- requireNamespace("renv", quietly = TRUE)
cat(
  paste(R.version$major, R.version$minor, sep = "."),
  if (renv) format(utils::packageVersion("renv")) else "",
  if (renv) renv::paths$library(project = getwd()) else "",
  .libPaths(),
  sep = "\\n"
)
"""

# renv keeps under this prefix what a variable was before; <NA> where it was not set
_BEFORE_RENV = "RENV_DEFAULT_"

# How many packages a sentence names before it says "and n more"
_NAMED = 5


@dataclass(frozen=True)
class Lock:
    """What renv.lock says.

    Attributes:
        r: The version of R.
        packages: Version by package.
        repositories: Where packages come from.
    """

    r: str
    packages: Mapping[str, str]
    repositories: tuple[str, ...]


@dataclass(frozen=True)
class LocalR:
    """The R of this machine, as it is for one project.

    Attributes:
        program: Rscript.
        version: Such as ``4.5.1``.
        renv: renv's version; empty where it is not installed.
        project_library: The project's renv library; None without renv.
        libraries: The folders R looks in for packages, in order.
    """

    program: str
    version: str
    renv: str
    project_library: Path | None
    libraries: tuple[Path, ...]


@dataclass(frozen=True)
class Packages:
    """How this machine's packages compare with renv.lock.

    Attributes:
        library: The folder of each package that the code may use.
        missing: Locked, and not here: name and version, such as ``dplyr 1.1.4``.
        different: Here in another version: ``dplyr 1.1.3 (1.1.4 locked)``.
        unlocked: In the project's library, and not locked: not in the image either.
    """

    library: Mapping[str, Path]
    missing: tuple[str, ...]
    different: tuple[str, ...]
    unlocked: tuple[str, ...]


def read_lock(root: Path) -> Lock:
    """Read a repository's renv.lock.

    Raises:
        DagkitError: It is missing, or is not a lock file of renv.
    """
    path = root / LOCK
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Lock(
            r=str(content["R"]["Version"]),
            packages={name: str(entry["Version"]) for name, entry in content["Packages"].items()},
            repositories=tuple(entry["URL"] for entry in content["R"].get("Repositories", ())),
        )
    except FileNotFoundError as error:
        raise DagkitError(
            "renv.lock is missing: without Docker, packages are those that it names",
            where=str(path),
            fix="Put it back from git (git checkout -- renv.lock), or write it in R: renv::snapshot()",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DagkitError(
            f"renv.lock is not a lock file of renv: {type(error).__name__}: {error}",
            where=str(path),
            fix="Put it back from git (git checkout -- renv.lock), or write it again in R: renv::snapshot()",
        ) from error


def find_r(root: Path) -> LocalR:
    """Ask this machine's R what it has for the project in ``root``.

    Raises:
        DagkitError: R is not installed, or does not answer.
    """
    program = shutil.which("Rscript")
    if program is None:
        from dagkit.machine import this_machine

        raise DagkitError(
            "R is not installed: there is no Rscript on PATH",
            where=os.environ.get("PATH", ""),
            fix=this_machine().install("r"),
        )
    done = subprocess.run(
        [program, "--no-init-file", "-e", _ASK],
        cwd=root,
        env=outside_r(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.splitlines()
    if done.returncode != 0 or len(said) < 4:
        raise DagkitError(
            f"R does not start: {(done.stderr.strip() or 'it says nothing').splitlines()[-1]}",
            where=program,
            fix="See that R itself works: Rscript -e 'sessionInfo()'",
        )
    version, renv, library, *libraries = said
    return LocalR(
        program, version, renv, Path(library) if renv else None, tuple(Path(path) for path in libraries)
    )


def outside_r(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables as they were before R and renv changed them, where this is a child of R."""
    kept = {name: value for name, value in environment.items() if name not in ("R_HOME", "RENV_PROJECT")}
    for name, value in environment.items():
        if name.startswith(_BEFORE_RENV):
            kept.pop(name.removeprefix(_BEFORE_RENV), None)
            if value != "<NA>":
                kept[name.removeprefix(_BEFORE_RENV)] = value
    return kept


def compare(here: LocalR, lock: Lock) -> Packages:
    """Compare the packages of this machine with those of renv.lock; renv itself is not counted."""
    folders = (here.project_library,) if here.project_library else here.libraries
    wanted = {name: version for name, version in lock.packages.items() if name != "renv"}
    library: dict[str, Path] = {}
    missing, different = [], []
    for name, version in wanted.items():
        path = _find(name, folders)
        if path is None:
            missing.append(f"{name} {version}")
            continue
        library[name] = path
        installed = _description(path).get("Version", "")
        if installed != version:
            different.append(f"{name} {installed} ({version} locked)")
    # another version of a package may need packages that the locked one does not
    waiting = list(library.values())
    while waiting:
        for name in _needs(waiting.pop()):
            path = None if name in library else _find(name, folders)
            if path is not None:
                library[name] = path
                waiting.append(path)
    unlocked: tuple[str, ...] = ()
    if here.project_library and here.project_library.is_dir():
        there = {path.name for path in here.project_library.iterdir() if (path / "DESCRIPTION").is_file()}
        unlocked = tuple(sorted(there - library.keys() - {"renv"}))
    return Packages(library, tuple(missing), tuple(different), unlocked)


def _find(name: str, folders: tuple[Path, ...]) -> Path | None:
    return next((f / name for f in folders if (f / name / "DESCRIPTION").is_file()), None)


def _description(package: Path) -> dict[str, str]:
    """The fields of an installed package's DESCRIPTION, each on one line."""
    fields: dict[str, str] = {}
    name = ""
    for line in (package / "DESCRIPTION").read_text(encoding="utf-8", errors="replace").splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def _needs(package: Path) -> Iterator[str]:
    """The packages that an installed package imports or depends on."""
    fields = _description(package)
    for entry in f"{fields.get('Imports', '')},{fields.get('Depends', '')}".split(","):
        if (name := entry.partition("(")[0].strip()) and name != "R":
            yield name


def minor(version: str) -> str:
    """The part of R's version that decides which packages work: ``4.5`` of ``4.5.1``."""
    return ".".join(version.split(".")[:2])


def enumerated(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
