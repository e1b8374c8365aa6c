"""`dagkit test`: the repository's own tests, in its image and without one."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.containers import LABEL_PIPELINE, docker_client
from dagkit.pipeline import Pipeline
from tests.harness.generate import generate
from tests.harness.languages import both_languages, each_language
from tests.image import own_tests
from tests.image.own_tests import OwnTests

PROJECT = "dagkit_test_verb"
LABEL = f"{LABEL_PIPELINE}={PROJECT}.dagkit_test_tests"


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Repositories from the template, one for each language."""

    @functools.cache
    def make(language: str) -> Path:
        folder = tmp_path_factory.mktemp("tests") / "dagkit-test-tests"
        return generate(folder, language=language, project=PROJECT)

    return make


@pytest.fixture
def repository(repositories: Callable[[str], Path], language: str) -> Path:
    """The one of the test's language."""
    return repositories(language)


@pytest.fixture
def own(language: str) -> OwnTests:
    """What a repository's own tests look like in the test's language."""
    return own_tests.IN[language]


@pytest.fixture
def extra(repository: Path, own: OwnTests) -> Iterator[Path]:
    """A test file of its own, put away afterwards."""
    path = repository / own.path
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def _image(base_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGKIT_BASE_IMAGE", base_image)


def containers() -> list[str]:
    """The containers of these tests that are there, running or not."""
    client = docker_client()
    try:
        return [
            str(container.id)
            for container in client.containers.list(True, filters={"label": LABEL}, ignore_removed=True)
        ]
    finally:
        client.close()


@both_languages
@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_a_generated_repositorys_tests_pass_in_its_image(
    repository: Path, own: OwnTests, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["test", "--path", str(repository)]) == 0
    out = capfdbinary.readouterr().out.decode()
    assert "Built dagkit-test-tests:local-test in " in out
    assert re.search(own.passed, out)
    assert containers() == []


@both_languages
@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_tests_run_as_a_pod_would(repository: Path, own: OwnTests, extra: Path) -> None:
    extra.write_text(own.confined, encoding="utf-8")
    assert main(["test", "--path", str(repository), "--", *own.alone]) == 0


@both_languages
@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_the_exit_code_is_that_of_the_tests_and_arguments_reach_them(
    repository: Path, own: OwnTests, extra: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    extra.write_text(own.wrong, encoding="utf-8")
    assert main(["test", "--path", str(repository), "--", *own.alone]) == 1
    assert own.failed in capfdbinary.readouterr().out.decode()
    assert main(["test", "--path", str(repository), "--", *own.none]) == own.no_tests
    assert containers() == []


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
@pytest.mark.parametrize(
    ("language", "number"), [("python", signal.SIGINT), ("python", signal.SIGTERM), ("r", signal.SIGINT)]
)
def test_stopping_leaves_no_container(
    repository: Path, own: OwnTests, extra: Path, number: signal.Signals
) -> None:
    extra.write_text(own.slow, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "dagkit", "test", "--path", str(repository), "--", *own.alone],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while not containers():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.2)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.decode().strip() == "stopped"
    assert containers() == []


@each_language
def test_without_docker_the_tests_run_in_an_environment_of_the_lock_files(
    repository: Path,
    own: OwnTests,
    extra: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    extra.write_text(own.no_credentials, encoding="utf-8")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there.sock")
    assert main(["test", "--path", str(repository)]) == 0
    said = capfd.readouterr()
    assert re.search(own.passed, said.out)
    assert "Without Docker: not checked are" in said.err
    assert main(["test", "--path", str(repository), "--", *own.none]) == own.no_tests
    assert os.environ["AWS_PROFILE"] == "mine"


def test_an_unknown_engine_is_one_clear_error(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--path", str(repository), "--engine", "dokcer"]) == 2
    assert "There is no engine 'dokcer' (did you mean 'docker'?)" in capsys.readouterr().err


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_a_dockerfile_without_a_test_stage_is_one_clear_error(
    generated: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".copier-answers.yml").write_bytes((generated.root / ".copier-answers.yml").read_bytes())
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE=x\nFROM ${BASE_IMAGE} AS base\n", encoding="utf-8")
    assert main(["test", "--path", str(tmp_path)]) == 2
    assert "The Dockerfile has no stage 'test'" in capsys.readouterr().err
