"""`dagkit new`: what `copier copy` makes, or one clear error and nothing at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dagkit.cli import main
from tests.harness.languages import both_languages
from tests.scaffold.conftest import FIRST, SECOND, files

ANSWERS = {"project": "prison_statistics", "owner": "an-analyst", "schedule": "30 6 * * MON-FRI"}
DATA = [word for key, value in ANSWERS.items() for word in ("-d", f"{key}={value}")]


def copier(*arguments: str | Path) -> None:
    """Run the bare tool."""
    command = [str(Path(sys.executable).parent / "copier"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def left() -> list[str]:
    """What lies in the current folder, hidden or not."""
    return sorted(path.name for path in Path.cwd().iterdir())


@both_languages
def test_makes_what_copier_copy_makes_to_the_byte(language: str, template: Path, tmp_path: Path) -> None:
    data = [*DATA, "-d", f"language={language}"]
    assert main(["new", "my-pipeline", "--defaults", "--template", str(template), *data]) == 0
    copier("copy", "--defaults", *data, template, tmp_path / "by-copier" / "my-pipeline")
    assert files(Path("my-pipeline")) == files(tmp_path / "by-copier" / "my-pipeline")
    assert left() == ["my-pipeline"]


def test_says_what_it_made_and_what_comes_next(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "my-pipeline", "--template", str(template)]) == 0
    said = capsys.readouterr()
    assert "no terminal to ask in" in said.err
    out = said.out.splitlines()
    number = len(files(Path("my-pipeline")))
    assert out[0] == f"Made my-pipeline: {number} files, from version {SECOND} of the template."
    assert "cd my-pipeline && git init" in out[1]
    assert "dagkit run" in out[2]
    assert len(out) == 3


def test_takes_the_version_it_is_told(template: Path) -> None:
    for said, tag in ((FIRST, FIRST), (FIRST.removeprefix("v"), FIRST), (SECOND, SECOND)):
        assert main(["new", f"at-{said}", "--template", str(template), "--version", said]) == 0
        answers = yaml.safe_load(Path(f"at-{said}", ".copier-answers.yml").read_text(encoding="utf-8"))
        assert answers["_commit"] == tag


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "my-pipeline", "--template", str(template), "--version", "v0.11.0"]) == 2
    err = capsys.readouterr().err
    assert "no version 'v0.11.0'" in err
    assert f"{SECOND}, {FIRST}" in err
    assert left() == []


def test_a_commit_that_does_not_exist_is_refused(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "my-pipeline", "--template", str(template), "--version", "0123456789"]) == 1
    assert "0123456789" in capsys.readouterr().err
    assert left() == []


def test_answers_come_from_a_file_and_the_command_line_counts_more(template: Path) -> None:
    Path("answers.yml").write_text("project: from_file\nowner: from-file\n", encoding="utf-8")
    call = ["new", "made", "--template", str(template), "--data-file", "answers.yml", "-d", "owner=from-line"]
    assert main(call) == 0
    answers = yaml.safe_load(Path("made", ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (answers["project"], answers["owner"]) == ("from_file", "from-line")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (["-d", "pipeline=Not Good"], "The answer to 'pipeline' is refused: Like daily_counts"),
        (["-d", "compute=huge"], "The answer to 'compute' is refused: 'huge' is not in"),
        (["-d", "piepline=good"], "asks no question 'piepline' (did you mean 'pipeline'?)"),
        (["-d", "pipeline"], "not given as KEY=VALUE: 'pipeline'"),
        (["--data-file", "missing.yml"], "no such file of answers"),
    ],
)
def test_a_refused_answer_leaves_nothing(
    template: Path, capsys: pytest.CaptureFixture[str], data: list[str], said: str
) -> None:
    assert main(["new", "my-pipeline", "--template", str(template), *data]) == 2
    assert said in capsys.readouterr().err
    assert left() == []


def test_a_question_without_a_default_is_an_error_where_nobody_can_answer(tmp_path: Path) -> None:
    template = tmp_path / "asks"
    template.mkdir()
    (template / "copier.yml").write_text("name:\n  type: str\n  default: '{{ UNSET }}'\n", encoding="utf-8")
    # standard input stays open and silent: whoever reads it would wait for ever
    process = subprocess.Popen(
        [sys.executable, "-m", "dagkit", "new", "made", "--template", str(template)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.wait(timeout=60) == 2
        assert process.stderr is not None
        assert "The question 'name' needs an answer" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert left() == []


def test_a_destination_with_something_in_it_is_left_alone(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    Path("taken/notes.txt").write_text("mine", encoding="utf-8")
    assert main(["new", "taken", "--template", str(template)]) == 2
    assert "The folder is not empty" in capsys.readouterr().err
    assert files(Path("taken")).keys() == {"notes.txt"}
    assert main(["new", "taken/notes.txt", "--template", str(template)]) == 2
    assert "There is a file of that name" in capsys.readouterr().err
    assert Path("taken/notes.txt").read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_and_a_fresh_clone_may_be_filled(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Path("clone").resolve()
    clone.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=clone, check=True)
    before = clone.stat().st_ino
    monkeypatch.chdir(clone)
    assert main(["new", ".", "--template", str(template)]) == 0
    assert clone.stat().st_ino == before
    assert (clone / ".git" / "HEAD").is_file()
    answers = yaml.safe_load((clone / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["repository"] == "clone"
    assert [path.name for path in clone.parent.iterdir()] == ["clone"]


def test_without_a_destination_the_repository_names_it(
    template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["new", "--template", str(template), "-d", "repository=Prison-Statistics"]
    assert main(call) == 0
    assert left() == ["Prison-Statistics"]
    assert main(call) == 2
    assert "The folder is not empty" in capsys.readouterr().err
    assert left() == ["Prison-Statistics"]


def test_the_folder_to_make_it_in_has_to_be_there(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "not/there/my-pipeline", "--template", str(template)]) == 2
    assert "The folder to make it in is not there" in capsys.readouterr().err
    assert left() == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("nowhere", "There is no such template"),
        (".", "it has no copier.yml"),
        ("file:///not/there.git", "The template cannot be fetched"),
    ],
)
def test_a_template_that_is_none_is_refused(
    template: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "my-pipeline", "--template", template]) != 0
    assert said in capsys.readouterr().err
    assert left() == []


def test_a_template_that_would_run_code_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "unsafe"
    template.mkdir()
    (template / "copier.yml").write_text(f"_tasks: ['touch {tmp_path / 'ran'}']\n", encoding="utf-8")
    assert main(["new", "made", "--template", str(template)]) == 1
    assert "unsafe" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert left() == []


def test_without_git_there_is_one_clear_error(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["new", "my-pipeline", "--template", str(template)]) == 1
    assert "git is not installed" in capsys.readouterr().err
    assert main(["new", "my-pipeline", "--template", str(template), "--version", FIRST]) == 1
    assert "git is not installed" in capsys.readouterr().err
    assert left() == []
