"""What a generated repository promises beyond being right: clean by every linter, and safe on GitHub."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.languages import LANGUAGES, both_languages
from tests.harness.lint_generated import lint


def test_generated_repositories_are_clean(
    rendered_python: Path, rendered_r: Path, rendered_airflow: Path, rendered_dags: Path, tmp_path: Path
) -> None:
    assert lint([rendered_python, rendered_r, rendered_airflow, rendered_dags], tmp_path)


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


WORKFLOWS = ["test.yml", "release.yml"]
DAG_WORKFLOWS = ["validate.yml", "notify.yml", "deploy.yml"]


@pytest.fixture
def file(workflow: str, rendered: Path, rendered_airflow: Path) -> Path:
    """A workflow, of whichever repository has it."""
    made = rendered_airflow if workflow in DAG_WORKFLOWS else rendered
    return made / ".github/workflows" / workflow


every_workflow = pytest.mark.parametrize(
    ("language", "workflow"),
    [*itertools.product(LANGUAGES, WORKFLOWS), *(("python", workflow) for workflow in DAG_WORKFLOWS)],
)


@every_workflow
def test_no_expression_is_put_into_a_script(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", "")


@every_workflow
def test_actions_are_pinned_by_commit_with_their_version(file: Path) -> None:
    text = file.read_text()
    used = re.findall(r"^\s+(?:- )?uses: (.*)$", text, re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@both_languages
@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_may_do_only_what_its_job_says(workflow: str, rendered: Path) -> None:
    loaded = yaml.safe_load((rendered / ".github/workflows" / workflow).read_text())
    assert loaded["permissions"] == {}
    [job] = loaded["jobs"].values()
    expected = {"contents": "read"}
    if workflow == "release.yml":
        expected |= {"id-token": "write", "attestations": "write"}
    assert job["permissions"] == expected


@pytest.mark.parametrize(
    ("workflow", "permissions"),
    [
        ("validate.yml", {"rules": {"contents": "read"}, "comment": {"pull-requests": "write"}}),
        ("notify.yml", {"notify": {"contents": "read"}}),
        ("deploy.yml", {name: {"contents": "read", "id-token": "write"} for name in ("dev", "prod")}),
    ],
)
def test_a_workflow_of_the_dag_repository_may_do_only_what_each_job_says(
    file: Path, permissions: dict[str, dict[str, str]]
) -> None:
    loaded = yaml.safe_load(file.read_text())
    assert loaded["permissions"] == {}
    assert {name: job["permissions"] for name, job in loaded["jobs"].items()} == permissions


def test_pre_commit_checks_with_the_same_ruff_as_the_image(rendered_python: Path) -> None:
    development = (rendered_python / "requirements-dev.txt").read_text()
    [locked] = re.findall(r"^ruff==(\S+)", development, re.MULTILINE)
    hooks = yaml.safe_load((rendered_python / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    ruffs = {hook["additional_dependencies"][0] for hook in hooks if hook["id"].startswith("ruff")}
    assert ruffs == {f"ruff=={locked}"}
