"""`dagkit doctor`: what is there, what is not, and one command for each lack."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.doctor import Examination, Finding, examine
from tests.harness.generate import generate
from tests.harness.languages import both_languages, each_language

NO_DOCKER = "unix:///not/there.sock"


LOCK = {"python": "requirements.txt", "r": "renv.lock"}


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Repositories from the template, one for each language."""

    @functools.cache
    def make(language: str) -> Path:
        folder = tmp_path_factory.mktemp("doctor") / "my-pipeline"
        return generate(folder, language=language, project="example")

    return make


@pytest.fixture
def repository(repositories: Callable[[str], Path], language: str) -> Path:
    """The one of the test's language."""
    return repositories(language)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own, in which git knows somebody."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = A\n\temail = a@example.gov.uk\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    for name in ("GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME", "GH_CONFIG_DIR", "GH_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def finding(examination: Examination, name: str) -> Finding:
    return next(finding for finding in examination.findings if finding.name == name)


@both_languages
@pytest.mark.docker
def test_with_docker_a_pipeline_is_ready_to_run_on_it(language: str, repository: Path) -> None:
    found = examine(repository)
    assert (found.engine, found.ready) == ("docker", True)
    assert finding(found, "pipeline").seen == f"example.my_pipeline, in {language.title()}"
    assert finding(found, "Docker").state == "ok"


@each_language
def test_without_docker_the_engine_is_process_and_it_says_what_is_not_checked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    found = examine(repository)
    assert (found.engine, found.ready) == ("process", True)
    docker = finding(found, "Docker")
    assert docker.state == "note"
    assert "No Docker engine answers where DOCKER_HOST says" in docker.seen
    assert "not checked" in (docker.means or "")
    assert docker.fix == "unset DOCKER_HOST"


@both_languages
@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (".copier-answers.yml", "repository: [", "The file is not valid YAML"),
        (".copier-answers.yml", "repository: x\n", "does not say: project, pipeline"),
        ("the lock file", None, "no "),
        ("airflow/dags/my_pipeline.py", None, "The DAG file is missing"),
        ("airflow/roles/prod/my_pipeline.yaml", None, "The role's file for prod is missing"),
    ],
)
def test_what_a_pipeline_lacks_is_told_with_what_to_do(
    language: str, repository: Path, path: str, text: str | None, said: str
) -> None:
    if path == "the lock file":
        path, said = LOCK[language], f"no {LOCK[language]}"
    file = repository / path
    before = file.read_bytes()
    try:
        file.unlink() if text is None else file.write_text(text, encoding="utf-8")
        found = examine(repository)
    finally:
        file.write_bytes(before)
    here = finding(found, "pipeline")
    assert here.state == "lack"
    assert said in here.seen
    assert here.fix
    assert not found.ready


def test_outside_a_repository_the_machine_alone_counts(tmp_path: Path) -> None:
    found = examine(tmp_path)
    assert finding(found, "pipeline").state == "ok"
    assert "dagkit new" in finding(found, "pipeline").seen
    assert found.ready


def test_git_that_knows_nobody_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / ".gitconfig").write_text("[user]\n\tname = A\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    git = finding(examine(tmp_path), "git")
    assert (git.state, git.fix) == ("note", 'git config --global user.email "your.name@justice.gov.uk"')


def test_a_machine_without_any_program_is_told_each_lack_and_still_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    found = examine(tmp_path)
    assert finding(found, "git").state == "lack"
    assert finding(found, "GitHub").seen == "gh is not installed"
    assert "not installed" in finding(found, "R").seen
    assert all(finding.fix for finding in found.findings if finding.state == "lack")


def test_who_is_logged_in_to_github_is_read_from_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gh").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert finding(examine(tmp_path), "GitHub").fix == "gh auth login"
    hosts = tmp_path / "home" / ".config" / "gh" / "hosts.yml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(
        "github.com:\n    git_protocol: https\n    users:\n        an-analyst:\n    user: an-analyst\n",
        encoding="utf-8",
    )
    assert finding(examine(tmp_path), "GitHub").seen == "gh, logged in as an-analyst"


def test_credentials_of_the_shell_are_named_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-show-this")
    main(["doctor", str(tmp_path)])
    out = capsys.readouterr().out
    assert "AWS_SECRET_ACCESS_KEY set in this shell" in out
    assert "do-not-show-this" not in out


@each_language
def test_the_verb_says_which_engine_a_run_would_use_and_why(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    assert main(["doctor", str(repository)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("dagkit run uses the engine process: Docker does not answer")
    assert any(line.startswith("   ok   Python ") and sys.executable in line for line in lines)
    assert any(line.strip() == "what to do: unset DOCKER_HOST" for line in lines)


def test_the_verb_fails_where_something_is_missing_and_json_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".copier-answers.yml").write_text("", encoding="utf-8")
    assert main(["doctor", str(tmp_path)]) == 1
    assert "Not everything that dagkit run needs is there." in capsys.readouterr().out
    assert main(["doctor", str(tmp_path), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ready"] is False
    assert next(f for f in answer["findings"] if f["name"] == "pipeline")["state"] == "lack"
