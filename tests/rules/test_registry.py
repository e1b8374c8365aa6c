"""Which rules there are: those that were promised, each explained, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.errors import UsageError
from dagkit.rules import docs
from dagkit.rules.registry import FAMILIES, all_rules, rule

PROMISED = {
    "DK001": "off-without-reason",
    "DK002": "off-unknown-rule",
    "DK101": "unknown-file",
    "DK102": "wrong-extension",
    "DK103": "project-without-readme",
    "DK104": "unusable-name",
    "DK105": "module-without-project",
    "DK106": "import-of-another-project",
    "DK107": "several-dags",
    "DK108": "no-dag",
    "DK201": "does-not-import",
    "DK202": "dag-id-mismatch",
    "DK203": "duplicate-dag-id",
    "DK204": "no-owner",
    "DK205": "no-start-date",
    "DK206": "dynamic-start-date",
    "DK207": "backfill",
    "DK208": "schedule",
    "DK209": "no-catchup",
    "DK210": "no-documentation",
    "DK211": "heavy-import",
    "DK212": "top-level-work",
    "DK213": "operator-not-allowed",
    "DK214": "slow-to-parse",
    "DK215": "cycle",
    "DK216": "never-runs",
    "DK217": "unconnected-task",
    "DK218": "removed-argument",
    "DK219": "removed-import",
    "DK220": "removed-template-variable",
    "DK221": "deprecated",
    "DK301": "task-id-characters",
    "DK302": "task-id-length",
    "DK303": "registry-not-allowed",
    "DK304": "image-without-tag",
    "DK305": "image-tag-moves",
    "DK306": "role-of-other-environment",
    "DK307": "role-without-file",
    "DK308": "service-account-mismatch",
    "DK309": "pod-security",
    "DK310": "forbidden-user",
    "DK311": "secret-in-variable",
    "DK312": "resources-outside-profiles",
    "DK313": "image-not-pushed",
    "DK314": "pod-not-built",
    "DK401": "role-characters",
    "DK402": "role-prefix",
    "DK403": "role-too-long",
    "DK404": "role-long-for-session",
    "DK405": "role-not-accepted",
    "DK406": "no-iam-role-name",
    "DK407": "iam-role-name-mismatch",
    "DK408": "path-prefix",
    "DK409": "whole-bucket-write",
    "DK410": "unused-role",
    "DK411": "path-granted-twice",
    "DK412": "void-grant",
    "DK501": "other-environment",
    "DK502": "path-of-other-environment",
    "DK503": "shared-write",
    "DK504": "not-tried-in-dev",
}


def test_every_promised_rule_is_there_and_no_other() -> None:
    assert {code: found.name for code, found in all_rules().items()} == PROMISED


@pytest.mark.parametrize("code", PROMISED)
def test_a_rule_explains_itself(code: str) -> None:
    found = all_rules()[code]
    assert found.__doc__ and found.__doc__.split("\n")[0].endswith(".")
    assert found.why.endswith(".")
    assert found.bad.text != found.good.text
    assert code[:3] in FAMILIES


def test_the_page_of_the_rules_is_what_the_rules_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "rules.md"
    assert page.read_text(encoding="utf-8") == docs.markdown(), (
        "renew it: python -m dagkit.rules.docs > docs/rules.md"
    )


def test_a_rule_is_found_by_its_code_or_its_name() -> None:
    assert rule("dk205") is rule("no-start-date") is all_rules()["DK205"]


def test_a_mistyped_rule_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="did you mean 'no-start-date'"):
        rule("no-startdate")


def test_the_command_lists_all_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule"]) == 0
    said = capsys.readouterr().out
    assert all(f"{code}  {name}" in said for code, name in PROMISED.items())


def test_the_command_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "DK409"]) == 0
    said = capsys.readouterr().out
    assert "One mistake in the code" in said
    assert "- alpha-example/*" in said
    assert "- alpha-example/dev/*" in said


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "--markdown"]) == 0
    assert capsys.readouterr().out == docs.markdown()


def test_an_unknown_rule_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "DK999"]) == 2
    assert "There is no rule 'DK999'" in capsys.readouterr().err
