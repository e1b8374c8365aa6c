"""The connection to one environment's AWS account, and its errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from dagkit.errors import DagkitError

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_s3.client import S3Client

# IAM throttles a whole account, so a deployment waits for its turn rather than fail.
RETRIES = Config(
    retries={"mode": "standard", "total_max_attempts": 10},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=16,
    user_agent_extra="dagkit",
)
JOBS = 8
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
_LOGIN = "Sign in to the account again: in a workflow by OIDC, on your machine with: aws sso login"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Aws:
    """Clients for one environment's account.

    Attributes:
        account: The account's 12 digits, as AWS says.
        caller: ARN of who is signed in.
        iam: IAM client.
        s3: S3 client in the environment's region.
    """

    account: str
    caller: str
    iam: IAMClient
    s3: S3Client


def connect(account: str, region: str, environment: str) -> Aws:
    """Sign in, and see that it is the environment's own account.

    Args:
        account: The account (12 digits) that the settings name.
        region: AWS region.
        environment: The environment's name, for messages.

    Raises:
        DagkitError: No credentials, expired ones, or those of another account.
    """
    with told("sign in to AWS"):
        session = boto3.Session(region_name=region)
        identity = session.client("sts", config=RETRIES).get_caller_identity()
        if identity["Account"] != account:
            raise DagkitError(
                f"You are signed in to AWS account {identity['Account']}, but '{environment}' is {account}:"
                " nothing was changed",
                where=f"dagkit.toml, [environments.{environment}], account",
                fix="Sign in to that account, or correct the setting.",
            )
        return Aws(
            account,
            identity["Arn"],
            session.client("iam", config=RETRIES),
            session.client("s3", config=RETRIES),
        )


def code(error: ClientError) -> str:
    """AWS's name of an error, such as `NoSuchEntity`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def words(error: Exception) -> str:
    """An error of AWS in one line."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return " ".join(f"{code(error)} at {error.operation_name}: {message}".split())
    if isinstance(error, DagkitError):
        return error.what
    return " ".join(str(error).split())


@contextmanager
def told(doing: str, where: str | None = None) -> Iterator[None]:
    """Turn an error of AWS into one for people.

    Args:
        doing: What was being done, as in "could not …".
        where: The bucket or role it was done to.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DagkitError(f"Could not {doing}: there are no AWS credentials", fix=_LOGIN) from error
    except EndpointConnectionError as error:
        raise DagkitError(
            f"Could not {doing}: AWS does not answer ({words(error)})",
            where=where,
            fix="Look at the network, the proxy, and AWS_ENDPOINT_URL if it is set.",
        ) from error
    except ClientError as error:
        fix = _LOGIN if code(error) in _EXPIRED else "Let the role that deploys do this, then run it again."
        if code(error) == "NoSuchBucket":
            fix = "Correct dags_bucket in dagkit.toml, or make the bucket."
        raise DagkitError(f"Could not {doing}: {words(error)}", where=where, fix=fix) from error
    except AWS_ERRORS as error:
        raise DagkitError(
            f"Could not {doing}: {words(error)}",
            where=where,
            fix="Run it again: it goes on where it stopped.",
        ) from error


def each(
    items: Sequence[Item],
    work: Callable[[Item], None],
    done: Callable[[Item, str | None], None],
    *,
    jobs: int | None = None,
) -> None:
    """Do the same to every item, side by side; one failure does not stop the others.

    Args:
        items: What to do it to.
        work: What to do.
        done: Called once an item, in order, with None or why it failed.
        jobs: How many at a time, JOBS when not given; 1 works in the calling thread.
    """
    workers = JOBS if jobs is None else jobs

    def attempt(item: Item) -> str | None:
        try:
            work(item)
        except (*AWS_ERRORS, DagkitError) as error:
            return words(error)
        return None

    if workers == 1:
        for item in items:
            done(item, attempt(item))
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(attempt, item) for item in items]
        try:
            for item, future in zip(items, futures, strict=True):
                done(item, future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
