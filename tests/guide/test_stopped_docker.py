"""A cell that is stopped while an image is built, or runs, leaves no container and no lock behind."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.guide import stopping
from tests.guide.conftest import NewReader
from tests.guide.reading import Reader

pytestmark = pytest.mark.docker
PROJECT = "guide_stopped_docker"
SLOW = f"echo {PROJECT} && sleep 45"


@pytest.fixture(scope="module")
def reader(make_reader: NewReader) -> Reader:
    reader = make_reader(PROJECT, "python", docker=True)
    reader.assert_green(1, reader.read(1))
    return reader


def building() -> list[str]:
    """The containers in which the slow step of a build runs, or ran."""
    asked = ["docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Command}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if PROJECT in line]


def wait_for(present: bool) -> None:
    until = time.monotonic() + stopping.PATIENCE
    while bool(building()) != present and time.monotonic() < until:
        time.sleep(0.1)
    assert bool(building()) == present, building()


@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_a_build_that_is_stopped_leaves_no_container(reader: Reader, how: str) -> None:
    recipe = reader.pipeline / "Dockerfile"
    before = recipe.read_text()
    recipe.write_text(before + f"RUN {SLOW} {how}\n")
    try:
        with stopping.kernel(reader, 2) as running:
            for cell in ("parameters", "install", "open"):
                running.run(cell)
            request = running.begin("build")
            wait_for(True)
            if how == "interrupted":
                running.interrupt()
                assert running.ended(request)["ename"] == "Interrupted"
            else:
                running.kill()
            wait_for(False)
            stopping.assert_clean(reader, running)
    finally:
        recipe.write_text(before)


def test_notebook_2_stopped_in_the_middle_goes_on(reader: Reader) -> None:
    assert {"cluster", "test"} <= set(stopping.read_and_stop(reader, 2, ("cluster", "test")))


def test_after_a_crash_in_the_middle_of_notebook_3_the_guide_goes_on(reader: Reader) -> None:
    stopping.read_and_kill(reader, 3, "run-broken")
    for number in (3, 4):
        reader.assert_green(number, reader.read(number))
