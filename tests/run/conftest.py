"""Repositories for the tests of `dagkit run`, made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.generate import commit_all, generate

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked example as the template makes it, and a second DAG with more in it."""
    repository = generate(
        tmp_path_factory.mktemp("template") / "pipe",
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


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the process engine's environment is kept for all these tests."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def make_pipeline(
    _template: Path, environments: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """Makes a repository of the worked example, whose process environment is shared with the others'."""

    def make() -> Path:
        repository = tmp_path_factory.mktemp("run") / "pipe"
        shutil.copytree(_template, repository)
        (repository / ".dagkit").mkdir()
        (repository / ".dagkit" / "env").symlink_to(environments)
        return repository

    return make


@pytest.fixture
def pipeline(make_pipeline: Callable[[], Path]) -> Path:
    """A repository of the worked example."""
    return make_pipeline()
