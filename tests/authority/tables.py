"""What the tables of this folder share: calls caught from boto3, and what the services hold."""

# ruff: noqa: ARG002  # the services' interface is given
from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import yaml
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from dagkit.local.calls import HttpRequest, Need, NoBackend, Operation, identify, path_style

ACCOUNT = "593291632749"
REGION = "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/key-1"
Row = dict[str, Any]


class Held(NoBackend):
    """An account with a few things in it; everything is described in the tables by these names."""

    def secret_arn(self, region: str, secret_id: str) -> str | None:
        name = secret_id.rpartition(":secret:")[2].removesuffix("-AbCdEf")
        known = name in {"alpha/s", "alpha/airflow/x", "sealed"}
        return f"arn:aws:secretsmanager:{region}:{self.account}:secret:{name}-AbCdEf" if known else None

    def secret_key(self, region: str, secret_id: str) -> str | None:
        return KEY if secret_id == "sealed" else None

    def key_arn(self, region: str, key_id: str) -> str | None:
        known = {"key-1": KEY, "alias/mine": KEY, KEY: KEY}
        return known.get(key_id)

    def ciphertext_key(self, region: str, blob: bytes) -> str | None:
        return KEY if blob == b"under key-1" else None

    def parameter_key(self, region: str, name: str) -> str | None:
        return KEY if name == "/sealed" else None

    def workgroup(self, region: str, kind: str, identifier: str) -> str | None:
        return (
            "analysts"
            if (kind, identifier) in {("QueryExecution", "query-1"), ("NamedQuery", "named-1")}
            else None
        )

    def object_tags(self, bucket: str, key: str, version: str) -> Mapping[str, str] | None:
        return {"colour": "blue"} if key == "tagged" else {}

    def object_key(self, bucket: str, key: str, version: str) -> str | None:
        return KEY if key == "encrypted" else None


HELD = Held(ACCOUNT)


def load(name: str) -> list[Any]:
    """Returns the rows of a table as parameters whose id is their rule."""
    groups = yaml.safe_load(Path(__file__).with_name(name).read_text())
    return [
        pytest.param(row, id=f"{group['rule']} [{number}]")
        for group in groups
        for number, row in enumerate(group["rows"], start=1)
    ]


def operation_of(row: Row) -> Operation | None:
    """Makes a row's call and recognises it."""
    if "http" in row:
        method, _, target = row["http"].partition(" ")
        path, _, query = target.partition("?")
        request = HttpRequest(method, row.get("host", "127.0.0.1:5000"), path, query, row.get("headers", {}))
        return identify(path_style(request), "s3", REGION)
    service, _, method = row["call"].partition(".")
    sent, signing_name = caught(service, method, row["with"])
    if signing_name == "s3":
        sent = path_style(sent)
    return identify(sent, signing_name, REGION)


class _CaughtError(Exception):
    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


@functools.cache
def _client(service: str) -> Any:
    session: Any = boto3.Session()  # its stubs know each service by name only
    client = session.client(
        service,
        region_name=REGION,
        endpoint_url="http://127.0.0.1:5000",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        raise _CaughtError(request)

    client.meta.events.register("before-send", catch)
    return client


def caught(service: str, method: str, params: Mapping[str, Any]) -> tuple[HttpRequest, str]:
    """Lets boto3 make a call and catches the HTTP request before it is sent."""
    client = _client(service)
    try:
        getattr(client, method)(**params)
    except _CaughtError as stopped:
        request = stopped.request
    parts = urlsplit(request.url)
    body = request.body.encode() if isinstance(request.body, str) else request.body
    body = body if isinstance(body, bytes) else b""  # an upload's stream
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    sent = HttpRequest(request.method, parts.netloc, parts.path or "/", parts.query, headers, body)
    return sent, client.meta.service_model.signing_name


def resource_of(need: str) -> tuple[str, str | None]:
    """Reads `action resource` as the tables write it."""
    action, _, resource = need.partition(" ")
    service = action.partition(":")[0]
    if resource in {"*", "-"}:
        return action, None if resource == "-" else "*"
    if resource.startswith(("arn:", "=")):
        return action, resource.removeprefix("=")
    if service == "s3":
        return action, f"arn:aws:s3:::{resource}"
    return action, f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def written(need: Need) -> tuple[str, str | None]:
    """Returns a need as `resource_of` does."""
    return need.action, need.resource
