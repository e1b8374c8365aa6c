"""Switching rules off: for a line, a file, the repository, and never without a reason."""

from __future__ import annotations

import pytest

from dagkit.rules.examples import DAG, DAG_PATH, ROLE_PATH, SETTINGS
from dagkit.rules.runner import Report, validate
from dagkit.rules.subject import find
from tests.rules.conftest import Make, codes

LATEST = DAG.replace('RELEASE = "v1.0.0"', 'RELEASE = "latest"')
LINE = "        release=RELEASE,"
WHY = "rebuilt every night"


def settings(*lines: str) -> dict[str, str]:
    return {"dagkit.toml": SETTINGS + "\n[[rules.off]]\n" + "".join(f"{line}\n" for line in lines)}


def said(report: Report) -> list[tuple[str, int]]:
    return [(finding.code, finding.line) for finding in report.findings]


@pytest.mark.parametrize(
    "files",
    [
        {DAG_PATH: LATEST.replace(LINE, f"{LINE}  # dagkit: off DK305 -- {WHY}")},
        {DAG_PATH: LATEST.replace(LINE, f"        # dagkit: off DK305 -- {WHY}\n{LINE}")},
        {
            DAG_PATH: LATEST.replace(
                LINE, f"        # dagkit: off DK305 DK304 -- {WHY}\n        # more\n\n{LINE}"
            )
        },
        {DAG_PATH: LATEST.replace(LINE, f"{LINE}  # ours # dagkit:off dk305 --  {WHY}  ")},
        {DAG_PATH: f"# dagkit: off-file DK305 -- rebuilt every night\n{LATEST}"},
        {DAG_PATH: LATEST, **settings('code = "DK305"', 'reason = "rebuilt every night"')},
        {
            DAG_PATH: LATEST,
            **settings(
                'code = "DK305"',
                'path = "environments/dev/dags/example/*"',
                'reason = "rebuilt every night"',
            ),
        },
    ],
    ids=[
        "on the line",
        "above the line",
        "above, several",
        "after a comment",
        "file",
        "repository",
        "some files",
    ],
)
def test_a_rule_is_switched_off_and_the_reason_reported(files: dict[str, str], make: Make) -> None:
    report = validate(find(make(files)), static=True)
    assert said(report) == []
    assert [(finding.code, switch.reason) for finding, switch in report.switched_off] == [("DK305", WHY)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({DAG_PATH: LATEST.replace(LINE, f"{LINE}  # dagkit: off DK305")}, ["DK001", "DK305"]),
        ({DAG_PATH: LATEST.replace(LINE, f"{LINE}  # dagkit: off DK305 --")}, ["DK001", "DK305"]),
        ({DAG_PATH: LATEST.replace(LINE, f"{LINE}  # dagkit: off -- because")}, ["DK002", "DK305"]),
        ({DAG_PATH: LATEST.replace(LINE, f"{LINE}  # dagkit: off DK304 -- because")}, ["DK305"]),
        ({DAG_PATH: f"# dagkit: off DK305 -- because\n{LATEST}"}, ["DK305"]),
        ({DAG_PATH: f"# dagkit: off-file DK001 -- because\n{DAG}"}, ["DK002"]),
        ({DAG_PATH: LATEST, **settings('code = "DK305"')}, ["DK001", "DK305"]),
        ({DAG_PATH: LATEST, **settings('code = "DK999"', 'reason = "because"')}, ["DK002", "DK305"]),
        (
            {
                DAG_PATH: LATEST,
                **settings('code = "DK305"', 'path = "environments/prod/*"', 'reason = "because"'),
            },
            ["DK305"],
        ),
    ],
    ids=[
        "no reason",
        "an empty reason",
        "no rule",
        "another rule",
        "another line",
        "a rule about switches",
        "no reason in the settings",
        "no such rule in the settings",
        "other files",
    ],
)
def test_what_is_not_well_said_switches_nothing_off(
    files: dict[str, str], expected: list[str], make: Make
) -> None:
    assert sorted(codes(validate(find(make(files)), static=True))) == expected


def test_a_switch_without_a_reason_in_the_settings_is_reported_at_its_line(make: Make) -> None:
    files = settings('code = "DK305"', 'reason = "because"', "[[rules.off]]", 'path = "x"', 'code = "DK304"')
    report = validate(find(make(files)), static=True)
    line = files["dagkit.toml"].splitlines().index('code = "DK304"') + 1
    assert [(each.path, each.line) for each in report.findings] == [("dagkit.toml", line)]


def test_a_role_can_be_excepted_too(make: Make) -> None:
    role = "s3:\n  read_write:\n    - alpha-example/*  # dagkit: off DK409 -- the bucket is only ours\n"
    report = validate(find(make({ROLE_PATH: role})), static=True)
    assert codes(report) == []
    assert len(report.switched_off) == 1
