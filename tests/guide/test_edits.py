"""What the guide changes in the reader's files is undone exactly, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dagkit.errors import DagkitError, UsageError
from dagkit.guide import breaking, edits
from dagkit.local.record import RunRecord
from dagkit.pipeline import Pipeline
from tests.harness.generate import generate
from tests.harness.languages import LANGUAGES

ROLE = """\
# what it may do
iam_role_name: airflow_dev_stats_daily

s3:
  read_only:
    - alpha-inputs/2026/*  # from the courts
    - alpha-inputs/2025/*
  # the only place it writes to
  read_write:
    - "alpha-outputs/dev/*"
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "role.yaml").write_bytes(ROLE.replace("\n", "\r\n").encode())
    return Pipeline(tmp_path, {})


def take_out(pipeline: Pipeline, path: str = "alpha-outputs/dev/*") -> edits.Edit:
    def plan() -> edits.Edit:
        before = edits.read(pipeline, "role.yaml")
        return edits.Edit("role.yaml", before, breaking.without_path(before, path))

    return edits.make(pipeline, "role", plan)


def test_a_path_is_commented_out_with_the_keys_it_leaves_empty(pipeline: Pipeline) -> None:
    take_out(pipeline)
    text = edits.read(pipeline, "role.yaml")
    assert "  # read_write:" in text
    assert '    # - "alpha-outputs/dev/*"' in text
    assert yaml.safe_load(text) == {
        "iam_role_name": "airflow_dev_stats_daily",
        "s3": {"read_only": ["alpha-inputs/2026/*", "alpha-inputs/2025/*"]},
    }


def test_one_path_of_two_leaves_the_other(pipeline: Pipeline) -> None:
    take_out(pipeline, "alpha-inputs/2026/*")
    assert yaml.safe_load(edits.read(pipeline, "role.yaml"))["s3"]["read_only"] == ["alpha-inputs/2025/*"]


def test_it_is_undone_to_the_byte(pipeline: Pipeline) -> None:
    before = (pipeline.root / "role.yaml").read_bytes()
    take_out(pipeline)
    assert take_out(pipeline).before == before.decode(), "taken out once, however often it is asked for"
    assert edits.undo(pipeline, "role") == "undone"
    assert (pipeline.root / "role.yaml").read_bytes() == before
    assert edits.undo(pipeline, "role") == "nothing"


def test_a_crash_between_keeping_and_editing_harms_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (pipeline.root / "role.yaml").read_bytes()
    write = edits._write

    def crash(file: Path, text: str) -> None:
        if file.name == "role.yaml":
            raise KeyboardInterrupt
        write(file, text)

    with monkeypatch.context() as patch:
        patch.setattr(edits, "_write", crash)
        with pytest.raises(KeyboardInterrupt):
            take_out(pipeline)
    assert (pipeline.root / "role.yaml").read_bytes() == before
    take_out(pipeline)
    assert "# read_write:" in edits.read(pipeline, "role.yaml")
    edits.undo(pipeline, "role")
    assert (pipeline.root / "role.yaml").read_bytes() == before


def test_what_the_reader_changes_elsewhere_in_the_file_stays(pipeline: Pipeline) -> None:
    file = pipeline.root / "role.yaml"
    take_out(pipeline)
    file.write_bytes(file.read_bytes().replace(b"what it may do", b"mine"))
    edits.undo(pipeline, "role")
    assert file.read_bytes().decode() == ROLE.replace("what it may do", "mine").replace("\n", "\r\n")


def test_where_the_reader_changed_the_same_lines_they_choose(pipeline: Pipeline) -> None:
    file = pipeline.root / "role.yaml"
    before = file.read_bytes()
    take_out(pipeline)
    mine = file.read_bytes().replace(
        b'  # read_write:\r\n    # - "alpha-outputs/dev/*"', b"  write_only: [a/b]"
    )
    assert mine != file.read_bytes()
    file.write_bytes(mine)
    with pytest.raises(DagkitError, match="the lines that the guide changed"):
        edits.undo(pipeline, "role")
    assert file.read_bytes() == mine
    kept = edits.made(pipeline, "role")
    assert kept is not None, "so that it can still be undone"
    edits.undo(pipeline, "role", keep="original")
    assert file.read_bytes() == before


def test_keeping_mine_leaves_the_file(pipeline: Pipeline) -> None:
    file = pipeline.root / "role.yaml"
    take_out(pipeline)
    file.write_text("mine: true\n")
    assert edits.undo(pipeline, "role", keep="mine") == "yours"
    assert file.read_text() == "mine: true\n"


def test_a_file_that_changed_since_is_not_edited_again(pipeline: Pipeline) -> None:
    take_out(pipeline)
    (pipeline.root / "role.yaml").write_text("mine: true\n")
    with pytest.raises(DagkitError, match="since the guide edited it"):
        take_out(pipeline)
    assert (pipeline.root / "role.yaml").read_text() == "mine: true\n"


def test_a_path_that_the_role_does_not_grant_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="did you mean 'alpha-outputs/dev/"):
        take_out(pipeline, "alpha-outputs/dev")
    assert edits.made(pipeline, "role") is None


def test_without_a_run_the_first_path_is_taken() -> None:
    no_run: RunRecord | None = None
    assert breaking.telling_path(("a/b", "c/*"), no_run) == "a/b"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_of_each_language_has_the_line_that_the_guide_changes(
    language: str, tmp_path: Path
) -> None:
    generate(tmp_path / "it", language=language)
    file = tmp_path / "it" / breaking.EXAMPLE[language][0]
    changed = breaking.changed_example(file.read_text(), language)
    assert changed.count(breaking.CHANGED) == 1
    with pytest.raises(DagkitError, match="your own by now"):
        breaking.changed_example(changed, language)
