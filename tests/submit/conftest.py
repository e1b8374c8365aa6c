"""A pipeline with a release, and the DAG repository it is submitted to: real git, real templates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.generate import generate
from tests.harness.languages import LANGUAGES


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@dataclass(frozen=True)
class Submitting:
    """A pipeline's repository, and the bare DAG repository beside it."""

    pipeline: Path
    dags: Path
    home: Path

    def submit(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Submit, with the rules on the files alone: importing Airflow takes seconds each time."""
        return self.submit_in_full("--static", *words, env=env)

    def submit_in_full(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dagkit", "submit", str(self.pipeline), "--to", str(self.dags), *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(self.home), **(env or {})},
        )

    def branches(self) -> dict[str, str]:
        """Every branch of the DAG repository, and its commit."""
        refs = git(self.dags, "for-each-ref", "--format", "%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split() for line in refs.splitlines())

    def file(self, branch: str, path: str) -> str:
        return git(self.dags, "show", f"{branch}:{path}")

    def edit(self, branch: str, path: str, change: Callable[[str], str]) -> None:
        """Change a file in the DAG repository, as a person there would."""
        clone = self.home / "somebody"
        git(self.home, "clone", "--quiet", "--branch", branch, str(self.dags), str(clone))
        file = clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change(file.read_text() if file.exists() else ""))
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--message", "Edit by hand")
        git(clone, "push", "--quiet", "origin", branch)
        shutil.rmtree(clone)

    def merge(self, branch: str) -> None:
        """Squash a branch into main, and delete it, as GitHub does."""
        clone = self.home / "merging"
        git(self.home, "clone", "--quiet", "--branch", "main", str(self.dags), str(clone))
        git(clone, "merge", "--quiet", "--squash", f"origin/{branch}")
        git(clone, "commit", "--quiet", "--message", f"Merge {branch}")
        git(clone, "push", "--quiet", "origin", "main", f":{branch}")
        shutil.rmtree(clone)

    def change(self, path: str, old: str, new: str) -> None:
        """Change and commit a file of the pipeline."""
        file = self.pipeline / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        git(self.pipeline, "commit", "--quiet", "--all", "--message", "Change")


def in_git(folder: Path) -> Path:
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Start from the template")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline in each language with a release, and a DAG repository, made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("made")
    for language in LANGUAGES:
        answers = {"project": "stats", "pipeline": "daily", "owner": "octocat", "language": language}
        generate(folder / language / "daily-stats", **answers)
        git(in_git(folder / language / "daily-stats"), "tag", "v1.0.0")
    generate(folder / "airflow", kind="airflow", owner="octocat")
    git(folder, "clone", "--quiet", "--bare", str(in_git(folder / "airflow")), "dags.git")
    return folder


@pytest.fixture
def submitting(made: Path, language: str, tmp_path: Path) -> Submitting:
    shutil.copytree(made / language / "daily-stats", tmp_path / "daily-stats")
    shutil.copytree(made / "dags.git", tmp_path / "dags.git")
    (tmp_path / "home").mkdir()
    return Submitting(tmp_path / "daily-stats", tmp_path / "dags.git", tmp_path / "home")
