"""Where an R pipeline's code runs without Docker: this machine's R, and the packages of renv.lock.

With renv, the packages are those of the project's own library, as in RStudio; missing ones are restored.
Without renv, they are those that R has already, whatever their version, if all are there: the code sees no
package that renv.lock does not ask for, as in the image.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.local.airflow_home import locked
from dagkit.local.awscli import AwsCli, find_aws
from dagkit.local.environment import Say
from dagkit.local.r_packages import (
    LOCK,
    LocalR,
    Lock,
    Packages,
    compare,
    enumerated,
    find_r,
    minor,
    outside_r,
    read_lock,
)

_RESTORE = """
arguments <- commandArgs(trailingOnly = TRUE)
renv::restore(project = getwd(), library = arguments[[1]], packages = arguments[-1], prompt = FALSE)
"""


class REnvironment:
    """A folder of links to the packages of renv.lock, at ``.dagkit/env/<hash>/library``."""

    def __init__(self, root: Path, state: Path | None = None) -> None:
        self._root = root
        self._state = state or root / ".dagkit"

    def make(self, say: Say) -> None:
        """See that every locked package is here; renv restores those that are not."""
        here = self._here
        say(f"R {here.version} ({here.program}) runs the code")
        if self._packages.missing:
            if here.project_library is None:
                raise self._lacking(self._packages.missing)
            self._restore(here, say)
        with locked(self._folder.with_suffix(".lock")):
            self._link()

    def program(self, name: str) -> str | None:
        """``Rscript`` and ``R`` are this machine's, wherever the image has its own."""
        if re.fullmatch(r"(/.*/)?(Rscript|R)", name):
            return str(Path(self._program).with_name(name.rpartition("/")[2]))
        return None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The AWS command line of this machine."""
        return (self._folder / "bin",)

    @property
    def variables(self) -> Mapping[str, str]:
        """R looks for packages in the environment's library, and nowhere else but in its own."""
        library = str(self._folder / "library")
        return {
            "R_LIBS": library,
            "R_LIBS_USER": library,
            "R_LIBS_SITE": library,
            "RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE",
        }

    @property
    def test_command(self) -> tuple[str, ...]:
        """What runs the repository's tests."""
        return (self._program, "tests/testthat.R")

    @property
    def differs(self) -> str:
        """A sentence for each: another R, other packages, an old AWS command line."""
        return ". ".join(self._differences())

    def _differences(self) -> Iterator[str]:
        here, lock, found = self._here, self._lock, self._packages
        if minor(here.version) != minor(lock.r):
            yield f"R is {here.version} here, and {lock.r} in renv.lock"
        if found.different:
            at = "the project's library" if here.project_library else "R's library (renv is not installed)"
            names = enumerated(found.different)
            yield f"Packages of other versions than in renv.lock, from {at}: {names}"
        if found.unlocked:
            yield (
                "In the project's library but not in renv.lock, so not in the image:"
                f" {enumerated(found.unlocked)} (renv::snapshot() adds what the code uses)"
            )
        if self._aws is None:
            yield "The AWS command line is not installed here: what reads or writes S3 with it will fail"
        elif self._aws.differs:
            yield self._aws.differs

    @cached_property
    def _program(self) -> str:
        return shutil.which("Rscript") or self._here.program

    @cached_property
    def _here(self) -> LocalR:
        return find_r(self._root)

    @cached_property
    def _lock(self) -> Lock:
        return read_lock(self._root)

    @cached_property
    def _packages(self) -> Packages:
        return compare(self._here, self._lock)

    @cached_property
    def _aws(self) -> AwsCli | None:
        return find_aws()

    @cached_property
    def _folder(self) -> Path:
        # asks R nothing: Airflow's process needs it too, and there the environment is made already
        path = self._root / LOCK
        lock = path.read_bytes() if path.is_file() else b""
        key = hashlib.sha256(lock + os.fsencode(os.path.realpath(self._program)))
        return self._state / "env" / key.hexdigest()[:16]

    def _link(self) -> None:
        """Make the folder of links; the name of what ``library`` points at says what is in it."""
        links = self._packages.library
        key = hashlib.sha256("\n".join(f"{name}={path}" for name, path in sorted(links.items())).encode())
        content = self._folder / f"library-{key.hexdigest()[:16]}"
        if not content.is_dir():
            part = content.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for name, path in links.items():
                (part / name).symlink_to(path)
            part.rename(content)
        pointer = self._folder / "library.new"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(content.name)
        pointer.replace(self._folder / "library")
        if self._aws is not None:
            self._aws.install(self._folder / "bin")

    def _restore(self, here: LocalR, say: Say) -> None:
        names = [entry.split()[0] for entry in self._packages.missing]
        say(f"renv::restore() of {enumerated(names)} into the project's library")
        command = [here.program, "--no-init-file", "-e", _RESTORE, str(here.project_library), *names]
        with subprocess.Popen(
            command,
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**outside_r(os.environ), "NO_COLOR": "1"},
        ) as restore:
            said = []
            try:
                for line in restore.stdout or ():
                    said.append(line.rstrip())
                    if re.match(r"- (Downloading|Installing) ", line):
                        say(line.strip())
            except BaseException:
                restore.terminate()
                raise
        del self.__dict__["_packages"]
        if restore.returncode != 0 or self._packages.missing:
            raise self._not_restored([line for line in said if line])

    def _lacking(self, missing: tuple[str, ...]) -> DagkitError:
        return DagkitError(
            f"R {self._here.version} does not have these packages of renv.lock: {enumerated(missing)}",
            where=", ".join(map(str, self._here.libraries)),
            fix='In R, in this folder: install.packages("renv"), restart R, then renv::restore()',
        )

    def _not_restored(self, said: list[str]) -> DagkitError:
        errors = [line for line in said if line.startswith(("Error", "ERROR"))]
        why = (errors or said or ["renv says nothing"])[-1].removeprefix("Error: ")
        unreachable = any("unable to query available packages" in line for line in said)
        repositories = ", ".join(self._lock.repositories)
        if unreachable:
            why = f"the package repository {repositories} cannot be reached ({why})"
        return DagkitError(
            f"The packages of renv.lock cannot be installed: {why}",
            where=str(self._root / LOCK),
            fix=(
                "See that this machine reaches it, or name another: RENV_CONFIG_REPOS_OVERRIDE=https://…"
                if unreachable
                else "In R, in this folder: renv::restore() says more; renv::update() takes newer versions."
            ),
        )
