"""What a generated repository promises beyond being right: clean by every linter, and safe on GitHub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.lint_generated import lint


def test_a_generated_repository_is_clean(rendered: Path, tmp_path: Path) -> None:
    assert lint([rendered], tmp_path)


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


WORKFLOWS = ["test.yml", "release.yml"]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_expression_is_put_into_a_script(workflow: str, rendered: Path) -> None:
    for step in steps(rendered / ".github/workflows" / workflow):
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_actions_are_pinned_by_commit_with_their_version(workflow: str, rendered: Path) -> None:
    text = (rendered / ".github/workflows" / workflow).read_text()
    used = re.findall(r"^\s+(?:- )?uses: (.*)$", text, re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_may_do_only_what_its_job_says(workflow: str, rendered: Path) -> None:
    loaded = yaml.safe_load((rendered / ".github/workflows" / workflow).read_text())
    assert loaded["permissions"] == {}
    [job] = loaded["jobs"].values()
    expected = {"contents": "read"}
    if workflow == "release.yml":
        expected |= {"id-token": "write", "attestations": "write"}
    assert job["permissions"] == expected


def test_pre_commit_checks_with_the_same_ruff_as_the_image(rendered: Path) -> None:
    [locked] = re.findall(r"^ruff==(\S+)", (rendered / "requirements-dev.txt").read_text(), re.MULTILINE)
    hooks = yaml.safe_load((rendered / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    ruffs = {hook["additional_dependencies"][0] for hook in hooks if hook["id"].startswith("ruff")}
    assert ruffs == {f"ruff=={locked}"}
