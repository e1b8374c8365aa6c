"""The AWS CLI against the local AWS, as a shell step in a pod would call it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.local.aws import Credentials, LocalAWS

Aws = Callable[..., "subprocess.CompletedProcess[str]"]
LARGE = 40 * 1024 * 1024  # bytes: five parts of eight


@pytest.fixture(scope="module")
def cli(aws: LocalAWS, credentials: Credentials, aws_cli: Path) -> Aws:
    """Runs `aws ...` with the pod's environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    found = {"PATH": f"{aws_cli}{os.pathsep}{kept['PATH']}", "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1"}
    environment = {**kept, **found, **credentials.environment(aws.endpoint(), aws.region)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["aws", *arguments], env=environment, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several parts."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return path


def test_a_large_file_goes_up_across_and_down_again(
    aws: LocalAWS, cli: Aws, large: Path, tmp_path: Path
) -> None:
    up = cli("s3", "cp", str(large), "s3://alpha-data/out/large.bin", "--no-progress")
    assert up.returncode == 0, up.stderr
    across = cli("s3", "cp", "s3://alpha-data/out/large.bin", "s3://alpha-drop/large.bin", "--no-progress")
    assert across.returncode == 0, across.stderr
    down = cli("s3", "cp", "s3://alpha-data/out/large.bin", str(tmp_path / "down"), "--no-progress")
    assert down.returncode == 0, down.stderr
    assert (tmp_path / "down").read_bytes() == large.read_bytes()
    assert {each.key: each.size for each in aws.objects("alpha-drop")}["large.bin"] == LARGE
    aws.client("s3").download_file("alpha-drop", "large.bin", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    written = {(each.bucket, each.key): each.size for call in aws.ledger for each in call.written}
    assert written["alpha-data", "out/large.bin"] == written["alpha-drop", "large.bin"] == LARGE


def test_a_large_file_that_may_not_be_written_fails_without_a_trace(
    aws: LocalAWS, cli: Aws, large: Path
) -> None:
    for arguments in (
        ("s3", "cp", str(large), "s3://alpha-data/in/large.bin", "--no-progress"),
        ("s3api", "put-object", "--bucket", "alpha-data", "--key", "in/large.bin", "--body", str(large)),
    ):
        failed = cli(*arguments)
        assert failed.returncode != 0
        assert "AccessDenied" in failed.stderr
        assert 's3:PutObject on resource: "arn:aws:s3:::alpha-data/in/large.bin"' in failed.stderr
    assert "in/large.bin" not in {each.key for each in aws.objects("alpha-data")}
    assert not aws.client("s3").list_multipart_uploads(Bucket="alpha-data").get("Uploads")


def test_a_part_of_a_large_file_can_be_read(aws: LocalAWS, cli: Aws, large: Path, tmp_path: Path) -> None:
    aws.put_object("alpha-data", "in/large.bin", large)
    target = ("--bucket", "alpha-data", "--key", "in/large.bin")
    got = cli("s3api", "get-object", *target, "--range", "bytes=9000000-9000009", str(tmp_path / "part"))
    assert got.returncode == 0, got.stderr
    assert json.loads(got.stdout)["ContentRange"] == f"bytes 9000000-9000009/{LARGE}"
    assert (tmp_path / "part").read_bytes() == large.read_bytes()[9000000:9000010]
    missing = cli("s3api", "get-object", *target, "--if-match", '"other"', str(tmp_path / "part"))
    assert "PreconditionFailed" in missing.stderr


def test_list_move_and_remove(aws: LocalAWS, cli: Aws) -> None:
    aws.put_object("alpha-data", "out/a/1.txt", b"one")
    assert "1.txt" in cli("s3", "ls", "s3://alpha-data/out/a/").stdout
    moved = cli("s3", "mv", "s3://alpha-data/out/a/1.txt", "s3://alpha-data/out/b/1.txt")
    assert moved.returncode == 0, moved.stderr
    assert cli("s3", "rm", "--recursive", "s3://alpha-data/out/b/").returncode == 0
    keys = {each.key for each in aws.objects("alpha-data")}
    assert not {"out/a/1.txt", "out/b/1.txt"} & keys
    refused = cli("s3", "rm", "s3://alpha-data/in/a b+ü.csv")
    assert refused.returncode != 0
    assert "AccessDenied" in refused.stderr


def test_head_of_a_key_that_may_not_be_read_is_403_forbidden(cli: Aws) -> None:
    failed = cli("s3api", "head-object", "--bucket", "alpha-closed", "--key", "k")
    assert "(403) when calling the HeadObject operation: Forbidden" in failed.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("s3 ls s3://alpha-closed/", "(AccessDenied) when calling the ListObjectsV2 operation"),
        (
            "secretsmanager get-secret-value --secret-id none",
            "secretsmanager:GetSecretValue on resource: none",
        ),
        ("secretsmanager list-secrets", "(AccessDeniedException) when calling the ListSecrets operation"),
        ("ssm get-parameter --name /other", "parameter/other because no identity-based policy allows"),
        ("kms list-keys", "not authorized to perform: kms:ListKeys because"),
        ("athena create-work-group --name w", "athena:CreateWorkGroup on resource: arn:aws:athena"),
        ("glue delete-database --name d", "glue:DeleteDatabase on resource: arn:aws:glue"),
        ("logs create-log-group --log-group-name /g", "logs:CreateLogGroup on resource: arn:aws:logs"),
        ("bedrock list-custom-models --region us-east-1", "bedrock:ListCustomModels because"),
        ("sts assume-role --role-arn arn:aws:iam::1:role/r --role-session-name me", "sts:AssumeRole on"),
        ("cloudwatch describe-alarms", "(AccessDenied) when calling the DescribeAlarms operation"),
    ],
)
def test_a_refused_command_says_what_it_would_say_in_the_cloud(cli: Aws, command: str, says: str) -> None:
    failed = cli(*command.split())
    assert failed.returncode != 0
    assert says in failed.stderr


def test_allowed_commands_work(aws: LocalAWS, cli: Aws) -> None:
    who = json.loads(cli("sts", "get-caller-identity").stdout)
    assert who["Arn"] == "arn:aws:sts::593291632749:assumed-role/airflow_dev_x/write"
    aws.client("secretsmanager").create_secret(Name="alpha/airflow/x/cli", SecretString="s3cret")
    secret = cli("secretsmanager", "get-secret-value", "--secret-id", "alpha/airflow/x/cli")
    assert json.loads(secret.stdout)["SecretString"] == "s3cret"
    put = cli("cloudwatch", "put-metric-data", "--namespace", "n", "--metric-name", "m", "--value", "1")
    assert put.returncode == 0, put.stderr
