"""What the guard and the authority say to each other about one HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class HttpRequest:
    """A request as it arrived.

    Args:
        method: Upper case.
        host: The Host header, with port.
        path: Still percent-encoded, without the query.
        query: Still encoded, without `?`.
        headers: Names in lower case.
        body: Empty where the call's body says nothing about its permissions (an upload).
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Operation:
    """A request, recognised.

    Args:
        model: The service as botocore names it (`s3`, `cloudwatch`, `bedrock-runtime`).
        name: The API operation (`GetObject`).
        protocol: The wire protocol of this request (`rest-xml`, `query`, `json`, ...).
        region: From the signature's scope.
        params: The operation's parameters by the names of its model.
        request: The request itself.
        query_compatible: The service once spoke the query protocol, and tells its old codes in a header.
    """

    model: str
    name: str
    protocol: str
    region: str
    params: Mapping[str, Any]
    request: HttpRequest
    query_compatible: bool = False

    def param(self, name: str) -> str:
        """Returns a parameter as text, empty when it is not given."""
        value = self.params.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Need:
    """One permission a call needs.

    Args:
        action: As policies write it.
        resource: ARN, `*`, or None when it could not be worked out.
        values: Condition keys of this action in this request.
        absent: Patterns of condition keys this request certainly does not have.
        item: Which item of a batch it belongs to (an index into `Needs.items`); None for the whole call.
    """

    action: str
    resource: str | None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    item: int | None = None


@dataclass(frozen=True)
class Needs:
    """All that a call needs.

    Args:
        needs: Every one must be allowed. None at all: the call needs no permission (sts:GetCallerIdentity).
        unclear: Why it could not be worked out what the call needs; such a call is refused.
        bucket: The S3 bucket it is about.
        key: The S3 key it is about.
    """

    needs: tuple[Need, ...] = ()
    unclear: str = ""
    bucket: str = ""
    key: str = ""


class Backend(Protocol):
    """What a decision depends on and only the services know. None means "no such thing"."""

    account: str

    def secret_arn(self, region: str, secret_id: str) -> str | None:
        """The ARN of a secret, from its name or ARN."""

    def key_arn(self, region: str, key_id: str) -> str | None:
        """The ARN of a KMS key, from its id, ARN, alias or alias ARN."""

    def ciphertext_key(self, region: str, blob: bytes) -> str | None:
        """The ARN of the key that encrypted a ciphertext."""

    def parameter_key(self, region: str, name: str) -> str | None:
        """The key id of an SSM SecureString parameter."""

    def secret_key(self, region: str, secret_id: str) -> str | None:
        """The key id a secret is encrypted with."""

    def workgroup(self, region: str, kind: str, identifier: str) -> str | None:
        """The Athena workgroup of a `QueryExecution`, `NamedQuery` or `Session`."""

    def object_tags(self, bucket: str, key: str, version: str) -> Mapping[str, str] | None:
        """The tags of an object."""

    def object_key(self, bucket: str, key: str, version: str) -> str | None:
        """The KMS key id an object is encrypted with."""


class NoBackend:
    """A backend that holds nothing."""

    def __init__(self, account: str) -> None:
        self.account = account

    def secret_arn(self, region: str, secret_id: str) -> str | None:
        """Knows no secret."""

    def key_arn(self, region: str, key_id: str) -> str | None:
        """Knows no key."""

    def ciphertext_key(self, region: str, blob: bytes) -> str | None:
        """Knows no ciphertext."""

    def parameter_key(self, region: str, name: str) -> str | None:
        """Knows no parameter."""

    def secret_key(self, region: str, secret_id: str) -> str | None:
        """Knows no secret."""

    def workgroup(self, region: str, kind: str, identifier: str) -> str | None:
        """Knows no query."""

    def object_tags(self, bucket: str, key: str, version: str) -> Mapping[str, str] | None:
        """Knows no object."""

    def object_key(self, bucket: str, key: str, version: str) -> str | None:
        """Knows no object."""
