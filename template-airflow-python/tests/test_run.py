"""Tests of scripts/run.py, against an S3 that moto keeps in memory."""

import boto3
import pytest
import run
from moto import mock_aws


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="my-bucket")
        yield client


def test_write_puts_the_text_at_the_path(s3):
    done = run.run({"RUN": "write", "TEXT": "hello", "OUTPATH": "s3://my-bucket/folder/hello.txt"})
    assert s3.get_object(Bucket="my-bucket", Key="folder/hello.txt")["Body"].read() == b"hello"
    assert done == "wrote 5 bytes to s3://my-bucket/folder/hello.txt"
