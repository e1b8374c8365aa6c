"""Roles of the platform, through iam-builder, against calls as boto3 makes them (platform.yaml)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from iam_builder.iam_builder import build_iam_policy

from dagkit.local.authority import Request, Verdict, decide
from dagkit.local.backend import Caller
from dagkit.local.calls import Needs, Operation, needs
from dagkit.local.context import context_of
from dagkit.local.ledger import Call, Judged
from tests.authority.tables import ACCOUNT, HELD, REGION, Row, operation_of, resource_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def rows() -> list[Any]:
    groups = yaml.safe_load(Path(__file__).with_name("platform.yaml").read_text())
    return [
        pytest.param({**row, "role": group["role"]}, id=f"{group['rule']} [{number}]")
        for group in groups
        for number, row in enumerate(group["rows"], start=1)
    ]


def caller(config: Row) -> Caller:
    policy = build_iam_policy({"iam_role_name": "airflow_dev_x", **config})
    return Caller(
        role="airflow_dev_x",
        session="task",
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/airflow_dev_x/task",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/airflow_dev_x",
        user_id="AROAEXAMPLE:task",
        policies=(policy,),
        token="t",
        expires=NOW,
    )


def judge(config: Row, operation: Operation, found: Needs) -> list[Judged]:
    """Decides a call's needs as the guard does."""
    who = caller(config)
    context = context_of(who, operation.request, operation.region, ACCOUNT, NOW)
    judged = []
    for need in found.needs:
        own = context.with_values(need.values, need.absent)
        decision = decide(who.policies, Request(need.action, need.resource, own))
        judged.append(Judged(need.action, need.resource, decision, own))
    return judged


def recorded(config: Row, row: Row) -> Call:
    """Makes a row's call under a role and returns it as the ledger has it."""
    operation = operation_of(row)
    assert operation is not None
    operation = replace(operation, region=row.get("region", REGION))
    found = needs(operation, HELD)
    assert not found.unclear
    judged = tuple(judge(config, operation, found))
    return Call(NOW, "airflow_dev_x", "task", operation.model, operation.name, judged, 200)


@pytest.mark.parametrize("row", rows())
def test_a_role_may_do_what_it_may_do_in_aws(row: Row) -> None:
    call = recorded(row["role"], row)
    refused = call.refusals
    verdict = refused[0].decision.verdict if refused else Verdict.ALLOWED
    assert verdict == row["then"], [judged.decision.reason for judged in call.needs]
    if "at" in row:
        assert (refused[0].action, refused[0].resource) == resource_of(row["at"])


def test_every_option_of_iam_builder_has_rows() -> None:
    from iam_builder.iam_schema import IAM_SCHEMA

    told = {name for param in rows() for name in param.values[0]["role"]}
    silent = {"external_iam_role", "role_duration_seconds"}  # they grant nothing
    assert set(IAM_SCHEMA["properties"]) - silent <= told
