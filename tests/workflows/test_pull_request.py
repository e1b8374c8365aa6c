"""The generated test.yml, run: a good change passes, and each bad one is stopped by the step meant for it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.events import Event, pull_request
from tests.harness.generate import commit_all
from tests.harness.outcome import WorkflowRun
from tests.harness.stand_ins import StandIns
from tests.workflows.conftest import RunWorkflow

pytestmark = pytest.mark.docker

LEFT_BY_FAILED_BUILD = "dagkit.test=build-that-fails"


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


def test_a_good_change_passes(
    run_generated: RunWorkflow, image_repository: Path, repository_name: str, tmp_path: Path
) -> None:
    (image_repository / "README.md").write_text("# Changed\n")
    stand_ins = StandIns()
    run = run_generated("test.yml", opened(image_repository), stand_ins)
    assert run.conclusion == "success", run
    assert " passed in " in run.log
    (scan,) = stand_ins.called("anchore/scan-action")
    assert scan.inputs["severity-cutoff"] == "high"
    assert scan.inputs["only-fixed"] == "true"
    assert list(tmp_path.rglob("injected")) == []


def fails_a_test(repository: Path) -> None:
    (repository / "tests" / "test_more.py").write_text("def test_wrong() -> None:\n    assert not True\n")


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
    ("change", "step"),
    [
        (fails_a_test, "Run the tests in the image, as the cluster would run it"),
        (is_badly_formatted, "Check the code"),
        (has_an_unused_import, "Check the code"),
        (asks_for_another_hash, "Build the image"),
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
