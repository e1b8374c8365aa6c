"""Whatever the policy and whatever the call: a refused call changes nothing in the backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.s3.models import FakeDeleteMarker, s3_backends

from dagkit.local.aws import LocalAWS
from tests.local_aws.conftest import client_of

BUCKETS = ("one-bucket", "two-bucket")
KEYS = ("in/a", "in/b c", "out/a", "out/ü+%")
ROLE = "random"

ACTIONS = st.sampled_from(
    [
        "*",
        "s3:*",
        "s3:Get*",
        "s3:GetObject",
        "s3:PutObject",
        "s3:Put*",
        "s3:DeleteObject",
        "s3:Delete*",
        "s3:List*",
        "s3:ListBucket",
        "s3:PutObjectTagging",
        "s3:GetObjectTagging",
        "s3:AbortMultipartUpload",
        "s3:CreateBucket",
        "s3:PutBucketVersioning",
        "s3:DeleteObjectVersion",
        "s3:PutObjectAcl",
    ]
)
RESOURCES = st.sampled_from(
    [
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::one-bucket",
        "arn:aws:s3:::one-bucket/*",
        "arn:aws:s3:::two-bucket/*",
        "arn:aws:s3:::one-bucket/in/*",
        "arn:aws:s3:::one-bucket/out/*",
        "arn:aws:s3:::*/in/a",
        "arn:aws:s3:::*/out/?",
        "arn:aws:s3:::two-bucket/${aws:userid}/*",
        "arn:aws:s3:::two-bucket",
    ]
)
CONDITIONS = st.sampled_from(
    [
        {"StringLike": {"s3:prefix": "in/*"}},
        {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}},
    ]
)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    """A statement, more often an Allow than a Deny."""
    action = draw(st.sampled_from(["Action", "Action", "Action", "NotAction"]))
    resource = draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))
    made: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        action: draw(st.lists(ACTIONS, min_size=1, max_size=3)),
        resource: draw(st.lists(RESOURCES, min_size=1, max_size=2)),
    }
    if draw(st.integers(0, 3)) == 0:
        made["Condition"] = draw(CONDITIONS)
    return made


bucket = st.sampled_from(BUCKETS)
key = st.sampled_from(KEYS)
Step = tuple[str, dict[str, Any]]


def step(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.fixed_dictionaries(dict(arguments)))


def batch(keys: list[str]) -> dict[str, Any]:
    """Returns the argument of DeleteObjects."""
    return {"Objects": [{"Key": each} for each in keys]}


object_of = {"Bucket": bucket, "Key": key}
upload_of = {**object_of, "UploadId": st.just("upload")}
source = st.fixed_dictionaries({"Bucket": bucket, "Key": key})
tag_set = st.just({"TagSet": [{"Key": "a", "Value": "c"}]})
parts = st.just({"Parts": [{"PartNumber": 1, "ETag": "etag"}]})
ireland = st.just({"LocationConstraint": "eu-west-1"})
STEPS = st.one_of(
    step("get_object", **object_of),
    step("head_object", **object_of),
    step("put_object", **object_of, Body=st.binary(max_size=5)),
    step("put_object", **object_of, Body=st.just(b"x"), Tagging=st.just("a=b"), ACL=st.just("private")),
    step("delete_object", **object_of),
    step("delete_object", **object_of, VersionId=st.just("version")),
    step("delete_objects", Bucket=bucket, Delete=st.lists(key, min_size=1, unique=True).map(batch)),
    step("copy_object", **object_of, CopySource=source),
    step("put_object_tagging", **object_of, Tagging=tag_set),
    step("delete_object_tagging", **object_of),
    step("put_object_acl", **object_of, ACL=st.just("public-read")),
    step("list_objects_v2", Bucket=bucket, Prefix=st.sampled_from(["", "in/", "out/"])),
    step("create_multipart_upload", **object_of),
    step("upload_part", **upload_of, PartNumber=st.just(1), Body=st.just(b"part")),
    step("upload_part_copy", **upload_of, PartNumber=st.just(2), CopySource=source),
    step("complete_multipart_upload", **upload_of, MultipartUpload=parts),
    step("abort_multipart_upload", **upload_of),
    step("put_bucket_versioning", Bucket=bucket, VersioningConfiguration=st.just({"Status": "Enabled"})),
    step("put_bucket_tagging", Bucket=bucket, Tagging=tag_set),
    step("put_bucket_policy", Bucket=bucket, Policy=st.just('{"Version": "2012-10-17", "Statement": []}')),
    step("delete_bucket", Bucket=bucket),
    step("create_bucket", Bucket=st.just("new-bucket"), CreateBucketConfiguration=ireland),
)


def snapshot(account: str) -> dict[str, Any]:
    """Returns all that S3 holds: buckets and their settings, every version of every key, every upload."""
    s3 = s3_backends[account]["aws"]

    def kept(item: Any) -> Any:
        if isinstance(item, FakeDeleteMarker):
            return {"delete marker": item.version_id}
        acl = item.acl.grants if item.acl else []
        return {
            "version": item.version_id,
            "value": item.value,
            "etag": item.etag,
            "time": item.last_modified,
            "metadata": dict(item.metadata),
            "tags": s3.tagger.get_tag_dict_for_resource(item.arn),
            "acl": [(list(grant.permissions), [vars(who) for who in grant.grantees]) for grant in acl],
        }

    found: dict[str, Any] = {}
    for name, held in s3.buckets.items():
        found[name] = {
            "keys": {each: [kept(item) for item in held.keys.getlist(each)] for each in held.keys},
            "uploads": {
                each: {number: part.value for number, part in upload.parts.items()}
                for each, upload in held.multiparts.items()
            },
            "versioning": held.versioning_status,
            "policy": held.policy,
            "tags": s3.tagger.list_tags_for_resource(held.arn),
        }
    return found


def clean(aws: LocalAWS) -> tuple[dict[str, str], str]:
    """Puts the same things into S3 again; returns an upload id of each bucket, and an ETag of its part."""
    admin = aws.client("s3")
    s3_backends[aws.account]["aws"].reset()
    uploads = {}
    etag = ""
    for name in BUCKETS:
        aws.add_bucket(name)
        for each in KEYS[:3]:
            aws.put_object(name, each, each.encode())
        admin.put_object_tagging(Bucket=name, Key=KEYS[0], Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        uploads[name] = admin.create_multipart_upload(Bucket=name, Key=KEYS[0])["UploadId"]
        sent = admin.upload_part(Bucket=name, Key=KEYS[0], UploadId=uploads[name], PartNumber=1, Body=b"part")
        etag = sent["ETag"]
    return uploads, etag


Attempt = Callable[[list[dict[str, Any]], Step], Any]


@pytest.fixture(scope="module")
def attempt(aws: LocalAWS) -> Attempt:
    """Gives the role a policy, makes one call with it, and holds the backend against what the ledger says."""
    aws.add_role(ROLE, {"Version": "2012-10-17", "Statement": []})
    s3 = client_of(aws, aws.credentials(ROLE, "random"), "s3")

    def run(policy: list[dict[str, Any]], made: Step) -> Any:
        uploads, etag = clean(aws)
        aws.add_role(ROLE, {"Version": "2012-10-17", "Statement": policy})
        name, arguments = made
        arguments = dict(arguments)
        if "UploadId" in arguments:
            arguments |= {"UploadId": uploads[arguments["Bucket"]], "Key": KEYS[0]}
        if "MultipartUpload" in arguments:
            arguments["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        if "VersionId" in arguments:
            arguments["VersionId"] = "null"
        before = snapshot(aws.account)
        error, answer = None, {}
        try:
            answer = getattr(s3, name)(**arguments)
        except ClientError as raised:
            error = raised
        after = snapshot(aws.account)
        call = aws.ledger[-1]
        if name == "delete_objects":
            refused = {need.resource for need in call.refusals}
            for each in arguments["Delete"]["Objects"]:
                held = each["Key"] in after[arguments["Bucket"]]["keys"]
                was = each["Key"] in before[arguments["Bucket"]]["keys"]
                denied = f"arn:aws:s3:::{arguments['Bucket']}/{each['Key']}" in refused
                assert held == (was and denied)
            assert len(answer.get("Errors", [])) == len(refused)
        elif call.refusals:
            assert error is not None
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            assert error.response["Error"]["Code"] in {"AccessDenied", "403"}
            assert after == before
        else:
            assert error is None or error.response["ResponseMetadata"]["HTTPStatusCode"] != 403
        return call

    return run


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=st.lists(statements(), max_size=4), made=STEPS)
def test_a_refused_call_changes_nothing(attempt: Attempt, policy: list[dict[str, Any]], made: Step) -> None:
    attempt(policy, made)


OTHER_TAGS = {"TagSet": [{"Key": "a", "Value": "z"}]}
ALL = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.mark.parametrize(
    "made",
    [
        ("put_object", {"Bucket": "one-bucket", "Key": "in/a", "Body": b"new"}),
        ("delete_object", {"Bucket": "one-bucket", "Key": "in/a"}),
        ("put_object_tagging", {"Bucket": "one-bucket", "Key": "in/a", "Tagging": OTHER_TAGS}),
        ("copy_object", {"Bucket": "one-bucket", "Key": "new", "CopySource": "two-bucket/in/a"}),
        ("create_multipart_upload", {"Bucket": "one-bucket", "Key": "new"}),
        ("upload_part", {"Bucket": "one-bucket", "Key": "", "UploadId": "", "PartNumber": 2, "Body": b"x"}),
        ("abort_multipart_upload", {"Bucket": "one-bucket", "Key": "", "UploadId": ""}),
        ("put_bucket_versioning", {"Bucket": "one-bucket", "VersioningConfiguration": {"Status": "Enabled"}}),
        ("put_bucket_tagging", {"Bucket": "one-bucket", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}),
    ],
    ids=lambda made: made[0],
)  # fmt: skip
def test_the_snapshot_sees_each_change_that_an_allowed_call_makes(
    aws: LocalAWS, attempt: Attempt, made: Step
) -> None:
    clean(aws)
    before = snapshot(aws.account)
    assert not attempt([ALL], made).refused
    changed = snapshot(aws.account)
    assert _without_times(changed) != _without_times(before)


def _without_times(held: dict[str, Any]) -> Any:
    """Everything is made anew for each attempt: ids of uploads and times do not count as a change."""
    return {
        name: {
            **bucket,
            "keys": {
                key: [{field: value for field, value in item.items() if field != "time"} for item in items]
                for key, items in bucket["keys"].items()
            },
            "uploads": sorted(str(parts) for parts in bucket["uploads"].values()),
        }
        for name, bucket in held.items()
    }
