"""Every rule there is."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from dagkit.errors import UsageError
from dagkit.names import closest
from dagkit.rules.base import Rule

FAMILIES = {
    "DK0": "switching rules off",
    "DK1": "layout",
    "DK2": "DAGs",
    "DK3": "pods",
    "DK4": "roles",
    "DK5": "environments",
}
"""What each first digit stands for."""


@functools.cache
def all_rules() -> Mapping[str, type[Rule]]:
    """Every rule by its code, in order."""
    from dagkit.rules import (
        airflow3,
        dags,
        environments,
        graph,
        layout,
        pod_security,
        pods,
        roles,
        switches,
        work,
    )

    found: dict[str, type[Rule]] = {}
    modules = (switches, layout, dags, work, graph, airflow3, pods, pod_security, roles, environments)
    for module in modules:
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Rule) and thing.__module__ == module.__name__:
                if thing.code in found:
                    raise ValueError(
                        f"{thing.__name__} and {found[thing.code].__name__} are both {thing.code}"
                    )
                found[thing.code] = thing
    return MappingProxyType(dict(sorted(found.items())))


def rule(code: str) -> type[Rule]:
    """The rule of a code, or of a name.

    Raises:
        UsageError: There is none.
    """
    rules = all_rules()
    wanted = code.strip()
    if wanted.upper() in rules:
        return rules[wanted.upper()]
    by_name = {found.name: found for found in rules.values()}
    if wanted.lower() in by_name:
        return by_name[wanted.lower()]
    hint = closest(wanted.upper(), rules) or closest(wanted.lower(), by_name)
    raise UsageError(f"There is no rule '{code}'{hint}", fix="See them all with: dagkit rule")
