"""Who may do what: one request, the policies of a role, one decision with its reason. Pure.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy element reference". Only identity-based
policies are evaluated, as only those are written by iam-builder; the account is the resource's own.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagkit.local.conditions import (
    NO,
    YES,
    Answer,
    Context,
    Unknown,
    arn_matches,
    holds,
    text_matches,
    tokens,
)

Policy = Mapping[str, Any]


class Verdict(enum.StrEnum):
    """How a request ended."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Request:
    """One action on one resource.

    Args:
        action: As policies write it: `s3:GetObject`.
        resource: Its ARN; `*` for actions without resource-level permissions; None when it could not be
            worked out.
        context: Its condition keys.
    """

    action: str
    resource: str | None
    context: Context = field(default_factory=Context)


@dataclass(frozen=True)
class Decision:
    """What AWS would say, and why.

    Args:
        verdict: The outcome.
        reason: One sentence for a person.
        statement: The deciding statement, by its Sid, else by its position (`statement 3`); None when no
            statement decided.
    """

    verdict: Verdict
    reason: str
    statement: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may go ahead: nothing but a certain yes is one."""
        return self.verdict is Verdict.ALLOWED


def decide(policies: Sequence[Policy], request: Request) -> Decision:
    """Decides one request as AWS does: an explicit deny over an allow over the implicit deny.

    A statement whose match cannot be told makes the decision undecided where it could change it: a deny that
    might apply, or an allow that might be the only one. An undecided request is refused.
    """
    allow: str | None = None
    deny: str | None = None
    doubts: dict[str, str] = {}
    for policy in policies:
        # Policy variables exist since version 2012-10-17; a policy without a version is of 2008-10-17.
        variables = policy.get("Version", "2008-10-17") != "2008-10-17"
        for index, statement in enumerate(_listed(policy.get("Statement")), start=1):
            name = str(statement.get("Sid") or f"statement {index}")
            effect = statement.get("Effect")
            answer = _applies(statement, request, variables)
            if effect not in {"Allow", "Deny"} and answer.truth is not False:
                answer = Answer(None, f"its Effect is {effect!r}")
                effect = "Deny"
            if answer.truth is None:
                doubts.setdefault(effect, f'{name}": {answer.doubt}')
            elif answer.truth and effect == "Deny":
                deny = deny or name
            elif answer.truth:
                allow = allow or name
    what = f"{request.action} on {request.resource or 'a resource that could not be worked out'}"
    if deny:
        return Decision(Verdict.EXPLICIT_DENY, f'the statement "{deny}" denies {what}', deny)
    if "Deny" in doubts:
        return _undecided(what, "a deny", doubts["Deny"])
    if allow:
        return Decision(Verdict.ALLOWED, f'the statement "{allow}" allows {what}', allow)
    if "Allow" in doubts:
        return _undecided(what, "an allow", doubts["Allow"])
    return Decision(Verdict.IMPLICIT_DENY, f"no statement allows {what}")


def _undecided(what: str, kind: str, doubt: str) -> Decision:
    name = doubt.partition('"')[0]
    return Decision(
        Verdict.UNDECIDED, f'could not be decided whether {what} is allowed: {kind}, "{doubt}', statement=name
    )


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _applies(statement: Policy, request: Request, variables: bool) -> Answer:
    """Tells whether a statement is about this request."""
    answers = (_action(statement, request.action), _resource(statement, request, variables))
    if any(answer.truth is False for answer in answers):
        return NO
    condition = (
        holds(statement["Condition"], request.context, variables=variables)
        if "Condition" in statement
        else YES
    )
    if condition.truth is False:
        return NO
    return next((answer for answer in (*answers, condition) if answer.truth is None), YES)


def _action(statement: Policy, action: str) -> Answer:
    if "Action" not in statement and "NotAction" not in statement:
        return Answer(None, "it has neither Action nor NotAction")
    patterns = _listed(statement.get("Action", statement.get("NotAction")))
    matched = any(text_matches(_split(str(pattern)), action, ignore_case=True) for pattern in patterns)
    return Answer(matched if "Action" in statement else not matched)


def _split(pattern: str) -> list[object]:
    parts = tokens(pattern, Context(), variables=False, wildcards=True)
    return list(parts) if isinstance(parts, list) else []


def _resource(statement: Policy, request: Request, variables: bool) -> Answer:
    if "Resource" not in statement and "NotResource" not in statement:
        return Answer(None, "it has neither Resource nor NotResource")
    patterns = [str(pattern) for pattern in _listed(statement.get("Resource", statement.get("NotResource")))]
    answers = [_pattern(pattern, request, variables) for pattern in patterns]
    positive = next((answer for answer in answers if answer.truth), None) or next(
        (answer for answer in answers if answer.truth is None), NO
    )
    if "Resource" in statement or positive.truth is None:
        return positive
    return Answer(not positive.truth)


def _pattern(pattern: str, request: Request, variables: bool) -> Answer:
    if pattern == "*":
        return YES
    if request.resource is None:
        return Answer(None, "the resource of the call could not be worked out")
    parts = tokens(pattern, request.context, variables=variables, wildcards=True)
    if parts is None:
        return NO
    if isinstance(parts, Unknown):
        return Answer(None, f"{parts.what} is not known here")
    return Answer(arn_matches(parts, request.resource, crosses_colons=True))
