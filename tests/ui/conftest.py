"""Repositories for the tests of `dagkit ui`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from tests.harness.generate import commit_all, generate
from tests.ui import harness

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = generate(
        tmp_path_factory.mktemp("template") / "pipe",
        repository="pipe",
        project="example",
        pipeline="pipe",
        owner="analyst",
        email="an.analyst@example.gov.uk",
        output="s3://alpha-everyone/airflow-example/analyst",
    )
    commit_all(repository)
    return repository


@pytest.fixture(scope="session")
def make_pipeline(_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a repository of the worked example, with more DAGs in it: their names."""
    environments = tmp_path_factory.mktemp("environments")

    def make(*dags: str) -> Path:
        repository = tmp_path_factory.mktemp("ui") / "pipe"
        shutil.copytree(_template, repository)
        (repository / ".dagkit").mkdir()
        (repository / ".dagkit" / "env").symlink_to(environments)
        for name in dags:
            shutil.copyfile(HERE / "dags" / f"{name}.py", repository / "airflow" / "dags" / f"{name}.py")
        return repository

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser."""
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed")
    with harness.chromium() as browser:
        yield browser


@pytest.fixture
def mark() -> str:
    """Marks the processes of one test."""
    return uuid4().hex
