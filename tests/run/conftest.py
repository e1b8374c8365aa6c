"""Repositories for the tests of `dagkit run`, made once and copied."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from tests.harness.generate import commit_all, generate

HERE = Path(__file__).parent


class MakePipeline(Protocol):
    """Makes a repository of the worked example, whose process environment is shared with the others'."""

    def __call__(self, language: str = "python") -> Path: ...


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The worked example as the template makes it, and a second DAG with more in it."""

    @functools.cache
    def make(language: str) -> Path:
        repository = generate(
            tmp_path_factory.mktemp("template") / "pipe",
            language=language,
            repository="pipe",
            project="example",
            pipeline="pipe",
            owner="analyst",
            email="an.analyst@example.gov.uk",
            output="s3://alpha-everyone/airflow-example/analyst",
        )
        shutil.copyfile(HERE / "many_tasks.py", repository / "airflow" / "dags" / "many_tasks.py")
        commit_all(repository)
        return repository

    return make


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the process engine's environments are kept for all these tests."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def make_pipeline(
    _templates: Callable[[str], Path], environments: Path, tmp_path_factory: pytest.TempPathFactory
) -> MakePipeline:
    """Makes repositories of the worked example."""

    def make(language: str = "python") -> Path:
        repository = tmp_path_factory.mktemp("run") / "pipe"
        shutil.copytree(_templates(language), repository)
        (repository / ".dagkit").mkdir()
        (repository / ".dagkit" / "env").symlink_to(environments)
        return repository

    return make


@pytest.fixture
def pipeline(make_pipeline: MakePipeline, language: str) -> Path:
    """A repository of the worked example, in the test's language."""
    return make_pipeline(language)
