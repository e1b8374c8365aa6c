"""What is printed: for people, for GitHub, and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dagkit.rules.base import Edit, Finding, Fix, Place
from dagkit.rules.output import as_json, github, sarif, summary, text
from dagkit.rules.registry import all_rules
from dagkit.rules.runner import Report
from dagkit.rules.switches import Switch

DAG = "environments/dev/dags/example/daily.py"
ROLE = "environments/dev/roles/a b%.yaml"


def finding(
    path: str, line: int, code: str, message: str, *, fix: Fix | None = None, column: int | None = None
) -> Finding:
    severity = all_rules()[code].severity
    return Finding(path, line, column, code, message, fix or Fix("Do better."), severity)


FIXABLE = Fix("Write catchup=False.", (Edit(DAG, 0, 0, "x"),))
FINDINGS = (
    finding(DAG, 7, "DK209", "It does not say", fix=FIXABLE),
    finding(DAG, 12, "DK217", "Left: out, 100%\nof it", column=5),
    finding(ROLE, 3, "DK409", "Too wide"),
)
OFF = ((finding(DAG, 9, "DK207", "Past"), Switch(Place(DAG, 9), "DK207", "it is wanted", "line 9")),)
REPORT = Report(Path("/repository"), FINDINGS, OFF, 2, 1, ("what only Airflow can tell (--static)",))
CLEAN = Report(Path("/repository"), (), (), 1, 1)


def test_text_is_grouped_by_file_with_what_to_do_and_a_summary() -> None:
    assert text(REPORT) == (
        "environments/dev/dags/example/daily.py\n"
        "   7  DK209  It does not say\n"
        "             → Write catchup=False.\n"
        "  12  DK217  warning: Left: out, 100%\nof it\n"
        "             → Do better.\n"
        "\n"
        "environments/dev/roles/a b%.yaml\n"
        "  3  DK409  Too wide\n"
        "            → Do better.\n"
        "\n"
        "Switched off:\n"
        "  environments/dev/dags/example/daily.py:9  DK207  it is wanted\n"
        "\n"
        "Not checked: what only Airflow can tell (--static)\n"
        "2 DAG files and 1 role checked: 2 errors and 1 warning; --fix puts 1 of them right\n"
        "`dagkit rule DK209` explains a rule.\n"
    )


def test_nothing_wrong_is_one_line() -> None:
    assert text(CLEAN) == "1 DAG file and 1 role checked: all rules kept\n"


def test_many_findings_of_a_rule_on_a_line_are_counted() -> None:
    many = Report(Path("/r"), tuple(finding(DAG, 3, "DK301", f"task {n}") for n in range(50)), dags=1)
    assert "task 0" in text(many)
    assert "task 1" not in text(many)
    assert "and 49 more like it in this line" in text(many)
    assert summary(many).startswith("1 DAG file and 0 roles checked: 50 errors")


def test_github_gets_an_annotation_on_each_line() -> None:
    lines = github(REPORT).splitlines()
    assert lines[0] == (
        "::error file=environments/dev/dags/example/daily.py,line=7,title=DK209 no-catchup"
        "::It does not say. Write catchup=False."
    )
    assert lines[1].startswith("::warning file=environments/dev/dags/example/daily.py,line=12,col=5,")
    assert lines[1].endswith("::Left: out, 100%25%0Aof it. Do better.")
    assert "file=environments/dev/roles/a b%25.yaml,line=3" in lines[2]


def test_a_message_cannot_give_github_a_command() -> None:
    nasty = Report(Path("/r"), (finding("a,b::c.py", 1, "DK201", "x\n::set-env name=A::B"),))
    annotations = [line for line in github(nasty).splitlines() if line.startswith("::")]
    assert len(annotations) == 1
    assert annotations[0].startswith("::error file=a%2Cb%3A%3Ac.py,line=1,")


def test_json_has_everything() -> None:
    content = json.loads(as_json(REPORT))
    assert content["errors"] == 2
    assert content["warnings"] == 1
    assert content["findings"][0] == {
        "path": DAG, "line": 7, "column": None, "code": "DK209", "name": "no-catchup", "severity": "error",
        "message": "It does not say", "fix": "Write catchup=False.", "fixable": True,
    }  # fmt: skip
    assert content["switched_off"][0]["reason"] == "it is wanted"
    assert content["not_checked"] == ["what only Airflow can tell (--static)"]


# What the schema of SARIF 2.1.0 (OASIS, sarif-schema-2.1.0.json) says of the parts that are used here.
def holds(required: str = "", **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def many(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


STRING = {"type": "string"}
ADDRESS = {"type": "string", "pattern": "^https://"}
NUMBER = {"type": "integer", "minimum": 1}
TEXT = holds("text", text={"type": "string", "minLength": 1})
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = holds(
    "id",
    id=STRING,
    name=STRING,
    shortDescription=TEXT,
    fullDescription=TEXT,
    helpUri=ADDRESS,
    defaultConfiguration=holds(level=LEVEL),
)
DRIVER = holds("name", name=STRING, version=STRING, informationUri=ADDRESS, rules=many(RULE))
PLACE = holds(
    "artifactLocation",
    artifactLocation=holds(uri={"type": "string", "pattern": "^[A-Za-z0-9_./%-]+$"}),
    region=holds(startLine=NUMBER, startColumn=NUMBER),
)
RESULT = holds(
    "message",
    ruleId=STRING,
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=TEXT,
    locations=many(holds(physicalLocation=PLACE)),
    suppressions=many(holds("kind", kind={"enum": ["inSource", "external"]}, justification=STRING)),
)
RUN = holds(
    "tool",
    tool=holds("driver", driver=DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=many(RESULT),
)
SARIF = holds("version runs", **{"$schema": ADDRESS, "version": {"enum": ["2.1.0"]}, "runs": many(RUN)})


@pytest.mark.parametrize("report", [REPORT, CLEAN], ids=["findings", "none"])
def test_sarif_keeps_its_schema(report: Report) -> None:
    import jsonschema

    jsonschema.validate(json.loads(sarif(report)), SARIF)


def test_sarif_points_each_result_to_its_rule_and_place() -> None:
    run = json.loads(sarif(REPORT))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    for result, found in zip(run["results"], [*FINDINGS, OFF[0][0]], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == found.code
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == found.line
    assert run["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(
        "a%20b%25.yaml"
    )
    assert run["results"][3]["suppressions"] == [{"kind": "inSource", "justification": "it is wanted"}]


def test_the_addresses_in_sarif_are_headings_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line[4:].lower()).replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("### ")
    }
    for rule in json.loads(sarif(CLEAN))["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["helpUri"].partition("#")[2] in headings
