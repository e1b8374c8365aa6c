"""What the DAGs bucket says about itself: which keys dagkit put there, and which commit is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from dagkit.deploy.aws import code
from dagkit.errors import DagkitError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

NAME = "dagkit-manifest.json"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Model):
    """A key that is dagkit's.

    Attributes:
        sha256: Of the content that was put there; empty for a key that is claimed and not yet written.
        etag: What S3 answered then. Not always the MD5 (it is not in a bucket encrypted with KMS).
    """

    sha256: str = ""
    etag: str = ""


class Manifest(_Model):
    """The object `<prefix>dagkit-manifest.json`.

    A deployment writes it twice: before the first change, with every key it is about to create, and after the
    last. So a deployment cut off anywhere leaves nothing that the next one does not know as its own.

    Attributes:
        repository: The DAG repository, `<organisation>/<name>`.
        environment: Its environment.
        commit: The commit that is live; empty before the first deployment has ended.
        deploying: The commit that is being deployed, or was when it was cut off.
        files: Every key that is dagkit's.
    """

    version: Literal[1] = 1
    repository: str
    environment: str
    commit: str = ""
    deploying: str = ""
    files: dict[str, Entry] = {}


def read(s3: S3Client, bucket: str, key: str, repository: str, environment: str) -> Manifest:
    """The manifest of a bucket; an empty one where there is none yet.

    Raises:
        DagkitError: It is not a manifest, or another repository's or environment's.
    """
    where = f"s3://{bucket}/{key}"
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if code(error) == "NoSuchKey":
            return Manifest(repository=repository, environment=environment)
        raise
    try:
        found = Manifest.model_validate_json(body)
    except ValidationError as error:
        raise DagkitError(
            "The bucket's manifest cannot be read, so it is not known which keys are dagkit's",
            where=where,
            fix="Put an earlier version of the object back, or delete it and run again with --adopt.",
        ) from error
    if (found.repository, found.environment) != (repository, environment):
        raise DagkitError(
            f"The bucket holds '{found.environment}' of {found.repository},"
            f" not '{environment}' of {repository}: nothing was changed",
            where=where,
            fix="Give each environment a bucket or a dags_prefix of its own in dagkit.toml.",
        )
    return found


def write(s3: S3Client, bucket: str, key: str, manifest: Manifest) -> None:
    """Put the manifest into the bucket."""
    body = manifest.model_dump_json(indent=1) + "\n"
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json")
