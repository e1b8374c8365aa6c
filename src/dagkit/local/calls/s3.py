"""The permissions an S3 call needs.

Source: Amazon S3 API Reference, "Permissions" of each operation; Amazon S3 User Guide, "Required permissions
for Amazon S3 API operations" and "Multipart upload API and permissions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from dagkit.local.calls.model import Backend, Need, Needs, Operation

# operation: (action, action when a versionId is given)
OBJECT_ACTIONS: dict[str, tuple[str, str]] = {
    "AbortMultipartUpload": ("AbortMultipartUpload", ""),
    "CompleteMultipartUpload": ("PutObject", ""),
    "CreateMultipartUpload": ("PutObject", ""),
    "DeleteObject": ("DeleteObject", "DeleteObjectVersion"),
    "DeleteObjectTagging": ("DeleteObjectTagging", "DeleteObjectVersionTagging"),
    "GetObject": ("GetObject", "GetObjectVersion"),
    "GetObjectAcl": ("GetObjectAcl", "GetObjectVersionAcl"),
    "GetObjectLegalHold": ("GetObjectLegalHold", ""),
    "GetObjectRetention": ("GetObjectRetention", ""),
    "GetObjectTagging": ("GetObjectTagging", "GetObjectVersionTagging"),
    "GetObjectTorrent": ("GetObjectTorrent", "GetObjectVersionTorrent"),
    "HeadObject": ("GetObject", "GetObjectVersion"),
    "ListParts": ("ListMultipartUploadParts", ""),
    "PutObject": ("PutObject", ""),
    "PutObjectAcl": ("PutObjectAcl", "PutObjectVersionAcl"),
    "PutObjectLegalHold": ("PutObjectLegalHold", ""),
    "PutObjectRetention": ("PutObjectRetention", ""),
    "PutObjectTagging": ("PutObjectTagging", "PutObjectVersionTagging"),
    "RestoreObject": ("RestoreObject", ""),
    "SelectObjectContent": ("GetObject", ""),
    "UploadPart": ("PutObject", ""),
}

# operation: action, where they differ. An operation that is here or an action of its own is a bucket's.
BUCKET_ACTIONS: dict[str, str] = {
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketWebsite": "DeleteBucketWebsite",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketAcl": "GetBucketAcl",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketLocation": "GetBucketLocation",
    "GetBucketLogging": "GetBucketLogging",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "GetBucketNotification": "GetBucketNotification",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketOwnershipControls": "GetBucketOwnershipControls",
    "GetBucketPolicy": "GetBucketPolicy",
    "GetBucketPolicyStatus": "GetBucketPolicyStatus",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetBucketRequestPayment": "GetBucketRequestPayment",
    "GetBucketTagging": "GetBucketTagging",
    "GetBucketVersioning": "GetBucketVersioning",
    "GetBucketWebsite": "GetBucketWebsite",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketAcl": "PutBucketAcl",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketLogging": "PutBucketLogging",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "PutBucketNotification": "PutBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketOwnershipControls": "PutBucketOwnershipControls",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutBucketRequestPayment": "PutBucketRequestPayment",
    "PutBucketTagging": "PutBucketTagging",
    "PutBucketVersioning": "PutBucketVersioning",
    "PutBucketWebsite": "PutBucketWebsite",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}

# Operations that answer 403 instead of "no such key" to who may not list the bucket.
READS = frozenset(
    {"GetObject", "HeadObject", "GetObjectAcl", "GetObjectTagging", "GetObjectAttributes", "CopyObject"}
    | {
        "UploadPartCopy",
        "SelectObjectContent",
        "GetObjectLegalHold",
        "GetObjectRetention",
        "GetObjectTorrent",
    }
)

_LISTINGS = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"})
_NEW_OBJECTS = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_GRANT_HEADERS = re.compile(r"^x-amz-(acl|grant-.+)$")
# Condition keys that are a header or query parameter of the request: without it the key is absent.
_KEYS_IN_HEADERS = {
    "x-amz-acl": "s3:x-amz-acl",
    "x-amz-content-sha256": "s3:x-amz-content-sha256",
    "x-amz-copy-source": "s3:x-amz-copy-source",
    "x-amz-grant-full-control": "s3:x-amz-grant-full-control",
    "x-amz-grant-read": "s3:x-amz-grant-read",
    "x-amz-grant-read-acp": "s3:x-amz-grant-read-acp",
    "x-amz-grant-write": "s3:x-amz-grant-write",
    "x-amz-grant-write-acp": "s3:x-amz-grant-write-acp",
    "x-amz-metadata-directive": "s3:x-amz-metadata-directive",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
    "x-amz-object-ownership": "s3:x-amz-object-ownership",
    "x-amz-server-side-encryption": "s3:x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-website-redirect-location": "s3:x-amz-website-redirect-location",
    "if-match": "s3:if-match",
    "if-none-match": "s3:if-none-match",
}
_KEYS_IN_QUERY = {
    "prefix": "s3:prefix",
    "delimiter": "s3:delimiter",
    "max-keys": "s3:max-keys",
    "versionId": "s3:VersionId",
}
_ABSENT = frozenset(
    {*_KEYS_IN_HEADERS.values(), *_KEYS_IN_QUERY.values(), "s3:requestobjecttag/*", "s3:requestobjecttagkeys"}
)


def bucket_arn(bucket: str) -> str:
    """Returns a bucket's ARN: it has neither region nor account."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """Returns an object's ARN; the key as it is, not percent-encoded."""
    return f"arn:aws:s3:::{bucket}/{key}"


def list_bucket(bucket: str) -> Need:
    """Returns the permission that turns "forbidden" into "no such key"."""
    return Need("s3:ListBucket", bucket_arn(bucket), {}, _ABSENT)


def needs(operation: Operation, backend: Backend) -> Needs:
    """Works out what an S3 call needs."""
    bucket, key, name = operation.param("Bucket"), operation.param("Key"), operation.name
    values = _condition_values(operation)
    if name == "ListBuckets":
        return Needs((Need("s3:ListAllMyBuckets", "*", values, _ABSENT),))
    if bucket.startswith("arn:") or bucket.endswith(("-s3alias", "--x-s3")):
        return Needs(unclear="access points and directory buckets are not known here", bucket=bucket, key=key)
    if name == "DeleteObjects":
        found = _delete_objects(operation, values)
    elif name == "GetObjectAttributes":
        version = "Version" if operation.param("VersionId") else ""
        arn = object_arn(bucket, key)
        found = [
            Need(f"s3:GetObject{version}", arn, values, _ABSENT),
            Need(f"s3:GetObject{version}Attributes", arn, values, _ABSENT),
        ]
    elif name in OBJECT_ACTIONS or name in {"CopyObject", "UploadPartCopy"}:
        found = list(_object(operation, backend, values))
    elif name in BUCKET_ACTIONS:
        found = list(_bucket(operation, values))
    else:
        return Needs(unclear=f"it is not known which permissions s3 {name} needs", bucket=bucket, key=key)
    if any(need.action == "" for need in found):
        return Needs(unclear=f"the source of this {name} could not be read", bucket=bucket, key=key)
    return Needs(tuple(found), bucket=bucket, key=key)


def _condition_values(operation: Operation) -> dict[str, tuple[str, ...]]:
    query = parse_qs(operation.request.query, keep_blank_values=True)
    values: dict[str, tuple[str, ...]] = {
        key: (query[name][0],) for name, key in _KEYS_IN_QUERY.items() if name in query
    }
    headers = operation.request.headers
    values |= {key: (headers[name],) for name, key in _KEYS_IN_HEADERS.items() if name in headers}
    tags = parse_qs(headers.get("x-amz-tagging", ""), keep_blank_values=True)
    if tags:
        values["s3:RequestObjectTagKeys"] = tuple(tags)
        values |= {f"s3:RequestObjectTag/{tag}": (value[0],) for tag, value in tags.items()}
    return values


def _bucket(operation: Operation, values: Mapping[str, tuple[str, ...]]) -> Iterator[Need]:
    arn = bucket_arn(operation.param("Bucket"))
    if operation.name not in _LISTINGS:
        values = {key: value for key, value in values.items() if key not in _KEYS_IN_QUERY.values()}
    yield Need(f"s3:{BUCKET_ACTIONS[operation.name]}", arn, values, _ABSENT)
    if operation.name == "CreateBucket":
        headers = operation.request.headers
        if any(_GRANT_HEADERS.match(header) for header in headers):
            yield Need("s3:PutBucketAcl", arn, values, _ABSENT)
        if headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
            yield Need("s3:PutBucketObjectLockConfiguration", arn, values, _ABSENT)
            yield Need("s3:PutBucketVersioning", arn, values, _ABSENT)
        if "x-amz-object-ownership" in headers:
            yield Need("s3:PutBucketOwnershipControls", arn, values, _ABSENT)


def _object(operation: Operation, backend: Backend, values: Mapping[str, tuple[str, ...]]) -> Iterator[Need]:
    name, headers = operation.name, operation.request.headers
    bucket, key, version = (operation.param(each) for each in ("Bucket", "Key", "VersionId"))
    arn = object_arn(bucket, key)
    source = None
    if name in {"CopyObject", "UploadPartCopy"}:
        source = copy_source(headers.get("x-amz-copy-source", ""))
        if source is None:
            yield Need("", None)
            return
        action = "PutObject"
        read = "s3:GetObjectVersion" if source[2] else "s3:GetObject"
        yield Need(
            read,
            object_arn(source[0], source[1]),
            {"s3:VersionId": (source[2],)} if source[2] else {},
            _ABSENT,
        )
        yield from _decrypt(operation.region, source, backend)
    else:
        plain, versioned = OBJECT_ACTIONS[name]
        action = versioned if version and versioned else plain
    existing = frozenset({"s3:existingobjecttag/*"})
    tags = backend.object_tags(bucket, key, version) or {}
    values = {**values, **{f"s3:ExistingObjectTag/{tag}": (value,) for tag, value in tags.items()}}
    yield Need(f"s3:{action}", arn, values, _ABSENT | existing)
    extra: list[str] = []
    if name in _NEW_OBJECTS:
        if any(_GRANT_HEADERS.match(header) for header in headers):
            extra.append("PutObjectAcl")
        if "x-amz-object-lock-mode" in headers:
            extra.append("PutObjectRetention")
        if "x-amz-object-lock-legal-hold" in headers:
            extra.append("PutObjectLegalHold")
        if headers.get("x-amz-tagging") and (
            name != "CopyObject" or headers.get("x-amz-tagging-directive", "").upper() == "REPLACE"
        ):
            extra.append("PutObjectTagging")
        yield from _encrypt(operation, backend)
    copies_tags = headers.get("x-amz-tagging-directive", "COPY").upper() == "COPY"
    # Tags travel with the object, so an object without tags needs no permission for them.
    if name == "CopyObject" and source and copies_tags and backend.object_tags(*source):
        reading = "s3:GetObjectVersionTagging" if source[2] else "s3:GetObjectTagging"
        yield Need(reading, object_arn(source[0], source[1]), {}, _ABSENT)
        extra.append("PutObjectTagging")
    if (
        name in {"PutObject", "CompleteMultipartUpload", "DeleteObject"}
        and headers.get("if-match", "*") != "*"
    ):
        extra.append("GetObject")
    if headers.get("x-amz-bypass-governance-retention", "").lower() == "true" and name in {
        "DeleteObject",
        "PutObjectRetention",
    }:
        extra.append("BypassGovernanceRetention")
    for each in extra:
        yield Need(f"s3:{each}", arn, values, _ABSENT | existing)
    if name in {"GetObject", "SelectObjectContent", "HeadObject"}:
        yield from _decrypt(operation.region, (bucket, key, version), backend)


def copy_source(header: str) -> tuple[str, str, str] | None:
    """Reads `x-amz-copy-source`: `bucket/key`, percent-encoded, perhaps with `?versionId=`.

    Returns:
        Bucket, key and version (empty for the current one); None when it cannot be read.
    """
    parts = urlsplit("//host/" + header.lstrip("/"))
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        return None
    return bucket, key, parse_qs(parts.query).get("versionId", [""])[0]


def _decrypt(region: str, source: tuple[str, str, str], backend: Backend) -> Iterator[Need]:
    """An object under a customer's key needs kms:Decrypt; the key `aws/s3` lets everybody in the account."""
    key_id = backend.object_key(*source)
    if key_id and not key_id.endswith("alias/aws/s3"):
        yield Need("kms:Decrypt", backend.key_arn(region, key_id))


def _encrypt(operation: Operation, backend: Backend) -> Iterator[Need]:
    headers = operation.request.headers
    key_id = headers.get("x-amz-server-side-encryption-aws-kms-key-id", "")
    if headers.get("x-amz-server-side-encryption", "") not in {"aws:kms", "aws:kms:dsse"} or not key_id:
        return
    if key_id.endswith("alias/aws/s3"):
        return
    arn = backend.key_arn(operation.region, key_id)
    yield Need("kms:GenerateDataKey", arn)
    if operation.name == "CreateMultipartUpload":
        yield Need("kms:Decrypt", arn)


def _delete_objects(operation: Operation, values: Mapping[str, tuple[str, ...]]) -> list[Need]:
    bucket = operation.param("Bucket")
    found: list[Need] = []
    bypass = operation.request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    for index, (key, version) in enumerate(keys_to_delete(operation.request.body)):
        arn = object_arn(bucket, key)
        action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        own = {**values, "s3:VersionId": (version,)} if version else values
        found.append(Need(action, arn, own, _ABSENT, item=index))
        if bypass:
            found.append(Need("s3:BypassGovernanceRetention", arn, own, _ABSENT, item=index))
    return found


def keys_to_delete(body: bytes) -> list[tuple[str, str]]:
    """Reads the body of DeleteObjects: key and version (empty for the current one) of each object.

    Raises:
        ElementTree.ParseError: It is not XML.
    """
    return [
        (entry.findtext("Key") or "", entry.findtext("VersionId") or "")
        for entry in _parsed(body).findall("Object")
    ]


def without(body: bytes, items: set[int]) -> bytes:
    """Returns the body of DeleteObjects without some of its objects (by position)."""
    root = _parsed(body)
    objects = root.findall("Object")
    for index in items:
        root.remove(objects[index])
    return _written(root)


def delete_result(answer: bytes, errors: list[tuple[tuple[str, str], str]]) -> bytes:
    """Returns the answer of DeleteObjects with the refused keys in it.

    Args:
        answer: The answer about the keys that were deleted; empty when there were none.
        errors: For each refused object its key and version, and the message.
    """
    root = _parsed(answer) if answer else ElementTree.Element("DeleteResult")
    for (key, version), message in errors:
        error = ElementTree.SubElement(root, "Error")
        fields = {"Key": key, "VersionId": version, "Code": "AccessDenied", "Message": message}
        for name, value in fields.items():
            if value:
                ElementTree.SubElement(error, name).text = value
    return _written(root)


def _parsed(content: bytes) -> ElementTree.Element:
    """Parses XML and drops the namespace, which clients may leave out and servers do not need."""
    root = ElementTree.fromstring(content)  # noqa: S314  # a request of the user's own pipeline
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _written(root: ElementTree.Element) -> bytes:
    root.set("xmlns", "http://s3.amazonaws.com/doc/2006-03-01/")
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
