"""From refused calls to lines of a role's YAML.

Nothing here knows which section grants what: every candidate line is handed to iam-builder, and the authority
says whether the policy it makes would have allowed the call.
"""

from __future__ import annotations

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dagkit.iambuilder import build_iam_policy
from dagkit.local.authority import Policy, Request, Verdict, decide
from dagkit.local.conditions import Context, text_matches, tokens
from dagkit.local.ledger import Call, Judged

Config = Mapping[str, Any]
_S3 = "arn:aws:s3:::"
_ROLE_NAME = "role"


@dataclass(frozen=True)
class Advice:
    """What to change in a role's YAML.

    Args:
        needs: The refused permissions it is about.
        section: Where the line goes (`s3.read_only`, `athena`); empty when no line helps.
        entry: The line's value (`bucket/folder/file.csv`, `true`); empty when no line helps.
        text: The same as one sentence.
    """

    needs: tuple[Judged, ...]
    section: str
    entry: str
    text: str


@dataclass(frozen=True)
class _Grant:
    """A piece of configuration that might allow something; `change` is merged into a role's."""

    section: str
    entry: str
    change: Mapping[str, Any]


def advise(config: Config, refused: Sequence[Judged]) -> list[Advice]:
    """Returns the smallest lines that would allow refused calls.

    Args:
        config: The role's YAML.
        refused: What was refused. What concerns one resource is answered with one line, where one line can.
    """
    groups: dict[tuple[str | None, bool], list[Judged]] = defaultdict(list)
    for judged in refused:
        groups[judged.resource, judged.decision.verdict is Verdict.EXPLICIT_DENY].append(judged)
    advice: list[Advice] = []
    for (_, denied), group in groups.items():
        if denied:
            advice += [_about_deny(config, judged) for judged in group]
        elif grant := _smallest(config, group):
            advice.append(_line(group, grant))
        else:
            for judged in group:
                alone = _smallest(config, [judged])
                advice.append(_line([judged], alone) if alone else _beyond(config, judged))
    return list({(each.section, each.entry, each.text): each for each in advice}.values())


def _line(needs: Sequence[Judged], grant: _Grant) -> Advice:
    what = " and ".join(dict.fromkeys(need.action for need in needs))
    kind = "add" if grant.entry not in {"true", "read", "readwrite"} else "set"
    text = f"{kind} {grant.section}: {grant.entry} (allows {what})"
    return Advice(tuple(needs), grant.section, grant.entry, text)


def _about_deny(config: Config, judged: Judged) -> Advice:
    path = (judged.resource or "").removeprefix(_S3)
    lines = [entry for entry in _listed(config, "s3", "deny") if _covers(entry, path)]
    if lines:
        text = (
            f"the line {lines[0]} under s3.deny forbids {judged.action} on {path}; "
            "no other line can allow it, so that line has to change"
        )
    else:
        text = f"the statement {judged.decision.statement} forbids {judged.action}; no line can allow it"
    return Advice((judged,), "", "", text)


def _beyond(config: Config, judged: Judged) -> Advice:
    where = "" if judged.resource in {None, "*"} else f" on {judged.resource}"
    text = f"no line of a role's YAML can allow {judged.action}{where}"
    if judged.decision.verdict is Verdict.UNDECIDED and judged.resource is None:
        text = f"no line can be named: it {judged.decision.reason}"
    elif judged.action.startswith("ssm:") and where:
        text += f"; parameters have to be named /alpha/airflow/{config.get('iam_role_name', '<role>')}/…"
    else:
        text += "; ask the data engineers"
    return Advice((judged,), "", "", text)


# -- which lines there are --


def _smallest(config: Config, group: Sequence[Judged]) -> _Grant | None:
    """Returns the first candidate that allows all of a group; candidates come from narrow to broad."""
    for grant in _candidates(config, group[0]):
        policy = _policy({"iam_role_name": config.get("iam_role_name", _ROLE_NAME), **grant.change})
        if all(_allows([policy], judged) for judged in group):
            return grant
    return None


def _candidates(config: Config, judged: Judged) -> Iterator[_Grant]:
    resource = judged.resource or ""
    if resource.startswith(_S3):
        path = resource.removeprefix(_S3)
        # A bucket named in any line may be listed; `bucket/` names it and no object in it.
        entry = path if "/" in path else f"{path}/"
        for section in ("read_only", "write_only", "read_write"):
            yield _Grant(f"s3.{section}", entry, {"s3": {section: [entry]}})
    if judged.action.startswith("ssm:"):
        yield _Grant("secrets", "read", {"secrets": "read"})
        yield _Grant("secrets", "readwrite", {"secrets": "readwrite"})
    if judged.action.startswith("secretsmanager:") and resource != "*":
        name = re.sub(r"-[A-Za-z0-9?]{6}$", "", resource.partition(":secret:")[2]) or resource
        yield _Grant("secretsmanager.read_only", name, {"secretsmanager": {"read_only": [name]}})
    if judged.action.startswith("kms:") and resource.startswith("arn:"):
        yield _Grant("kms", resource, {"kms": [resource]})
    if judged.action.startswith("bedrock:"):
        yield _Grant("bedrock", "true", {"bedrock": True})
    if judged.action.startswith(("athena:", "glue:", "s3:")):
        athena = {key: value for key, value in (config.get("athena") or {}).items() if key == "dump_bucket"}
        yield _Grant("athena.write", "false", {"athena": {**athena, "write": False}})
        yield _Grant("athena.write", "true", {"athena": {**athena, "write": True}})
    database = re.search(r":(?:database|table)/([\w]+)", resource)
    if judged.action.startswith("glue:") and database:
        name = database.group(1)
        yield _Grant("allowed_database_names", name, {"allowed_database_names": [name]})
    if judged.action.startswith(("glue:", "iam:PassRole", "logs:", "cloudwatch:")):
        yield _Grant("glue_job", "true", {"glue_job": True})
    if judged.action.startswith("logs:"):
        section = "cloudwatch_athena_query_executions"
        yield _Grant(section, "true", {section: True})


def _policy(config: Config) -> Policy:
    return _built(json.dumps(config, sort_keys=True, default=str))


@lru_cache(maxsize=256)
def _built(config: str) -> Policy:
    return build_iam_policy(json.loads(config))


def _allows(policies: Sequence[Policy], judged: Judged) -> bool:
    resource = judged.resource
    if (
        judged.action.startswith("secretsmanager:")
        and resource not in {None, "*"}
        and ":" not in str(resource)
    ):
        # A secret that does not exist here has no ARN yet; where it exists it will have one.
        resource = f"arn:aws:secretsmanager:eu-west-1:000000000000:secret:{resource}-AAAAAA"
    return decide(policies, Request(judged.action, resource, judged.context)).allowed


def _listed(config: Config, *names: str) -> list[str]:
    value: Any = config
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return [str(each) for each in value] if isinstance(value, list) else []


def _covers(pattern: str, path: str) -> bool:
    parts = tokens(pattern, Context(), variables=False, wildcards=True)
    return isinstance(parts, list) and text_matches(parts, path)


# -- the smallest role --


def suggest_role(config: Config, calls: Iterable[Call]) -> dict[str, Any]:
    """Returns the smallest role that would have been enough for some calls.

    Keys that were written fold into their folder (`bucket/folder/*`), as their names change from run to run;
    keys that were only read do so when there are several in a folder. Nothing is folded wider than the first
    folder of a bucket. What the role denies stays denied. `unmet` tells what no role can allow.

    Args:
        config: The role's YAML as it is.
        calls: From the ledger.
    """
    needs = _distinct(calls)
    kept = {"iam_role_name", "external_iam_role", "role_duration_seconds"}
    result: dict[str, Any] = {name: copy.deepcopy(config[name]) for name in config if name in kept}
    result.setdefault("iam_role_name", _ROLE_NAME)
    s3 = _fold(_modes(needs))
    if denies := _listed(config, "s3", "deny"):
        s3["deny"] = denies
    if s3:
        result["s3"] = s3
    for judged in needs:
        if _allows([_policy(result)], judged):
            continue
        grant = next((each for each in _candidates(config, judged) if _helps(result, each, judged)), None)
        if grant and (
            grant.section != "athena.write" or not judged.action.startswith("s3:") or "athena" in config
        ):
            _merge(result, grant.change)
    if "iam_role_name" not in config and not result.keys() & {"glue_job", "secrets"}:
        del result["iam_role_name"]
    return result


def unmet(config: Config, calls: Iterable[Call]) -> list[Judged]:
    """Returns what calls needed and a role does not allow."""
    policy = _policy(config)
    return [judged for judged in _distinct(calls, denied=True) if not _allows([policy], judged)]


def _distinct(calls: Iterable[Call], *, denied: bool = False) -> list[Judged]:
    found = {
        (need.action, need.resource): need
        for call in calls
        for need in call.needs
        if denied or need.decision.verdict is not Verdict.EXPLICIT_DENY
    }
    return list(found.values())


def _helps(config: Config, grant: _Grant, judged: Judged) -> bool:
    trial = copy.deepcopy(dict(config))
    _merge(trial, grant.change)
    return _allows([_policy(trial)], judged)


def _merge(config: dict[str, Any], change: Mapping[str, Any]) -> None:
    for name, value in change.items():
        if isinstance(value, Mapping):
            config[name] = dict(config.get(name) or {})
            _merge(config[name], value)
        elif isinstance(value, list):
            config[name] = sorted({*config.get(name, []), *value})
        elif name not in config or value in {True, "readwrite"}:
            config[name] = value


_Modes = dict[str, dict[str, str]]
_MODE_ORDER = ("read_only", "write_only", "read_write")


def _modes(needs: Sequence[Judged]) -> _Modes:
    """Returns for every bucket its keys, each with the narrowest section that allows all it needs."""
    objects: dict[str, list[Judged]] = defaultdict(list)
    for judged in needs:
        path = (judged.resource or "").removeprefix(_S3)
        if judged.action.startswith("s3:") and (judged.resource or "").startswith(_S3) and "/" in path:
            objects[path].append(judged)
    modes: _Modes = defaultdict(dict)
    for path, group in objects.items():
        bucket, _, key = path.partition("/")
        actions = {judged.action for judged in group}
        within = {action for action in actions if any(_grants(each, action) for each in _MODE_ORDER)}
        for section in _MODE_ORDER:
            if within and all(_grants(section, action) for action in within):
                modes[bucket][key] = section
                break
    return modes


@lru_cache
def _grants(section: str, action: str) -> bool:
    policy = _policy({"s3": {section: ["bucket/key"]}})
    return decide([policy], Request(action, f"{_S3}bucket/key")).allowed


def _escaped(path: str) -> str:
    """A key with `*` or `?` in it can only be matched by a pattern; `${*}` says the character itself."""
    return re.sub(r"[*?$]", lambda found: f"${{{found.group()}}}", path)


def _fold(modes: _Modes) -> dict[str, list[str]]:
    sections: dict[str, set[str]] = {section: set() for section in _MODE_ORDER}
    for bucket, keys in modes.items():
        for section in _MODE_ORDER:
            mine = [key for key, mode in keys.items() if mode == section]
            sections[section] |= {
                f"{bucket}/{entry}" for entry in _entries(mine, always=section != "read_only")
            }
    for entry in sections["read_only"] & sections["write_only"]:
        sections["read_write"].add(entry)
    wide = sections["read_write"]
    for section in _MODE_ORDER:
        others = sections[section] | wide
        sections[section] = {
            entry
            for entry in sections[section]
            if not any(other != entry and _covers(other, entry) for other in others)
            and (section == "read_write" or entry not in wide)
        }
    return {section: sorted(entries) for section, entries in sections.items() if entries}


def _entries(keys: Sequence[str], *, always: bool) -> set[str]:
    """Folds keys of one bucket: into their folder, and many folders into the one they share."""
    folders: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        folders[key.rpartition("/")[0]].append(key)
    entries = {
        f"{_escaped(folder)}/*" if folder and (always or len(inside) > 1) else _escaped(key)
        for folder, inside in folders.items()
        for key in inside
    }
    tops: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        tops[entry.partition("/")[0] if "/" in entry else ""].append(entry)
    for top, inside in tops.items():
        if top and len(inside) > _MANY:
            entries -= set(inside)
            entries.add(f"{_shared(inside)}/*")
    return entries


_MANY = 3


def _shared(entries: Sequence[str]) -> str:
    """Returns the deepest folder that all entries are in."""
    shared: list[str] = []
    for parts in zip(*(entry.split("/")[:-1] for entry in entries), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "/".join(shared)
