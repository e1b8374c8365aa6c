"""What a policy permits, and what one permits that another did not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from iam_builder.iam_builder import build_iam_policy

from dagkit.deploy.permissions import Kind, Row, access, compare, covers, kind, overlap
from dagkit.local.authority import Request, decide
from dagkit.local.conditions import Context

READ = frozenset({Kind.READ})


def rows(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Row]:
    """Rows by resource, for two sections `s3` of a role's file."""
    policies = [build_iam_policy({"s3": s3}) if s3 is not None else None for s3 in (before, after)]
    found = compare(access(policies[0]), access(policies[1]))
    return {row.resource.removeprefix("arn:aws:s3:::"): row for row in found}


def test_a_new_role_widens_by_all_it_permits() -> None:
    row = rows(None, {"read_only": ["alpha-data/in/*"]})["alpha-data/in/*"]
    assert (row.before, row.after, row.widened) == (frozenset(), READ, READ)


def test_the_same_permissions_widen_nothing() -> None:
    same = {"read_only": ["alpha-data/in/*"], "deny": ["alpha-data/in/secret/*"]}
    assert not any(row.changed for row in rows(same, same).values())


def test_a_narrower_path_widens_nothing() -> None:
    found = rows({"read_only": ["alpha-data/*"]}, {"read_only": ["alpha-data/in/*"]})
    assert not found["alpha-data/in/*"].widened
    assert found["alpha-data/*"].after == frozenset()


def test_a_wider_path_widens() -> None:
    found = rows({"read_only": ["alpha-data/in/*"]}, {"read_only": ["alpha-data/*"]})
    assert found["alpha-data/*"].widened == READ
    # what was readable stays readable, by the wider path
    assert found["alpha-data/in/*"].after == READ


def test_write_access_to_what_could_be_read_widens_by_writing_and_not_by_reading_an_object() -> None:
    found = rows({"read_only": ["alpha-data/in/*"]}, {"read_write": ["alpha-data/in/*"]})
    row = found["alpha-data/in/*"]
    assert row.widened >= {Kind.WRITE, Kind.DELETE}
    assert "s3:PutObject" in row.actions
    assert "s3:GetObject" not in row.actions


def test_a_deny_that_goes_away_widens() -> None:
    before = {"read_only": ["alpha-data/*"], "deny": ["alpha-data/secret/*"]}
    row = rows(before, {"read_only": ["alpha-data/*"]})["alpha-data/*"]
    assert row.widened == READ
    assert not rows({"read_only": ["alpha-data/*"]}, before)["alpha-data/*"].widened


def test_a_deny_of_a_part_is_an_exception_and_a_deny_of_everything_leaves_nothing() -> None:
    found = rows(None, {"read_only": ["alpha-data/*"], "deny": ["alpha-data/secret/*"]})
    assert found["alpha-data/*"].exceptions == ("arn:aws:s3:::alpha-data/secret/*",)
    assert "alpha-data/in/*" not in rows(None, {"read_only": ["alpha-data/in/*"], "deny": ["alpha-data/*"]})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("alpha-data/in/*", ()),
        ("alpha-data/*", ("a whole bucket",)),
        ("alpha-*/in/*", ("any bucket of that name",)),
    ],
)
def test_whole_buckets_are_sensitive(path: str, said: tuple[str, ...]) -> None:
    assert rows(None, {"read_only": [path]})[path].sensitive == said


@pytest.mark.parametrize(
    ("config", "service"),
    [
        ({"kms": ["arn:aws:kms:eu-west-1:123456789012:key/x"]}, "kms"),
        ({"secrets": True}, "ssm"),
        ({"secretsmanager": {"read_only": ["x"]}}, "secretsmanager"),
        ({"bedrock": True}, "bedrock"),
        ({"glue_job": True}, "glue"),
        ({"glue_job": True}, "iam"),
        ({"athena": {"write": True}}, "glue"),
    ],
)
def test_keys_secrets_models_and_the_catalogue_are_sensitive(config: dict[str, Any], service: str) -> None:
    policy = build_iam_policy({"iam_role_name": "airflow_dev_x", **config})
    found = [row for row in compare(access(None), access(policy)) if row.service == service]
    assert found
    assert all(row.sensitive for row in found)


def test_a_condition_that_goes_away_widens() -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}
    limited = {**statement, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    wide, narrow = access({"Statement": [statement]}), access({"Statement": [limited]})
    assert any(row.widened for row in compare(narrow, wide))
    assert not any(row.widened for row in compare(wide, narrow))


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("s3:GetObject", Kind.READ),
        ("s3:ListBucket", Kind.LIST),
        ("s3:DeleteObjectVersion", Kind.DELETE),
        ("s3:PutObjectAcl", Kind.SHARE),
        ("s3:PutObjectTagging", Kind.TAG),
        ("kms:Decrypt", Kind.READ),
        ("kms:Encrypt", Kind.WRITE),
        ("iam:PassRole", Kind.SHARE),
        ("glue:BatchDeleteTable", Kind.DELETE),
        ("athena:GetCatalogs", Kind.READ),
    ],
)
def test_what_an_action_does(action: str, said: Kind) -> None:
    assert kind(action) is said


pattern = st.text("ab*?", max_size=4)
text = st.text("ab", max_size=4)


@example("?", "*", "")
@example("a?", "a*", "a")
@given(pattern, pattern, text)
def test_a_pattern_covers_another_only_if_it_matches_all_it_matches(
    wide: str, narrow: str, some: str
) -> None:
    if covers(wide, narrow) and fnmatchcase(some, narrow):
        assert fnmatchcase(some, wide)


@given(pattern, pattern, text)
def test_two_patterns_overlap_where_one_text_fits_both(one: str, other: str, some: str) -> None:
    if fnmatchcase(some, one) and fnmatchcase(some, other):
        assert overlap(one, other)


@given(text, pattern)
def test_plain_text_overlaps_exactly_what_matches_it(plain: str, other: str) -> None:
    assert overlap(plain, other) == fnmatchcase(plain, other)


paths = st.lists(
    st.builds("{}/{}".format, st.sampled_from(["a", "b"]), st.sampled_from(["*", "x/*", "x/y/*", "z"])),
    min_size=1,
    max_size=2,
    unique=True,
)
sections = st.fixed_dictionaries(
    {}, optional={"read_only": paths, "write_only": paths, "read_write": paths, "deny": paths}
)


@given(
    sections,
    sections,
    st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:PutObjectTagging"]),
    st.sampled_from(["a/1", "a/x/1", "a/x/y/1", "a/z", "b/1", "b/x/y/1"]),
)
def test_whatever_is_allowed_and_was_not_is_marked_as_wider(
    before: dict[str, Any], after: dict[str, Any], action: str, key: str
) -> None:
    old, new = build_iam_policy({"s3": before}), build_iam_policy({"s3": after})
    request = Request(action, f"arn:aws:s3:::{key}", Context())
    if decide([new], request).allowed and not decide([old], request).allowed:
        marked = [row for row in compare(access(old), access(new)) if action in row.actions]
        assert any(re.fullmatch(row.resource.replace("*", ".*"), f"arn:aws:s3:::{key}") for row in marked)
