"""The rules as a page: `python -m dagkit.rules.docs > docs/rules.md`."""

from __future__ import annotations

import sys
from itertools import groupby
from textwrap import indent

from dagkit.rules.base import Rule
from dagkit.rules.registry import FAMILIES, all_rules

NEEDS = {
    "files": "the files alone",
    "dag": "Airflow, which loads the DAG",
    "network": "the network: checked with `--online`",
}

HEAD = """\
# The rules

What the DAG repository accepts. `dagkit validate` checks them all, on your machine as in a pull request;
`dagkit validate --fix` puts right what can safely be; `dagkit rule DK205` explains one of them.

A rule can be switched off, for a reason: for a line with `# dagkit: off DK205 -- the reason` on it or above
it, for a file with `# dagkit: off-file DK205 -- the reason`, and for more in `dagkit.toml`:

```toml
[[rules.off]]
code = "DK205"
path = "environments/dev/dags/example/*"
reason = "the upstream team still needs it until March"
```

Every validation reports what is switched off, and why.

"""


def markdown() -> str:
    """The whole page."""
    parts = [HEAD]
    rules = list(all_rules().values())
    for family, members in groupby(rules, key=lambda rule: rule.code[:3]):
        found = list(members)
        parts.append(
            f"## {family}: {FAMILIES[family]}\n\n| code | name | what it asks for |\n|---|---|---|\n"
        )
        parts += [f"| [{r.code}](#{r.code.lower()}-{r.name}) | {r.name} | {asks(r)} |\n" for r in found]
        parts.append("\n")
        parts += [_section(rule) for rule in found]
    return "".join(parts).rstrip("\n") + "\n"


def asks(rule: type[Rule]) -> str:
    """What a rule asks for, in one sentence."""
    return (rule.__doc__ or "").strip().split("\n")[0]


def _section(rule: type[Rule]) -> str:
    return f"### {rule.code} {rule.name}\n\n{body(rule)}\n\n"


def body(rule: type[Rule]) -> str:
    """One rule: what it asks for, why, a bad example and a good one."""
    kind = "A warning. " if rule.severity == "warning" else ""
    return (
        f"{asks(rule)}\n\n**Why?** {rule.why}\n\n{kind}Needs {NEEDS[rule.needs]}.\n\n"
        f"Bad:\n\n{_code(rule.bad.text)}\n\nGood:\n\n{_code(rule.good.text)}"
    )


def plain(rule: type[Rule]) -> str:
    """One rule, for a terminal."""
    kind = "A warning. " if rule.severity == "warning" else ""
    bad, good = (indent(example.text.rstrip(), "    ") for example in (rule.bad, rule.good))
    return (
        f"{asks(rule)}\n\nWhy? {rule.why}\n{kind}Needs {NEEDS[rule.needs].replace('`', '')}.\n\n"
        f"Bad:\n{bad}\n\nGood:\n{good}\n"
    )


def _code(text: str) -> str:
    language = "yaml" if "iam_role_name" in text or "s3:" in text else "python"
    if all("/" in line and " " not in line.removesuffix("  (removed)") for line in text.splitlines()):
        language = "text"
    return f"```{language}\n{text.rstrip()}\n```"


if __name__ == "__main__":
    sys.stdout.write(markdown())
