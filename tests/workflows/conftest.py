"""A generated repository, and its workflows run as GitHub would run them."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.events import Event
from tests.harness.generate import commit_all, generate
from tests.harness.outcome import WorkflowRun
from tests.harness.stand_ins import StandIns
from tests.harness.workflow import run_workflow

RunWorkflow = Callable[[str, Event, StandIns], WorkflowRun]


@pytest.fixture
def repository_name() -> Iterator[str]:
    """A name that no other test uses; images whose names hold it are removed afterwards."""
    name = f"My_pipeline-{uuid.uuid4().hex[:8]}"
    yield name
    image = name.lower().replace("_", "-")
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True
    )
    mine = [tag for tag in listed.stdout.split() if image in tag]
    if mine:
        subprocess.run(["docker", "image", "rm", "--force", *mine], stdout=subprocess.DEVNULL)


@pytest.fixture
def image_repository(tmp_path: Path, repository_name: str, language: str, base_image: str) -> Path:
    """An image repository, committed and tagged v1.2.3."""
    made = generate(
        tmp_path / "repository",
        repository=repository_name,
        language=language,
        customise=True,
        base_image=base_image,
    )
    commit_all(made, tag="v1.2.3")
    return made


@pytest.fixture
def run_generated(image_repository: Path, tmp_path: Path, aws_cli: Path, moto_server: str) -> RunWorkflow:
    """Run one of its workflows, by name, on a machine that has what GitHub's runners have."""
    runs = iter(range(100))

    def run(name: str, event: Event, stand_ins: StandIns) -> WorkflowRun:
        return run_workflow(
            image_repository / ".github" / "workflows" / name,
            event=event,
            repository=image_repository,
            scratch=tmp_path / f"run-{next(runs)}",
            actions=stand_ins.actions,
            machine={"AWS_ENDPOINT_URL": moto_server, "PATH": f"{aws_cli}:{os.environ['PATH']}"},
        )

    return run
