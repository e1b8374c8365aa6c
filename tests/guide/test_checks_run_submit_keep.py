"""Each check of notebooks 3, 4 and 5 turns red when what it looks at is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagkit import guide
from dagkit.guide import checks, keeping, rehearsal, running, submitting
from dagkit.guide.progress import Outcome
from tests.harness.generate import commit_all, generate, git


@dataclass(frozen=True)
class World:
    """Somebody who has read notebooks 3 to 5, and all that came of it."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "guide"

    @property
    def pipeline(self) -> Path:
        return self.root / "daily-stats"

    @property
    def dags(self) -> Path:
        return self.root / "airflow.git"

    @property
    def copy(self) -> Path:
        return rehearsal.at(self.folder).copy

    def running(self) -> running.Steps:
        here = guide.open(3, folder=self.folder, engine="process")
        assert isinstance(here, running.Steps)
        return here

    def submitting(self) -> submitting.Steps:
        here = guide.open(4, folder=self.folder)
        assert isinstance(here, submitting.Steps)
        return here

    def keeping(self) -> keeping.Steps:
        here = guide.open(5, folder=self.folder)
        assert isinstance(here, keeping.Steps)
        return here

    def look(self, name: str) -> Outcome:
        """What a check comes to now."""
        here = guide.open(int(name[0]), folder=self.folder)
        return checks.look(checks.all_checks()[name], here)

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file of the pipeline by hand."""
        file = self.pipeline / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def forget_runs(self, state: str) -> None:
        """Delete the runs that ended so."""
        found = [
            report.parent
            for report in self.pipeline.glob(".dagkit/runs/*/report.json")
            if json.loads(report.read_text())["state"] == state
        ]
        assert found
        for run in found:
            shutil.rmtree(run)


@pytest.fixture(scope="module")
def read_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything done once, as the notebooks' cells do it, in order."""
    world = World(tmp_path_factory.mktemp("world"))
    generate(world.pipeline, repository="daily-stats", project="stats", pipeline="daily", owner="octocat")
    commit_all(world.pipeline)
    for key, value in (("user.name", "Octo Cat"), ("user.email", "octo.cat@justice.gov.uk")):
        git(world.pipeline, "config", key, value)
    dags = generate(world.root / "dags", kind="airflow", owner="octocat")
    commit_all(dags)
    git(world.root, "clone", "--quiet", "--bare", str(dags), str(world.dags))
    world.folder.mkdir()
    guide.open(3, pipeline=world.pipeline, folder=world.folder)
    run = world.running()
    run.run()
    run.take_out()
    run.run()
    run.put_back()
    run.change_code()
    run.run()
    run.undo_change()
    submit = world.submitting()
    submit.release()
    submit.dag_repository(str(world.dags))
    submit.submit()
    submit.merge()
    submit.submit("prod")
    keep = world.keeping()
    keep.rehearse()
    keep.update_copy()
    keep.settle("mine")
    return world


@pytest.fixture
def world(read_world: World, tmp_path: Path) -> World:
    """A copy of it, to break."""
    world = World(tmp_path / "world")
    # without the packages that were installed for the runs
    shutil.copytree(read_world.root, world.root, symlinks=True, ignore=shutil.ignore_patterns("env"))
    world.submitting().progress.keep(dag_repository=str(world.dags))
    return world


def _no_dag(world: World) -> None:
    world.edit("airflow/dags/daily.py", "with DAG(", "with DAG((")


def _no_task(world: World) -> None:
    text = (world.pipeline / "airflow/dags/daily.py").read_text()
    (world.pipeline / "airflow/dags/daily.py").write_text(text.partition("    write = ")[0] + "    pass\n")


def _no_run_that_succeeded(world: World) -> None:
    world.forget_runs("success")


def _no_run_that_failed(world: World) -> None:
    world.forget_runs("failed")


def _path_is_out_again(world: World) -> None:
    world.running().take_out()


def _role_without_the_path(world: World) -> None:
    world.edit("airflow/roles/dev/daily.yaml", "/dev/*", "/elsewhere/*")


def _one_run_only(world: World) -> None:
    newest = max((world.pipeline / ".dagkit" / "runs").iterdir())
    shutil.rmtree(newest)


def _code_is_changed_again(world: World) -> None:
    world.running().change_code()


def _a_rule_is_broken(world: World) -> None:
    world.edit("airflow/dags/daily.py", 'dag_id="stats.daily"', 'dag_id="stats.other"')


def _a_file_is_not_committed(world: World) -> None:
    world.edit("scripts/run.py", "import boto3", "import boto3  # mine")


def _not_in_git(world: World) -> None:
    shutil.rmtree(world.pipeline / ".git")


def _no_tag(world: World) -> None:
    git(world.pipeline, "tag", "--delete", "v0.1.0")


def _a_commit_since_the_release(world: World) -> None:
    world.edit("scripts/run.py", "import boto3", "import boto3  # mine")
    git(world.pipeline, "commit", "--quiet", "--all", "--message", "Change")


def _no_dag_repository(world: World) -> None:
    shutil.rmtree(world.dags)


def _nothing_in_dev(world: World) -> None:
    git(world.dags, "update-ref", "refs/heads/main", "main~1")
    git(world.dags, "branch", "--quiet", "--delete", "--force", "dagkit/dev/stats.daily")


def _edited_in_dev(world: World) -> None:
    git(world.dags, "update-ref", "refs/heads/main", "main~1")
    clone = world.root / "somebody"
    git(world.root, "clone", "--quiet", "--branch", "dagkit/dev/stats.daily", str(world.dags), str(clone))
    file = clone / "environments/dev/dags/stats/daily.py"
    file.write_text(file.read_text().replace('RELEASE = "v0.1.0"', 'RELEASE = "v0.0.9"'))
    commit_all(clone)
    git(clone, "push", "--quiet", "origin", "dagkit/dev/stats.daily")


def _nothing_in_prod(world: World) -> None:
    git(world.dags, "branch", "--quiet", "--delete", "--force", "dagkit/prod/stats.daily")


def _a_conflict_again(world: World) -> None:
    text = "<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n"
    (world.copy / "Dockerfile").write_text(text)


def _updated_over_my_line(world: World) -> None:
    file = world.copy / "README.md"
    file.write_text(file.read_text().replace(rehearsal.OWN_LINE, ""))
    commit_all(world.copy)


def _not_updated(world: World) -> None:
    world.keeping().rehearse()


def _no_copy(world: World) -> None:
    shutil.rmtree(world.copy)


def _a_package_is_not_locked(world: World) -> None:
    world.edit("requirements.in", "boto3\n", "boto3\npandas>=2\n")


def _another_version_is_locked(world: World) -> None:
    world.edit("requirements.in", "boto3\n", "boto3<1\n")


Break = Callable[[World], None]

BREAKS: tuple[tuple[str, Break], ...] = (
    ("3.dag", _no_dag),
    ("3.dag", _no_task),
    ("3.run", _no_run_that_succeeded),
    ("3.refused", _no_run_that_failed),
    ("3.mended", _path_is_out_again),
    ("3.mended", _role_without_the_path),
    ("3.changed", _one_run_only),
    ("3.undone", _code_is_changed_again),
    ("3.undone", _path_is_out_again),
    ("4.rules", _a_rule_is_broken),
    ("4.committed", _a_file_is_not_committed),
    ("4.committed", _not_in_git),
    ("4.release", _no_tag),
    ("4.release", _a_commit_since_the_release),
    ("4.repository", _no_dag_repository),
    ("4.submitted", _nothing_in_dev),
    ("4.submitted", _edited_in_dev),
    ("4.prod", _nothing_in_prod),
    ("5.update", _a_conflict_again),
    ("5.update", _updated_over_my_line),
    ("5.update", _not_updated),
    ("5.update", _no_copy),
    ("5.packages", _a_package_is_not_locked),
    ("5.packages", _another_version_is_locked),
    ("5.failure", _no_run_that_failed),
    ("5.releases", _no_tag),
)


def test_all_are_green_for_somebody_who_has_done_it_all(world: World) -> None:
    names = [name for name in checks.all_checks() if name[0] in "345"]
    assert {name for name, _ in BREAKS} == set(names), "each check has something that breaks it"
    red = {name: seen.saw for name in names if not (seen := world.look(name)).ok}
    assert not red
    assert git(world.pipeline, "status", "--porcelain") == ""


@pytest.mark.parametrize(("name", "breaks"), BREAKS, ids=lambda value: getattr(value, "__name__", value))
def test_it_is_red_once_broken(world: World, name: str, breaks: Break) -> None:
    breaks(world)
    outcome = world.look(name)
    assert not outcome.ok, outcome.saw
    assert outcome.todo, outcome.saw
    assert "could not look" not in outcome.saw


def test_a_pipeline_in_r_whose_code_uses_a_package_that_is_not_locked(tmp_path: Path) -> None:
    world = World(tmp_path)
    generate(world.pipeline, repository="daily-stats", project="stats", pipeline="daily", language="r")
    world.folder.mkdir()
    guide.open(5, pipeline=world.pipeline, folder=world.folder)
    assert world.look("5.packages").ok
    world.edit("R/summarise.R", "summarise_hearings <-", "library(dplyr)\nsummarise_hearings <-")
    assert "dplyr" in world.look("5.packages").saw


def test_prod_waits_until_dev_is_merged(world: World) -> None:
    _nothing_in_prod(world)
    git(world.dags, "update-ref", "refs/heads/main", "main~1")
    world.submitting().submit("prod")
    assert "prod" not in git(world.dags, "branch", "--format", "%(refname)")
