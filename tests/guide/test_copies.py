"""`dagkit guide`: the notebooks beside the analyst's work, never over what they changed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from dagkit import __version__
from dagkit.cli import main, terminal
from dagkit.guide import copies
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.progress import Progress
from tests.harness.generate import generate

FIRST = CHAPTERS[0].file


def add_cell(path: Path, text: str) -> None:
    """What an analyst does to a notebook."""
    notebook = json.loads(path.read_text())
    notebook["cells"].append({"cell_type": "markdown", "id": "mine", "metadata": {}, "source": text})
    path.write_text(json.dumps(notebook))


def run(path: Path) -> None:
    """What running a notebook leaves in it."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["execution_count"] = 3
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["shown\n"]}]
            cell["source"] = "".join(cell["source"])
    path.write_text(json.dumps(notebook))


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide that dagkit carries, in a folder of its own: a test may bring out a newer one."""
    folder = tmp_path / "carried"
    shutil.copytree(copies.carried()[0].parent, folder)
    monkeypatch.setattr(
        copies, "carried", lambda: tuple(sorted((*folder.glob("*.ipynb"), *folder.glob("*.py"))))
    )
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def put(folder: Path) -> dict[str, str]:
    placings = copies.plan(folder)
    copies.put(folder, placings)
    return {placing.target.name: placing.what for placing in placings}


def test_a_fresh_copy_holds_every_notebook_and_what_they_run(carried: Path, mine: Path) -> None:
    placed = put(mine)
    assert set(placed.values()) == {"new"}
    assert {chapter.file for chapter in CHAPTERS} | {"install.py"} <= placed.keys()
    for name in placed:
        assert (mine / name).read_bytes() == (carried / name).read_bytes()


def test_what_was_run_is_left_with_what_it_showed(carried: Path, mine: Path) -> None:
    put(mine)
    run(mine / FIRST)
    before = (mine / FIRST).read_bytes()
    assert set(put(mine).values()) == {"same"}
    assert (mine / FIRST).read_bytes() == before


def test_what_was_changed_is_left_alone(carried: Path, mine: Path) -> None:
    put(mine)
    add_cell(mine / FIRST, "my note")
    before = (mine / FIRST).read_bytes()
    assert put(mine)[FIRST] == "yours"
    assert (mine / FIRST).read_bytes() == before


def test_a_newer_guide_replaces_what_was_not_changed_and_lands_beside_what_was(
    carried: Path, mine: Path
) -> None:
    put(mine)
    second = CHAPTERS[1].file
    run(mine / second)
    add_cell(mine / FIRST, "my note")
    before = (mine / FIRST).read_bytes()
    for name in (FIRST, second):
        add_cell(carried / name, "something new")
    placed = put(mine)
    beside = f"0-start-here-{__version__}.ipynb"
    assert placed[second] == "renewed"
    assert placed[beside] == "beside"
    assert (mine / FIRST).read_bytes() == before
    assert (mine / beside).read_bytes() == (carried / FIRST).read_bytes()
    assert put(mine)[beside] == "same", "it lands there once"
    add_cell(mine / beside, "a note in the newer one")
    assert put(mine)[beside] == "yours"
    assert len(list(mine.glob("0-*.ipynb"))) == 2


def test_a_notebook_that_is_none_any_more_is_the_analysts(carried: Path, mine: Path) -> None:
    put(mine)
    (mine / FIRST).write_text("{ broken")
    assert FIRST not in {name for name, what in put(mine).items() if what != "yours"}
    assert (mine / FIRST).read_text() == "{ broken"


def test_files_of_the_same_names_that_are_none_of_ours_are_kept(carried: Path, mine: Path) -> None:
    mine.mkdir()
    (mine / "install.py").write_text("print('mine')\n")
    placed = put(mine)
    assert (mine / "install.py").read_text() == "print('mine')\n"
    assert placed[f"install-{__version__}.py"] == "beside"


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", *(n for n in os.environ if n.startswith(("JPY_", "JUPYTER")))):
        monkeypatch.delenv(name, raising=False)


def test_without_a_display_the_command_says_what_to_open(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    nobody_looks: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["guide"]) == 0
    said = capsys.readouterr().out
    assert f"The guide is in dagkit-guide: {len(CHAPTERS)} notebooks" in said
    assert f"open:  dagkit-guide/{FIRST}" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dagkit-guide"]


def test_in_a_pipeline_the_notebooks_lie_beside_it_and_work_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody_looks: None
) -> None:
    pipeline = generate(tmp_path / "my-pipeline")
    before = sorted(pipeline.rglob("*"))
    monkeypatch.chdir(pipeline / "scripts")
    assert main(["guide"]) == 0
    assert Progress(tmp_path / "dagkit-guide").pipeline == pipeline
    assert sorted(pipeline.rglob("*")) == before


def test_with_a_display_jupyterlab_opens_the_first_notebook_and_sees_the_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody_looks: None
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, words: started.append(words))
    monkeypatch.setattr(terminal, "is_terminal", lambda: True)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert main(["guide", str(tmp_path / "guide"), "--no-open"]) == 0
    assert started == []
    assert main(["guide", str(tmp_path / "guide")]) == 0
    [words] = started
    assert str(tmp_path / "guide" / FIRST) in words
    assert f"--ServerApp.root_dir={tmp_path}" in words
    monkeypatch.setenv("JPY_SESSION_NAME", "there is one open already")
    assert main(["guide", str(tmp_path / "guide")]) == 0
    assert len(started) == 1


@pytest.mark.parametrize("name", ["file", "in-the-way", "file/below"])
def test_a_folder_that_cannot_be_is_one_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "in-the-way" / FIRST).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(["guide", name]) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "what to do: " in said
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "in-the-way").iterdir()) == [tmp_path / "in-the-way" / FIRST]


def test_what_is_put_there_can_be_read_by_all_and_written_by_its_owner(carried: Path, mine: Path) -> None:
    (carried / FIRST).chmod(0o444)
    put(mine)
    assert stat.S_IMODE((mine / FIRST).stat().st_mode) == 0o644
