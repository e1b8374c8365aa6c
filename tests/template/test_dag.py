"""The generated DAG, as the oldest and the newest Airflow see it."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.harness.languages import both_languages
from tests.template.conftest import ImportsFolder, Probe, Render

ANSWERS = {
    "repository": "Prison_Counts",
    "project": "prisons",
    "pipeline": "daily_counts",
    "description": 'Counts "everybody", it\'s daily \\o/',
    "owner": "a-person",
    "email": "a.person@justice.gov.uk",
    "schedule": "30 6 * * MON-FRI",
    "output": "s3://alpha-prisons/counts",
    "compute": "high-memory",
}


@both_languages
def test_it_parses_without_a_warning_and_says_what_was_answered(
    language: str, ask_airflow: Probe, render: Render, imports: ImportsFolder
) -> None:
    path = render(**ANSWERS, language=language) / "airflow/dags/daily_counts.py"
    [dag] = ask_airflow("load_dags", paths=[str(path)], imports=str(imports()))
    assert dag.pop("warnings") == []
    assert dag.pop("doc_md") == ast.get_docstring(ast.parse(path.read_text()), clean=False)
    image = "189157455002.dkr.ecr.eu-west-1.amazonaws.com/prison-counts:v0.0.1"
    every_pod = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_METADATA_SERVICE_TIMEOUT": "60",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "5",
    }
    pod = {"owner": "a-person", "retries": 1, "image": image, "downstream": []}
    example = [
        pod
        | {
            "task_id": "write",
            "env_vars": every_pod
            | {
                "RUN": "write",
                "TEXT": "Written by {{ dag.dag_id }} at {{ ts }}",
                "OUTPATH": "s3://alpha-prisons/counts/dev/text.txt",
            },
            "downstream": ["copy"],
        },
        pod
        | {
            "task_id": "copy",
            "env_vars": every_pod
            | {
                "RUN": "copy",
                "FROM": "s3://alpha-prisons/counts/dev/text.txt",
                "TO": "s3://alpha-prisons/counts/dev/copy.txt",
            },
        },
    ]
    second = pod | {
        "task_id": "summarise",
        "env_vars": every_pod
        | {
            "FROM": "s3://alpha-prisons/counts/hearings.csv",
            "TO": "s3://alpha-prisons/counts/dev/summary.csv",
        },
    }
    if language == "r":
        example[0]["downstream"] = ["copy", "summarise"]
        example.append(second)
        assert path.read_text().count('cmds=["Rscript", "scripts/summarise.R"]') == 1
    assert dag.pop("tasks") == example
    assert dag == {
        "dag_id": "prisons.daily_counts",
        "description": ANSWERS["description"],
        "schedule": "30 6 * * MON-FRI",
        "tags": ["prisons"],
        "catchup": False,
        "max_active_runs": 1,
        "start_date": "2026-01-01T00:00:00+00:00",
        "owner_links": {"a-person": "mailto:a.person@justice.gov.uk"},
    }


def test_a_schedule_is_what_airflow_takes_it_for(
    ask_airflow: Probe, render: Render, imports: ImportsFolder
) -> None:
    schedules = {
        "manual": None,
        "None": None,
        "@once": "@once",
        "@daily": "@daily",
        "@quarterly": "@quarterly",
        "0 6 * * MON-FRI": "0 6 * * MON-FRI",
        "*/5 0-23/2 1,15 jan-dec 0,7": "*/5 0-23/2 1,15 jan-dec 0,7",
    }
    paths = [str(render(schedule=schedule) / "airflow/dags/my_pipeline.py") for schedule in schedules]
    dags = ask_airflow("load_dags", paths=paths, imports=str(imports()))
    assert [(dag["schedule"], dag["warnings"]) for dag in dags] == [(s, []) for s in schedules.values()]


@both_languages
def test_environment_and_release_are_the_first_two_assignments(rendered: Path) -> None:
    tree = ast.parse((rendered / "airflow/dags/my_pipeline.py").read_text())
    first, second = [node for node in tree.body if isinstance(node, ast.Assign)][:2]
    assert ast.unparse(first) == "ENVIRONMENT = 'dev'"
    assert ast.unparse(second) == "RELEASE = 'v0.0.1'"


@both_languages
def test_the_role_is_the_one_of_the_environment(language: str, render: Render) -> None:
    made = render(language=language, project="prisons", pipeline="daily")
    names: dict[str, object] = {"ENVIRONMENT": "prod"}
    role = next(
        node
        for node in ast.parse((made / "airflow/dags/daily.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROLE"
    )
    exec(compile(ast.Module([role], []), "dag", "exec"), names)  # noqa: S102
    assert f"iam_role_name: {names['ROLE']}\n" in (made / "airflow/roles/prod/daily.yaml").read_text()


MAPPED = """
from datetime import UTC, datetime

from airflow import DAG
from airflow.utils.task_group import TaskGroup
from imports.pipeline_pod import PipelinePodOperator

IMAGE = {"repository": "r", "release": "v1.0.0", "role": "airflow_dev_x", "environment": "dev"}

with DAG(dag_id="a.b", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
    first = PipelinePodOperator(task_id="first", do_xcom_push=True, **IMAGE)
    with TaskGroup("group"):
        second = PipelinePodOperator(task_id="second", env_vars={"FOUND": first.output["name"]}, **IMAGE)
    days = [{"DAY": "1"}, {"DAY": "2"}]
    third = PipelinePodOperator.partial(task_id="third", **IMAGE).expand(env_vars=days)
    first >> second >> third

tasks = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
"""


def test_tasks_can_be_mapped_grouped_and_given_what_others_found(
    ask_airflow: Probe, imports: ImportsFolder, tmp_path: Path
) -> None:
    (tmp_path / "dag.py").write_text(MAPPED)
    tasks = ask_airflow("run_python", path=str(tmp_path / "dag.py"), name="tasks", imports=str(imports()))
    assert tasks == {"first": [], "group.second": ["first"], "third": ["group.second"]}
