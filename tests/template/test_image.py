"""The generated Dockerfile, built and run as the cluster would run it."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.languages import both_languages
from tests.template.conftest import Render
from tests.template.test_run_script import SlowS3, serving

pytestmark = pytest.mark.docker
CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=4242:4242"]
SCRATCH = {"python": [], "r": ["--tmpfs=/tmp"]}  # R starts only where it can make a temporary folder


def docker(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def images(render: Render, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """The final stage for each language, built from a working copy that only its owner can read."""
    tags: list[str] = []

    @functools.cache
    def make(language: str) -> str:
        base = request.getfixturevalue(f"{language}_base_image")
        made = render("private", language=language, customise=True, base_image=base)
        for path in made.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        tag = f"dagkit-test-template-{language}:{os.getpid()}"
        built = docker("build", "--quiet", "--tag", tag, ".", cwd=made)
        assert built.returncode == 0, built.stdout + built.stderr
        tags.append(tag)
        return tag

    yield make
    for tag in tags:
        docker("image", "rm", tag)


@pytest.fixture
def image(images: Callable[[str], str], language: str) -> str:
    """The one of the test's language."""
    return images(language)


@both_languages
def test_any_user_can_run_it_without_rights_and_without_writing(language: str, image: str) -> None:
    done = docker("run", "--rm", *CONFINED, *SCRATCH[language], image)
    assert (done.returncode, done.stderr) == (2, "error: the environment variable RUN is missing or empty\n")


HOLDS = {
    "python": ["./requirements.txt", "./scripts/run.py"],
    "r": [
        "./R/main.R",
        "./R/s3.R",
        "./R/summarise.R",
        "./renv.lock",
        "./renv/restore.R",
        "./scripts/run.R",
        "./scripts/summarise.R",
    ],
}


@both_languages
def test_it_holds_the_code_and_no_tests(language: str, image: str) -> None:
    listed = docker("run", "--rm", *CONFINED, "--entrypoint", "find", image, ".", "-type", "f")
    assert sorted(listed.stdout.splitlines()) == HOLDS[language]


def test_its_environment_holds_no_pip(image: str) -> None:
    asked = docker("run", "--rm", *CONFINED, "--entrypoint", "python", image, "-c", "import boto3, pip")
    assert asked.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'pip'"


@both_languages
def test_it_is_stopped_at_once_though_it_is_the_first_process(language: str, image: str) -> None:
    variables = [
        "RUN=write",
        "TEXT=x",
        "OUTPATH=s3://my-bucket/x",
        "AWS_ACCESS_KEY_ID=x",
        "AWS_SECRET_ACCESS_KEY=x",
    ]
    with serving(SlowS3(answers_uploads=False)) as server:
        options = [
            f"--env={v}" for v in [*variables, f"AWS_ENDPOINT_URL=http://127.0.0.1:{server.server_port}"]
        ]
        words = ["run", "--detach", "--network=host", *CONFINED, *SCRATCH[language], *options, image]
        container = docker(*words).stdout.strip()
        try:
            assert server.waiting.wait(timeout=60)
            docker("stop", "--time", "60", container)
            assert docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip() == "143"
            assert docker("logs", container).stderr == "error: stopped by SIGTERM\n"
        finally:
            docker("rm", "--force", container)
