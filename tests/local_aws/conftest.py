"""A local AWS with a role in it, and clients as a pod would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from iam_builder.iam_builder import build_iam_policy

from dagkit.local.aws import Credentials, LocalAWS

ROLE = "airflow_dev_x"
CONFIG: dict[str, Any] = {
    "iam_role_name": ROLE,
    "athena": {"write": False},
    "glue_job": True,
    "bedrock": True,
    "secrets": "readwrite",
    "secretsmanager": {"read_only": ["alpha/airflow/x"]},
    "s3": {
        "read_only": ["alpha-data/*"],
        "read_write": ["alpha-data/out/*"],
        "write_only": ["alpha-drop/*"],
        "deny": ["alpha-data/deny/*"],
    },
}
Clients = Callable[..., Any]


def client_of(aws: LocalAWS, credentials: Credentials, service: str, **config: Any) -> Any:
    """Returns a boto3 client as a pod makes it: the endpoint and temporary credentials, nothing else."""
    session: Any = boto3.Session()  # its stubs know each service by name only
    return session.client(
        service,
        endpoint_url=aws.endpoint(),
        region_name=aws.region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token or None,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    """A running local AWS: two buckets with fixtures, one more that the role does not know."""
    with LocalAWS() as running:
        for bucket in ("alpha-data", "alpha-drop", "alpha-closed"):
            running.add_bucket(bucket)
        running.put_object("alpha-data", "in/a b+ü.csv", b"hello")
        running.put_object("alpha-data", "deny/secret.csv", b"secret")
        running.put_object("alpha-closed", "k", b"closed")
        running.add_role(ROLE, build_iam_policy(CONFIG))
        yield running


@pytest.fixture(scope="module")
def credentials(aws: LocalAWS) -> Credentials:
    """The credentials of the role, for the task `write`."""
    return aws.credentials(ROLE, "write")


@pytest.fixture(scope="module")
def pod(aws: LocalAWS, credentials: Credentials) -> Clients:
    """Makes clients of the pod: `pod("s3")`."""
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = client_of(aws, credentials, service)
        return made[service]

    return client
