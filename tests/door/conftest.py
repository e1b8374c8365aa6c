"""Cookiecutter as a person has it: its own process, its own home, with or without Copier beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.generate import git
from tests.scaffold.conftest import template

__all__ = ["template"]

DOOR = ("--directory", "templates/cookiecutter")


@dataclass(frozen=True)
class Cookiecutter:
    """A way to call Cookiecutter.

    Attributes:
        words: The program.
        env: Its environment.
        folder: Where it makes repositories.
    """

    words: tuple[str, ...]
    env: dict[str, str]
    folder: Path

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.words, *map(str, arguments)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )


@pytest.fixture(scope="session")
def published(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the template's repository: a bare one."""
    bare = tmp_path_factory.mktemp("published") / "dagkit.git"
    git(template, "clone", "--quiet", "--bare", str(template), str(bare))
    return bare.as_uri()


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Cookiecutter:
    """Cookiecutter with Copier in the same environment."""
    return called(tmp_path, (str(Path(sys.executable).with_name("cookiecutter")),), os.environ["PATH"])


def called(tmp_path: Path, words: tuple[str, ...], path: str, **env: str) -> Cookiecutter:
    home, folder = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "TMPDIR")}
    mine = {"HOME": str(home), "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "TERM": "dumb", **env}
    return Cookiecutter(words, kept | mine, folder)


def beside(tmp_path: Path, *missing: str) -> Cookiecutter:
    """Cookiecutter in an environment without dagkit and without what is named, and the system's programs."""
    packages, programs = tmp_path / "packages", tmp_path / "programs"
    packages.mkdir()
    programs.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0].removesuffix(".pth") not in (
            "dagkit",
            "_editable_impl_dagkit",
            *missing,
        ):
            (packages / entry.name).symlink_to(entry)
    path = f"{programs}:/usr/bin:/bin"
    assert not any(shutil.which(program, path=path) for program in ("copier", "uvx", "pipx"))
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return called(tmp_path, (str(python), "-m", "cookiecutter"), path, PYTHONPATH=str(packages))
