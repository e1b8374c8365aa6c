"""From refused calls to lines of the role's YAML, checked by handing those lines to iam-builder again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from iam_builder.iam_builder import build_iam_policy

from dagkit.local.authority import Request, Verdict, decide
from dagkit.local.suggest import advise, suggest_role, unmet
from tests.authority.tables import Row
from tests.authority.test_platform import recorded, rows

NOTHING: Row = {"iam_role_name": "airflow_dev_x"}


def refused(call: str, config: Row = NOTHING, **params: Any) -> list[Any]:
    """Makes a call under a role and returns what was refused."""
    return list(recorded(config, {"call": call, "with": params}).refusals)


def merged(config: Row, section: str, entry: str) -> Row:
    """Adds a line of advice to a role, as a person would."""
    changed = copy.deepcopy(config)
    outer, _, inner = section.partition(".")
    value: Any = yaml.safe_load(entry) if entry in {"true", "false"} else entry
    if section in {"kms", "allowed_database_names"}:
        changed.setdefault(section, []).append(value)
    elif not inner:
        changed[outer] = value
    elif isinstance(value, bool):
        changed.setdefault(outer, {})[inner] = value
    else:
        changed.setdefault(outer, {}).setdefault(inner, []).append(value)
    return changed


@pytest.mark.parametrize(
    ("call", "params", "section", "entry"),
    [
        ("s3.get_object", {"Bucket": "b", "Key": "a/b.csv"}, "s3.read_only", "b/a/b.csv"),
        ("s3.head_object", {"Bucket": "b", "Key": "a/b.csv"}, "s3.read_only", "b/a/b.csv"),
        ("s3.put_object", {"Bucket": "b", "Key": "a/b.csv"}, "s3.write_only", "b/a/b.csv"),
        ("s3.delete_object", {"Bucket": "b", "Key": "a/b.csv"}, "s3.write_only", "b/a/b.csv"),
        ("s3.put_object_tagging", {"Bucket": "b", "Key": "k", "Tagging": {}}, "s3.read_write", "b/k"),
        ("s3.put_object", {"Bucket": "b", "Key": "k", "Tagging": "a=b"}, "s3.read_write", "b/k"),
        ("s3.list_objects_v2", {"Bucket": "b"}, "s3.read_only", "b/"),
        ("s3.head_bucket", {"Bucket": "b"}, "s3.read_only", "b/"),
        ("secretsmanager.get_secret_value", {"SecretId": "alpha/s"}, "secretsmanager.read_only", "alpha/s"),
        ("secretsmanager.get_secret_value", {"SecretId": "missing"}, "secretsmanager.read_only", "missing"),
        ("ssm.get_parameter", {"Name": "/alpha/airflow/airflow_dev_x/p"}, "secrets", "read"),
        ("ssm.put_parameter", {"Name": "/alpha/airflow/airflow_dev_x/p"}, "secrets", "readwrite"),
        (
            "kms.decrypt",
            {"CiphertextBlob": "under key-1"},
            "kms",
            "arn:aws:kms:eu-west-1:593291632749:key/key-1",
        ),
        ("athena.start_query_execution", {"QueryString": "q"}, "athena.write", "false"),
        ("athena.delete_named_query", {"NamedQueryId": "named-1"}, "athena.write", "true"),
        ("glue.start_job_run", {"JobName": "j"}, "glue_job", "true"),
        ("cloudwatch.put_metric_data", {"Namespace": "n", "MetricData": []}, "glue_job", "true"),
        ("bedrock-runtime.invoke_model", {"modelId": "m", "body": "x"}, "bedrock", "true"),
    ],
)
def test_a_refused_call_has_one_line_that_allows_it(call: str, params: Row, section: str, entry: str) -> None:
    (advice,) = advise(NOTHING, refused(call, **params))
    assert (advice.section, advice.entry) == (section, entry)
    policy = build_iam_policy(merged(NOTHING, section, entry))
    for need in advice.needs:
        resource = need.resource
        if resource == "missing":
            resource = "arn:aws:secretsmanager:eu-west-1:593291632749:secret:missing-AbCdEf"
        assert decide([policy], Request(need.action, resource, need.context)).allowed


def test_what_needs_reading_and_writing_gets_read_write() -> None:
    needs = refused("s3.get_object", Bucket="b", Key="k") + refused("s3.put_object", Bucket="b", Key="k")
    (advice,) = advise(NOTHING, needs)
    assert (advice.section, advice.entry) == ("s3.read_write", "b/k")
    assert advice.text == "add s3.read_write: b/k (allows s3:GetObject and s3:PutObject)"


def test_what_a_deny_blocks_names_the_line_that_denies_it() -> None:
    config = {**NOTHING, "s3": {"read_write": ["b/*"], "deny": ["b/other/*", "b/secret/*"]}}
    (advice,) = advise(config, refused("s3.get_object", config, Bucket="b", Key="secret/k"))
    assert (advice.section, advice.entry) == ("", "")
    assert "the line b/secret/* under s3.deny forbids s3:GetObject" in advice.text
    assert "no other line can allow it" in advice.text


@pytest.mark.parametrize(
    ("call", "params", "says"),
    [
        ("dynamodb.list_tables", {}, "no line of a role's YAML can allow dynamodb:ListTables"),
        ("s3.delete_bucket", {"Bucket": "b"}, "no line of a role's YAML can allow s3:DeleteBucket"),
        ("secretsmanager.list_secrets", {}, "no line of a role's YAML can allow secretsmanager:ListSecrets"),
        ("ssm.get_parameter", {"Name": "/elsewhere"}, "have to be named /alpha/airflow/airflow_dev_x/"),
    ],
)
def test_what_iam_builder_cannot_express_is_said(call: str, params: Row, says: str) -> None:
    (advice,) = advise(NOTHING, refused(call, **params))
    assert (advice.section, advice.entry) == ("", "")
    assert says in advice.text


def test_what_could_not_be_decided_is_not_called_forbidden() -> None:
    config = {**NOTHING, "kms": ["arn:aws:kms:eu-west-1:593291632749:key/key-1"]}
    (advice,) = advise(config, refused("kms.decrypt", config, CiphertextBlob="garbage"))
    assert "could not be decided" in advice.text


def calls(config: Row, *made: tuple[str, Row]) -> list[Any]:
    return [recorded(config, {"call": call, "with": params}) for call, params in made]


def test_the_suggested_role_is_what_the_calls_needed_and_no_more() -> None:
    config = {
        **NOTHING,
        "athena": {"write": True},
        "s3": {"read_write": ["b/*", "unused/*"]},
        "bedrock": True,
    }
    made = calls(
        config,
        ("s3.get_object", {"Bucket": "b", "Key": "in/lookup.csv"}),
        ("s3.put_object", {"Bucket": "b", "Key": "out/2026/a.csv"}),
        ("s3.put_object", {"Bucket": "b", "Key": "out/2026/b.csv"}),
        ("s3.get_object", {"Bucket": "c", "Key": "root.csv"}),
        ("s3.list_objects_v2", {"Bucket": "d"}),
    )
    assert suggest_role(config, made) == {
        "iam_role_name": "airflow_dev_x",
        "s3": {"read_only": ["b/in/lookup.csv", "c/root.csv", "d/"], "write_only": ["b/out/2026/*"]},
    }


def test_keys_written_and_read_back_fold_into_one_folder() -> None:
    made = calls(
        NOTHING,
        ("s3.put_object", {"Bucket": "b", "Key": "out/a.csv"}),
        ("s3.copy_object", {"Bucket": "b", "Key": "out/b.csv", "CopySource": "b/out/a.csv"}),
    )
    assert suggest_role(NOTHING, made)["s3"] == {"read_write": ["b/out/*"]}


def test_many_folders_fold_into_the_one_they_share_and_never_into_the_bucket() -> None:
    keys = [f"out/day={day}/part.csv" for day in range(9)] + [f"top-{number}.csv" for number in range(9)]
    made = calls(NOTHING, *(("s3.put_object", {"Bucket": "b", "Key": key}) for key in keys))
    assert suggest_role(NOTHING, made)["s3"] == {
        "write_only": ["b/out/*", *(f"b/top-{number}.csv" for number in range(9))]
    }


def test_a_role_keeps_what_it_denies() -> None:
    config = {**NOTHING, "s3": {"read_write": ["b/*"], "deny": ["b/secret/*"]}}
    made = calls(
        config,
        ("s3.get_object", {"Bucket": "b", "Key": "k"}),
        ("s3.get_object", {"Bucket": "b", "Key": "secret/k"}),
    )
    suggested = suggest_role(config, made)
    assert suggested["s3"] == {"read_only": ["b/k"], "deny": ["b/secret/*"]}
    (left,) = unmet(suggested, made)
    assert left.resource == "arn:aws:s3:::b/secret/k"


def test_the_suggested_role_allows_every_call_of_the_platform_table_that_any_role_could() -> None:
    inexpressible = []
    for param in rows():
        row = param.values[0]
        if "is_cadet_deployer" in row["role"]:
            continue
        call = recorded(row["role"], row)
        suggested = suggest_role({"iam_role_name": "airflow_dev_x", **row["role"]}, [call])
        for judged in unmet(suggested, [call]):
            if judged.decision.verdict is Verdict.EXPLICIT_DENY:
                continue
            assert not judged.decision.allowed, (row, suggested)
            inexpressible.append(judged.action)
    # Allowed before is allowed after; what is left no role of this kind can have.
    assert "s3:GetObject" not in inexpressible
    assert "s3:PutObject" not in inexpressible


KEYS = st.lists(st.sampled_from(["a", "b b", "c*", "d?", "e$", "ü"]), min_size=1, max_size=4).map("/".join)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["s3.get_object", "s3.put_object", "s3.delete_object"]), KEYS),
        min_size=1,
        max_size=12,
    )
)
def test_any_calls_on_objects_are_met_and_nothing_outside_the_first_folder_is(
    made: list[tuple[str, str]],
) -> None:
    recorded_calls = calls(NOTHING, *((call, {"Bucket": "b", "Key": key}) for call, key in made))
    suggested = suggest_role(NOTHING, recorded_calls)
    assert unmet(suggested, recorded_calls) == []
    policy = build_iam_policy(suggested)
    for elsewhere in ("zzz", "zzz/k", "z/y/x"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert not decide([policy], Request(action, f"arn:aws:s3:::b/{elsewhere}")).allowed
