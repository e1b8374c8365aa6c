"""An adopted repository is like any other: it is updated, built, run and released."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.adopt.conftest import SECOND, Adopting
from tests.adopt.shapes import MAIN_R, SHAPES, Shape
from tests.harness.ecr import Ecr
from tests.harness.events import release
from tests.harness.lint_generated import BIN, scripts
from tests.harness.stand_ins import StandIns
from tests.harness.workflow import run_workflow

CHANGED_BY_THE_TEMPLATE = {
    ".copier-answers.yml",
    ".github/dependabot.yml",
    ".github/workflows/image-release.yml",
}


def merged(adopting: Adopting) -> None:
    """The branch is merged, as on GitHub."""
    adopting.git("switch", "--quiet", "main")
    adopting.git("merge", "--quiet", "--no-ff", "--no-edit", "dagkit/adopt")
    adopting.git("branch", "--quiet", "-d", "dagkit/adopt")


def changed(adopting: Adopting, since: str) -> set[str]:
    return set(adopting.git("diff", "--name-only", since).split())


def copier_update(adopting: Adopting) -> None:
    done = subprocess.run(
        [str(BIN / "copier"), "update", "--defaults", "--quiet"],
        cwd=adopting.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shape", "only", "leaves"),
    [
        ("shell-form-entry-point", (), set()),
        ("packrat", (), set()),
        ("cmd-only", (), {".github/dependabot.yml"}),
        ("monorepo", ("--only", "workflow"), {".github/dependabot.yml"}),
    ],
)
def test_plain_copier_updates_the_templates_files_and_no_others(
    shape: str, only: tuple[str, ...], leaves: set[str], adopting: Adopting
) -> None:
    adopting.adopt(*only, say=() if only else SHAPES[shape].say)
    merged(adopting)
    dag = adopting.root / "airflow/dags/my_counts.py"
    if dag.is_file():
        dag.write_text(dag.read_text().replace('task_id="run"', 'task_id="count"'))
        adopting.git("commit", "--quiet", "--all", "--message", "My task")
    files = set(adopting.files())
    copier_update(adopting)
    assert changed(adopting, "HEAD") == CHANGED_BY_THE_TEMPLATE - leaves
    assert set(adopting.files()) == files, "nothing of a new repository's example comes in"
    assert yaml.safe_load((adopting.root / ".copier-answers.yml").read_text())["_commit"] == SECOND


def test_dagkit_update_updates_it_too(adopting: Adopting) -> None:
    adopting.adopt(say=SHAPES["shell-form-entry-point"].say)
    merged(adopting)
    before = adopting.git("rev-parse", "HEAD")
    done = adopting.dagkit("update")
    assert done.returncode == 0, done.stderr
    assert changed(adopting, before) == CHANGED_BY_THE_TEMPLATE
    assert adopting.git("status", "--porcelain") == ""


@pytest.mark.parametrize("shape", ["another-template"])
def test_its_workflows_are_ones_that_github_and_the_linters_take(adopting: Adopting, tmp_path: Path) -> None:
    adopting.adopt(say=("test_stage=dev", "command=python scripts/main.py"))
    workflows = sorted(str(path) for path in (adopting.root / ".github/workflows").glob("image-*.yml"))
    dependabot = str(adopting.root / ".github/dependabot.yml")
    steps = scripts(workflows, tmp_path)
    for words in (
        ("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows),
        ("check-jsonschema", "--builtin-schema=vendor.dependabot", dependabot),
        ("zizmor", "--offline", "--persona=auditor", "--quiet", *workflows, dependabot),
        ("shellcheck", "--shell=bash", *steps),
        (
            "ruff",
            "format",
            "--no-cache",
            "--isolated",
            "--line-length=110",
            "--check",
            str(adopting.root / "airflow"),
        ),
    ):
        done = subprocess.run([str(BIN / words[0]), *words[1:]], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def image_name() -> Iterator[str]:
    """A name that no other test uses; its images are removed afterwards."""
    name = f"adopted-{uuid.uuid4().hex[:8]}"
    yield name
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True
    )
    if mine := [tag for tag in listed.stdout.split() if name in tag]:
        subprocess.run(["docker", "image", "rm", "--force", *mine], stdout=subprocess.DEVNULL)


@pytest.mark.docker
@pytest.mark.parametrize("shape", ["monorepo", "another-template"])
def test_its_release_reaches_the_registry_under_its_own_name(
    shape: str,
    template: Path,
    tmp_path: Path,
    image_name: str,
    python_base_image: str,
    ecr: Ecr,
    aws_cli: Path,
    moto_server: str,
) -> None:
    root = SHAPES[shape].make(tmp_path / "my-counts", python_base_image)
    adopting = Adopting(root, template)
    here = ("project=prisons", "owner=octocat", f"image={image_name}", "ecr_region=eu-west-1")
    adopting.adopt(say=here)
    adopting.git("tag", "v1.0.0")
    run = run_workflow(
        root / ".github/workflows/image-release.yml",
        event=release("v1.0.0", adopting.git("rev-parse", "HEAD")),
        repository=root,
        scratch=tmp_path / "run",
        actions=StandIns(ecr).actions,
        machine={"AWS_ENDPOINT_URL": moto_server, "PATH": f"{aws_cli}:{os.environ['PATH']}"},
    )
    assert run.conclusion == "success", run
    (image,) = ecr.client().describe_images(repositoryName=image_name)["imageDetails"]
    assert image["imageTags"] == ["v1.0.0"]
    ran = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            "--user",
            "54321",
            "--env",
            "OUTPUT=s3://a/b",
            f"{ecr.registry}/{image_name}:v1.0.0",
        ],
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "would write to s3://a/b\n"


@pytest.mark.docker
def test_a_monorepos_image_is_built_and_its_dag_runs_on_both_engines(
    template: Path, tmp_path: Path, image_name: str, python_base_image: str
) -> None:
    adopting = Adopting(SHAPES["monorepo"].make(tmp_path / "my-counts", python_base_image), template)
    adopting.adopt(say=("project=prisons", "owner=octocat", f"image={image_name}"))
    built = adopting.dagkit("build")
    assert built.returncode == 0, built.stdout + built.stderr
    assert f"Built {image_name}:local" in built.stdout
    for engine in ("docker", "process"):
        ran = adopting.dagkit("run", "--engine", engine)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "run | would write to s3://alpha-everyone/airflow-example/octocat/my_counts/dev" in ran.stdout
    assert adopting.git("status", "--porcelain") == ""


@pytest.mark.docker
def test_an_image_in_r_that_starts_nothing_itself_runs_what_the_dag_says(
    template: Path, tmp_path: Path, image_name: str, r_base_image: str
) -> None:
    shape = Shape({"docker/Dockerfile": "FROM {base}\nCOPY R R\nCMD []\n", "R/main.R": MAIN_R})
    adopting = Adopting(shape.make(tmp_path / "my-counts", r_base_image), template)
    refused = adopting.call("-d", "project=prisons", "-d", "owner=octocat")
    assert "command (what the pod starts, as the Dockerfile does not say it" in refused.stderr
    adopting.adopt(
        say=("project=prisons", "owner=octocat", f"image={image_name}", "command=Rscript R/main.R")
    )
    ran = adopting.dagkit("run", "--engine", "docker")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "run | would write to s3://alpha-everyone/airflow-example/octocat/my_counts/dev" in ran.stdout
    without = adopting.dagkit("run", "--engine", "process")
    assert without.returncode == 1
    assert "renv.lock is missing: without Docker, packages are those that it names" in without.stderr


@pytest.mark.parametrize("shape", ["pipfile"])
def test_what_cannot_run_without_docker_says_why(adopting: Adopting) -> None:
    adopting.adopt(say=SHAPES["pipfile"].say)
    ran = adopting.dagkit("run", "--engine", "process")
    assert ran.returncode == 1
    assert "packages are installed from requirements.txt, and there is Pipfile instead" in ran.stderr
    assert "Start Docker" in ran.stderr
