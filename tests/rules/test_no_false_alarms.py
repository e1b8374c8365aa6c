"""DAGs as people write them, each in its own way and each correct: no rule has anything to say of them."""

from __future__ import annotations

import pytest

from dagkit.rules.examples import DAG_PATH, ROLE_PATH
from dagkit.rules.load import Loader
from dagkit.rules.runner import Report, validate
from dagkit.rules.subject import find
from tests.rules.conftest import Make

HEAD = '''\
"""What this does, and for whom."""

from datetime import UTC, datetime, timedelta

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

ENVIRONMENT = "dev"
RELEASE = "v1.0.0"
ROLE = f"airflow_{ENVIRONMENT}_example_daily"

'''

CLASSIC = (
    HEAD
    + """\
dag = DAG(
    "example.daily",
    default_args=dict(owner="octocat", retries=2, retry_delay=timedelta(minutes=5)),
    description="Two steps",
    schedule=timedelta(hours=6),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
)

first = PipelinePodOperator(
    dag=dag, task_id="first", repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
)
second = PipelinePodOperator(
    dag=dag, task_id="second", repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
)
second.set_upstream(first)
"""
)

DECORATED = '''\
from datetime import UTC, datetime

from airflow.decorators import dag, task
from imports.pipeline_pod import PipelinePodOperator

ENVIRONMENT = "dev"


@dag(
    dag_id="example.daily",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"owner": "octocat"},
)
def daily():
    """What this does, and for whom."""

    def pod(name: str, **kwargs):
        return PipelinePodOperator(
            task_id=name,
            repository="my-pipeline",
            release="v1.0.0",
            role="airflow_dev_example_daily",
            environment=ENVIRONMENT,
            **kwargs,
        )

    @task.branch
    def choose():
        """A choice is all that runs on the worker."""
        with open("/tmp/anything") as file:
            return "left" if file.read() else "right"

    join = pod("join", trigger_rule="none_failed_min_one_success")
    choose() >> [pod("left"), pod("right")] >> join


daily()
'''

LOOP = (
    HEAD
    + """\
TABLES = ["courts", "prisons", "probation"]

with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule="30 4 * * MON-FRI",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"owner": "octocat"},
) as dag:
    done = PipelinePodOperator(
        task_id="done", repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
    )
    previous = None
    for number, table in enumerate(TABLES):
        task = PipelinePodOperator(
            task_id=f"copy-{table}",
            repository="my-pipeline",
            release=RELEASE,
            role=ROLE,
            environment=ENVIRONMENT,
            env_vars={"TABLE": table, "OUT": f"s3://alpha-example/dev/{table}/", "NUMBER": str(number)},
            compute="high-memory" if table == "courts" else "standard",
        )
        if previous:
            previous >> task
        previous = task
    previous >> done
"""
)

GROUPS = (
    HEAD.replace("from airflow import DAG", "from airflow.sdk import DAG, TaskGroup")
    + """\
with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"owner": "octocat", "pool": "default_pool"},
):
    def pod(task_id):
        return PipelinePodOperator(
            task_id=task_id, repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
        )

    with TaskGroup("extract_all") as extract:
        pod("courts") >> pod("prisons")
    with TaskGroup("load") as load:
        pod("one")
        pod("two")
    extract >> load
"""
)

RAW_POD = '''\
"""An image of its own, without the platform's operator."""

import datetime

import pendulum
from airflow.models import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

ENVIRONMENT = "dev"
IMAGE_VERSION = "1.2.3"
REGISTRY = "189157455002.dkr.ecr.eu-west-1.amazonaws.com"
ROLE = "airflow_dev_example_daily"
DEFAULTS = {
    "depends_on_past": False,
    "owner": "octocat",
    "image": f"{REGISTRY}/other-image:{IMAGE_VERSION}",
    "namespace": "airflow",
    "service_account_name": ROLE.replace("_", "-"),
    "security_context": {
        "runAsNonRoot": True, "runAsUser": 1337, "seccompProfile": {"type": "RuntimeDefault"},
    },
    "container_security_context": {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "privileged": False,
    },
}

with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    default_args=DEFAULTS,
    schedule=datetime.timedelta(days=1),
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/London"),
    catchup=False,
) as dag:
    KubernetesPodOperator(task_id="first", name="first", env_vars=[k8s.V1EnvVar(name="RUN", value="write")])
'''

KUBE2IAM = RAW_POD.replace(
    '"service_account_name": ROLE.replace("_", "-")', '"annotations": {"iam.amazonaws.com/role": ROLE}'
)

OWN_MODULE = '''\
"""What this does, and for whom."""

from imports.example_dags import OWNER, START, daily_pods
from airflow import DAG

with DAG(
    dag_id="example.daily", doc_md=__doc__, default_args={"owner": OWNER}, schedule="@daily",
    start_date=START, catchup=False,
) as dag:
    daily_pods("dev")
'''
MODULE = """\
from datetime import UTC, datetime
from pathlib import PurePath

from imports.pipeline_pod import PipelinePodOperator

OWNER = "octocat"
START = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = PurePath("a") / "b"


def daily_pods(environment: str) -> None:
    for letter in "ab":
        PipelinePodOperator(
            task_id=f"write-{letter}",
            repository="my-pipeline",
            release="v1.0.0",
            role=f"airflow_{environment}_example_daily",
            environment=environment,
        )
"""

MAPPED = (
    HEAD
    + """\
with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule="0 6 1 * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"owner": "octocat"},
) as dag:
    PipelinePodOperator.partial(
        task_id="copy", repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
    ).expand(arguments=[["a"], ["b"]])
"""
)

SENSORS = (
    HEAD.replace(
        "from imports",
        "from airflow.providers.standard.operators.empty import EmptyOperator\\n"
        "from airflow.providers.standard.operators.latest_only import LatestOnlyOperator\\n"
        "from airflow.providers.standard.sensors.external_task import ExternalTaskSensor\\n"
        "from imports",
    ).replace("\\n", "\n")
    + """\
COMMON = {
    "repository": "my-pipeline",
    "release": RELEASE,
    "role": ROLE,
    "environment": ENVIRONMENT,
}

with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"day": "2026-01-01"},
    default_args={"owner": "octocat"},
) as dag:
    start = LatestOnlyOperator(task_id="start_here")
    wait = ExternalTaskSensor(task_id="wait_for_it", external_dag_id="example.daily", external_task_id="end")
    write = PipelinePodOperator(
        task_id="write",
        env_vars={"DAY": "{{ params.day }}", "AT": "{{ ts }}", "NEXT_TOKEN_URL": "/x"},
        **COMMON,
    )
    end = EmptyOperator(task_id="end")
    start >> wait >> write >> end
"""
)

TYPE_CHECKING = (
    HEAD.replace(
        "from datetime",
        "from __future__ import annotations\n\nfrom typing import TYPE_CHECKING\nfrom datetime",
        1,
    )
    + """\
if TYPE_CHECKING:
    import pandas as pd


def summarise(frame: pd.DataFrame) -> int:
    import pandas as pd

    return len(pd.concat([frame]))


with DAG(
    dag_id="example.daily",
    description="One step",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    owner_links={"octocat": "https://github.com/octocat"},
) as dag:
    PipelinePodOperator(
        owner="octocat", task_id="write", repository="my-pipeline", release=RELEASE, role=ROLE,
        environment=ENVIRONMENT,
    )
"""
)

BACKFILL = (
    HEAD
    + """\
with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # dagkit: off DK207 -- every day of this year is wanted
    catchup=True,
    default_args={"owner": "octocat"},
) as dag:
    PipelinePodOperator(
        task_id="write", repository="my-pipeline", release=RELEASE, role=ROLE, environment=ENVIRONMENT
    )
"""
)

TABS_AND_ENDS = CLASSIC.replace("Two steps", "Zwei Schritte, später mehr").replace("\n", "\r\n")

WAYS = {
    "classic": {DAG_PATH: CLASSIC},
    "decorated": {DAG_PATH: DECORATED},
    "loop": {DAG_PATH: LOOP},
    "task groups": {DAG_PATH: GROUPS},
    "raw pod": {DAG_PATH: RAW_POD},
    "kube2iam": {DAG_PATH: KUBE2IAM},
    "own module": {DAG_PATH: OWN_MODULE, "imports/example_dags.py": MODULE},
    "mapped": {DAG_PATH: MAPPED},
    "sensors": {DAG_PATH: SENSORS},
    "types only": {DAG_PATH: TYPE_CHECKING},
    "backfill for a reason": {DAG_PATH: BACKFILL},
    "line ends of Windows": {DAG_PATH: TABS_AND_ENDS},
    "roles of every kind": {
        ROLE_PATH: """\
# what it is for
iam_role_name: airflow_dev_example_daily
athena:
  write: true
  dump_bucket: [mojap-athena-query-dump]
glue_job: false
secrets: readwrite
bedrock: true
allowed_database_names: [example_*]
secretsmanager:
  read_only: [arn:aws:secretsmanager:eu-west-1:593291632749:secret:example-AbCdEf]
kms:
  - arn:aws:kms:eu-west-1:593291632749:key/1234
s3:
  read_only:
    - "alpha-shared/*"
    - alpha-lookups-*/tables/*
  write_only:
    - alpha-example/dev/logs/${aws:userid}/*
  read_write:
    - alpha-example/dev/text/*
  deny:
    - alpha-shared/secret/*
"""
    },
}


def told(report: Report) -> list[str]:
    return [f"{each.code} {each.path}:{each.line} {each.message}" for each in report.findings]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_said_about_a_correct_dag(way: str, make: Make, airflow: Loader) -> None:
    subject = find(make(WAYS[way]))
    assert told(validate(subject, loader=airflow)) == []


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_said_about_a_correct_dag_by_its_file_alone(way: str, make: Make) -> None:
    assert told(validate(find(make(WAYS[way])), static=True)) == []
