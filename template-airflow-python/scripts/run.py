# Yours: no update of the template changes this file.
"""The code of the pipeline. The DAG tells it what to do, with environment variables:

RUN=write TEXT=... OUTPATH=s3://...   write TEXT to OUTPATH
RUN=copy FROM=s3://... TO=s3://...    copy FROM to TO

Its exit code is 0 when that is done, 1 when S3 refused or could not be reached, and 2 when a variable is missing
or wrong.
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
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError, ResponseStreamingError

S3_PATH = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*[^/])", re.DOTALL)

# S3 takes a large object in at most 10,000 parts
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
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
    body = text.encode(errors="surrogateescape")
    try:
        boto3.client("s3").put_object(Bucket=target.bucket, Key=target.key, Body=body)
    except (BotoCoreError, ClientError) as error:
        raise S3Failed("s3:PutObject", target, error) from error
    return f"wrote {len(body):,} bytes to {target}"


def copy(source: S3Path, target: S3Path) -> str:
    """Copy an object within S3, part by part: memory holds one part, however large the object is."""
    s3 = boto3.client("s3")
    try:
        found = s3.get_object(Bucket=source.bucket, Key=source.key)
    except (BotoCoreError, ClientError) as error:
        raise S3Failed("s3:GetObject", source, error) from error
    size = found["ContentLength"]
    # without threads there is one part in memory, and being stopped ends the upload at once
    parts = TransferConfig(multipart_chunksize=part_bytes(size), use_threads=False)
    try:
        s3.upload_fileobj(found["Body"], target.bucket, target.key, Config=parts)
    except (IncompleteReadError, ResponseStreamingError) as error:
        raise S3Failed("s3:GetObject", source, error) from error
    except (BotoCoreError, ClientError) as error:
        raise S3Failed("s3:PutObject", target, error) from error
    return f"copied {size:,} bytes from {source} to {target}"


def part_bytes(size: int) -> int:
    """How many bytes each part has when an object of `size` bytes is uploaded."""
    return max(PART_BYTES, -(-size // MAX_PARTS))


def value_of(name: str, variables: Mapping[str, str]) -> str:
    """The value of a variable, which must have one."""
    value = variables.get(name, "")
    if not value:
        raise WrongVariable(f"the environment variable {name} is missing or empty")
    return value


def path_of(name: str, variables: Mapping[str, str]) -> S3Path:
    """The S3 path that a variable holds."""
    value = value_of(name, variables)
    match = S3_PATH.fullmatch(value)
    if match is None:
        raise WrongVariable(
            f"{name} is {value!r}, but must be a file in S3, such as s3://bucket/folder/file.txt"
        )
    return S3Path(*match.groups())


def stop(signum: int, frame: FrameType | None) -> None:
    """Say that somebody stopped the task, and end at once.

    In a container the code is the first process, and the first process gets no signal that it has no function for.
    """
    print(f"error: stopped by {signal.Signals(signum).name}", file=sys.stderr)
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
