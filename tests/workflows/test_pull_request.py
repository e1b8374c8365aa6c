"""The generated test.yml, run: a good change passes, and each bad one is stopped by the step meant for it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.events import Event, pull_request
from tests.harness.generate import commit_all
from tests.harness.languages import both_languages
from tests.harness.outcome import WorkflowRun
from tests.harness.stand_ins import StandIns
from tests.workflows.conftest import RunWorkflow

pytestmark = pytest.mark.docker

LEFT_BY_FAILED_BUILD = "dagkit.test=build-that-fails"


@pytest.fixture(scope="module")
def r_base_with_lintr(r_base_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
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
def base_image(language: str, request: pytest.FixtureRequest) -> str:
    """What the pipeline's image builds on; in R with what checks the code."""
    tag: str = request.getfixturevalue("r_base_with_lintr" if language == "r" else "python_base_image")
    return tag


@pytest.fixture(autouse=True)
def _remove_what_a_failed_build_leaves() -> Iterator[None]:
    """The classic builder keeps the container in which a build failed."""
    yield
    listed = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"label={LEFT_BY_FAILED_BUILD}"],
        capture_output=True,
        text=True,
    )
    if listed.stdout.split():
        subprocess.run(["docker", "rm", "--force", *listed.stdout.split()], stdout=subprocess.DEVNULL)


def opened(repository: Path) -> Event:
    """A pull request whose every text tries to become a command."""
    nasty = '"; touch "$HOME/injected"; $(touch "$HOME/injected") `touch "$HOME/injected"` #'
    return pull_request(7, "$(touch${IFS}$HOME/injected)", commit_all(repository), title=nasty)


def failed_step(run: WorkflowRun) -> str:
    (job,) = run.jobs.values()
    return next((step.label for step in job.steps if step.outcome == "failure"), "none")


PASSED = {"python": " passed in ", "r": "══ DONE "}


@both_languages
def test_a_good_change_passes(
    language: str, run_generated: RunWorkflow, image_repository: Path, repository_name: str, tmp_path: Path
) -> None:
    (image_repository / "README.md").write_text("# Changed\n")
    stand_ins = StandIns()
    run = run_generated("test.yml", opened(image_repository), stand_ins)
    assert run.conclusion == "success", run
    assert PASSED[language] in run.log
    (scan,) = stand_ins.called("anchore/scan-action")
    assert scan.inputs["severity-cutoff"] == "high"
    assert scan.inputs["only-fixed"] == "true"
    assert list(tmp_path.rglob("injected")) == []


def fails_a_test(repository: Path) -> None:
    (repository / "tests" / "test_more.py").write_text("def test_wrong() -> None:\n    assert not True\n")


def fails_a_test_in_r(repository: Path) -> None:
    wrong = repository / "tests" / "testthat" / "test-wrong.R"
    wrong.write_text('test_that("this is wrong", expect_true(FALSE))\n')


def has_a_lint_in_r(repository: Path) -> None:
    with (repository / "R" / "main.R").open("a") as code:
        code.write("\nUnusual = 1\n")


def is_badly_formatted(repository: Path) -> None:
    script = repository / "scripts" / "run.py"
    script.write_text(script.read_text() + "\n\n\n\nx   =  1\n")


def has_an_unused_import(repository: Path) -> None:
    (repository / "scripts" / "more.py").write_text("import os\n")


def asks_for_another_hash(repository: Path) -> None:
    dockerfile = repository / "Dockerfile"
    labelled = re.sub(
        r"(?m)^FROM .*$", rf"\g<0>\nLABEL {LEFT_BY_FAILED_BUILD}", dockerfile.read_text(), count=1
    )
    dockerfile.write_text(labelled)
    lock = repository / "requirements.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", lock.read_text()))


@pytest.mark.parametrize(
    ("language", "change", "step"),
    [
        ("python", fails_a_test, "Run the tests in the image, as the cluster would run it"),
        ("python", is_badly_formatted, "Check the code"),
        ("python", has_an_unused_import, "Check the code"),
        ("python", asks_for_another_hash, "Build the image"),
        ("r", fails_a_test_in_r, "Run the tests in the image, as the cluster would run it"),
        ("r", has_a_lint_in_r, "Check the code"),
    ],
)
def test_a_bad_change_is_stopped_by_the_step_meant_for_it(
    run_generated: RunWorkflow, image_repository: Path, change: Callable[[Path], None], step: str
) -> None:
    change(image_repository)
    run = run_generated("test.yml", opened(image_repository), StandIns())
    assert failed_step(run) == step, run


def test_a_known_vulnerability_stops_a_change(run_generated: RunWorkflow, image_repository: Path) -> None:
    (image_repository / "README.md").write_text("# Changed\n")
    run = run_generated("test.yml", opened(image_repository), StandIns(vulnerable=True))
    assert failed_step(run) == "Look for known vulnerabilities that have a fix", run
