"""The Condition element of an IAM policy, and the policy variables in it.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context keys",
"IAM policy elements: Variables and tags".

Every answer is one of three: True, False, or None for "cannot be told from what is known".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase

Truth = bool | None


@dataclass(frozen=True)
class Context:
    """What is known about a request besides its action and resource.

    Args:
        values: Condition key (any case) to its values.
        absent: Patterns (`*` allowed) of keys that the request certainly does not have. A key that is in
            neither is unknown: a condition on it cannot be decided.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def with_values(self, values: Mapping[str, Sequence[str]], absent: Iterable[str] = ()) -> Context:
        """Returns this context with more keys known."""
        return Context({**self.values, **values}, self.absent | frozenset(absent))

    def find(self, key: str) -> tuple[str, ...] | Unknown | None:
        """Returns a key's values, None when the request does not have it, or Unknown."""
        wanted = key.lower()
        for name, found in self.values.items():
            if name.lower() == wanted:
                return tuple(found)
        if any(fnmatchcase(wanted, pattern.lower()) for pattern in self.absent):
            return None
        return Unknown(key)


@dataclass(frozen=True)
class Unknown:
    """A condition key, variable or operator about which nothing can be said; `what` names it."""

    what: str


@dataclass(frozen=True)
class Answer:
    """True, False or None (cannot be told), with the reason when it cannot."""

    truth: Truth
    doubt: str = ""


YES, NO = Answer(True), Answer(False)

# A pattern is split into literal text and wildcards before anything is compared, so that a `*` inside the
# value of a variable is text and `${*}` is a star.
STAR, QUESTION = object(), object()
Token = str | object
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULTED = re.compile(r"^\s*([^,]+?)\s*,\s*'(.*)'\s*$", re.DOTALL)


def tokens(
    pattern: str, context: Context, *, variables: bool, wildcards: bool
) -> list[Token] | Unknown | None:
    """Splits a pattern into text and wildcards, with its policy variables filled in.

    Returns:
        The tokens; None when a variable's key is not in the request (the pattern then matches nothing);
        Unknown when it cannot be told.
    """
    result: list[Token] = []
    position = 0
    for found in _VARIABLE.finditer(pattern) if variables else ():
        result += _plain(pattern[position : found.start()], wildcards)
        value = _variable(found.group(1), context)
        if value is None or isinstance(value, Unknown):
            return value
        result.append(value)
        position = found.end()
    return result + _plain(pattern[position:], wildcards)


def _plain(text: str, wildcards: bool) -> list[Token]:
    if not wildcards:
        return [text]
    parts = re.split(r"([*?])", text)
    return [{"*": STAR, "?": QUESTION}.get(part, part) for part in parts if part]


def _variable(inside: str, context: Context) -> str | Unknown | None:
    if inside in {"*", "?", "$"}:
        return inside
    defaulted = _DEFAULTED.match(inside)
    key, default = (defaulted.group(1), defaulted.group(2)) if defaulted else (inside.strip(), None)
    found = context.find(key)
    if isinstance(found, Unknown):
        return found
    if found is None:
        return default
    return found[0] if len(found) == 1 else Unknown(f"{key} (several values in a variable)")


def text_matches(parts: Sequence[Token], text: str, *, ignore_case: bool = False) -> bool:
    """Matches tokens against a whole text; a wildcard may stand for any character."""
    regex = "".join(".*" if p is STAR else "." if p is QUESTION else re.escape(str(p)) for p in parts)
    return re.fullmatch(regex, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def arn_matches(parts: Sequence[Token], arn: str, *, crosses_colons: bool) -> bool:
    """Matches tokens against an ARN, segment by segment.

    Args:
        parts: From `tokens`.
        arn: The request's ARN.
        crosses_colons: In Resource, a `*` that is the last character of a segment may run on past the colon;
            in the Arn condition operators it may not.
    """
    regex = ""
    colons = 0
    for index, part in enumerate(parts):
        in_resource = colons >= 5
        if part is STAR:
            following = parts[index + 1] if index + 1 < len(parts) else ":"
            last = isinstance(following, str) and following.startswith(":")
            regex += ".*" if in_resource or (crosses_colons and last) else "[^:]*"
        elif part is QUESTION:
            regex += "." if in_resource else "[^:]"
        else:
            regex += re.escape(str(part))
            colons += str(part).count(":")
    return re.fullmatch(regex, arn, re.DOTALL) is not None


# -- comparing one value of the policy with one value of the request -------------------------------------

Compare = Callable[[str, str, Context, bool], Truth | Unknown]


def _string(policy: str, actual: str, context: Context, variables: bool) -> Truth | Unknown:
    parts = tokens(policy, context, variables=variables, wildcards=False)
    return parts if isinstance(parts, Unknown) else parts is not None and text_matches(parts, actual)


def _string_ignore_case(policy: str, actual: str, context: Context, variables: bool) -> Truth | Unknown:
    parts = tokens(policy, context, variables=variables, wildcards=False)
    if isinstance(parts, Unknown):
        return parts
    return parts is not None and text_matches(parts, actual, ignore_case=True)


def _string_like(policy: str, actual: str, context: Context, variables: bool) -> Truth | Unknown:
    parts = tokens(policy, context, variables=variables, wildcards=True)
    return parts if isinstance(parts, Unknown) else parts is not None and text_matches(parts, actual)


def _arn(policy: str, actual: str, context: Context, variables: bool) -> Truth | Unknown:
    parts = tokens(policy, context, variables=variables, wildcards=True)
    if isinstance(parts, Unknown):
        return parts
    return parts is not None and arn_matches(parts, actual, crosses_colons=False)


def _bool(policy: str, actual: str, context: Context, variables: bool) -> Truth | Unknown:
    parts = tokens(policy, context, variables=variables, wildcards=False)
    if isinstance(parts, Unknown):
        return parts
    return parts is not None and text_matches(parts, actual, ignore_case=True)


def _ip(policy: str, actual: str, _context: Context, _variables: bool) -> Truth | Unknown:
    try:
        network = ipaddress.ip_network(policy, strict=False)
    except ValueError:
        return Unknown(f"the address {policy!r}")
    try:
        return ipaddress.ip_address(actual) in network
    except ValueError:
        return False


def _binary(policy: str, actual: str, _context: Context, _variables: bool) -> Truth | Unknown:
    try:
        return base64.b64decode(policy, validate=True) == base64.b64decode(actual, validate=True)
    except (binascii.Error, ValueError):
        return Unknown(f"the binary value {policy!r}")


def _ordered(read: Callable[[str], float], order: Callable[[float, float], bool], kind: str) -> Compare:
    def compare(policy: str, actual: str, _context: Context, _variables: bool) -> Truth | Unknown:
        try:
            limit = read(policy)
        except ValueError:
            return Unknown(f"the {kind} {policy!r}")
        try:
            return order(read(actual), limit)
        except ValueError:
            return False

    return compare


def _moment(text: str) -> float:
    """Reads a date as AWS writes them: ISO 8601, or seconds since 1970."""
    if re.fullmatch(r"\d+(\.\d+)?", text) and len(text) != 4:
        return float(text)
    if re.fullmatch(r"\d{4}", text):
        text += "-01"
    if re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}
_POSITIVE: dict[str, Compare] = {
    "StringEquals": _string,
    "StringEqualsIgnoreCase": _string_ignore_case,
    "StringLike": _string_like,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": _bool,
    "IpAddress": _ip,
    "BinaryEquals": _binary,
    **{f"Numeric{name}": _ordered(float, order, "number") for name, order in _ORDERS.items()},
    **{f"Date{name}": _ordered(_moment, order, "date") for name, order in _ORDERS.items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def holds(block: object, context: Context, *, variables: bool) -> Answer:
    """Evaluates a whole Condition element: every operator and every key must hold.

    Args:
        block: The element as the policy has it.
        context: The request's keys.
        variables: False for policies of the version 2008-10-17, in which `${...}` is plain text.
    """
    if not isinstance(block, Mapping):
        return Answer(None, "its Condition is not a mapping of operators")
    doubts: list[str] = []
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            return Answer(None, f"its condition {operator} is not a mapping of keys")
        for key, wanted in keys.items():
            values = [_text(value) for value in (wanted if isinstance(wanted, list) else [wanted])]
            answer = _one(str(operator), str(key), values, context, variables)
            if answer.truth is False:
                return NO
            if answer.truth is None:
                doubts.append(answer.doubt)
    return Answer(None, doubts[0]) if doubts else YES


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one(operator: str, key: str, wanted: list[str], context: Context, variables: bool) -> Answer:
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in _NEGATED
    compare = _POSITIVE.get(_NEGATED.get(name, name))
    known = quantifier in {"", "ForAllValues", "ForAnyValue"} and (compare or name == "Null")
    if not known or (name == "Null" and (if_exists or quantifier)):
        return Answer(None, f"the condition operator {operator} is not known")
    actual = context.find(key)
    if isinstance(actual, Unknown):
        return Answer(None, f"the condition key {key} is not known here")
    if name == "Null":
        return Answer(any((value.lower() == "true") == (not actual) for value in wanted))
    if not actual:
        return Answer(if_exists or quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue"))
    assert compare is not None  # noqa: S101  # `known` says so
    per_value: list[Truth] = []
    doubt = ""
    for value in actual:
        outcomes = [compare(limit, value, context, variables) for limit in wanted]
        doubt = next(
            (f"{outcome.what} is not known" for outcome in outcomes if isinstance(outcome, Unknown)), doubt
        )
        matched = _any(None if isinstance(outcome, Unknown) else outcome for outcome in outcomes)
        per_value.append(matched if not negated or matched is None else not matched)
    # A negated operator without a quantifier is a NOR: no value may match.
    everything = quantifier == "ForAllValues" or (negated and not quantifier)
    return Answer(_all(per_value) if everything else _any(per_value), doubt)


def _any(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def _all(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True
