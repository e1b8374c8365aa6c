"""What is generated for DAGs: the repository that holds them all, and one whose image is made elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from codeowners import CodeOwners

from dagkit.dagrepo import DagRepository
from dagkit.pipeline import Pipeline
from tests.template.conftest import Render

AIRFLOW_FILES = {
    ".copier-answers.yml",
    ".github/CODEOWNERS",
    ".github/dependabot.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/notify.yml",
    ".github/workflows/validate.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "README.md",
    "dagkit.toml",
    "environments/dev/dags/README.md",
    "environments/dev/dags/example/README.md",
    "environments/dev/dags/example/write_and_copy.py",
    "environments/dev/roles/README.md",
    "environments/dev/roles/airflow_dev_example_write_and_copy.yaml",
    "environments/prod/dags/README.md",
    "environments/prod/roles/README.md",
    "imports/__init__.py",
    "imports/pipeline_pod.py",
    "imports/platform_settings.py",
    "requirements.txt",
    "ruff.toml",
}
DAGS_FILES = {
    ".copier-answers.yml",
    ".gitignore",
    "README.md",
    "airflow/dags/daily.py",
    "airflow/fixtures/README.md",
    "airflow/roles/dev/daily.yaml",
    "airflow/roles/prod/daily.yaml",
}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_each_has_these_files_and_no_others(rendered_airflow: Path, rendered_dags: Path) -> None:
    assert files(rendered_airflow) == AIRFLOW_FILES
    assert files(rendered_dags) == DAGS_FILES


@pytest.mark.parametrize("made", ["rendered_airflow", "rendered_dags"])
def test_every_path_that_a_readme_names_is_there(made: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(made)
    for readme in root.rglob("README.md"):
        for target in re.findall(r"\]\(([^)#\s]+)\)", readme.read_text()):
            if "://" not in target:
                assert (readme.parent / target).exists(), f"{readme}: {target}"
    text = (root / "README.md").read_text()
    named = re.findall(r"`((?:environments|imports|airflow)/[^`]*|dagkit\.toml)`", text)
    assert named
    for name in named:
        assert (root / name.partition("<")[0]).exists(), name


@pytest.mark.parametrize(
    "path",
    [
        "environments/dev/roles/airflow_dev_example_write_and_copy.yaml",
        "environments/prod/roles/airflow_prod_example_write_and_copy.yaml",
        "environments/prod/dags/example/write_and_copy.py",
        "environments/prod/README.md",
        "imports/pipeline_pod.py",
        "imports/example_dates.py",
        "dagkit.toml",
        "requirements.txt",
        ".github/CODEOWNERS",
        ".github/workflows/deploy.yml",
    ],
)
def test_data_engineering_approves_what_others_rely_on(path: str, render: Render) -> None:
    made = render("airflow", kind="airflow", data_engineers="@example/engineers")
    owners = CodeOwners((made / ".github/CODEOWNERS").read_text())
    assert owners.of(path) == [("TEAM", "@example/engineers")]


@pytest.mark.parametrize(
    "path", ["example/write_and_copy.py", "example/README.md", "new/daily.py", "README.md"]
)
def test_nobody_has_to_approve_a_dag_in_dev(path: str, rendered_airflow: Path) -> None:
    owners = CodeOwners((rendered_airflow / ".github/CODEOWNERS").read_text())
    assert owners.of(f"environments/dev/dags/{path}") == []


@pytest.mark.parametrize("pod_identity", ["irsa", "kube2iam"])
def test_the_program_reads_the_settings_that_were_answered(pod_identity: str, render: Render) -> None:
    made = render(
        "airflow",
        kind="airflow",
        pod_identity=pod_identity,
        data_account="111111111111",
        dev_dags_bucket="dags-of-dev",
        slack_channel="#data",
        dev_oidc_provider="oidc.example.com/id/1",
        node_role="arn:aws:iam::111111111111:role/nodes",
    )
    settings = DagRepository.load(made).settings
    dev = settings.environments["dev"]
    assert (dev.account, dev.dags_bucket, dev.pod_identity) == ("111111111111", "dags-of-dev", pod_identity)
    if pod_identity == "irsa":
        assert (dev.oidc_provider, dev.node_role) == ("oidc.example.com/id/1", None)
    else:
        assert (dev.oidc_provider, dev.node_role) == (None, "arn:aws:iam::111111111111:role/nodes")
    assert settings.slack
    assert settings.slack.channel == "#data"
    deploy = yaml.safe_load((made / ".github/workflows/deploy.yml").read_text())
    for name, environment in settings.environments.items():
        [assumed] = [step["with"] for step in deploy["jobs"][name]["steps"] if "Assume" in step["name"]]
        assert assumed["role-to-assume"] == environment.deploy_role


def test_a_pipeline_without_an_image_says_which_one_it_runs(render: Render) -> None:
    made = render("daily-stats", kind="dags", repository="Other_Image", release="v2.3.4", pipeline="daily")
    pipeline = Pipeline.load(made)
    assert 'RELEASE = "v2.3.4"' in pipeline.dag().read_text()
    assert ".amazonaws.com/other-image:v2.3.4`" in (made / "README.md").read_text()
