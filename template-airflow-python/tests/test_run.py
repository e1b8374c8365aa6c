# Yours: no update of the template changes this file.
"""Tests of scripts/run.py, with an S3 that moto keeps in memory: nothing leaves the machine."""

import random

import boto3
import pytest
from moto import mock_aws

import run

BUCKET = "my-bucket"
WRITE = {"RUN": "write", "TEXT": "hello", "OUTPATH": f"s3://{BUCKET}/folder/hello.txt"}
COPY = {"RUN": "copy", "FROM": f"s3://{BUCKET}/from.txt", "TO": f"s3://{BUCKET}/folder/to.txt"}


@pytest.fixture(autouse=True)
def no_other_variables(monkeypatch):
    """The variables of the machine that runs the tests do not count."""
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", *WRITE, *COPY]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def s3(monkeypatch):
    """An S3 with one empty bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def content(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def call_main(monkeypatch, capsys, variables):
    """Run the script's main function: its exit code, and what it printed as a result and as an error."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code = run.main()
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_write_puts_the_text_in_s3(s3, monkeypatch, capsys):
    code, out, err = call_main(monkeypatch, capsys, WRITE)
    assert (code, out, err) == (0, "wrote 5 bytes to s3://my-bucket/folder/hello.txt\n", "")
    assert content(s3, "folder/hello.txt") == b"hello"


def test_write_keeps_every_character(s3):
    run.run(WRITE | {"TEXT": "£5 – naïve\n😀"})
    assert content(s3, "folder/hello.txt").decode() == "£5 – naïve\n😀"


def test_copy_makes_the_same_object(s3, monkeypatch, capsys):
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=b"hello")
    code, out, err = call_main(monkeypatch, capsys, COPY)
    expected = "copied 5 bytes from s3://my-bucket/from.txt to s3://my-bucket/folder/to.txt\n"
    assert (code, out, err) == (0, expected, "")
    assert content(s3, "folder/to.txt") == b"hello"


def test_copy_takes_an_empty_object(s3):
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=b"")
    run.run(COPY)
    assert content(s3, "folder/to.txt") == b""


def test_copy_uploads_a_large_object_in_parts(s3):
    body = random.Random(0).randbytes(2 * run.PART_BYTES + 1)
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=body)
    run.run(COPY)
    assert content(s3, "folder/to.txt") == body
    assert s3.head_object(Bucket=BUCKET, Key="folder/to.txt")["ETag"].endswith('-3"')  # three parts


@pytest.mark.parametrize("size", [0, 1, run.PART_BYTES * run.MAX_PARTS + 1, 5 * 1024**4])
def test_every_object_fits_in_the_parts_that_s3_takes(size):
    assert run.part_bytes(size) * run.MAX_PARTS >= size


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "the environment variable RUN is missing or empty"),
        ({"RUN": "delete"}, "RUN is 'delete', but must be 'write' or 'copy'"),
        (WRITE | {"TEXT": ""}, "the environment variable TEXT is missing or empty"),
        (WRITE | {"OUTPATH": ""}, "the environment variable OUTPATH is missing or empty"),
        (COPY | {"FROM": ""}, "the environment variable FROM is missing or empty"),
        (COPY | {"TO": ""}, "the environment variable TO is missing or empty"),
        (COPY | {"TO": "my-bucket/to.txt"}, "TO is 'my-bucket/to.txt', but must be a file in S3"),
        (COPY | {"TO": "s3://my-bucket"}, "TO is 's3://my-bucket', but must be a file in S3"),
        (COPY | {"TO": "s3://my-bucket/folder/"}, "TO is 's3://my-bucket/folder/', but must be a file in S3"),
        (COPY | {"TO": "s3://My_Bucket/to.txt"}, "TO is 's3://My_Bucket/to.txt', but must be a file in S3"),
    ],
)
def test_a_variable_that_is_missing_or_wrong_is_named(variables, message, monkeypatch, capsys):
    code, out, err = call_main(monkeypatch, capsys, variables)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (WRITE | {"OUTPATH": "s3://no-bucket/a"}, "s3:PutObject on s3://no-bucket/a failed: "),
        (COPY | {"FROM": "s3://my-bucket/no-file"}, "s3:GetObject on s3://my-bucket/no-file failed: "),
        (COPY | {"TO": "s3://no-bucket/a"}, "s3:PutObject on s3://no-bucket/a failed: "),
    ],
)
def test_what_s3_refuses_is_named(variables, message, s3, monkeypatch, capsys):
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=b"hello")
    code, out, err = call_main(monkeypatch, capsys, variables)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (WRITE, "s3:PutObject on s3://my-bucket/folder/hello.txt failed: "),
        (COPY, "s3:GetObject on s3://my-bucket/from.txt failed: "),
    ],
)
def test_an_s3_that_cannot_be_reached_is_an_error(variables, message, s3, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, out, err = call_main(monkeypatch, capsys, variables)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}Could not connect")
