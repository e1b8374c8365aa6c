"""The authority against AWS's documented rules, one row a case (decisions.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dagkit.local.authority import Request, Verdict, decide
from dagkit.local.conditions import Context

Row = dict[str, Any]


def rows() -> list[Any]:
    groups = yaml.safe_load(Path(__file__).with_name("decisions.yaml").read_text())
    return [
        pytest.param(row, id=f"{group['rule']} [{number}]")
        for group in groups
        for number, row in enumerate(group["rows"], start=1)
    ]


def statement(written: str | Row) -> Row:
    if isinstance(written, dict):
        return written
    effect, actions, resources = written.split(" ")
    return {"Effect": effect, "Action": actions.split(","), "Resource": resources.split(",")}


def policies(row: Row) -> list[Row]:
    if "if" in row:
        statements = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": row["if"]}]
        documents = [statements]
    elif "deny_if" in row:
        denial = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": row["deny_if"]}
        documents = [[statement("Allow * *"), denial]]
    else:
        documents = [
            [statement(each) for each in document] for document in row.get("policies", [row.get("policy")])
        ]
    version = row.get("version", "2012-10-17")
    header = {"Version": version} if version else {}
    return [{**header, "Statement": document} for document in documents]


def request_of(row: Row) -> Request:
    action, _, resource = row.get("ask", "s3:GetObject arn:aws:s3:::b/k").partition(" ")
    values = {
        key: tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        for key, value in row.get("with", {}).items()
    }
    return Request(
        action, None if resource == "-" else resource, Context(values, frozenset(row.get("lacking", ())))
    )


@pytest.mark.parametrize("row", rows())
def test_the_decision_is_the_one_aws_documents(row: Row) -> None:
    decision = decide(policies(row), request_of(row))
    assert decision.verdict == row["then"], decision.reason
    assert decision.allowed is (row["then"] == "allowed")
    assert row.get("because", "") in decision.reason
    if "by" in row:
        assert decision.statement == row["by"]


def test_the_table_is_as_long_as_promised_and_every_verdict_occurs() -> None:
    table = [param.values[0] for param in rows()]
    assert len(table) >= 200
    assert {row["then"] for row in table} == {verdict.value for verdict in Verdict}


def test_a_single_statement_need_not_be_in_a_list() -> None:
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    assert decide([policy], Request("s3:GetObject", "arn:aws:s3:::b/k")).allowed


def test_an_undecided_reason_never_claims_permission() -> None:
    undecided = [row for param in rows() if (row := param.values[0])["then"] == "undecided"]
    for row in undecided:
        assert decide(policies(row), request_of(row)).reason.startswith("could not be decided whether")
