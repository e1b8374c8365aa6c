"""The role that was deployed, assumed and tried: it may do exactly what its file says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import boto3
import pytest
from botocore.exceptions import ClientError

from dagkit.local.aws import LocalAWS
from tests.deploy.conftest import ACCOUNT, HELLO_ROLE, Repository, deploy

ROLE = """\
iam_role_name: airflow_dev_example_hello
s3:
  read_only: [alpha-data/in/*]
  write_only: [alpha-data/log/*]
  read_write: [alpha-data/out/*]
  deny: [alpha-data/in/secret/*]
"""
MAY = {
    ("get", "in/x"),
    ("put", "log/x"),
    ("delete", "log/x"),
    ("get", "out/x"),
    ("put", "out/x"),
    ("delete", "out/x"),
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAWS]:
    with LocalAWS(account=ACCOUNT) as running:
        for name, value in running.admin_environment().items():
            monkeypatch.setenv(name, value)
        running.add_bucket("alpha-data")
        yield running


def test_an_assumed_role_may_do_exactly_what_its_file_says(repository: Repository, aws: LocalAWS) -> None:
    repository.commit({HELLO_ROLE: ROLE})
    assert deploy("roles", "--environment", "dev") == 0
    given = aws.credentials("airflow_dev_example_hello", "write")
    s3 = boto3.client(
        "s3",
        endpoint_url=aws.endpoint(),
        region_name="eu-west-1",
        aws_access_key_id=given.access_key_id,
        aws_secret_access_key=given.secret_access_key,
        aws_session_token=given.session_token,
    )
    did = set()
    for folder in ("in", "in/secret", "log", "out", "elsewhere"):
        key = f"{folder}/x"
        aws.put_object("alpha-data", key, b"text")
        calls: dict[str, Callable[[], object]] = {
            "get": partial(s3.get_object, Bucket="alpha-data", Key=key),
            "put": partial(s3.put_object, Bucket="alpha-data", Key=key, Body=b"new"),
            "delete": partial(s3.delete_object, Bucket="alpha-data", Key=key),
        }
        for name, call in calls.items():
            try:
                call()
                did.add((name, key))
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDenied"
    assert did == MAY


def test_a_role_that_is_narrowed_loses_it_at_the_next_deployment(
    repository: Repository, aws: LocalAWS
) -> None:
    repository.commit({HELLO_ROLE: ROLE})
    assert deploy("roles", "--environment", "dev") == 0
    repository.commit({HELLO_ROLE: ROLE.replace("  read_write: [alpha-data/out/*]\n", "")})
    assert deploy("roles", "--environment", "dev") == 0
    given = aws.credentials("airflow_dev_example_hello", "write")
    session = boto3.Session(given.access_key_id, given.secret_access_key, given.session_token, "eu-west-1")
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("s3", endpoint_url=aws.endpoint()).put_object(
            Bucket="alpha-data", Key="out/x", Body=b""
        )
