"""What docs/dag-repository.md says a deployment role needs: it is enough, and nothing of it is too much."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagkit.deploy import iam as deploy_iam
from dagkit.local.aws import LocalAWS
from tests.deploy.conftest import HELLO, HELLO_ROLE, SETTINGS, Repository, deploy

PAGE = Path(__file__).parents[2] / "docs" / "dag-repository.md"
ACCOUNT = "593291632749"
ROLE = "airflow-deploy-dev"
HELLO_NAME = "airflow_dev_example_hello"
ANYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
NARROWER = "iam_role_name: airflow_dev_example_hello\ns3:\n  read_only:\n    - alpha-data/in/*\n"


def documented() -> dict[str, Any]:
    """The policy on the page: the last block of JSON."""
    found: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1])
    return found


def actions(policy: dict[str, Any]) -> set[str]:
    """Every action that a policy allows."""
    lists = [statement["Action"] for statement in policy["Statement"]]
    return {action for each in lists for action in ([each] if isinstance(each, str) else each)}


@pytest.fixture
def aws(repository: Repository) -> Iterator[LocalAWS]:
    repository.commit(
        {
            "dagkit.toml": SETTINGS.replace("123456789012", ACCOUNT).replace(
                "example-airflow-dev", "airflow-dags-dev"
            )
        }
    )
    with LocalAWS(account=ACCOUNT) as running:
        running.add_bucket("airflow-dags-dev")
        yield running


def test_the_documented_policy_is_enough_and_none_of_it_is_too_much(
    repository: Repository, aws: LocalAWS, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = documented()
    for statement in policy["Statement"]:
        if statement["Sid"] == "ChangeRoles":
            statement["Resource"] = "*"  # local AWS works out the resources of S3, not of IAM
    aws.add_role(ROLE, policy)
    given = aws.credentials(ROLE, "GitHubActions")
    for name, value in given.environment(aws.endpoint(), aws.region).items():
        monkeypatch.setenv(name, value)

    def both(*words: str) -> None:
        for what in ("roles", "dags"):
            assert deploy(what, "--environment", "dev", *words) == 0

    both()
    # what somebody did by hand is undone, and what the file says has changed
    iam = aws.client("iam")
    attached = iam.create_policy(PolicyName="by-hand", PolicyDocument=ANYTHING)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=HELLO_NAME, PolicyArn=attached)
    iam.put_role_policy(RoleName=HELLO_NAME, PolicyName="by-hand", PolicyDocument=ANYTHING)
    iam.update_assume_role_policy(RoleName=HELLO_NAME, PolicyDocument=ANYBODY)
    iam.untag_role(RoleName=HELLO_NAME, TagKeys=["file"])
    dag = (repository.root / HELLO).read_text()
    repository.commit({HELLO_ROLE: NARROWER, HELLO: dag + "\n"})
    both()
    # IAM's list lags behind, and does not have the role that an earlier call made
    with monkeypatch.context() as lagging:
        lagging.setattr(deploy_iam, "read_all", lambda _: {})
        both()
    repository.remove(HELLO, HELLO_ROLE)
    repository.commit({})
    both("--prune")

    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == [ROLE]
    needed = {need.action for call in aws.ledger if call.role == ROLE for need in call.needs} - {
        "sts:GetCallerIdentity"
    }  # which everybody may
    assert needed == actions(documented())
