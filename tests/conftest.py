"""What every test may ask for: base images, environments, local services. And: in CI nothing is skipped."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.harness.ecr import Ecr, running_ecr
from tests.harness.environments import EnvironmentUnavailableError, locked_environment
from tests.harness.services import empty_moto, running_moto, running_registry

TESTS = Path(__file__).parent
REPOSITORY = TESTS.parent
# A shell that starts the tests in the background has them, and all they start, ignore interrupts; some tests
# interrupt what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI") == "true"


@functools.cache
def docker_problem() -> str | None:
    """Return why Docker cannot be used here, or None where an engine answers."""
    if shutil.which("docker") is None:
        return "Docker is not installed"
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=60
    )
    return None if asked.returncode == 0 else "no Docker engine answers"


@functools.cache
def r_problem() -> str | None:
    """Return why R cannot be used here, or None where it can."""
    return None if shutil.which("Rscript") else "R is not installed"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, and say why."""
    for marker, problem in (("docker", docker_problem), ("r", r_problem)):
        if item.get_closest_marker(marker) and (reason := problem()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure where nothing may be skipped."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI, but this was: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped test module into a failure where nothing may be skipped."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI, but this was: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _base_image(name: str, variable: str) -> str:
    if given := os.environ.get(variable):
        return given
    if reason := docker_problem():
        pytest.skip(reason)
    made = subprocess.run([str(TESTS / "images" / "build.sh"), name], stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        pytest.fail(f"tests/images/build.sh {name} failed; what it said is above")
    return made.stdout.strip()


@pytest.fixture(scope="session")
def python_base_image() -> str:
    """The tag of an image that stands in for ``python:3.13-slim`` (tests/images/README.md)."""
    return _base_image("python", "DAGKIT_TEST_PYTHON_IMAGE")


@pytest.fixture(scope="session")
def r_base_image() -> str:
    """The tag of an image that stands in for ``r-base:4.5`` (tests/images/README.md)."""
    return _base_image("r", "DAGKIT_TEST_R_IMAGE")


@pytest.fixture
def language() -> str:
    """The language of a test's pipeline; ``both_languages`` of tests/harness/languages.py gives each."""
    return "python"


@pytest.fixture
def base_image(language: str, request: pytest.FixtureRequest) -> str:
    """The tag of the image that stands in for what this language's images build on."""
    tag: str = request.getfixturevalue(f"{language}_base_image")
    return tag


@pytest.fixture(scope="session")
def airflow_211() -> Path:
    """The python of an environment with Airflow 2.11 and its Kubernetes provider."""
    try:
        return locked_environment(
            "airflow-2.11", TESTS / "airflow-2.11" / "requirements.txt", pythons=("3.12", "3.11")
        )
    except EnvironmentUnavailableError as error:
        pytest.skip(f"Airflow 2.11 needs an older Python: {error}")


@pytest.fixture(scope="session")
def airflow_3() -> Path:
    """The python of an environment with the newest Airflow 3: this one."""
    return Path(sys.executable)


@pytest.fixture(scope="session")
def aws_cli() -> Path:
    """The AWS command line that GitHub's runners bring: the folder to put first on PATH holds ``aws``."""
    return locked_environment("awscli", TESTS / "awscli" / "requirements.txt").parent


@pytest.fixture(scope="session")
def oci_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an image registry. Tests share it, so that a layer is sent to it once."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="session")
def _moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def moto_server(_moto: str) -> str:
    """The URL of a local AWS that holds nothing yet; it answers everyone and checks nobody's permissions."""
    empty_moto(_moto)
    return _moto


@pytest.fixture(scope="session")
def _ecr(_moto: str, oci_registry: str) -> Iterator[Ecr]:
    with running_ecr(_moto, oci_registry, account="189157455002") as running:
        yield running


@pytest.fixture
def ecr(_ecr: Ecr, moto_server: str) -> Ecr:
    """An Amazon ECR that holds nothing yet: its API, and its registry that keeps to what the API was told."""
    return _ecr
