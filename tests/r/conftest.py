"""Repositories in R as the template makes them, their images, and what they need around them."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dagkit.image import BuiltImage, build
from dagkit.pipeline import Pipeline
from tests.harness.generate import commit_all, generate
from tests.r.cran import make_repository, served

ANSWERS = {
    "language": "r",
    "project": "example",
    "pipeline": "pipe",
    "owner": "analyst",
    "email": "an.analyst@example.gov.uk",
    "output": "s3://alpha-everyone/airflow-example/analyst",
}
PACKAGE = "greeting"


@pytest.fixture(scope="session")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = generate(
        tmp_path_factory.mktemp("generated") / "r", repository="dagkit-test-generated-r", **ANSWERS
    )
    commit_all(repository)
    return repository


@pytest.fixture
def repository(_generated: Path, tmp_path: Path) -> Path:
    """A repository in R, of a test's own."""
    return shutil.copytree(_generated, tmp_path / "repository")


@pytest.fixture(scope="session")
def built(_generated: Path, r_base_image: str) -> BuiltImage:
    """Its image. The tag stays, as a cache for the next session."""
    return build(Pipeline.load(_generated), base_image=r_base_image)


@pytest.fixture(scope="session")
def bridge() -> str:
    """The address of this machine that containers reach."""
    asked = subprocess.run(
        ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    config = json.loads(asked.stdout)
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of packages: greeting 1.1.0, and 1.0.0 in its archive."""
    return make_repository(tmp_path_factory.mktemp("cran"), PACKAGE, "1.0.0", "1.1.0")


@pytest.fixture
def cran(packages: Path, bridge: str) -> Iterator[str]:
    """Its address, for containers too."""
    with served(packages, bridge) as url:
        yield url


@pytest.fixture(scope="session")
def renv_library(r_base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that holds renv alone, for the R of this machine: renv has nothing compiled."""
    library = tmp_path_factory.mktemp("renv")
    made = subprocess.run(["docker", "create", r_base_image], capture_output=True, text=True, check=True)
    container = made.stdout.strip()
    try:
        source = f"{container}:/usr/lib/R/site-library/renv"
        subprocess.run(["docker", "cp", source, str(library)], capture_output=True, check=True)
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=True)
    return library


Lock = Callable[..., None]


@pytest.fixture
def lock(repository: Path) -> Lock:
    """Change renv.lock: ``lock(greeting="1.0.0")`` adds a package, ``url=`` is where packages come from."""

    def change(*, url: str | None = None, only: bool = False, r: str | None = None, **wanted: str) -> None:
        path = repository / "renv.lock"
        content = json.loads(path.read_text())
        if url:
            content["R"]["Repositories"] = [{"Name": "CRAN", "URL": url}]
        if r:
            content["R"]["Version"] = r
        if only:
            content["Packages"] = {}
        for name, version in wanted.items():
            content["Packages"][name] = {
                "Package": name,
                "Version": version,
                "Source": "Repository",
                "Repository": "CRAN",
            }
        path.write_text(json.dumps(content, indent=2))

    return change
