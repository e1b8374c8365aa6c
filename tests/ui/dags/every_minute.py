"""A DAG that starts by itself, every minute."""

from datetime import UTC, datetime

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator  # type: ignore[import-not-found]

with DAG(
    dag_id="example.every_minute",
    schedule="* * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
) as dag:
    PipelinePodOperator(
        task_id="tick",
        repository="pipe",
        release="v0.0.1",
        role="airflow_dev_example_pipe",
        environment="dev",
        cmds=["python", "-c"],
        arguments=["print('started by itself at {{ logical_date }}')"],
    )
