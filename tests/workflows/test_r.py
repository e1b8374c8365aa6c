"""The generated test.yml of a pipeline in R, run: the same workflow, with R's own check of the code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness.generate import commit_all, generate
from tests.harness.stand_ins import StandIns
from tests.workflows.conftest import RunWorkflow
from tests.workflows.test_pull_request import failed_step, opened

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def base_with_lintr(r_base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image of these tests with lintr, which tests/lint.R would otherwise install from CRAN."""
    tag = "dagkit-test/r-lintr:latest"
    folder = tmp_path_factory.mktemp("base")
    (folder / "Dockerfile").write_text(
        f"FROM {r_base_image}\n"
        "RUN apt-get update && apt-get install --yes --no-install-recommends r-cran-lintr\n"
    )
    subprocess.run(["docker", "build", "--quiet", "--tag", tag, str(folder)], check=True, capture_output=True)
    return tag


@pytest.fixture
def image_repository(tmp_path: Path, repository_name: str, base_with_lintr: str) -> Path:
    """An R image repository, committed."""
    made = generate(
        tmp_path / "repository", language="r", repository=repository_name, base_image=base_with_lintr
    )
    commit_all(made)
    return made


def test_a_good_change_passes(run_generated: RunWorkflow, image_repository: Path, tmp_path: Path) -> None:
    (image_repository / "README.md").write_text("# Changed\n")
    run = run_generated("test.yml", opened(image_repository), StandIns())
    assert run.conclusion == "success", run
    assert "DONE" in run.log
    assert list(tmp_path.rglob("injected")) == []


def test_a_failing_test_stops_a_change(run_generated: RunWorkflow, image_repository: Path) -> None:
    wrong = image_repository / "tests" / "testthat" / "test-wrong.R"
    wrong.write_text('test_that("this is wrong", expect_true(FALSE))\n')
    run = run_generated("test.yml", opened(image_repository), StandIns())
    assert failed_step(run) == "Run the tests in the image, as the cluster would run it", run


def test_code_with_a_lint_stops_a_change(run_generated: RunWorkflow, image_repository: Path) -> None:
    with (image_repository / "R" / "main.R").open("a") as code:
        code.write("\nUnusual = 1\n")
    run = run_generated("test.yml", opened(image_repository), StandIns())
    assert failed_step(run) == "Check the code", run
