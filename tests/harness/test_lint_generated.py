"""Each linter of generated repositories is really there: it finds what it is meant to find."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.harness.generate import generate
from tests.harness.lint_generated import combinations, lint, lint_r

BREAKS = [
    ("scripts/run.py", "\nimport sys\n", "\nimport json\nimport sys\n", "`json` imported but unused"),
    ("tests/test_run.py", "\nimport ", "\nimport  ", "would be reformatted"),
    ("Dockerfile", "\nUSER 1337\n", "\nUSER 1337\nRUN cd /tmp && ls\n", "DL3003"),
    (".github/workflows/release.yml", '"imageTag=$TAG"', "imageTag=$TAG", "SC2086"),
    (".github/workflows/release.yml", "permissions: {}", "permissions: write-all", "excessive-permissions"),
    (".github/workflows/test.yml", "timeout-minutes: 30", "timeout-minutes: soon", "timeout-minutes"),
    (".github/dependabot.yml", "interval: weekly", "interval: often", "'often' is not one of"),
    ("airflow/roles/dev/my_pipeline.yaml", "\n", "  \n", "trailing spaces"),
]


def test_each_linter_finds_what_it_is_meant_to_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = generate(tmp_path / "repository", repository="my-pipeline")
    for file, old, new, _ in BREAKS:
        text = (repository / file).read_text()
        assert old in text, f"{file} has changed: choose another place to break"
        (repository / file).write_text(text.replace(old, new, 1))
    assert not lint([repository], tmp_path)
    said = capsys.readouterr().out
    assert ": clean" not in said
    for *_, finding in BREAKS:
        assert finding in said


def test_a_workflow_that_github_would_refuse_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = generate(tmp_path / "repository", repository="my-pipeline")
    workflow = repository / ".github/workflows/test.yml"
    workflow.write_text(workflow.read_text().replace("${{ env.IMAGE }}", "${{ env.IMAGE }"))
    assert not lint([repository], tmp_path)
    assert "is not closed" in capsys.readouterr().out


def test_nothing_to_lint_is_a_finding(tmp_path: Path) -> None:
    assert not lint([], tmp_path)


def test_every_choice_of_the_template_is_linted() -> None:
    offered = {(name, value) for answers in combinations() for name, value in answers.items()}
    assert {("language", "python"), ("compute", "gpu"), ("pod_identity", "kube2iam")} <= offered
    kinds = ("image", "dags", "airflow", "adopted", "workflow")
    assert {("kind", kind) for kind in kinds} <= offered
    assert len(list(combinations())) == len({tuple(answers.items()) for answers in combinations()})
    pairs = itertools.product(["standard", "high-memory", "gpu"], ["irsa", "kube2iam"])
    pipelines = [answers for answers in combinations() if answers["kind"] not in ("airflow", "workflow")]
    assert {(answers["compute"], answers["pod_identity"]) for answers in pipelines} == set(pairs)


def test_what_is_not_asked_makes_no_more_repositories() -> None:
    made = [answers for answers in combinations() if answers["kind"] == "airflow"]
    assert made == [{"kind": "airflow", "pod_identity": name} for name in ("irsa", "kube2iam")]


@pytest.mark.r
@pytest.mark.parametrize(
    ("code", "finding"),
    [("f <- function(x) T\n", "R/s3.R:1"), ("f <- function(x) {\n  c(1,\n  x)\n}\n", "Would reformat: ")],
)
def test_what_is_wrong_in_r_is_found(
    code: str, finding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = generate(tmp_path / "my-pipeline", language="r")
    assert lint_r([repository])
    (repository / "R" / "s3.R").write_text(code)
    assert not lint_r([repository])
    assert finding in capsys.readouterr().out
