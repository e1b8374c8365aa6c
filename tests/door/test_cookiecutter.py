"""`cookiecutter <this repository> --directory templates/cookiecutter`: Copier's repository, to the byte."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.door.conftest import DOOR, Cookiecutter, beside
from tests.harness.generate import REPOSITORY, commit_all, git
from tests.scaffold.conftest import FIRST, SECOND, files

COPIER = str(Path(sys.executable).with_name("copier"))
KINDS = {
    "image-python": {"project": "stats", "owner": "an-analyst", "schedule": "30 6 * * MON-FRI"},
    "image-r": {"language": "r", "compute": "gpu", "repository": "r-pipeline"},
    "dags": {"kind": "dags", "release": "v1.2.3", "organisation": "another-org"},
    "airflow": {"kind": "airflow", "dag_repository": "moj-analytical-services/all-dags"},
}
HOSTILE = {
    "description": '{{ 7 * 7 }} {% raw %} it\'s "quoted" \\ """ $(id) `id`',
}


def pairs(answers: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in answers.items()]


def copier(destination: Path, address: str, answers: dict[str, str], ref: str) -> None:
    data = [word for pair in pairs(answers) for word in ("-d", pair)]
    words = [COPIER, "copy", "--quiet", "--defaults", "--vcs-ref", ref, *data, address, str(destination)]
    subprocess.run(words, check=True, capture_output=True)


def left(cookiecutter: Cookiecutter) -> list[str]:
    return sorted(path.name for path in cookiecutter.folder.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_makes_what_copier_makes_of_the_same_answers(
    kind: str, published: str, cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    done = cookiecutter(published, *DOOR, "--checkout", FIRST, "--no-input", *pairs(KINDS[kind]))
    assert done.returncode == 0, done.stdout + done.stderr
    [name] = left(cookiecutter)
    assert name == {"image-r": "r-pipeline", "airflow": "all-dags"}.get(kind, "my-pipeline")
    copier(tmp_path / "by-copier" / name, published, KINDS[kind], FIRST)
    made = files(cookiecutter.folder / name)
    assert made == files(tmp_path / "by-copier" / name)
    answers = yaml.safe_load(made[".copier-answers.yml"][1])
    assert answers["_src_path"] == published
    assert answers["_commit"] == FIRST


def test_an_answer_stays_what_it_is_whatever_stands_in_it(
    published: str, cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    done = cookiecutter(published, *DOOR, "--no-input", *pairs(HOSTILE))
    assert done.returncode == 0, done.stdout + done.stderr
    copier(tmp_path / "by-copier" / "my-pipeline", published, HOSTILE, SECOND)
    made = files(cookiecutter.folder / "my-pipeline")
    assert made == files(tmp_path / "by-copier" / "my-pipeline")
    assert yaml.safe_load(made[".copier-answers.yml"][1])["description"] == HOSTILE["description"]


def test_what_it_made_is_updated_with_plain_copier(published: str, cookiecutter: Cookiecutter) -> None:
    cookiecutter(published, *DOOR, "--checkout", FIRST, "--no-input")
    made = cookiecutter.folder / "my-pipeline"
    commit_all(made)
    subprocess.run([COPIER, "update", "--defaults", "--quiet"], cwd=made, check=True, env=os.environ.copy())
    assert yaml.safe_load((made / ".copier-answers.yml").read_text(encoding="utf-8"))["_commit"] == SECOND
    assert "# the second version" in (made / "Dockerfile").read_text(encoding="utf-8")


def test_without_checkout_it_takes_the_newest_release_as_copier_does(
    template: Path, cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    unreleased = tmp_path / "dagkit"
    git(template, "clone", "--quiet", str(template), str(unreleased))
    copier_yml = unreleased / "copier.yml"
    text = copier_yml.read_text(encoding="utf-8")
    copier_yml.write_text(text + "\nnot_released:\n  type: str\n  default: x\n", encoding="utf-8")
    commit_all(unreleased)
    done = cookiecutter(unreleased, *DOOR, "--no-input")
    assert done.returncode == 0, done.stdout + done.stderr
    answers = yaml.safe_load((cookiecutter.folder / "my-pipeline" / ".copier-answers.yml").read_text())
    assert answers["_commit"] == SECOND
    assert answers["_src_path"] == str(unreleased)
    assert "not_released" not in answers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "nonsense"),
        ("owner", "a--b"),
        ("repository", "../../outside"),
        ("repository", "/outside"),
        ("description", ""),
        ("schedule", "99 * * * *"),
        ("email", "nobody"),
        ("pipeline", "p" * 64),
        ("base_image", "a b"),
        ("description", "x" * 91),
        ("dag_repository", "../.."),
    ],
)
def test_a_wrong_answer_gets_copiers_message_and_leaves_nothing(
    name: str, value: str, published: str, template: Path, cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    done = cookiecutter(template, *DOOR, "--no-input", f"{name}={value}")
    words = [COPIER, "copy", "--defaults", "-d", f"{name}={value}", str(template), str(tmp_path / "out")]
    theirs = subprocess.run(words, capture_output=True, text=True)
    assert theirs.returncode != 0
    message = theirs.stderr.strip().splitlines()[-1].removeprefix("ValueError: ")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == message
    assert "Traceback" not in done.stdout + done.stderr
    assert left(cookiecutter) == []
    assert not (tmp_path / "outside").exists()


def test_asks_as_copier_does_and_asks_again_for_what_is_refused(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    said = typed(
        [*cookiecutter.words, str(template), *DOOR, "project=stats"],
        cookiecutter,
        # kind, language, repository, project (twice), pipeline, description, owner (twice), and the rest
        ["1", "", "daily-stats", "Not Right", "", "", "", "an--analyst", "an-analyst", "", "", "", "", "n"],
    )
    assert "Like prison_statistics: lower-case letters" in said
    assert "Like octocat: a GitHub username" in said
    assert "(daily_stats)" in said, "a default comes from the answers before it"
    assert "In Airflow it is stats.<this name>." in said
    assert "(s3://alpha-everyone/airflow-example/an-analyst" in said
    assert "Which AWS account" not in said, "what does not apply is not asked"
    assert "release of the image" not in said
    answers = yaml.safe_load((cookiecutter.folder / "daily-stats" / ".copier-answers.yml").read_text())
    assert (answers["project"], answers["pipeline"], answers["owner"]) == (
        "stats",
        "daily_stats",
        "an-analyst",
    )
    assert answers["customise"] is False


def typed(words: list[str], cookiecutter: Cookiecutter, answers: list[str]) -> str:
    """What a program says to somebody who types these answers, each when it waits for one."""
    ours, theirs = pty.openpty()
    env = cookiecutter.env | {"COLUMNS": "200", "NO_COLOR": "1"}
    running = subprocess.Popen(
        words, cwd=cookiecutter.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    said, waiting = "", iter(answers)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            said += os.read(ours, 4096).decode("utf-8", "replace")
        except OSError:
            break
        if said.endswith(": "):
            os.write(ours, f"{next(waiting, '')}\n".encode())
    assert running.wait(timeout=60) == 0, said
    os.close(ours)
    return said


def test_works_where_there_is_nothing_but_cookiecutter_and_copier(published: str, tmp_path: Path) -> None:
    done = beside(tmp_path)(published, *DOOR, "--no-input")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "here" / "my-pipeline" / ".copier-answers.yml").is_file()


def test_without_copier_it_says_so_before_anything_is_made(published: str, tmp_path: Path) -> None:
    alone = beside(tmp_path, "copier")
    done = alone(published, *DOOR, "--no-input")
    assert done.returncode == 1
    assert "Copier is not installed" in done.stdout
    assert 'pip install "copier>=9.10"' in done.stdout
    assert left(alone) == []


def test_without_copier_but_with_uv_copier_is_fetched(published: str, tmp_path: Path) -> None:
    with_uv = beside(tmp_path, "copier")
    uvx = tmp_path / "programs" / "uvx"
    uvx.write_text(
        f'#!/bin/sh\n[ "$1 $2 $3" = "--from copier>=9.10 copier" ] && shift 3 && exec {COPIER} "$@"\n'
    )
    uvx.chmod(0o755)
    done = with_uv(published, *DOOR, "--no-input")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "here" / "my-pipeline" / "Dockerfile").is_file()


def test_a_template_without_history_is_refused(
    template: Path, cookiecutter: Cookiecutter, tmp_path: Path
) -> None:
    git(template, "archive", "--output", str(tmp_path / "dagkit.zip"), "--prefix", "dagkit/", "HEAD")
    done = cookiecutter(tmp_path / "dagkit.zip", *DOOR, "--no-input")
    assert done.returncode == 1
    assert "could never be updated" in done.stdout
    assert left(cookiecutter) == []


def test_what_copier_cannot_do_is_told_and_leaves_nothing(template: Path, cookiecutter: Cookiecutter) -> None:
    done = cookiecutter(template, *DOOR, "--no-input", "--checkout", "v99.0.0")
    assert done.returncode == 1
    assert "Copier could not make the repository" in done.stderr
    assert "v99.0.0" in done.stderr
    assert left(cookiecutter) == []


def test_nothing_of_somebody_elses_is_overwritten(template: Path, cookiecutter: Cookiecutter) -> None:
    theirs = cookiecutter.folder / "my-pipeline" / "Dockerfile"
    theirs.parent.mkdir()
    theirs.write_text("FROM scratch\n", encoding="utf-8")
    for more in ([], ["--overwrite-if-exists"]):
        assert cookiecutter(template, *DOOR, "--no-input", *more).returncode == 1
        assert theirs.read_text(encoding="utf-8") == "FROM scratch\n"
        assert left(cookiecutter) == ["my-pipeline"]
        assert [path.name for path in theirs.parent.iterdir()] == ["Dockerfile"]


def test_told_not_to_run_hooks_it_says_that_there_is_nothing_yet(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    assert cookiecutter(template, *DOOR, "--no-input", "--accept-hooks=no").returncode == 0
    [file] = (cookiecutter.folder / "my-pipeline").iterdir()
    assert f"copier copy {template} my-pipeline" in file.read_text(encoding="utf-8")


def test_other_templates_are_asked_for_as_ever(template: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "{{ cookiecutter.name }}").mkdir(parents=True)
    (other / "{{ cookiecutter.name }}" / "a.txt").write_text("{{ cookiecutter.twice }}\n", encoding="utf-8")
    variables = {"name": "made", "twice": "{{ cookiecutter.name }} {{ cookiecutter.name }}"}
    (other / "cookiecutter.json").write_text(json.dumps(variables), encoding="utf-8")
    script = (
        "from cookiecutter.main import cookiecutter\n"
        f"cookiecutter({str(template)!r}, directory={DOOR[1]!r}, no_input=True)\n"
        f"cookiecutter({str(other)!r}, no_input=True)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert (tmp_path / "made" / "a.txt").read_text(encoding="utf-8") == "made made\n"
    assert (tmp_path / "my-pipeline" / "Dockerfile").is_file()


def test_its_variables_are_the_questions_of_copier_yml() -> None:
    script = [sys.executable, str(REPOSITORY / "scripts" / "cookiecutter_json.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
