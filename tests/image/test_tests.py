"""`dagkit test`: the repository's own tests, in its image and without one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.containers import LABEL_PIPELINE, docker_client
from dagkit.pipeline import Pipeline
from tests.harness.generate import generate

PROJECT = "dagkit_test_verb"
LABEL = f"{LABEL_PIPELINE}={PROJECT}.dagkit_test_tests"

CONFINED = '''\
"""What the tests see of the container they run in."""

import os
import pathlib

import pytest


def test_confined():
    assert os.getuid() == 1337
    with pytest.raises(OSError, match="Read-only file system"):
        pathlib.Path("/x").touch()
    pathlib.Path("/tmp/x").touch()
    status = pathlib.Path("/proc/self/status").read_text()
    assert "CapBnd:\\t0000000000000000" in status
    assert "NoNewPrivs:\\t1" in status
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
'''


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository from the template."""
    return generate(tmp_path_factory.mktemp("tests") / "dagkit-test-tests", project=PROJECT)


@pytest.fixture
def extra(repository: Path) -> Iterator[Path]:
    """A test file of its own, put away afterwards."""
    path = repository / "tests" / "test_extra.py"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def _image(python_base_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGKIT_BASE_IMAGE", python_base_image)


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


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_a_generated_repositorys_tests_pass_in_its_image(
    repository: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["test", "--path", str(repository)]) == 0
    out = capfdbinary.readouterr().out.decode()
    assert "Built dagkit-test-tests:local-test in " in out
    assert re.search(r"\d+ passed", out)
    assert containers() == []


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_tests_run_as_a_pod_would(repository: Path, extra: Path) -> None:
    extra.write_text(CONFINED, encoding="utf-8")
    assert main(["test", "--path", str(repository), "--", "-q", "tests/test_extra.py"]) == 0


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_the_exit_code_is_that_of_the_tests_and_arguments_reach_them(
    repository: Path, extra: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    extra.write_text("def test_wrong():\n    assert 1 == 2\n", encoding="utf-8")
    assert main(["test", "--path", str(repository), "--", "-k", "test_wrong"]) == 1
    assert "1 failed" in capfdbinary.readouterr().out.decode()
    assert main(["test", "--path", str(repository), "--", "-k", "no_test_is_called_this"]) == 5
    assert containers() == []


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_container(repository: Path, extra: Path, number: signal.Signals) -> None:
    extra.write_text("import time\n\n\ndef test_slow():\n    time.sleep(600)\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "dagkit", "test", "--path", str(repository), "--", "tests/test_extra.py"],
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


def test_without_docker_the_tests_run_in_an_environment_of_the_lock_files(
    repository: Path,
    extra: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    extra.write_text(
        "import os\n\n\ndef test_no_credentials():\n"
        "    assert 'AWS_SECRET_ACCESS_KEY' not in os.environ and 'AWS_PROFILE' not in os.environ\n"
        "    assert os.environ['AWS_DEFAULT_REGION'] == 'eu-west-1'\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there.sock")
    assert main(["test", "--path", str(repository)]) == 0
    said = capfd.readouterr()
    assert re.search(r"\d+ passed", said.out)
    assert "Without Docker: not checked are" in said.err
    assert main(["test", "--path", str(repository), "--", "-k", "no_test_is_called_this"]) == 5
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
