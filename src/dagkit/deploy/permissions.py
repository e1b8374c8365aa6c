"""What a policy lets somebody do, and what one lets them do that another did not. Pure.

The policies are those that iam-builder makes: statements with Action and Resource.
"""

from __future__ import annotations

import enum
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

S3 = "arn:aws:s3:::"


class Kind(enum.StrEnum):
    """What an action does, as a reviewer would say it."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    SHARE = "share"
    TAG = "tag"


# AWS counts decryption as writing; a reviewer asks who may read
_BY_NAME = (
    (re.compile(r"(Batch)?Delete|Untag"), Kind.DELETE),
    (re.compile(r"List|GetBucketLocation"), Kind.LIST),
    (re.compile(r"(Batch)?Get|Describe|Head|Decrypt|Query|Search"), Kind.READ),
)
_BY_LEVEL = {
    "List": Kind.LIST,
    "Read": Kind.READ,
    "Write": Kind.WRITE,
    "Tagging": Kind.TAG,
    "Permissions management": Kind.SHARE,
}
_SENSITIVE = {
    "bedrock": "AI models",
    "glue": "the data catalogue",
    "iam": "hands a role on",
    "kms": "encryption keys",
    "lakeformation": "the data lake",
    "secretsmanager": "secrets",
    "ssm": "parameters, which hold secrets",
}


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one pattern of resources.

    Attributes:
        action: As AWS writes it, without wildcards: `s3:GetObject`.
        resource: ARN, with `*` and `?`.
        condition: The statement's condition as JSON; empty without one.
    """

    action: str
    resource: str
    condition: str = ""

    @property
    def service(self) -> str:
        """The part before the colon."""
        return self.action.partition(":")[0]


@dataclass(frozen=True)
class Access:
    """What a policy allows and denies."""

    allows: frozenset[Grant] = frozenset()
    denies: frozenset[Grant] = frozenset()

    def denied(self, grant: Grant) -> Iterable[str]:
        """The patterns that are taken out of a grant again, unconditionally."""
        return sorted(
            deny.resource
            for deny in self.denies
            if deny.action == grant.action and not deny.condition and overlap(deny.resource, grant.resource)
        )

    def void(self, grant: Grant) -> bool:
        """Whether a deny takes all of a grant away."""
        return any(covers(pattern, grant.resource) for pattern in self.denied(grant))

    @functools.cached_property
    def effective(self) -> frozenset[Grant]:
        """The grants of which something is left."""
        return frozenset(grant for grant in self.allows if not self.void(grant))

    def includes(self, grant: Grant, other: Access) -> bool:
        """Whether all that a grant of `other` allows is allowed here, as far as it can be shown."""
        granted = any(
            mine.action == grant.action
            and mine.condition in ("", grant.condition)
            and covers(mine.resource, grant.resource)
            for mine in self.allows
        )
        taken = (
            deny.resource
            for deny in self.denies
            if deny.action == grant.action and overlap(deny.resource, grant.resource)
        )
        return granted and all(any(covers(again, one) for again in other.denied(grant)) for one in taken)

    def kinds(self, service: str, resource: str, condition: str) -> frozenset[Kind]:
        """What may be done with all of a pattern of resources, by whatever grant covers it."""
        return frozenset(
            kind(grant.action)
            for grant in self.effective
            if grant.service == service
            and grant.condition in ("", condition)
            and (grant.resource == resource or (grant.resource != "*" and covers(grant.resource, resource)))
            and not self.void(Grant(grant.action, resource, condition))
        )


@dataclass(frozen=True)
class Row:
    """What may be done with one pattern of resources, before and after.

    Attributes:
        service: As actions name it: `s3`.
        resource: ARN, with `*` and `?`.
        condition: JSON; empty without one.
        before: What was allowed.
        after: What is allowed.
        widened: What is allowed now and was not, here or on a part of it.
        actions: The actions behind `widened`.
        exceptions: Patterns that a deny takes out of it, after.
        sensitive: Why a reviewer should look twice.
    """

    service: str
    resource: str
    condition: str
    before: frozenset[Kind]
    after: frozenset[Kind]
    widened: frozenset[Kind]
    actions: tuple[str, ...]
    exceptions: tuple[str, ...]
    sensitive: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything is different."""
        return bool(self.widened) or self.before != self.after


def access(policy: Mapping[str, Any] | None) -> Access:
    """What a policy allows and denies, with the wildcards in its actions spelled out."""
    allows: set[Grant] = set()
    denies: set[Grant] = set()
    for statement in (policy or {}).get("Statement", []):
        condition = json.dumps(statement["Condition"], sort_keys=True) if "Condition" in statement else ""
        target = allows if statement["Effect"] == "Allow" else denies
        for action in _listed(statement["Action"]):
            for single in expanded(action):
                target |= {Grant(single, str(r), condition) for r in _listed(statement["Resource"])}
    return Access(frozenset(allows), frozenset(denies))


def compare(before: Access, after: Access) -> tuple[Row, ...]:
    """One row for each service and pattern of resources: first what widens, then what else changed."""
    old, new = before.effective, after.effective
    widened = {grant for grant in new if not before.includes(grant, after)}
    rows = []
    for service, resource, condition in {(g.service, g.resource, g.condition) for g in old | new}:
        mine = [g for g in new if (g.service, g.resource, g.condition) == (service, resource, condition)]
        wider = [grant for grant in mine if grant in widened]
        kinds = after.kinds(service, resource, condition)
        rows.append(
            Row(
                service,
                resource,
                condition,
                before.kinds(service, resource, condition),
                kinds,
                frozenset(kind(grant.action) for grant in wider),
                tuple(sorted(grant.action for grant in wider)),
                tuple(sorted({pattern for grant in mine for pattern in after.denied(grant)})),
                sensitive(service, resource, kinds),
            )
        )
    return tuple(
        sorted(rows, key=lambda r: (not r.widened, not r.changed, r.service, r.resource, r.condition))
    )


def sensitive(service: str, resource: str, kinds: frozenset[Kind]) -> tuple[str, ...]:
    """Why a reviewer should look twice at a row; empty for an ordinary folder."""
    if not kinds:
        return ()
    if service in _SENSITIVE:
        return (_SENSITIVE[service],)
    if not resource.startswith(S3) or kinds == {Kind.LIST}:
        return ("everything there is",) if resource == "*" and kinds - {Kind.LIST, Kind.READ} else ()
    bucket, _, key = resource.removeprefix(S3).partition("/")
    if "*" in bucket or "?" in bucket:
        return ("any bucket of that name",)
    return ("a whole bucket",) if key == "*" else ()


@functools.cache
def kind(action: str) -> Kind:
    """What an action does: by its name, else by the access level of AWS's Service Authorization Reference."""
    from policy_sentry.querying.actions import get_action_data

    service, _, name = action.partition(":")
    for pattern, found in _BY_NAME:
        if pattern.match(name):
            return found
    known = get_action_data(service, name)
    level = known[service][0]["access_level"] if known and known.get(service) else "Write"
    return _BY_LEVEL[level]


@functools.cache
def expanded(action: str) -> tuple[str, ...]:
    """The actions that a pattern stands for; itself where AWS's reference knows none."""
    if "*" not in action and "?" not in action:
        return (action,)
    from policy_sentry.analysis.expand import expand

    return tuple(expand(action)) or (action,)


@functools.cache
def _regex(pattern: str) -> re.Pattern[str]:
    # matched against another pattern: a `?` there is one character, a `*` only fits under a `*`
    parts = (".*" if c == "*" else "[^*]" if c == "?" else re.escape(c) for c in pattern)
    return re.compile("".join(parts), re.DOTALL)


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that one pattern matches is matched by another."""
    return _regex(wide).fullmatch(narrow) is not None


@functools.lru_cache(maxsize=100_000)
def overlap(one: str, other: str) -> bool:
    """Whether there is anything that both patterns match."""
    reached = {(0, 0)}
    seen: set[tuple[int, int]] = set()
    while reached:
        i, j = reached.pop()
        if (i, j) == (len(one), len(other)):
            return True
        if (i, j) in seen:
            continue
        seen.add((i, j))
        a, b = one[i : i + 1], other[j : j + 1]
        if a == "*":
            reached |= {(i + 1, j)} | ({(i, j + 1)} if b else set())
        if b == "*":
            reached |= {(i, j + 1)} | ({(i + 1, j)} if a else set())
        if a and b and "*" not in (a, b) and (a == b or "?" in (a, b)):
            reached.add((i + 1, j + 1))
    return False


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
