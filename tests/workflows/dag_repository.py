"""A DAG repository on GitHub's side: pull requests as GitHub makes them, and its workflows run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from mypy_boto3_iam.client import IAMClient
from mypy_boto3_s3.client import S3Client

from tests.harness.events import Event, pull_request, push
from tests.harness.generate import commit_all, git
from tests.harness.outcome import WorkflowRun
from tests.harness.stand_ins import StandIns
from tests.harness.workflow import run_workflow

ACCOUNT = "593291632749"
"""The account of the data and the roles, as the template's answers say when nobody changes them."""


@dataclass
class DagRepository:
    """A DAG repository, and what its workflows find on the machine they run on."""

    root: Path
    scratch: Path
    machine: dict[str, str]
    runs: list[WorkflowRun] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def merged(self, files: Mapping[str, str]) -> Event:
        """Put files on main; return the event that starts."""
        self.write(files)
        return push("main", commit_all(self.root), *files)

    def proposed(self, files: Mapping[str, str], *, action: str = "opened", api_url: str = "") -> Event:
        """Put files on the branch of pull request 7, on top of what is there; return the event.

        As on GitHub the workflow runs on a merge of the branch into main.
        """
        base = git(self.root, "rev-parse", "main")
        git(self.root, "checkout", "--quiet", *(["change"] if self.runs else ["-b", "change"]))
        self.write(files)
        head = commit_all(self.root)
        git(self.root, "checkout", "--quiet", "main")
        identity = ["-c", "user.name=GitHub", "-c", "user.email=noreply@github.com"]
        words = ["merge-tree", "--write-tree", base, head]
        tree = git(self.root, *words)
        merge = git(self.root, *identity, "commit-tree", tree, "-p", base, "-p", head, "-m", "Merge")
        git(self.root, "update-ref", "refs/pull/7/merge", merge)
        return pull_request(
            *(7, "change", merge),
            base_sha=base,
            head_sha=head,
            action=action,
            api_url=api_url or Event.api_url,
        )

    def run(
        self, name: str, event: Event, stand_ins: StandIns, secrets: Mapping[str, str] | None = None
    ) -> WorkflowRun:
        """Run one of the workflows, by name."""
        run = run_workflow(
            self.root / ".github" / "workflows" / name,
            event=event,
            repository=self.root,
            scratch=self.scratch / f"run-{len(self.runs)}",
            actions=stand_ins.actions,
            secrets=secrets,
            machine=self.machine,
        )
        self.runs.append(run)
        return run


@dataclass(frozen=True)
class Account:
    """The account as somebody who may do everything in it sees it."""

    s3: S3Client
    iam: IAMClient

    def objects(self, bucket: str) -> dict[str, tuple[str, bytes]]:
        """Every object of a bucket: when it was written, and its content."""
        return {
            item["Key"]: (
                item["LastModified"].isoformat(),
                self.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read(),
            )
            for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        }

    def roles(self) -> set[str]:
        """The names of its roles."""
        return {role["RoleName"] for role in self.iam.list_roles()["Roles"]}


def account(endpoint: str) -> Account:
    """Sign in to the account at a moto server, whose buckets for DAGs are made."""
    sts = boto3.client(
        "sts",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    keys = sts.assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/somebody", RoleSessionName="test", WebIdentityToken="a-token"
    )["Credentials"]
    session = boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="eu-west-1"
    )
    made = Account(session.client("s3", endpoint_url=endpoint), session.client("iam", endpoint_url=endpoint))
    for environment in ("dev", "prod"):
        made.s3.create_bucket(
            Bucket=f"airflow-dags-{environment}",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )
    return made
