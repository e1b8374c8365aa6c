"""A DAG whose task waits without a process of its own."""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor

with DAG(
    dag_id="example.waits", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False
) as dag:
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=20), deferrable=True)
