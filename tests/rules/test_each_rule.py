"""More than the examples: what else breaks a rule, where it is said, and what only looks like it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dagkit.rules.examples import (
    DAG,
    DAG_PATH,
    IMAGE,
    ROLE,
    ROLE_PATH,
    Example,
    above_dag,
    in_dag,
    in_task,
    in_tasks,
)
from tests.rules.cases import BREAKS, EMPTY, PROD_ROLE_PATH, Case, other_module, role
from tests.rules.conftest import Check, codes


@pytest.mark.parametrize("case", BREAKS)
def test_it_breaks_the_rule(case: str, check: Check) -> None:
    code, broken = BREAKS[case]
    assert code in codes(check(broken))


KEEPS: dict[str, Case] = {
    "a hidden file": ("DK101", {"environments/dev/roles/.gitkeep": ""}),
    "a README of the environments": (
        "DK101",
        {"environments/README.md": "x\n", "environments/dev/README.md": "x\n"},
    ),
    "a README among the roles": ("DK102", {"environments/dev/roles/README.md": "# roles\n"}),
    "an owner on each task": (
        "DK204",
        {
            DAG_PATH: DAG.replace('{"owner": "octocat"}', "{}").replace(
                'task_id="write",', 'task_id="write", owner="octocat",'
            )
        },
    ),
    "a schedule in seconds": ("DK208", in_dag('schedule="0 6 * * * 30",')),
    "a dataset": ("DK208", in_dag('schedule=[Asset("s3://a/b")],', top="from airflow.sdk import Asset")),
    "work in a function": ("DK212", above_dag('def text():\n    return open("/etc/hostname").read()')),
    "work in a lambda": ("DK212", above_dag('text = lambda: open("/etc/hostname").read()')),
    "a path that is only made": ("DK212", above_dag('from pathlib import Path\n\nX = Path("/tmp") / "x"')),
    "a read of something else": (
        "DK212",
        above_dag('class Book:\n    def read_text(self): return ""\n\n\nX = Book().read_text()'),
    ),
    "an operator made from an allowed one": (
        "DK213",
        in_tasks('Own(task_id="own")', top=f"{EMPTY}\n\n\nclass Own(EmptyOperator):\n    pass"),
    ),
    "a task id of a task without a pod": ("DK301", in_tasks('EmptyOperator(task_id="all_done")', top=EMPTY)),
    "a commit as a tag": (
        "DK305",
        in_task(f'image="{IMAGE.split(":")[0]}:{"0123456789abcdef" * 2}01234567",'),
    ),
    "a digest": ("DK304", in_task(f'image="{IMAGE.split(":")[0]}@sha256:{"0" * 64}",')),
    "a digest without a tag": ("DK305", in_task(f'image="{IMAGE.split(":")[0]}@sha256:{"0" * 64}",')),
    "a release candidate": ("DK305", in_task('release="v1.0.0-rc.1",')),
    "a day": ("DK305", in_task('release="20260131",')),
    "the name of a secret": (
        "DK311",
        in_task('env_vars={"SECRET_ID": "example/db", "TOKEN_LIMIT": "4000"},'),
    ),
    "a secret that Airflow fills in": (
        "DK311",
        in_task('env_vars={"PASSWORD": "{{ var.value.password }}"},'),
    ),
    "a switch called token": ("DK311", in_task('env_vars={"USE_TOKEN": "true"},')),
    "a profile in other units": (
        "DK312",
        in_task(
            'container_resources={"requests": {"cpu": "1000m", "memory": "4096Mi"},'
            ' "limits": {"cpu": "1", "memory": "4Gi"}},'
        ),
    ),
    "a denied part": ("DK412", role("s3:\n  read_only: [a/b/*]\n  deny: [a/b/c/*]\n")),
    "reading a whole bucket": ("DK409", role("s3:\n  read_only: [alpha-example/*]\n")),
    "reading what prod writes": (
        "DK503",
        {
            ROLE_PATH: "s3:\n  read_only: [alpha-example/prod/*]\n",
            PROD_ROLE_PATH: "s3:\n  read_write: [alpha-example/prod/*]\n",
        },
    ),
    "folders that begin alike": (
        "DK503",
        {
            ROLE_PATH: "s3:\n  read_write: [alpha-example/out/*]\n",
            PROD_ROLE_PATH: "s3:\n  read_write: [alpha-example/output/*]\n",
        },
    ),
    "two roles of one environment": (
        "DK503",
        {"environments/dev/roles/airflow_dev_example_more.yaml": ROLE},
    ),
}


@pytest.mark.parametrize("case", KEEPS)
def test_it_keeps_the_rule(case: str, check: Check) -> None:
    code, kept = KEEPS[case]
    assert code not in codes(check(kept))


LINES: dict[str, tuple[Example | Mapping[str, str | None], str, int]] = {
    "an import error at the line that raises": (above_dag("A = 1\nB = int('x')"), "DK201", 12),
    "an error in a module at the line that imports it": (other_module("A = 1\nX = int('x')\n"), "DK201", 11),
    "a syntax error": ({DAG_PATH: "A = 1\nB = (\n"}, "DK201", 2),
    "a dag_id where it is written": (in_dag('dag_id="x",'), "DK202", 12),
    "a role where it is named": (in_task('role="airflow_dev_nobody",'), "DK307", 23),
    "a task made in a loop": (
        in_tasks(
            'for name in ("one_two", "three"):\n    PipelinePodOperator(\n        repository="x",\n'
            "        task_id=name,\n"
            '        release=RELEASE,\n        role=f"airflow_{ENVIRONMENT}_example_daily",\n'
            "        environment=ENVIRONMENT,\n    )"
        ),
        "DK301",
        30,
    ),
    "a path of a role": (role("s3:\n  read_only:\n    - a/b/*\n    - s3://c/d/*\n"), "DK408", 5),
    "a key of a role": (role("bedrock: true\ns3:\n  read_onyl: [a/b/*]\n"), "DK405", 4),
}


@pytest.mark.parametrize("case", LINES)
def test_it_is_said_at_the_line(case: str, check: Check) -> None:
    broken, code, line = LINES[case]
    assert line in [finding.line for finding in check(broken).findings if finding.code == code]


ONCE = {
    "a package of DAGs": {"environments/dev/dags/example/__init__.py": ""},
    "a wrong schedule": in_dag('schedule="0 25 * * *",'),
    "an argument that Airflow 3 refuses": in_dag('# no schedule\nschedule_interval="@daily",'),
    "a name that Airflow refuses": in_task('task_id="write it",'),
    "a circle": in_tasks('x = EmptyOperator(task_id="x")\nwrite >> x >> write', top=EMPTY),
    "a module that Airflow 3 lacks": above_dag("from airflow.operators.dummy_operator import DummyOperator"),
    "a syntax error": above_dag("X = ("),
    "prod's settings in dev": {DAG_PATH: DAG.replace('ENVIRONMENT = "dev"', 'ENVIRONMENT = "prod"')},
    "a role of prod": in_task(
        'role="airflow_prod_example_daily",',
        also={ROLE_PATH: None, PROD_ROLE_PATH: None},
    ),
    "a tag that moves": in_task('release="latest",'),
    "a role without its name": {ROLE_PATH: "secrets: true\ns3:\n  read_write: [alpha-example/dev/*]\n"},
    "a path with s3://": role("s3:\n  read_write: ['s3://alpha-example/dev/*']\n"),
}


@pytest.mark.parametrize("case", ONCE)
def test_nothing_is_said_twice(case: str, check: Check) -> None:
    found = [each.code for each in check(ONCE[case]).findings if each.code != "DK410"]
    assert len(found) == 1, found
