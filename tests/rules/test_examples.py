"""Every rule's own examples, as tests: the bad one breaks that rule, the good one breaks none at all."""

from __future__ import annotations

import pytest

from dagkit.rules.registry import all_rules
from dagkit.rules.runner import validate
from dagkit.rules.subject import find
from tests.rules.conftest import Check, Make, codes

RULES = sorted(all_rules())
ONLINE = [code for code in RULES if all_rules()[code].needs == "network"]


def _ecr(image: str) -> bool:
    return not image.endswith(":v9.9.9")


@pytest.mark.parametrize("code", RULES)
def test_the_bad_example_breaks_its_rule(code: str, check: Check) -> None:
    report = check(all_rules()[code].bad, ecr=_ecr)
    assert code in codes(report)


@pytest.mark.parametrize("code", RULES)
def test_the_good_example_breaks_no_rule(code: str, check: Check) -> None:
    report = check(all_rules()[code].good, ecr=_ecr)
    assert [f"{each.code} {each.path}:{each.line} {each.message}" for each in report.findings] == []


@pytest.mark.parametrize("code", [code for code in RULES if all_rules()[code].needs == "files"])
def test_a_rule_that_needs_the_files_alone_finds_it_without_airflow(code: str, make: Make) -> None:
    report = validate(find(make(all_rules()[code].bad)), static=True)
    assert code in codes(report)


@pytest.mark.parametrize("code", RULES)
def test_the_good_example_breaks_no_rule_without_airflow_either(code: str, make: Make) -> None:
    report = validate(find(make(all_rules()[code].good)), static=True)
    assert codes(report) == []
