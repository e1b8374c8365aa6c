"""What pods find in local AWS: buckets, fixtures, their role, and the variables that lead there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagkit import names
from dagkit.errors import DagkitError

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS
    from dagkit.pipeline import Fixture, RoleFile

NO_ROLE = "its pod has no role: without credentials AWS refuses every call"

_S3_BUCKET = re.compile(rf"s3[an]?://({names.BUCKET})(?:/|$)")


def fill(aws: LocalAWS, roles: Sequence[RoleFile], fixtures: Iterable[Fixture]) -> None:
    """Make the buckets that roles name, and put the fixtures there."""
    given = list(fixtures)
    buckets = {bucket for role in roles for bucket in role.buckets}
    for bucket in sorted({*buckets, *(fixture.bucket for fixture in given)}):
        if names.matches(names.BUCKET, bucket):  # a role may name buckets by pattern
            aws.add_bucket(bucket)
    for fixture in given:
        aws.put_object(fixture.bucket, fixture.key, fixture.path)


def give_role(aws: LocalAWS, role: RoleFile, policy: Mapping[str, Any]) -> None:
    """Make a role with its policy, or give an existing one this policy.

    Raises:
        DagkitError: IAM does not accept the policy.
    """
    try:
        aws.add_role(role.name, policy)
    except DagkitError as error:
        raise DagkitError(
            f"AWS does not accept the role's policy: {str(error).rpartition(': ')[2]}",
            where=str(role.path),
            fix="A list in it may be empty: take its key out, or put a path in.",
        ) from error


def environment(
    aws: LocalAWS, own: Mapping[str, str], role: str | None, session: str, endpoint: str
) -> dict[str, str]:
    """The variables that a pod gets on top of its own: its role's credentials, and where AWS is.

    The buckets that its own variables name are made, where they are not there yet.

    Args:
        aws: Local AWS.
        own: The pod's own variables.
        role: The role's name; None: without one, there are no credentials.
        session: What its calls are known by in the ledger.
        endpoint: The URL of local AWS, as the pod sees it.
    """
    for bucket in sorted({b for value in own.values() for b in _S3_BUCKET.findall(value)}):
        aws.add_bucket(bucket)
    if role is None:
        return {"AWS_ENDPOINT_URL": endpoint}
    given = aws.credentials(role, session).environment(endpoint, aws.region)
    regions = {"AWS_REGION", "AWS_DEFAULT_REGION"} & own.keys()
    return {name: value for name, value in given.items() if name not in regions}
