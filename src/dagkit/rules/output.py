"""Findings for people (text), for GitHub's pages (annotations, SARIF) and for programs (JSON)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from dagkit.rules.base import Finding
from dagkit.rules.registry import all_rules
from dagkit.rules.runner import Report

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HELP = "https://github.com/moj-analytical-services/dagkit/blob/main/docs/rules.md"
MANY = 3
"""How many findings of one rule on one line are told one by one."""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def summary(report: Report) -> str:
    """One line: what was checked, and what came of it."""
    checked = f"{_count(report.dags, 'DAG file')} and {_count(report.roles, 'role')} checked"
    if not report.findings:
        return f"{checked}: all rules kept"
    parts = []
    if report.errors:
        parts.append(_count(report.errors, "error"))
    if report.warnings:
        parts.append(_count(report.warnings, "warning"))
    fixable = sum(bool(finding.fix.changes) for finding in report.findings)
    hint = f"; --fix puts {fixable} of them right" if fixable else ""
    return f"{checked}: {' and '.join(parts)}{hint}"


def text(report: Report) -> str:
    """For a terminal: grouped by file, each finding with what to do, and a summary."""
    lines: list[str] = []
    for path, findings in groupby(report.findings, key=lambda finding: finding.path):
        lines += [path, *_of_file(list(findings)), ""]
    if report.switched_off:
        lines.append("Switched off:")
        for finding, switch in report.switched_off:
            lines.append(f"  {finding.path}:{finding.line}  {finding.code}  {switch.reason}")
        lines.append("")
    lines += [f"Not checked: {note}" for note in report.not_checked]
    lines.append(summary(report))
    if report.findings:
        lines.append(f"`dagkit rule {report.findings[0].code}` explains a rule.")
    return "\n".join(lines) + "\n"


def _of_file(findings: list[Finding]) -> Iterator[str]:
    width = max(len(str(finding.line)) for finding in findings)
    for _, alike in groupby(findings, key=lambda finding: (finding.line, finding.code)):
        same = list(alike)
        shown = same if len(same) <= MANY else same[:1]
        for finding in shown:
            warning = "warning: " if finding.severity == "warning" else ""
            yield f"  {finding.line:>{width}}  {finding.code}  {warning}{finding.message}"
            yield f"  {'':>{width}}         → {finding.fix.text}"
        if len(shown) < len(same):
            yield f"  {'':>{width}}         and {len(same) - len(shown)} more like it in this line"


def github(report: Report) -> str:
    """GitHub's workflow commands: an annotation on the line of each finding."""
    lines = []
    for finding in report.findings:
        place = f"file={_property(finding.path)},line={finding.line}"
        if finding.column:
            place += f",col={finding.column}"
        title = _property(f"{finding.code} {all_rules()[finding.code].name}")
        message = _data(f"{finding.message}. {finding.fix.text}")
        lines.append(f"::{finding.severity} {place},title={title}::{message}")
    lines += [f"::notice::{_data(f'Not checked: {note}')}" for note in report.not_checked]
    lines.append(summary(report))
    return "\n".join(lines) + "\n"


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def sarif(report: Report) -> str:
    """SARIF 2.1.0, for GitHub's code scanning and other programs."""
    from dagkit import __version__

    rules = [
        {
            "id": code,
            "name": "".join(part.capitalize() for part in rule.name.split("-")),
            "shortDescription": {"text": (rule.__doc__ or "").split("\n")[0]},
            "fullDescription": {"text": rule.why},
            "helpUri": f"{HELP}#{code.lower()}-{rule.name}",
            "defaultConfiguration": {"level": rule.severity},
        }
        for code, rule in all_rules().items()
    ]
    order = {code: index for index, code in enumerate(all_rules())}
    results = [_result(finding, order, None) for finding in report.findings]
    results += [_result(finding, order, switch.reason) for finding, switch in report.switched_off]
    run = {
        "tool": {
            "driver": {
                "name": "dagkit",
                "version": __version__,
                "informationUri": HELP,
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(finding: Finding, order: dict[str, int], reason: str | None) -> dict[str, Any]:
    region: dict[str, int] = {"startLine": finding.line}
    if finding.column:
        region["startColumn"] = finding.column
    location = {
        "physicalLocation": {
            "artifactLocation": {"uri": re.sub(r"[^\w./-]", _percent, finding.path)},
            "region": region,
        }
    }
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": order[finding.code],
        "level": finding.severity,
        "message": {"text": f"{finding.message}. {finding.fix.text}"},
        "locations": [location],
    }
    if reason is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": reason}]
    return result


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def as_json(report: Report) -> str:
    """Everything, for a program."""
    content = {
        "root": str(report.root),
        "dags": report.dags,
        "roles": report.roles,
        "errors": report.errors,
        "warnings": report.warnings,
        "findings": [_json(finding) for finding in report.findings],
        "switched_off": [
            {**_json(finding), "reason": switch.reason} for finding, switch in report.switched_off
        ],
        "not_checked": list(report.not_checked),
    }
    return json.dumps(content, indent=2) + "\n"


def _json(finding: Finding) -> dict[str, Any]:
    return {
        "path": finding.path,
        "line": finding.line,
        "column": finding.column,
        "code": finding.code,
        "name": all_rules()[finding.code].name,
        "severity": finding.severity,
        "message": finding.message,
        "fix": finding.fix.text,
        "fixable": bool(finding.fix.changes),
    }


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text,
    "github": github,
    "sarif": sarif,
    "json": as_json,
}
"""Each format by the name that `--format` takes."""
