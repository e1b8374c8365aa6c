"""The local ECR refuses what ECR refuses, in ECR's words."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.ecr import Ecr

Docker = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.docker


@pytest.fixture
def docker(ecr: Ecr, tmp_path: Path) -> Docker:
    """Run docker with a configuration, and so logins, of its own."""

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = ["docker", "--config", str(tmp_path / "docker"), *args]
        return subprocess.run(command, capture_output=True, text=True, input=stdin)

    return run


@pytest.fixture
def log_in(docker: Docker, ecr: Ecr) -> Callable[[], None]:
    def log_in() -> None:
        done = docker(
            "login", "--username", "AWS", "--password-stdin", ecr.registry, stdin=f"{ecr.account}-auth-token"
        )
        assert done.returncode == 0, done.stderr

    return log_in


@pytest.fixture
def image(docker: Docker, ecr: Ecr, tmp_path: Path) -> Iterator[str]:
    """A small image, tagged for the local ECR."""
    tag = f"{ecr.registry}/small:v1"
    make_image(docker, tmp_path, tag, content="one")
    yield tag
    docker("image", "rm", tag)


def make_image(docker: Docker, folder: Path, tag: str, content: str) -> None:
    (folder / "file").write_text(content)
    with tarfile.open(folder / "root.tar", "w") as root:
        root.add(folder / "file", arcname="file")
    assert docker("import", str(folder / "root.tar"), tag).returncode == 0


def test_a_push_needs_a_login(docker: Docker, ecr: Ecr, image: str) -> None:
    ecr.client().create_repository(repositoryName="small")
    assert "no basic auth credentials" in docker("push", image).stderr


def test_a_wrong_password_is_refused(docker: Docker, ecr: Ecr) -> None:
    done = docker("login", "--username", "AWS", "--password-stdin", ecr.registry, stdin="guessed")
    assert done.returncode != 0


def test_a_push_needs_a_repository(docker: Docker, log_in: Callable[[], None], image: str) -> None:
    log_in()
    assert "The repository with name 'small' does not exist" in docker("push", image).stderr


def test_an_image_that_was_pushed_is_known_to_both_sides(
    docker: Docker, log_in: Callable[[], None], ecr: Ecr, image: str
) -> None:
    ecr.client().create_repository(repositoryName="small")
    log_in()
    pushed = docker("push", image)
    assert pushed.returncode == 0, pushed.stderr
    (known,) = ecr.client().list_images(repositoryName="small")["imageIds"]
    assert known["imageTag"] == "v1"
    assert known["imageDigest"] in pushed.stdout
    docker("image", "rm", image)
    assert docker("pull", image).returncode == 0


@pytest.mark.parametrize(("mutability", "accepted"), [("IMMUTABLE", False), ("MUTABLE", True)])
def test_a_tag_that_exists_is_replaced_only_where_tags_are_mutable(
    docker: Docker,
    log_in: Callable[[], None],
    ecr: Ecr,
    image: str,
    tmp_path: Path,
    mutability: str,
    accepted: bool,
) -> None:
    ecr.client().create_repository(repositoryName="small", imageTagMutability=mutability)
    log_in()
    assert docker("push", image).returncode == 0
    docker("image", "rm", image)
    make_image(docker, tmp_path, image, content="another")
    again = docker("push", image)
    assert (again.returncode == 0) == accepted
    if not accepted:
        assert "tag invalid: The image tag 'v1' already exists in the 'small' repository" in again.stderr
