"""The generated release.yml, run: what it leaves in ECR, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.harness.ecr import Ecr
from tests.harness.events import Event, is_triggered, push, release
from tests.harness.generate import commit_all, git
from tests.harness.languages import both_languages
from tests.harness.stand_ins import StandIns
from tests.harness.workflow_file import load_workflow
from tests.workflows.conftest import RunWorkflow

pytestmark = pytest.mark.docker


def released(repository: Path, tag: str = "v1.2.3") -> Event:
    return release(tag, git(repository, "rev-parse", "HEAD"))


def image_name(repository_name: str) -> str:
    """ECR's names are in lower case, without underscores."""
    return repository_name.lower().replace("_", "-")


@both_languages
def test_a_release_leaves_an_image_that_can_be_pulled_and_run(
    language: str, run_generated: RunWorkflow, image_repository: Path, repository_name: str, ecr: Ecr
) -> None:
    stand_ins = StandIns(ecr)
    run = run_generated("release.yml", released(image_repository), stand_ins)
    assert run.conclusion == "success", run

    name = image_name(repository_name)
    pushed = f"{ecr.registry}/{name}:v1.2.3"
    pulled = f"{ecr.storage}/{name}:v1.2.3"
    subprocess.run(["docker", "image", "rm", pushed], check=True, capture_output=True)
    subprocess.run(["docker", "pull", "--quiet", pulled], check=True, capture_output=True)
    ran = subprocess.run(
        ["docker", "run", "--rm", "--user", "54321", "--read-only", "--tmpfs", "/tmp", pulled],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: the environment variable RUN ")
    assert len(ran.stderr.splitlines()) == 1

    found = ecr.client().describe_repositories(repositoryNames=[name])["repositories"][0]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(ecr.client().get_repository_policy(repositoryName=name)["policyText"])
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"AWS": ["arn:aws:iam::593291632749:root"]}
    assert sorted(statement["Action"]) == [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ]

    (image,) = ecr.client().describe_images(repositoryName=name)["imageDetails"]
    assert image["imageTags"] == ["v1.2.3"]
    attested = [*stand_ins.called("actions/attest-build-provenance"), *stand_ins.called("actions/attest")]
    assert [call.inputs["subject-digest"] for call in attested] == [image["imageDigest"]] * 2
    assert f"{name}:v1.2.3" in run.jobs["release"].summary


def test_the_push_role_is_assumed_and_nothing_else_gives_access(
    run_generated: RunWorkflow, image_repository: Path, ecr: Ecr
) -> None:
    workflow = image_repository / ".github" / "workflows" / "release.yml"
    workflow.write_text(workflow.read_text().replace("id-token: write", "id-token: none"))
    run = run_generated("release.yml", released(image_repository), StandIns(ecr))
    assert run.conclusion == "failure"
    assert "needs `permissions: id-token: write`" in run.log
    assert ecr.client().describe_repositories()["repositories"] == []


def test_the_same_tag_cannot_be_released_twice(
    run_generated: RunWorkflow, image_repository: Path, repository_name: str, ecr: Ecr
) -> None:
    assert run_generated("release.yml", released(image_repository), StandIns(ecr)).conclusion == "success"
    (before,) = ecr.client().describe_images(repositoryName=image_name(repository_name))["imageDetails"]
    (image_repository / "scripts" / "run.py").write_text("print('another')\n")
    commit_all(image_repository)

    again = run_generated("release.yml", released(image_repository), StandIns(ecr))
    assert again.conclusion == "failure"
    assert f"{image_name(repository_name)}:v1.2.3 was pushed before" in again.log
    (after,) = ecr.client().describe_images(repositoryName=image_name(repository_name))["imageDetails"]
    assert after["imageDigest"] == before["imageDigest"]


def test_the_next_release_goes_beside_the_first(
    run_generated: RunWorkflow, image_repository: Path, repository_name: str, ecr: Ecr
) -> None:
    for tag in ("v1.2.3", "v1.2.4"):
        run = run_generated("release.yml", released(image_repository, tag), StandIns(ecr))
        assert run.conclusion == "success", run
    images = ecr.client().list_images(repositoryName=image_name(repository_name))["imageIds"]
    assert sorted(image["imageTag"] for image in images) == ["v1.2.3", "v1.2.4"]


def test_an_image_with_a_known_vulnerability_is_not_pushed(
    run_generated: RunWorkflow, image_repository: Path, repository_name: str, ecr: Ecr
) -> None:
    run = run_generated("release.yml", released(image_repository), StandIns(ecr, vulnerable=True))
    assert run.conclusion == "failure"
    assert "vulnerabilities at or above the severity threshold high" in run.log
    assert ecr.client().list_images(repositoryName=image_name(repository_name))["imageIds"] == []


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1"])
def test_a_tag_that_is_no_version_is_refused(
    run_generated: RunWorkflow, image_repository: Path, ecr: Ecr, tag: str
) -> None:
    stand_ins = StandIns(ecr)
    run = run_generated("release.yml", released(image_repository, tag), stand_ins)
    assert run.conclusion == "failure"
    assert run.log.startswith("::error::")
    assert "v1.2.3" in run.log
    assert stand_ins.calls == [], (
        "no credentials, and no code checked out, before the tag is known to be right"
    )
    assert ecr.client().describe_repositories()["repositories"] == []


def test_a_tag_that_tries_to_be_a_command_is_never_run(
    run_generated: RunWorkflow, image_repository: Path, tmp_path: Path, ecr: Ecr
) -> None:
    touch = "touch${IFS}$HOME/injected"
    for end in (
        f";{touch}",
        f"$({touch})",
        f"`{touch}`",
        f'";{touch};"',
        f"'||{touch}||'",
        f"&&{touch}",
        f"\n{touch}",
    ):
        run = run_generated("release.yml", released(image_repository, f"v1.2.3{end}"), StandIns(ecr))
        assert run.conclusion == "failure", end
        assert list(tmp_path.rglob("injected")) == [], end


def test_only_a_published_release_starts_it(image_repository: Path) -> None:
    triggers = load_workflow(image_repository / ".github" / "workflows" / "release.yml").triggers
    assert is_triggered(triggers, release("v1.2.3", "a"))
    assert not is_triggered(triggers, release("v1.2.3", "a", action="created"))
    assert not is_triggered(triggers, push("main", "a"))
