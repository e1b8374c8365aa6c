"""A pipeline's whole way: made, submitted, merged, reviewed, deployed, and run as it was deployed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from dagkit.cli import main
from dagkit.local.aws import LocalAWS
from tests.harness.generate import commit_all, generate, git
from tests.harness.languages import each_language
from tests.run import harness

ACCOUNT = "593291632749"
BRANCH = "dagkit/dev/stats.daily"
DAG = "dags/stats/daily.py"
ROLE = """\
iam_role_name: airflow_dev_stats_daily

s3:
  read_only: [alpha-inputs/in/*]
  write_only: [alpha-inputs/log/*]
  read_write: [alpha-everyone/airflow-example/octocat/daily/dev/*]
  deny: [alpha-inputs/in/secret/*]
"""
OUTPUT = "airflow-example/octocat/daily/dev"
MORE = {"python": "", "r": ", alpha-everyone/airflow-example/octocat/daily/hearings.csv"}
"""What the example in R reads besides."""
MAY = {
    *(("get", "alpha-inputs", "in"),),
    *((did, "alpha-inputs", "log") for did in ("put", "delete")),
    *((did, "alpha-everyone", OUTPUT) for did in ("get", "put", "delete")),
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAWS]:
    """An AWS that checks every call of an assumed role; this process may do everything in it."""
    with LocalAWS(account=ACCOUNT) as running:
        for name, value in running.admin_environment().items():
            monkeypatch.setenv(name, value)
        for bucket in ("airflow-dags-dev", "alpha-inputs", "alpha-everyone"):
            running.add_bucket(bucket)
        yield running


@each_language
def test_a_pipeline_is_made_submitted_merged_reviewed_deployed_and_runs_as_deployed(
    language: str,
    aws: LocalAWS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    pipeline = generate(
        tmp_path / "daily-stats", language=language, project="stats", pipeline="daily", owner="octocat"
    )
    role = ROLE.replace("[alpha-inputs/in/*]", f"[alpha-inputs/in/*{MORE[language]}]")
    (pipeline / "airflow/roles/dev/daily.yaml").write_text(role)
    commit_all(pipeline, tag="v1.0.0")
    git(pipeline, "config", "user.name", "An Analyst")
    git(pipeline, "config", "user.email", "an.analyst@example.gov.uk")
    dags = tmp_path / "airflow.git"
    commit_all(generate(tmp_path / "airflow", kind="airflow", owner="octocat"))
    git(tmp_path, "clone", "--quiet", "--bare", "airflow", str(dags))

    # the analyst
    assert main(["submit", str(pipeline), "--to", str(dags), "--yes"]) == 0
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(dags), str(clone))
    git(clone, "checkout", "--quiet", BRANCH)

    # the pull request
    assert main(["validate", str(clone), "--changed-since", "origin/main"]) == 0
    capsys.readouterr()
    assert main(["review", str(clone), "--base", "origin/main"]) == 0
    review = capsys.readouterr().out
    assert "stats.daily" in review
    assert "daily-stats:v1.0.0" in review
    for path in ("alpha-inputs/in/*", "alpha-inputs/log/*", f"alpha-everyone/{OUTPUT}/*"):
        assert path in review
    git(clone, "checkout", "--quiet", "main")
    git(clone, "merge", "--quiet", "--ff-only", f"origin/{BRANCH}")
    git(clone, "push", "--quiet", "origin", "main")

    # the deployment
    for what in ("roles", "dags"):
        words = ["deploy", what, "--environment", "dev", str(clone), "--repository", "example/airflow"]
        assert main(words) == 0, capsys.readouterr()
    assert did(aws) == MAY

    # and what Airflow will read, read from where Airflow reads it
    s3 = aws.client("s3")
    deployed = s3.get_object(Bucket="airflow-dags-dev", Key=DAG)["Body"].read()
    assert deployed == (clone / "environments/dev" / DAG).read_bytes()
    assert b'RELEASE = "v1.0.0"' in deployed
    copy = shutil.copytree(pipeline, tmp_path / "copy")
    (copy / "airflow/dags/daily.py").write_bytes(deployed)
    done = harness.run(copy, "--engine", "process")
    assert done.code == 0, done.out + done.err
    assert set(done.states.values()) == {"success"}
    assert ("summarise" in done.states) is (language == "r")
    assert done.report["refused"] == []


def did(aws: LocalAWS) -> set[tuple[str, str, str]]:
    """What the deployed role is let do: it is assumed, and tries everything everywhere."""
    given = aws.credentials("airflow_dev_stats_daily", "write")
    s3 = boto3.client(
        "s3",
        endpoint_url=aws.endpoint(),
        region_name="eu-west-1",
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
        aws_session_token=given.session_token,
    )
    done = set()
    for bucket, folder in [
        *(("alpha-inputs", name) for name in ("in", "in/secret", "log", "elsewhere")),
        *(
            ("alpha-everyone", name)
            for name in (OUTPUT, "airflow-example/octocat/daily/prod", "airflow-example")
        ),
        ("airflow-dags-dev", "dags"),
    ]:
        key = f"{folder}/x"
        aws.put_object(bucket, key, b"text")
        calls: dict[str, Callable[[], object]] = {
            "get": partial(s3.get_object, Bucket=bucket, Key=key),
            "put": partial(s3.put_object, Bucket=bucket, Key=key, Body=b"new"),
            "delete": partial(s3.delete_object, Bucket=bucket, Key=key),
        }
        for name, call in calls.items():
            try:
                call()
                done.add((name, bucket, folder))
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDenied"
    return done
