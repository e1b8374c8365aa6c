"""A DAG whose task fails twice and then works, and one whose task may not do what it does."""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator  # type: ignore[import-not-found]

COMMON = {"repository": "pipe", "release": "v0.0.1", "role": "airflow_dev_example_pipe", "environment": "dev"}

with DAG(
    dag_id="example.stumbles",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"owner": "analyst"},
) as dag:
    PipelinePodOperator(
        task_id="third-time-lucky",
        cmds=["python", "-c"],
        arguments=[
            "import os, sys; n = int(os.environ['TRY']); print('this is try', n); sys.exit(0 if n > 2 else 7)"
        ],
        env_vars={"TRY": "{{ ti.try_number }}"},
        retries=2,
        retry_delay=timedelta(seconds=2),
        **COMMON,
    )
    PipelinePodOperator(
        task_id="not-allowed",
        env_vars={"RUN": "write", "TEXT": "hello", "OUTPATH": "s3://alpha-everyone/somebody-else/text.txt"},
        **COMMON,
    )
