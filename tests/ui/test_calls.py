"""What `dagkit ui` makes of wrong calls, and where it puts its page."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.ui import sweep
from dagkit.ui.plan import Options, address
from tests.harness.generate import generate
from tests.run.harness import DAGKIT


def called(*words: str) -> tuple[int, str]:
    """The exit code, and what is said."""
    done = subprocess.run([str(DAGKIT), "ui", *words], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def pipeline(make_pipeline: Callable[..., Path]) -> str:
    return str(make_pipeline())


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    code, said = called(str(tmp_path))
    assert code == 2
    assert "neither in an image repository nor in a DAG repository" in said


def test_an_environment_that_there_is_not(pipeline: str, tmp_path: Path) -> None:
    code, said = called(pipeline, "--environment", "prd")
    assert (code, "did you mean 'prod'?" in said) == (2, True)
    dags = generate(tmp_path / "airflow", kind="airflow")
    code, said = called(str(dags), "--environment", "test")
    assert code == 2
    assert "Environments: dev, prod" in said


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--engine", "dokcer"), "did you mean 'docker'?"),
        (("--base-url", "proxy/{port}"), "takes a URL or a path that starts with /"),
        (("--base-url", "/proxy"), "names no port"),
        (("--airflow", "/nowhere/bin/python"), "There is no such Python"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(
    pipeline: str, words: tuple[str, ...], wrong: str
) -> None:
    code, said = called(pipeline, *words)
    assert (code, wrong in said) == (2, True), said


def test_an_environment_without_airflow(pipeline: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    code, said = called(pipeline, "--airflow", str(tmp_path / "bare"))
    assert code == 1
    assert "Airflow and its Kubernetes provider are not installed there" in said
    assert "pip install apache-airflow" in said


def test_a_broken_role_ends_it_before_anything_is_started(make_pipeline: Callable[..., Path]) -> None:
    repository = make_pipeline()
    role = repository / "airflow" / "roles" / "dev" / "pipe.yaml"
    role.write_text("s3: [wrong\n")
    code, said = called(str(repository))
    assert code == 1
    assert f"{role}:" in said
    assert not (repository / ".dagkit" / "ui").exists()


def test_a_port_that_is_taken(pipeline: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, said = called(pipeline, "--engine", "process", "--port", str(other.getsockname()[1]))
    assert code == 1
    assert "is taken" in said


class TestAddress:
    def test_is_on_loopback_at_the_port_of_the_last_time(self) -> None:
        first = address(Options(Path()), 0, {})
        again = address(Options(Path()), first.port, {})
        assert again == first
        assert again.local == f"http://127.0.0.1:{first.port}"

    def test_takes_another_port_where_that_is_taken(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            assert address(Options(Path()), taken, {}).port != taken

    def test_is_below_the_users_server_on_a_jupyterhub(self) -> None:
        found = address(Options(Path()), 0, {"JUPYTERHUB_SERVICE_PREFIX": "/user/jo/"})
        assert found.path == f"/user/jo/proxy/absolute/{found.port}"
        hub = {
            "JUPYTERHUB_SERVICE_PREFIX": "/user/jo/",
            "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/jo/",
        }
        found = address(Options(Path()), 0, hub)
        assert found.public == f"https://hub.example/user/jo/proxy/absolute/{found.port}"

    def test_is_where_the_caller_says(self) -> None:
        found = address(Options(Path(), base_url="https://lab.example/x/{port}/"), 0, {})
        assert (found.path, found.public) == (f"/x/{found.port}", f"https://lab.example/x/{found.port}")


def test_only_the_processes_of_a_session_are_ended() -> None:
    other = subprocess.Popen(["sleep", "60"])
    ours = subprocess.Popen(["sleep", "60"], env={sweep.SESSION: "ui-test-mine", "PATH": "/usr/bin:/bin"})
    try:
        assert sweep.kill("ui-test-mine") == 1
        assert ours.wait(10) == -9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
