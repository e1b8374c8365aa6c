"""`--fix`: what it changes, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dagkit.rules import fixes
from dagkit.rules.examples import DAG, DAG_PATH, ROLE, ROLE_PATH, Example, in_dag, in_task
from dagkit.rules.runner import validate
from dagkit.rules.subject import find
from tests.rules.conftest import Make, codes

NO_CATCHUP = DAG.replace("    catchup=False,\n", "")
NAMED = "iam_role_name: airflow_dev_example_daily\n"

FIXED: dict[str, tuple[Example | Mapping[str, str | None], str, str]] = {
    "a dag_id": (in_dag('dag_id="wrong",'), DAG_PATH, DAG),
    "a missing catchup": (
        {DAG_PATH: NO_CATCHUP},
        DAG_PATH,
        DAG.replace("    catchup=False,\n", "").replace(
            '    default_args={"owner": "octocat"},\n',
            '    default_args={"owner": "octocat"},\n    catchup=False,\n',
        ),
    ),
    "a missing catchup after a line without a comma": (
        {DAG_PATH: NO_CATCHUP.replace('{"owner": "octocat"},\n', '{"owner": "octocat"}\n')},
        DAG_PATH,
        NO_CATCHUP.replace('{"owner": "octocat"},\n', '{"owner": "octocat"},\n    catchup=False\n'),
    ),
    "a missing catchup before a comment": (
        {DAG_PATH: NO_CATCHUP.replace('{"owner": "octocat"},\n', '{"owner": "octocat"},  # me\n')},
        DAG_PATH,
        NO_CATCHUP.replace('{"owner": "octocat"},\n', '{"owner": "octocat"},  # me\n    catchup=False,\n'),
    ),
    "a missing catchup, all on one line": (
        {DAG_PATH: 'from airflow import DAG\n\ndag = DAG("example.daily", schedule=None)\n'},
        DAG_PATH,
        'from airflow import DAG\n\ndag = DAG("example.daily", schedule=None, catchup=False)\n',
    ),
    "a missing catchup of a decorator": (
        {DAG_PATH: "from airflow.sdk import dag\n\n\n@dag()\ndef x(): ...\n"},
        DAG_PATH,
        "from airflow.sdk import dag\n\n\n@dag(catchup=False)\ndef x(): ...\n",
    ),
    "a task_id": (
        in_task('task_id="Write_Text",'),
        DAG_PATH,
        DAG.replace('"write"', '"write-text"', 1).replace('"RUN": "write-text"', '"RUN": "write"'),
    ),
    "a renamed argument": (
        in_dag('# no schedule\nschedule_interval="0 6 * * *",'),
        DAG_PATH,
        DAG.replace('    schedule="0 6 * * *",\n', "").replace("DAG(\n", 'DAG(\n    schedule="0 6 * * *",\n'),
    ),
    "a path": (
        {ROLE_PATH: NAMED + 's3:\n  read_write:\n    - "s3://x-é/dev/*"  # ours\n    - arn:aws:s3:::x/y/*\n'},
        ROLE_PATH,
        NAMED + 's3:\n  read_write:\n    - "x-é/dev/*"  # ours\n    - x/y/*\n',
    ),
    "a name that is missing": (
        {ROLE_PATH: "# ours\nsecrets: true\n"},
        ROLE_PATH,
        NAMED + "# ours\nsecrets: true\n",
    ),
    "a name that differs": (
        {ROLE_PATH: "iam_role_name: 'other'  # which\nbedrock: true\n"},
        ROLE_PATH,
        "iam_role_name: airflow_dev_example_daily  # which\nbedrock: true\n",
    ),
    "an extension": ({ROLE_PATH: None, ROLE_PATH[:-5] + ".yml": ROLE}, ROLE_PATH, ROLE),
}


def _fix(root: Path) -> int:
    return fixes.apply(root, validate(find(root), static=True).findings)


@pytest.mark.parametrize("case", FIXED)
def test_it_is_put_right(case: str, make: Make) -> None:
    broken, path, right = FIXED[case]
    root = make(broken)
    assert _fix(root) > 0
    assert (root / path).read_text() == right
    assert _fix(root) == 0


def test_several_changes_of_one_file_at_once(make: Make) -> None:
    root = make(
        {DAG_PATH: NO_CATCHUP.replace("example.daily", "x").replace('task_id="write"', 'task_id="w_x"')}
    )
    assert _fix(root) == 3
    assert codes(validate(find(root), static=True)) == []


def test_line_ends_and_the_mark_of_windows_stay(make: Make) -> None:
    root = make(
        {
            DAG_PATH: "\ufeff"
            + DAG.replace("example.daily", "x").replace("every day", "täglich").replace("\n", "\r\n")
        }
    )
    _fix(root)
    expected = "\ufeff" + DAG.replace("every day", "täglich").replace("\n", "\r\n")
    assert (root / DAG_PATH).read_bytes() == expected.encode()


def test_a_task_id_that_is_written_elsewhere_too_is_left_to_a_person(make: Make) -> None:
    text = DAG.replace('task_id="write"', 'task_id="write_it"') + '    print(dag.get_task("write_it"))\n'
    root = make({DAG_PATH: text})
    assert _fix(root) == 0
    assert (root / DAG_PATH).read_text() == text


def test_a_file_that_is_there_already_is_not_overwritten(make: Make) -> None:
    root = make({ROLE_PATH[:-5] + ".yml": "bedrock: true\n"})
    assert _fix(root) == 0
    assert (root / ROLE_PATH).read_text() == ROLE


def test_what_is_switched_off_is_not_changed(make: Make) -> None:
    root = make({DAG_PATH: f"# dagkit: off-file DK209 -- the default is wanted\n{NO_CATCHUP}"})
    assert _fix(root) == 0
