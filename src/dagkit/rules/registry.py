"""Every rule there is."""

from __future__ import annotations

import functools
import importlib
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

MODULES = (
    "switches",
    "layout",
    "dags",
    "work",
    "graph",
    "airflow3",
    "pods",
    "pod_security",
    "roles",
    "grants",
    "environments",
)
"""Where the rules are."""


@functools.cache
def all_rules() -> Mapping[str, type[Rule]]:
    """Every rule by its code, in order."""
    found: dict[str, type[Rule]] = {}
    for name in MODULES:
        module = importlib.import_module(f"dagkit.rules.{name}")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Rule) and thing.__module__ == module.__name__:
                if thing.code in found:
                    raise ValueError(f"there are two rules {thing.code}")
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
