"""IAM roles: reading them from AWS, and carrying out the plan of `roles.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from dagkit.deploy import policies
from dagkit.deploy.aws import code, each, told
from dagkit.deploy.roles import (
    DESCRIPTION,
    INLINE_POLICY,
    PATH,
    LiveRole,
    Owner,
    RoleStep,
    WantedRole,
    step,
)
from dagkit.deploy.steps import CHANGES, Action
from dagkit.errors import DagkitError

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient


def read_all(iam: IAMClient) -> dict[str, LiveRole]:
    """Every role of the account with its policies and tags, by name: one call for up to 1,000 roles."""
    found: dict[str, LiveRole] = {}
    with told("read the account's roles"):
        pages = iam.get_paginator("get_account_authorization_details").paginate(
            Filter=["Role"], PaginationConfig={"PageSize": 1000}
        )
        for page in pages:
            for role in page["RoleDetailList"]:
                name = role["RoleName"]
                found[name] = LiveRole(
                    name,
                    _document(role["AssumeRolePolicyDocument"]),
                    {p["PolicyName"]: _document(p["PolicyDocument"]) for p in role.get("RolePolicyList", [])},
                    tuple(p["PolicyArn"] for p in role.get("AttachedManagedPolicies", [])),
                    {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
                )
    return found


def read_one(iam: IAMClient, name: str) -> LiveRole:
    """One role with its policies and tags: three calls, and one more for each inline policy."""
    role = iam.get_role(RoleName=name)["Role"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return LiveRole(
        name,
        _document(role["AssumeRolePolicyDocument"]),
        {
            policy: _document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in inline
        },
        tuple(policy["PolicyArn"] for policy in attached),
        {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
    )


def _document(value: Any) -> policies.Document:
    # IAM sends documents URL-encoded; botocore decodes most of them, not all
    document: policies.Document = json.loads(unquote(value)) if isinstance(value, str) else value
    return document


def carry_out(
    iam: IAMClient,
    steps: Sequence[RoleStep],
    owner: Owner,
    on_step: Callable[[RoleStep], None],
    *,
    jobs: int | None = None,
) -> tuple[RoleStep, ...]:
    """Do what the plan says.

    Args:
        iam: IAM client.
        steps: The plan.
        owner: Whose roles these are.
        on_step: Called after each change, with the step as it ended.
        jobs: Roles at a time; as many as `aws.JOBS` when not given.

    Returns:
        The plan as it ended: a step that AWS refused has become `refused`, with the reason.
    """
    ended = {item.name: item for item in steps}

    def done(item: RoleStep, problem: str | None) -> None:
        ended[item.name] = replace(item, action=Action.REFUSED, problem=problem) if problem else item
        on_step(ended[item.name])

    changes = [item for item in steps if item.action in CHANGES]
    each(changes, lambda item: _carry_out(iam, item, owner), done, jobs=jobs)
    return tuple(ended.values())


def _carry_out(iam: IAMClient, item: RoleStep, owner: Owner) -> None:
    if item.action is Action.DELETE and item.live is not None:
        _delete(iam, item.live)
    elif item.action is Action.UPDATE and item.wanted is not None and item.live is not None:
        _update(iam, item.wanted, item.live)
    elif item.action is Action.CREATE and item.wanted is not None:
        _create(iam, item.wanted, owner)


def _create(iam: IAMClient, role: WantedRole, owner: Owner) -> None:
    try:
        # the tags come with the role: cut off here, the next call knows it as ours
        iam.create_role(
            RoleName=role.name,
            Path=PATH,
            Description=DESCRIPTION,
            AssumeRolePolicyDocument=policies.compact(role.trust),
            Tags=[{"Key": key, "Value": value} for key, value in role.tags.items()],
        )
    except ClientError as error:
        if code(error) != "EntityAlreadyExists":
            raise
        # IAM's lists lag behind: the role was made a moment ago, by us or by somebody else
        live = read_one(iam, role.name)
        again = step(role, live, owner)
        if again.action is Action.REFUSED:
            raise DagkitError(again.problem or "") from error
        _update(iam, role, live)
        return
    _put_policy(iam, role)


def _update(iam: IAMClient, role: WantedRole, live: LiveRole) -> None:
    # what narrows comes before what widens
    _strip(iam, live, keep=INLINE_POLICY)
    if not policies.same(role.trust, live.trust):
        iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=policies.compact(role.trust))
    if role.policy is None:
        if INLINE_POLICY in live.inline:
            iam.delete_role_policy(RoleName=role.name, PolicyName=INLINE_POLICY)
    elif not policies.same(role.policy, live.inline.get(INLINE_POLICY)):
        _put_policy(iam, role)
    stale = {key: value for key, value in role.tags.items() if live.tags.get(key) != value}
    if stale:
        iam.tag_role(RoleName=role.name, Tags=[{"Key": key, "Value": value} for key, value in stale.items()])


def _put_policy(iam: IAMClient, role: WantedRole) -> None:
    if role.policy is not None:
        document = policies.compact(role.policy)
        iam.put_role_policy(RoleName=role.name, PolicyName=INLINE_POLICY, PolicyDocument=document)


def _delete(iam: IAMClient, live: LiveRole) -> None:
    _strip(iam, live, keep=None)
    iam.delete_role(RoleName=live.name)


def _strip(iam: IAMClient, live: LiveRole, keep: str | None) -> None:
    for name in live.inline:
        if name != keep:
            iam.delete_role_policy(RoleName=live.name, PolicyName=name)
    for arn in live.attached:
        iam.detach_role_policy(RoleName=live.name, PolicyArn=arn)
