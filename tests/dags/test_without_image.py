"""A repository of a DAG whose image is made elsewhere: what each verb does there, or says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.harness.generate import commit_all, generate, git
from tests.run import harness

IMAGE = "189157455002.dkr.ecr.eu-west-1.amazonaws.com"
NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
DAG = "airflow/dags/daily.py"


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = generate(
        tmp_path_factory.mktemp("generated") / "daily-stats",
        kind="dags",
        repository="stats-image",
        project="stats",
        pipeline="daily",
        owner="octocat",
        release="v2.3.4",
    )
    commit_all(made)
    return made


@pytest.fixture
def repository(generated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(generated, tmp_path / "daily-stats")


def call(verb: str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(harness.DAGKIT), verb, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["build", "."], "There is no image to build here"),
        (["test"], "There is no code to test here"),
        (["test", "--engine", "process"], "There is no code to test here"),
    ],
)
def test_there_is_nothing_to_build_or_test_and_it_says_where_there_is(
    repository: Path, words: list[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    said = call(*words)
    assert said.returncode == 2
    assert said.stderr == (
        f"error: {what}: only the DAG and its roles are, and the image is made elsewhere\n"
        f"  where: {repository}\n"
        "  what to do: Go to the repository that the image is made from (stats-image);"
        " here, dagkit run runs the image that the DAG names.\n"
    )


def test_it_cannot_run_without_docker_and_says_so_before_anything_starts(repository: Path) -> None:
    as_process = harness.run(repository, "--engine", "process")
    assert as_process.code == 2
    assert "There is no code here to run as a process: the image is made elsewhere" in as_process.err
    without = harness.run(repository, env=NO_DOCKER)
    assert without.code == 1
    assert without.err.startswith("error: The image is made elsewhere, so it runs only in Docker: ")
    assert len(without.err.splitlines()) <= 3
    assert not (repository / ".dagkit" / "runs").exists()


def test_the_doctor_asks_for_docker_and_for_no_lock_file(repository: Path) -> None:
    said = call("doctor", str(repository), env=NO_DOCKER)
    assert said.returncode == 1
    assert "stats.daily, whose image is made elsewhere" in said.stdout
    assert "the image is made elsewhere: it runs only in Docker" in said.stdout
    assert "LACK  Docker" in said.stdout
    assert "requirements.txt" not in said.stdout


@pytest.mark.docker
def test_the_doctor_is_content_where_docker_answers(repository: Path) -> None:
    said = call("doctor", str(repository))
    assert said.returncode == 0, said.stdout
    assert "dagkit run uses the engine docker: Docker answers." in said.stdout


def test_the_rules_accept_it_as_it_is_generated(repository: Path) -> None:
    said = call("validate", "--static", str(repository))
    assert said.returncode == 0, said.stdout
    assert "1 DAG file and 2 roles checked: all rules kept" in said.stdout


@pytest.fixture
def image(python_base_image: str, tmp_path: Path) -> Iterator[str]:
    """The tag of an image that somebody else made: it says what it was given, and ends."""
    program = 'echo $RUN by $(id -u); test -n "$AWS_SESSION_TOKEN"'
    entrypoint = json.dumps(["sh", "-c", program])
    (tmp_path / "Dockerfile").write_text(f"FROM {python_base_image}\nENTRYPOINT {entrypoint}\n")
    tag = f"{IMAGE}/stats-image-{uuid.uuid4().hex[:8]}:v2.3.4"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, str(tmp_path)], check=True, capture_output=True
    )
    yield tag
    subprocess.run(["docker", "image", "rm", "--force", tag], check=True, capture_output=True)


@pytest.mark.docker
def test_a_run_takes_the_image_that_the_dag_names(repository: Path, image: str) -> None:
    name = image.removeprefix(f"{IMAGE}/").partition(":")[0]
    answers = repository / ".copier-answers.yml"
    for file in (answers, repository / DAG):
        text = file.read_text()
        assert "stats-image" in text
        file.write_text(text.replace("stats-image", name))
    assert yaml.safe_load(answers.read_text())["repository"] == name
    done = harness.run(repository)
    assert done.code == 0, done.out + done.err
    assert done.states == {"write": "success", "copy": "success"}
    assert done.log("write") == "write by 1337\n"


@pytest.mark.docker
def test_an_image_that_is_nowhere_is_one_clear_error_with_the_way_to_log_in(repository: Path) -> None:
    done = harness.run(repository)
    assert done.code == 1
    problem = done.task("write")["problem"]
    assert f"cannot be pulled: {IMAGE}/stats-image:v2.3.4" in problem
    assert "aws ecr get-login-password --region eu-west-1 | docker login" in done.out
    assert len(done.task("write")["attempts"]) == 1


@pytest.fixture
def dag_repository(tmp_path: Path) -> Path:
    commit_all(generate(tmp_path / "airflow", kind="airflow", owner="octocat"))
    git(tmp_path, "clone", "--quiet", "--bare", "airflow", "dags.git")
    return tmp_path / "dags.git"


def submit(repository: Path, to: Path, *words: str) -> subprocess.CompletedProcess[str]:
    git(repository, "config", "user.name", "An Analyst")
    git(repository, "config", "user.email", "an.analyst@example.gov.uk")
    return call("submit", str(repository), "--to", str(to), "--yes", "--static", *words)


def test_it_is_submitted_with_the_release_that_its_dag_names_or_another(
    repository: Path, dag_repository: Path
) -> None:
    first = submit(repository, dag_repository)
    assert first.returncode == 0, first.stdout + first.stderr
    there = "dagkit/dev/stats.daily:environments/dev/dags/stats/daily.py"
    assert 'RELEASE = "v2.3.4"' in git(dag_repository, "show", there)
    assert submit(repository, dag_repository, "--release", "v2.4.0").returncode == 0
    assert 'RELEASE = "v2.4.0"' in git(dag_repository, "show", there)


def test_what_is_no_release_is_refused_before_anything_is_cloned(
    repository: Path, dag_repository: Path
) -> None:
    refused = submit(repository, dag_repository, "--release", "latest")
    assert refused.returncode == 2
    assert "'latest' is not the tag of a release" in refused.stderr
    dag = repository / DAG
    dag.write_text(dag.read_text().replace('RELEASE = "v2.3.4"', 'RELEASE = "newest"'))
    commit_all(repository)
    refused = submit(repository, dag_repository)
    assert refused.returncode == 2
    assert f"where: {dag}" in refused.stderr
    assert git(dag_repository, "for-each-ref", "--format", "%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("verb", ["build", "run", "submit"])
def test_in_the_dag_repository_itself_there_is_no_pipeline(verb: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "airflow", kind="airflow")
    said = call(verb, str(made), *(["--yes"] if verb == "submit" else []))
    assert said.returncode == 2
    assert f"{made} is the DAG repository, which holds everybody's DAGs and roles" in said.stderr
