"""Repositories to adopt, and the template with its history."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dagkit import scaffold
from tests.adopt.shapes import SHAPES
from tests.harness.generate import commit_all, git
from tests.scaffold.conftest import TEMPLATES, copy_tracked

FIRST = scaffold.RELEASED
SECOND = "v10.0.0"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with two releases; the second changes workflows, dependabot, Dockerfile, examples, DAG."""
    root = tmp_path_factory.mktemp("template") / "dagkit"
    copy_tracked(root, *TEMPLATES)
    commit_all(root, tag=FIRST)
    for path in (
        "templates/pipeline/github/workflows/release.yml.jinja",
        "templates/pipeline/github/dependabot.yml.jinja",
        "templates/pipeline/airflow/dags/pipeline.py.jinja",
        "templates/pipeline/airflow/roles/pipeline.yaml.jinja",
        "template-airflow-python/Dockerfile.jinja",
        "template-airflow-python/scripts/run.py",
    ):
        file = root / path
        file.write_text(file.read_text() + "# the second version\n")
    commit_all(root, tag=SECOND)
    return root


@dataclass(frozen=True)
class Adopting:
    """A repository that is adopted, from the first release of a template."""

    root: Path
    template: Path

    def call(self, *words: str, at: str = FIRST, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """Call `dagkit adopt`, with nobody to answer questions."""
        return self.dagkit("adopt", folder, "--template", str(self.template), "--version", at, *words)

    def adopt(self, *words: str, say: tuple[str, ...] = ()) -> dict[str, Any]:
        """Adopt it, and give what it says in JSON."""
        answers = [word for answer in say for word in ("-d", answer)]
        done = self.call("--json", *words, *answers)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def dagkit(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dagkit", *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "DAGKIT_BASE_IMAGE"},
        )

    def git(self, *words: str) -> str:
        return git(self.root, *words)

    def files(self) -> dict[str, str]:
        """Every file but git's own and dagkit's state, with the hash of what it holds."""
        return {
            path.relative_to(self.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not {".git", ".dagkit"} & set(path.relative_to(self.root).parts)
        }


@dataclass(frozen=True)
class Adopted:
    """A repository that was adopted; tests only read it.

    Attributes:
        adopting: The repository.
        before: Its files before.
        after: Its files after.
        result: What was said in JSON.
    """

    adopting: Adopting
    before: dict[str, str]
    after: dict[str, str]
    result: dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """git knows who commits, and Copier keeps its clones to these tests."""
    folder = tmp_path_factory.mktemp("home")
    config = folder / "gitconfig"
    config.write_text("[user]\n\tname = An Analyst\n\temail = an.analyst@example.gov.uk\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(config))
        patch.setenv("COPIER_CACHE_DIR", str(folder / "mirrors"))
        yield


@pytest.fixture
def shape() -> str:
    """The shape of the repository; a test says so with ``parametrize``."""
    return "shell-form-entry-point"


@pytest.fixture(scope="session")
def adopted(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Adopted]:
    """Adopt the repository of a shape, once: ``adopted("conda")``."""

    @functools.cache
    def make(shape: str) -> Adopted:
        root = tmp_path_factory.mktemp(shape) / "my-counts"
        adopting = Adopting(SHAPES[shape].make(root), template)
        before = adopting.files()
        result = adopting.adopt(say=SHAPES[shape].say)
        return Adopted(adopting, before, adopting.files(), result)

    return make


@pytest.fixture
def adopting(shape: str, template: Path, tmp_path: Path) -> Adopting:
    return Adopting(SHAPES[shape].make(tmp_path / "my-counts"), template)
