"""A DAG repository under git, an AWS account, and ways to cut a deployment off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import pytest

from dagkit.cli import main
from dagkit.deploy import aws

ACCOUNT = "123456789012"
BUCKET = "example-airflow-dev"
OIDC = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"

SETTINGS = f"""\
[registry]
account = "189157455002"
region = "eu-west-1"

[environments.dev]
account = "{ACCOUNT}"
region = "eu-west-1"
dags_bucket = "{BUCKET}"
cluster = "test"
oidc_provider = "{OIDC}"

[environments.prod]
account = "{ACCOUNT}"
region = "eu-west-1"
dags_bucket = "example-airflow-prod"
cluster = "production"
pod_identity = "kube2iam"
node_role = "arn:aws:iam::{ACCOUNT}:role/airflow-nodes"

[slack]
channel = "#airflow-approvals"
"""

CODEOWNERS = """\
* @example/data-engineering
environments/dev/dags/
"""

DAG = '''\
"""Writes a greeting and copies it."""

from datetime import datetime

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

ENVIRONMENT = "dev"
RELEASE = "v0.0.1"

with DAG(
    dag_id="example.hello",
    schedule="0 6 * * 1-5",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    default_args={"owner": "an-analyst"},
) as dag:
    write = PipelinePodOperator(
        task_id="write",
        repository="hello-image",
        release=RELEASE,
        role=f"airflow_{ENVIRONMENT}_example_hello",
    )
    copy = PipelinePodOperator(
        task_id="copy",
        repository="hello-image",
        release=RELEASE,
        role=f"airflow_{ENVIRONMENT}_example_hello",
    )
    write >> copy
'''

ROLE = """\
iam_role_name: airflow_dev_example_hello
s3:
  read_only:
    - alpha-data/in/*
  read_write:
    - alpha-data/out/*
"""

HELLO = "environments/dev/dags/example/hello.py"
HELLO_ROLE = "environments/dev/roles/airflow_dev_example_hello.yaml"


@dataclass
class Repository:
    """A clone of a DAG repository."""

    root: Path

    def remove(self, *names: str) -> None:
        """Remove files, where they are there."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def write(self, files: dict[str, str | None]) -> Repository:
        """Write files; None removes one."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        return self

    def commit(self, files: dict[str, str | None]) -> str:
        """Write files and commit them; the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Change")
        return self.git("rev-parse", "HEAD")

    def git(self, *args: str) -> str:
        """Run git here."""
        done = subprocess.run(
            ["git", "-C", str(self.root), *args], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A DAG repository with one DAG, its role and the platform's imports, committed."""
    for name, value in {
        "GIT_AUTHOR_NAME": "An Analyst",
        "GIT_AUTHOR_EMAIL": "an.analyst@example.com",
        "GIT_COMMITTER_NAME": "An Analyst",
        "GIT_COMMITTER_EMAIL": "an.analyst@example.com",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    made = Repository(tmp_path / "airflow")
    made.root.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("remote", "add", "origin", "git@github.com:example/airflow.git")
    made.commit(
        {
            "dagkit.toml": SETTINGS,
            ".github/CODEOWNERS": CODEOWNERS,
            HELLO: DAG,
            HELLO_ROLE: ROLE,
            "imports/__init__.py": "",
            "imports/pipeline_pod.py": "from imports.platform_settings import REGISTRY\n",
            "imports/platform_settings.py": 'REGISTRY = "example"\n',
        }
    )
    monkeypatch.chdir(made.root)
    return made


@dataclass
class Account:
    """An AWS account, as somebody who may do everything in it sees it."""

    url: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client for one of its services."""
        if service not in self.clients:
            made = boto3.client(service, region_name="eu-west-1", endpoint_url=self.url)  # type: ignore[call-overload]
            self.clients[service] = made
        return self.clients[service]

    @property
    def roles(self) -> dict[str, Any]:
        """Everything about every role that a deployment can change."""
        iam = self.client("iam")
        found: dict[str, Any] = {}
        for role in iam.list_roles()["Roles"]:
            name = role["RoleName"]
            inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
            found[name] = {
                "trust": role["AssumeRolePolicyDocument"],
                "tags": {
                    tag["Key"]: tag["Value"] for tag in iam.get_role(RoleName=name)["Role"].get("Tags", [])
                },
                "inline": {
                    p: iam.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in inline
                },
                "attached": [
                    p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
                ],
            }
        return found

    def objects(self, bucket: str = BUCKET) -> dict[str, str]:
        """The content of every object of a bucket."""
        s3 = self.client("s3")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


@pytest.fixture
def account(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account that holds nothing but the buckets Airflow reads; this process is signed in to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    # moto's IAM fails now and then when it is changed from several threads
    monkeypatch.setattr(aws, "JOBS", 1)
    made = Account(moto_server)
    for bucket in (BUCKET, "example-airflow-prod"):
        made.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    return made


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


@dataclass
class Calls:
    """The AWS calls of this process, and where to cut them off."""

    made: list[str] = field(default_factory=list)
    kill_at: int | None = None
    before: bool = True

    def reset(self, kill_at: int | None = None, *, before: bool = True) -> None:
        """Forget the calls; end the process around the `kill_at`-th (from 1)."""
        self.made, self.kill_at, self.before = [], kill_at, before

    @property
    def writes(self) -> list[str]:
        """The calls that change something."""
        return [name for name in self.made if not name.startswith(("Get", "List", "Head"))]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """Count every AWS call of this process, and cut it off where asked to."""
    record = Calls()
    real = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        record.made.append(operation)
        number = len(record.made)
        if record.kill_at is not None and (
            number > record.kill_at or (number == record.kill_at and record.before)
        ):
            raise KilledError
        answer = real(client, operation, parameters)
        if number == record.kill_at:
            raise KilledError
        return answer

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    yield record


def deploy(*words: str) -> int:
    """Run `dagkit deploy` in this process."""
    return main(["deploy", *words])
