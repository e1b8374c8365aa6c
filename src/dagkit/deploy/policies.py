"""IAM policy documents: when two mean the same, and how large AWS counts them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]

# IAM User Guide, "IAM and AWS STS quotas": characters, white space not counted.
INLINE_LIMIT = 10_240
TRUST_LIMIT = 2_048


def compact(document: Document) -> str:
    """The document as it is sent to AWS."""
    return json.dumps(document, separators=(",", ":"))


def size(document: Document) -> int:
    """The document's size as IAM counts it: characters that are not white space."""
    return sum(not character.isspace() for character in compact(document))


def same(one: Document | None, other: Document | None) -> bool:
    """Whether two documents grant the same: order, single values for lists and Sids do not matter."""
    return bool(_normal(one) == _normal(other))


def _normal(document: Document | None) -> Any:
    if document is None:
        return None
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return {
        "Version": document.get("Version", "2008-10-17"),
        "Statement": sorted((_statement(statement) for statement in listed), key=_key),
    }


def _statement(statement: Document) -> dict[str, Any]:
    normal = {key: _values(value) for key, value in statement.items() if key != "Sid"}
    for key in ("Action", "NotAction"):
        if key in normal:
            normal[key] = sorted({str(action).lower() for action in normal[key]})
    return normal


def _values(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _values(inner) for key, inner in value.items()}
    listed = value if isinstance(value, list) else [value]
    # booleans of a condition come back from AWS as text
    return sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in listed})


def _key(statement: Any) -> str:
    return json.dumps(statement, sort_keys=True)
