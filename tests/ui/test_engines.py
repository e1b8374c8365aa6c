"""Pods as containers: of a pipeline, and of the DAGs of a DAG repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.harness.generate import generate
from tests.ui import harness

pytestmark = pytest.mark.docker

PROD = "s3://alpha-everyone/airflow-example/analyst/prod/text.txt"


def test_a_pipeline_in_docker_runs_with_the_role_and_setting_of_prod(
    make_pipeline: Callable[..., Path], python_base_image: str, browser: Browser
) -> None:
    words = ("--base-image", python_base_image, "--engine", "docker", "--environment", "prod")
    with harness.running(make_pipeline(), *words) as ui:
        run_id = ui.run("example.pipe")
        ui.wait_for_state("example.pipe", run_id, "success")
        assert re.search(rf"\[base\] wrote \d+ bytes to {PROD}", ui.log("example.pipe", run_id, "write"))
        page = browser.new_page()
        harness.log_in(page, ui)
        expect(page.get_by_role("heading", name="example.pipe · prod · on this machine")).to_be_visible()
        harness.shoot(page, "airflow-3-prod")
        page.close()


@pytest.fixture
def local_image(python_base_image: str) -> Iterator[str]:
    """An image that a DAG names, and that is on this machine."""
    tag = "189157455002.dkr.ecr.eu-west-1.amazonaws.com/dagkit-test-ui:v1.0.0"
    subprocess.run(["docker", "tag", python_base_image, tag], check=True)
    yield tag
    subprocess.run(["docker", "rmi", "--no-prune", tag], check=True, stdout=subprocess.DEVNULL)


DAG = """
from datetime import UTC, datetime
from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

with DAG("{project}.{name}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    PipelinePodOperator(
        task_id="who",
        repository="{repository}",
        release="v1.0.0",
        role="airflow_dev_{project}",
        environment="dev",
        cmds=["python3", "-c"],
        arguments=["import os; print('key', os.environ['AWS_ACCESS_KEY_ID'][:4])"],
    )
"""


def test_a_dag_repository_shows_every_dag_of_an_environment_each_with_its_role(
    tmp_path: Path, local_image: str
) -> None:
    repository = generate(tmp_path / "airflow", kind="airflow")
    dags = repository / "environments" / "dev" / "dags"
    roles = repository / "environments" / "dev" / "roles"
    for project, image in (("first", "dagkit-test-ui"), ("second", "dagkit-test-missing")):
        (dags / project).mkdir(parents=True)
        text = DAG.format(project=project, name="job", repository=image)
        (dags / project / "job.py").write_text(text)
        (roles / f"airflow_dev_{project}.yaml").write_text(
            f"iam_role_name: airflow_dev_{project}\ns3:\n  read_only:\n    - alpha-{project}/*\n"
        )
    with harness.running(repository) as ui:
        assert {"first.job", "second.job"} <= ui.api.dag_ids()
        assert "second.job: the image of who is not on this machine" in ui.out
        assert "first.job: the image" not in ui.out
        run_id = ui.run("first.job")
        ui.wait_for_state("first.job", run_id, "success")
        assert "[base] key ASIA" in ui.log("first.job", run_id, "who")
        run_id = ui.run("second.job")
        ui.wait_for_state("second.job", run_id, "failed")
        log = ui.log("second.job", run_id, "who")
        assert "is not on this machine and cannot be pulled" in log
        assert "docker pull" in log
