"""A cell that is stopped without Docker leaves no process, server, lock or half-edited file behind."""

from __future__ import annotations

import pytest

from tests.guide import stopping
from tests.guide.conftest import NewReader
from tests.guide.reading import Reader
from tests.harness.generate import git


@pytest.fixture(scope="module")
def reader(make_reader: NewReader) -> Reader:
    reader = make_reader("guide_stopped", "python", docker=False)
    reader.assert_green(1, reader.read(1))
    return reader


def test_a_crash_while_the_role_is_broken_leaves_nothing_running(reader: Reader) -> None:
    stopping.read_and_kill(reader, 3, "run-broken")
    # what the guide has taken out is out, as the reader was told, and nothing else is changed
    assert git(reader.pipeline, "status", "--porcelain").split()[1:] == ["airflow/roles/dev/daily.yaml"]


def test_notebook_3_stopped_in_the_middle_goes_on(reader: Reader) -> None:
    heavy = ("run", "take-out", "change")
    assert "run" in stopping.read_and_stop(reader, 3, heavy)
    assert git(reader.pipeline, "status", "--porcelain") == ""


def test_notebook_4_stopped_in_the_middle_goes_on(reader: Reader) -> None:
    heavy = ("validate", "commit", "release", "review", "submit", "merge")
    # on a fast machine the others may be done before they can be stopped
    assert "validate" in stopping.read_and_stop(reader, 4, heavy)


def test_notebook_5_stopped_in_the_middle_goes_on(reader: Reader) -> None:
    heavy = ("rehearse", "update-copy", "newer")
    assert {"update-copy"} <= set(stopping.read_and_stop(reader, 5, heavy))


if stopping.EVERY:

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_every_cell_of_the_others_stopped(reader: Reader, number: int) -> None:
        stopping.read_and_stop(reader, number, ())
