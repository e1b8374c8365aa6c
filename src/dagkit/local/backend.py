"""What moto holds, as the guard and the authority need to know it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dagkit.local.authority import Policy


@dataclass(frozen=True)
class Caller:
    """Who signed a request: a role session.

    Args:
        role: The role's name.
        session: The role session's name: the task.
        arn: `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
        role_arn: The role's ARN.
        user_id: `<the role's id>:<session>`: what `${aws:userid}` stands for.
        policies: The role's policy documents.
        tags: The role's tags.
        token: The session token that belongs to the access key.
        expires: When the credentials end, in UTC.
    """

    role: str
    session: str
    arn: str
    role_arn: str
    user_id: str
    policies: tuple[Policy, ...]
    token: str
    expires: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


class MotoBackend:
    """Reads moto's state of one account. Nothing here changes it."""

    def __init__(self, account: str) -> None:
        self.account = account

    def _service(self, name: str, region: str) -> Any:
        from moto.backends import get_backend

        return get_backend(name)[self.account][region]

    # -- who calls --

    def caller(self, access_key: str) -> Caller | None:
        """Finds the role session that an access key belongs to."""
        session = self._service("sts", "aws").get_assumed_role_from_access_key(access_key)
        if session is None:
            return None
        iam = self._service("iam", "aws")
        name = session.role_arn.rpartition("/")[2]
        role = next((role for role in list(iam.roles.values()) if role.name == name), None)
        documents: list[Any] = []
        if role is not None:
            documents += role.policies.values()
            documents += [policy.document for policy in role.managed_policies.values()]
        return Caller(
            role=name,
            session=session.session_name,
            arn=session.arn,
            role_arn=session.role_arn,
            user_id=session.user_id,
            policies=tuple(json.loads(each) if isinstance(each, str) else each for each in documents),
            token=session.session_token,
            expires=session.expiration.replace(tzinfo=UTC),
            tags={tag["Key"]: tag["Value"] for tag in (role.tags or () if role else ())},
        )

    # -- what decisions depend on (calls.Backend) --

    def secret_arn(self, region: str, secret_id: str) -> str | None:
        """The ARN of a secret, from its name or ARN."""
        secret = self._secret(region, secret_id)
        return str(secret.arn) if secret else None

    def secret_key(self, region: str, secret_id: str) -> str | None:
        """The key id a secret is encrypted with."""
        secret = self._secret(region, secret_id)
        return str(secret.kms_key_id) if secret and secret.kms_key_id else None

    def _secret(self, region: str, secret_id: str) -> Any:
        try:
            return self._service("secretsmanager", region).secrets.get(secret_id)
        except Exception:  # moto raises its HTTP errors here
            return None

    def key_arn(self, region: str, key_id: str) -> str | None:
        """The ARN of a KMS key, from its id, ARN, alias or alias ARN."""
        kms = self._service("kms", region)
        name = key_id.rpartition(":")[2] if key_id.startswith("arn:") else key_id
        if name.startswith("alias/"):
            found = next((key for key in list(kms.keys.values()) if name in key.aliases), None)
            return str(found.arn) if found else None
        name = name.removeprefix("key/")
        return str(kms.keys[name].arn) if name in kms.keys else None

    def ciphertext_key(self, region: str, blob: bytes) -> str | None:
        """The ARN of the key that encrypted a ciphertext."""
        from moto.kms.utils import KEY_ID_LEN

        return self.key_arn(region, blob[:KEY_ID_LEN].decode("utf-8", "replace"))

    def parameter_key(self, region: str, name: str) -> str | None:
        """The key id of an SSM SecureString parameter."""
        found = self._service("ssm", region)._parameters.get(name)
        if not found or found[-1].parameter_type != "SecureString":
            return None
        return str(found[-1].keyid) if found[-1].keyid else None

    def workgroup(self, region: str, kind: str, identifier: str) -> str | None:
        """The Athena workgroup of a `QueryExecution`, `NamedQuery` or `Session`."""
        athena = self._service("athena", region)
        held = {"QueryExecution": "executions", "NamedQuery": "named_queries"}.get(kind, "")
        found = getattr(athena, held, {}).get(identifier) if held else None
        if found is None:
            return None
        return str(found.workgroup.name) if found.workgroup else "primary"

    def _object(self, bucket: str, key: str, version: str) -> Any:
        s3 = self._service("s3", "aws")
        if bucket not in s3.buckets:
            return None
        return s3.get_object(bucket, key, version_id=version or None)

    def object_tags(self, bucket: str, key: str, version: str) -> Mapping[str, str] | None:
        """The tags of an object."""
        found = self._object(bucket, key, version)
        return self._service("s3", "aws").tagger.get_tag_dict_for_resource(found.arn) if found else None

    def object_key(self, bucket: str, key: str, version: str) -> str | None:
        """The KMS key id an object is encrypted with."""
        found = self._object(bucket, key, version)
        return str(found.kms_key_id) if found and found.kms_key_id else None

    def object_size(self, bucket: str, key: str) -> int | None:
        """The size of an object in bytes."""
        found = self._object(bucket, key, "")
        return int(found.contentsize) if found else None

    def open_object(self, bucket: str, key: str, version: str) -> tuple[int, int] | None:
        """Opens the file an object is kept in, and tells its size in bytes; None for a small or missing one.

        The caller closes the file descriptor. It stays readable when the object is replaced or deleted.
        """
        found = self._object(bucket, key, version)
        if found is None:
            return None
        with found.lock:
            buffer = found._value_buffer
            if not getattr(buffer, "_rolled", False) or buffer.closed:
                return None
            buffer.flush()
            return os.dup(buffer.fileno()), int(found.contentsize)

    def has_bucket(self, bucket: str) -> bool:
        """Whether a bucket exists."""
        return bucket in self._service("s3", "aws").buckets
