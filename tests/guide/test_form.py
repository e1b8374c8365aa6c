"""The questions of notebook 1: the template's own, checked as they are typed; what is made of the answers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagkit import guide, scaffold
from dagkit.guide import create, files
from dagkit.guide.create import FIXED, Steps
from dagkit.guide.form import PERSONAL, Form
from dagkit.guide.questions import Questions
from dagkit.pipeline import Pipeline
from tests.harness.generate import REPOSITORY, generate
from tests.scaffold.conftest import files as content

MINE = {"owner": "octocat", "email": "octo.cat@justice.gov.uk"}


@pytest.fixture(autouse=True)
def this_state_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template as it lies here, whatever was released before."""
    monkeypatch.setattr(scaffold, "source", lambda: scaffold.Source(str(REPOSITORY), scaffold.LATEST))


@pytest.fixture
def questions() -> Questions:
    return Questions.read(scaffold.source())


@pytest.fixture
def form(questions: Questions, tmp_path: Path) -> Form:
    """The form of notebook 1 in an empty folder; its button makes the repository there."""
    steps = guide.open(1, folder=tmp_path, engine="process")
    assert isinstance(steps, Steps)
    return Form(questions, FIXED, tmp_path, steps._pressed)


def type_in(form: Form, **answers: Any) -> None:
    for name, value in answers.items():
        form.fields[name].value = value


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"repository": "Court_Hearings", "language": "r", "schedule": "@daily"},
        {"project": "courts", "pipeline": "daily", "owner": "Octo-Cat", "compute": "gpu"},
        {"customise": True, "pod_identity": "kube2iam", "organisation": "other", "ecr_account": "1" * 12},
    ],
)
def test_without_further_ado_it_answers_as_copier_does(
    answers: dict[str, Any], questions: Questions, tmp_path: Path
) -> None:
    made = generate(tmp_path / "my-pipeline", **answers)
    recorded = yaml.safe_load((made / ".copier-answers.yml").read_text())
    asked = {question.name: question for question in questions.ask(answers)}
    assert not [question for question in asked.values() if question.problem]
    assert {name: question.value for name, question in asked.items()} == {
        name: value for name, value in recorded.items() if name in asked
    }


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("repository", "court hearings", "Like my-pipeline"),
        ("project", "Courts", "lower-case letters"),
        ("pipeline", "x" * 60, "Too long by"),
        ("email", "octo", "one email address"),
        ("schedule", "daily", ""),
        ("output", "alpha-everyone", "Like s3://"),
        ("description", "line\x00", "one line"),
    ],
)
def test_a_wrong_answer_is_refused_as_it_is_typed_in_the_templates_words(
    name: str, wrong: str, said: str, form: Form, tmp_path: Path
) -> None:
    type_in(form, **MINE)
    assert not form.messages[name]
    type_in(form, **{name: wrong})
    assert said in form.messages[name]
    assert "✗" in form.messages[name]
    form.button.click()
    assert "Nothing was made" in form.result.value
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_nobodys_answers_are_not_taken_and_nothing_is_red_before_anything_was_done(
    form: Form, tmp_path: Path
) -> None:
    assert not any(form.messages.values())
    form.button.click()
    for name in PERSONAL:
        assert "✗" in form.messages[name]
    assert "Nothing was made" in form.result.value
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_later_defaults_follow_earlier_answers_until_they_are_answered_themselves(form: Form) -> None:
    type_in(form, repository="court-hearings")
    assert form.fields["pipeline"].value == "court_hearings"
    type_in(form, pipeline="daily")
    type_in(form, repository="other")
    assert form.fields["pipeline"].value == "daily"


def test_what_follows_from_an_empty_field_looks_as_it_will(form: Form) -> None:
    assert form.fields["owner"].value == ""
    assert (
        form.fields["output"].value == "s3://alpha-everyone/airflow-example/your-github-username/my_pipeline"
    )


def test_the_platforms_settings_are_asked_for_only_by_those_who_want_them(form: Form) -> None:
    assert "ecr_account" not in form.fields
    before = len(form.widget.children)
    type_in(form, customise=True)
    assert "ecr_account" in form.fields
    type_in(form, customise=False)
    assert len(form.widget.children) == before


def test_what_the_button_makes_is_what_copier_makes_of_the_same_answers(form: Form, tmp_path: Path) -> None:
    answers = {"repository": "court-hearings", "project": "courts", "pipeline": "daily", **MINE}
    type_in(form, **answers)
    form.button.click()
    assert "Made court-hearings" in form.result.value
    assert not any(form.messages.values()), "what it has just made is not in its way"
    made = content(tmp_path / "court-hearings")
    expected = content(generate(tmp_path / "expected" / "court-hearings", **answers))
    assert made.keys() == expected.keys()
    # of uncommitted changes Copier makes a commit of its own each time
    assert {name for name in made if made[name] != expected[name]} <= {".copier-answers.yml"}
    answers_of = [
        {
            key: value
            for key, value in yaml.safe_load(each[".copier-answers.yml"][1]).items()
            if key != "_commit"
        }
        for each in (made, expected)
    ]
    assert answers_of[0] == answers_of[1]


def test_a_folder_that_is_taken_is_named_before_and_after_the_button(form: Form, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    type_in(form, repository="taken", **MINE)
    assert "something of that name already" in form.messages["folder"]
    form.button.click()
    assert "not empty" in form.result.value
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine.txt"]


def test_answers_of_the_parameters_cell_make_the_same_and_may_be_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = guide.open(1, folder=tmp_path, engine="process")
    assert isinstance(here, Steps)
    here.form({"repository": "court-hearings"}, folder=tmp_path)
    assert "do not say: owner, email" in capsys.readouterr().out
    for said in ("Made court-hearings", "was made before"):
        here.form({"repository": "court-hearings", **MINE}, folder=tmp_path)
        printed = capsys.readouterr()
        assert said in printed.out
        assert printed.err == "", "a notebook shows that in red"
    here.form({"repository": "other", "nonsense": "1", **MINE}, folder=tmp_path)
    assert "no question 'nonsense'" in capsys.readouterr().out
    assert here.pipeline is not None
    assert here.pipeline.repository == "court-hearings"
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("language", ["python", "r"])
def test_every_file_that_is_generated_is_explained(language: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "my-pipeline", language=language)
    pipeline = Pipeline.load(made)
    explained = files.notes(pipeline)
    unexplained = {
        path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()
    } - explained.keys()
    assert not unexplained
    assert all((made / name).exists() for name in files.needed(pipeline))


def test_a_pipeline_is_made_beside_the_notebooks_or_beside_the_checkout_that_holds_them(
    tmp_path: Path,
) -> None:
    notebooks = tmp_path / "work" / "dagkit" / "notebooks"
    notebooks.mkdir(parents=True)
    assert create.beside(notebooks) == notebooks.parent
    (notebooks.parent / ".git").mkdir()
    assert create.beside(notebooks) == tmp_path / "work"


def test_the_first_commit_asks_who_you_are_and_keeps_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    generate(tmp_path / "my-pipeline")
    here = guide.open(1, folder=tmp_path, pipeline="my-pipeline", engine="process")
    assert isinstance(here, Steps)
    here.first_commit()
    said = capsys.readouterr().out
    assert "!git config --global user.name 'Your Name' && git config --global user.email " in said
    (tmp_path / ".gitconfig").write_text("[user]\nname = Octo Cat\nemail = octo@example.gov.uk\n")
    here.first_commit()
    assert "Octo Cat: Start from the template" in capsys.readouterr().out
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path / "my-pipeline", capture_output=True, text=True
    ).stdout
    assert left == ""
    here.first_commit()
    assert "committed before" in capsys.readouterr().out
