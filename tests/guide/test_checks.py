"""Each check of notebooks 0 to 2 is green where all is well, and red when what it looks at is broken."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dagkit import guide, image, names
from dagkit.containers import docker_client
from dagkit.guide import copies
from dagkit.guide.progress import Outcome
from dagkit.pipeline import Pipeline
from tests.harness.generate import commit_all, generate, git

NO_DOCKER = "process"
Look = Callable[..., Outcome]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated pipeline in git. Tests take copies."""
    made = generate(
        tmp_path_factory.mktemp("generated") / "guide-checks",
        owner="octocat",
        email="octo.cat@justice.gov.uk",
        project="guide_checks",
        pipeline="daily",
    )
    commit_all(made)
    return made


@pytest.fixture
def pipeline(generated: Path, tmp_path: Path) -> Path:
    """A pipeline of one's own, to break."""
    return Path(shutil.copytree(generated, tmp_path / generated.name, symlinks=True))


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Make a check of a notebook in a new kernel's state; the outcome that is kept."""
    notebooks = tmp_path / "guide"
    copies.put(notebooks, copies.plan(notebooks))

    def make(name: str, pipeline: Path | None = None, engine: str = NO_DOCKER) -> Outcome:
        number, _, short = name.partition(".")
        here = guide.open(int(number), folder=notebooks, pipeline=pipeline, engine=engine)
        here.check(short)
        return here.progress.outcomes()[name]

    return make


def edit(path: Path, old: str, new: str) -> None:
    """Change a text file; what is changed has to be there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def red(outcome: Outcome, *, saw: str, todo: str) -> None:
    """The check is red, with what it saw and what to do next."""
    assert not outcome.ok, outcome
    assert saw in outcome.saw
    assert todo in (outcome.todo or "")


def test_0_machine_is_red_on_a_machine_that_cannot_run_the_pipeline(
    look: Look, pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = look("0.machine", pipeline)
    assert seen.ok, seen
    assert "engine" in seen.saw
    (pipeline / "requirements.txt").unlink()
    red(look("0.machine"), saw="no requirements.txt", todo="git checkout -- requirements.txt")


def test_0_machine_is_red_where_packages_are_missing(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    found = metadata.version

    def without_moto(name: str) -> str:
        if name == "moto":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", without_moto)
    red(look("0.machine"), saw="missing: moto", todo="pip install 'dagkit[local]'")


def test_0_folder_is_red_where_a_notebook_is_missing(look: Look, tmp_path: Path) -> None:
    assert look("0.folder").ok
    (tmp_path / "guide" / "3-run.ipynb").unlink()
    red(look("0.folder"), saw="3-run.ipynb", todo="dagkit guide")


def test_1_created_is_red_before_anything_was_made_and_where_something_is_gone(
    look: Look, pipeline: Path
) -> None:
    red(look("1.created"), saw="Nothing was made yet", todo="press Create")
    seen = look("1.created", pipeline)
    assert seen.ok
    assert "guide_checks.daily" in seen.saw
    (pipeline / ".github" / "workflows" / "release.yml").unlink()
    red(look("1.created"), saw="release.yml", todo="git checkout")
    shutil.rmtree(pipeline / "airflow" / "roles" / "prod")
    red(look("1.created"), saw="role's file for prod is missing", todo="git checkout -- airflow/roles")
    shutil.rmtree(pipeline)
    red(look("1.created"), saw="Nothing was made yet", todo="press Create")


def test_1_committed_is_red_without_git_and_before_the_first_commit(look: Look, pipeline: Path) -> None:
    seen = look("1.committed", pipeline)
    assert seen.ok
    assert "1 commit, the last: " in seen.saw
    shutil.rmtree(pipeline / ".git")
    red(look("1.committed"), saw="no git repository", todo="here.first_commit()")
    git(pipeline, "init", "--quiet")
    red(look("1.committed"), saw="no commit", todo="here.first_commit()")


def test_1_committed_does_not_take_a_repository_above_for_the_pipelines_own(
    look: Look, pipeline: Path, tmp_path: Path
) -> None:
    shutil.rmtree(pipeline / ".git")
    commit_all(tmp_path)
    red(look("1.committed", pipeline), saw="no git repository", todo="here.first_commit()")


def test_2_image_without_docker_is_red_where_the_recipe_asks_for_what_is_not_there(
    look: Look, pipeline: Path
) -> None:
    seen = look("2.image", pipeline)
    assert seen.ok, seen
    assert "Not built" in seen.saw, "green, with a clear word on what was not checked"
    assert "release.yml" in seen.saw
    (pipeline / "requirements.txt").unlink()
    red(look("2.image"), saw="requirements.txt", todo="git checkout -- requirements.txt")
    git(pipeline, "checkout", "--", "requirements.txt")
    edit(pipeline / "Dockerfile", "FROM base AS test", "FROM base AS tests")
    red(look("2.image"), saw="no stage 'test'", todo="FROM base AS test")
    git(pipeline, "checkout", "--", "Dockerfile")
    (pipeline / ".github" / "workflows" / "release.yml").write_text("jobs: 3\n")
    red(look("2.image"), saw="not a GitHub workflow", todo="git checkout -- .github/workflows/release.yml")


@pytest.mark.parametrize(
    ("old", "new", "saw", "todo"),
    [
        (
            'ENTRYPOINT ["python", "scripts/run.py"]',
            "ENTRYPOINT python run.py",
            "a shell runs it",
            "as a list",
        ),
        ("USER 1337\nENTRYPOINT", "USER root\nENTRYPOINT", "runs as root", "USER 1337"),
    ],
)
def test_2_cluster_without_docker_reads_the_recipe(
    old: str, new: str, saw: str, todo: str, look: Look, pipeline: Path
) -> None:
    seen = look("2.cluster", pipeline)
    assert seen.ok, seen
    assert "Not checked: starts, any user id, read-only files, no capabilities" in seen.saw
    edit(pipeline / "Dockerfile", old, new)
    red(look("2.cluster"), saw=saw, todo=todo)


def test_2_tests_without_docker_is_red_where_one_fails(look: Look, pipeline: Path) -> None:
    seen = look("2.tests", pipeline)
    assert seen.ok, seen
    assert "in a local environment, without Docker. " in seen.saw
    assert "passed" in seen.saw
    (pipeline / "tests" / "test_mine.py").write_text("def test_mine() -> None:\n    assert False\n")
    red(look("2.tests"), saw="1 failed", todo="here.test()")


@pytest.mark.r
def test_2_tests_without_docker_says_in_r_what_was_tested(look: Look, tmp_path: Path) -> None:
    made = generate(tmp_path / "guide-checks-r", language="r", owner="octocat", pipeline="daily")
    seen = look("2.tests", made)
    assert seen.ok, seen
    assert "summarise: 5 expectations met" in seen.saw
    test = "test_that('mine', expect_equal(1, 2))\n"
    (made / "tests" / "testthat" / "test-mine.R").write_text(test)
    red(look("2.tests"), saw="The tests failed", todo="here.test()")


@pytest.fixture
def built(pipeline: Path, python_base_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The pipeline with its image built; the image is removed afterwards."""
    monkeypatch.setenv("DAGKIT_BASE_IMAGE", python_base_image)
    image.build(Pipeline.load(pipeline))
    yield pipeline
    for target in ("final", "test"):
        tag = names.local_image("guide-checks", target)
        subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True)


@pytest.mark.docker
def test_with_docker_each_check_of_notebook_2_is_green_and_turns_red(look: Look, built: Path) -> None:
    for name in ("2.image", "2.cluster", "2.tests"):
        seen = look(name, built, "docker")
        assert seen.ok, seen
    assert "Started, and well: " in look("2.cluster", built, "docker").saw

    (built / "tests" / "test_mine.py").write_text("def test_mine() -> None:\n    open('new', 'w')\n")
    red(look("2.tests", built, "docker"), saw="1 failed", todo="here.test()")

    edit(
        built / "Dockerfile",
        "RUN chmod --recursive a+rX .\nUSER 1337\nENTRYPOINT",
        "RUN chmod 700 scripts\nENTRYPOINT",
    )
    assert look("2.image", built, "docker").ok, "it can be built; whether it runs is the next check's matter"
    red(look("2.cluster", built, "docker"), saw="not root: it runs as root", todo="USER 1337")

    edit(built / "Dockerfile", "RUN chmod 700 scripts", "RUN no-such-program")
    red(look("2.image", built, "docker"), saw="A step of the build failed", todo="")

    client = docker_client()
    client.images.remove(names.local_image("guide-checks"), force=True)
    client.close()
    for name in ("2.image", "2.cluster"):
        red(look(name, built, "docker"), saw="is not on this machine", todo="here.build()")


@pytest.mark.parametrize("name", ["2.image", "2.cluster", "2.tests", "1.committed"])
def test_without_a_pipeline_the_way_to_one_is_said(name: str, look: Look) -> None:
    red(look(name), saw="no pipeline to work on yet", todo="1-create.ipynb")


def test_an_engine_that_there_is_not_is_said_and_nothing_is_tried(look: Look, pipeline: Path) -> None:
    red(look("2.tests", pipeline, "podman"), saw="no engine 'podman'", todo="'docker', 'process'")
