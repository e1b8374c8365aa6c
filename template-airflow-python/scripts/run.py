"""The code of the pipeline. Environment variables, which the DAG sets, tell it what to do.

RUN=write TEXT=... OUTPATH=s3://...   write TEXT to OUTPATH
RUN=copy  FROM=s3://... TO=s3://...   copy FROM to TO

It exits with 0 when it is done, with 1 when S3 refused or could not be reached, and with 2 when a variable
is missing or wrong.
"""

import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

S3_PATH = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*[^/])", re.DOTALL)

# S3 takes an upload in at most 10,000 parts, each of at least 5 MiB
PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000


class WrongVariable(Exception):
    """A variable is missing or wrong."""


class S3Failed(Exception):
    """S3 refused, or could not be reached."""

    def __init__(self, action: str, path: "S3Path", error: Exception) -> None:
        super().__init__(f"{action} on {path} failed: {error}")


@dataclass(frozen=True)
class S3Path:
    """An object in S3: s3://bucket/key."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def main() -> int:
    """Do what the environment variables say, and return the exit code."""
    signal.signal(signal.SIGTERM, stop)
    try:
        print(run(os.environ))
    except WrongVariable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except S3Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(variables: Mapping[str, str]) -> str:
    """Do what the variables say, and return one line that says what was done."""
    task = value_of("RUN", variables)
    if task == "write":
        return write(value_of("TEXT", variables), path_of("OUTPATH", variables))
    if task == "copy":
        return copy(path_of("FROM", variables), path_of("TO", variables))
    raise WrongVariable(f"RUN is {task!r}, but must be 'write' or 'copy'")


def write(text: str, target: S3Path) -> str:
    """Write a text to S3."""
    body = text.encode("utf-8", errors="surrogateescape")
    try:
        boto3.client("s3").put_object(Bucket=target.bucket, Key=target.key, Body=body)
    except (BotoCoreError, ClientError) as error:
        raise S3Failed("s3:PutObject", target, error) from error
    return f"wrote {len(body):,} bytes to {target}"


def copy(source: S3Path, target: S3Path) -> str:
    """Copy an object within S3, a part at a time: memory holds one part, however large the object is."""
    s3 = boto3.client("s3")
    try:
        found = s3.get_object(Bucket=source.bucket, Key=source.key)
    except (BotoCoreError, ClientError) as error:
        raise S3Failed("s3:GetObject", source, error) from error
    size = found["ContentLength"]
    # no threads: one part in memory, and a signal stops the upload at once
    transfer = TransferConfig(multipart_chunksize=part_bytes(size), use_threads=False)
    with found["Body"] as body:
        try:
            s3.upload_fileobj(body, target.bucket, target.key, Config=transfer)
        except (BotoCoreError, ClientError) as error:
            raise S3Failed("s3:PutObject", target, error) from error
    return f"copied {size:,} bytes from {source} to {target}"


def part_bytes(size: int) -> int:
    """How large each part of an upload of `size` bytes is, in bytes."""
    return max(PART_BYTES, -(-size // MAX_PARTS))


def value_of(name: str, variables: Mapping[str, str]) -> str:
    """The value of a variable that must be set."""
    value = variables.get(name, "")
    if not value:
        raise WrongVariable(f"the environment variable {name} is not set")
    return value


def path_of(name: str, variables: Mapping[str, str]) -> S3Path:
    """The S3 path that a variable holds."""
    value = value_of(name, variables)
    match = S3_PATH.fullmatch(value)
    if match is None:
        raise WrongVariable(f"{name} is {value!r}, but must be the S3 path of a file: s3://bucket/folder/file.txt")
    return S3Path(*match.groups())


def stop(signum: int, frame: FrameType | None) -> None:
    """Say that the cluster stopped the task, and end. A process that is the first in its container must do so itself."""
    print(f"error: stopped by {signal.Signals(signum).name}", file=sys.stderr)
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
