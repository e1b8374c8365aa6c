"""Where a pipeline's code runs without Docker: one environment an image repository and lock file.

A language is one class: Python's is here, R's in `r_environment`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from dagkit.errors import DagkitError
from dagkit.local.airflow_home import locked

COMPLETE = ".complete"

OTHER_LISTS = ("Pipfile", "poetry.lock", "uv.lock", "environment.yml", "environment.yaml", "pyproject.toml")
"""Where an adopted repository may list its packages, and from where they are installed in its image only."""

Say = Callable[[str], None]


class CodeEnvironment(Protocol):
    """The packages of a lock file, installed for this machine."""

    def make(self, say: Say) -> None:
        """Make it, unless it is there.

        Raises:
            DagkitError: It cannot be made; nothing half-made is left.
        """

    def program(self, name: str) -> str | None:
        """The program that the image calls ``name``; None where this is not its business."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """What comes first on PATH."""

    @property
    def variables(self) -> Mapping[str, str]:
        """What its programs need in their environment."""

    @property
    def test_command(self) -> tuple[str, ...]:
        """What runs the repository's tests."""

    @property
    def differs(self) -> str:
        """How it differs from the image's, as a sentence; empty where it does not."""


def of(
    language: str, root: Path, base_image: str, *, tests: bool = False, state: Path | None = None
) -> CodeEnvironment:
    """The environment of an image repository.

    Args:
        language: ``python`` or ``r``.
        root: The folder of the code and of its lock file.
        base_image: The image that its Dockerfile starts from; its name may say a version.
        tests: With the packages that its tests need, too.
        state: Where it is kept; None is ``.dagkit`` in ``root``.
    """
    if language == "r":
        from dagkit.local.r_environment import REnvironment

        return REnvironment(root, state)
    locks = ("requirements.txt", "requirements-dev.txt") if tests else ("requirements.txt",)
    return PythonEnvironment(root, base_image, locks, state)


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine; ``version`` is such as ``3.13``."""

    path: str
    version: str


class PythonEnvironment:
    """A virtual environment of lock files with hashes, made by uv, at ``.dagkit/env/<hash>``."""

    def __init__(
        self, root: Path, base_image: str, locks: tuple[str, ...], state: Path | None = None
    ) -> None:
        self._root = root
        self._state = state or root / ".dagkit"
        self._locks = tuple(root / lock for lock in locks)
        self._wanted = _python_of(base_image)

    def make(self, say: Say) -> None:
        """Install the locked packages, each checked against its hash."""
        folder = self._folder
        if (folder / COMPLETE).is_file():
            return
        with locked(folder.with_suffix(".lock")):
            if (folder / COMPLETE).is_file():
                return
            shutil.rmtree(folder, ignore_errors=True)
            say(f"installing {self._names} for Python {self._interpreter.version} (once, until it changes)")
            python = str(folder / "bin" / "python")
            try:
                self._uv("venv", "--python", self._interpreter.path, str(folder))
                install: tuple[str, ...]
                if self._hashes:
                    install, files = ("sync", "--require-hashes"), [str(lock) for lock in self._locks]
                else:
                    install, files = ("install",), [f"--requirement={lock}" for lock in self._locks]
                self._uv("pip", *install, "--python", python, *files, say=say)
                (folder / COMPLETE).touch()
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def program(self, name: str) -> str | None:
        """``python`` is the environment's, wherever the image has its own."""
        if re.fullmatch(r"(/.*/)?python3?(\.\d+)?", name):
            return str(self._folder / "bin" / "python")
        return None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The environment's programs."""
        return (self._folder / "bin",)

    @property
    def variables(self) -> Mapping[str, str]:
        """None."""
        return {}

    @property
    def test_command(self) -> tuple[str, ...]:
        """pytest, as in the image's test stage."""
        return (str(self._folder / "bin" / "python"), "-m", "pytest")

    @property
    def differs(self) -> str:
        """Another version of Python than the base image's, where that says one."""
        found = []
        if self._wanted and self._wanted != self._interpreter.version:
            found.append(f"Python {self._interpreter.version} runs the code; the image has {self._wanted}")
        if not self._hashes:
            found.append(
                f"{self._names} has no hashes, so packages may be of other versions than the image's"
            )
        return ". ".join(found)

    @cached_property
    def _hashes(self) -> bool:
        """Whether it is a lock: a repository that was adopted may have only a list of what it asks for."""
        return any("--hash=" in lock.read_text(encoding="utf-8") for lock in self._locks if lock.is_file())

    @cached_property
    def _interpreter(self) -> Interpreter:
        """The Python of the image's version where this machine has one, else that of dagkit."""
        here = Interpreter(sys.executable, f"{sys.version_info.major}.{sys.version_info.minor}")
        if self._wanted in (None, here.version):
            return here
        # uv knows which of the pythons on PATH, and of its own, really start; none is downloaded for this
        found = subprocess.run(
            [_uv_program(), "python", "find", "--no-project", "--no-python-downloads", str(self._wanted)],
            cwd=self._root,
            capture_output=True,
            text=True,
            check=False,
        )
        return Interpreter(found.stdout.strip(), str(self._wanted)) if found.returncode == 0 else here

    @property
    def _names(self) -> str:
        return " and ".join(lock.name for lock in self._locks)

    @cached_property
    def _folder(self) -> Path:
        key = hashlib.sha256(f"{self._interpreter.path} {self._interpreter.version}".encode())
        for lock in self._locks:
            if not lock.is_file():
                raise self._missing(lock)
            key.update(lock.read_bytes())
        return self._state / "env" / key.hexdigest()[:16]

    def _missing(self, lock: Path) -> DagkitError:
        others = [name for name in OTHER_LISTS if (self._root / name).is_file()]
        if others and lock.name == "requirements.txt":
            return DagkitError(
                f"Without Docker, packages are installed from {lock.name}, and there is {others[0]} instead",
                where=str(self._root / others[0]),
                fix="Start Docker, and call it again: the image has the packages.",
            )
        return DagkitError(
            "The lock file is missing: without Docker, packages are installed from it",
            where=str(lock),
            fix=f"Put it back from git (git checkout -- {lock.name}), or start Docker.",
        )

    def _uv(self, *arguments: str, say: Say | None = None) -> None:
        with subprocess.Popen(
            [_uv_program(), *arguments, "--no-progress", "--color", "never"],
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as uv:
            said = []
            try:
                for line in uv.stderr or ():
                    said.append(line.rstrip())
                    if say and re.match(r"(Resolved|Prepared|Installed|Downloading|Building) ", line.strip()):
                        say(line.strip())
            except BaseException:
                uv.terminate()
                raise
        if uv.returncode != 0:
            raise self._failed([line for line in said if line.strip()])

    def _failed(self, said: list[str]) -> DagkitError:
        text = "\n".join(f"  {line}" for line in said[-6:])
        whole = " ".join(said)
        if re.search(
            r"dns error|failed to lookup|Failed to fetch|error sending request|Connection refused|timed out"
            r"|Network is unreachable|tunnel error|Connect",
            whole,
        ):
            return DagkitError(
                f"The packages of the lock file cannot be fetched: the network does not answer\n{text}",
                where=", ".join(map(str, self._locks)),
                fix="See that this machine reaches its package index, and run again: nothing is half-made.",
            )
        return DagkitError(
            f"The packages of the lock file cannot be installed\n{text}",
            where=", ".join(map(str, self._locks)),
            fix="Make the lock file again, with the command in its first lines.",
        )


def _uv_program() -> str:
    try:
        from uv import find_uv_bin
    except ImportError as error:
        raise DagkitError(
            "uv is not installed", where=sys.executable, fix="pip install 'dagkit[local]'"
        ) from error
    return str(find_uv_bin())


def _python_of(base_image: str) -> str | None:
    """The version of Python that a base image's name says: ``python:3.13-slim`` is ``3.13``."""
    match = re.search(r"(?:^|/)[\w.-]*python[\w.-]*:(3\.\d+)\b", base_image)
    return match[1] if match else None
