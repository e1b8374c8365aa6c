"""A pipeline with most of what Airflow can do in it; the tests of `dagkit run` put it into a repository."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import BranchPythonOperator
from airflow.sdk import Param, task
from imports.pipeline_pod import PipelinePodOperator  # type: ignore[import-not-found]
from kubernetes.client import models as k8s

ENVIRONMENT = "dev"
RELEASE = "v0.0.1"
ROLE = f"airflow_{ENVIRONMENT}_example_pipe"

LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
def first(*paths):
    for path in paths:
        if os.path.exists(path):
            return open(path).read().strip()
def writable(folder):
    try:
        open(folder + "/probe", "w").close()
        return True
    except OSError:
        return False
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "capabilities": status["CapEff"].strip(), "bounding": status["CapBnd"].strip(),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "memory": first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "cpu": first("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
    "env": dict(os.environ),
    "root_writable": writable("/pipeline"), "scratch_writable": writable("/scratch"),
}))
"""


def pod(task_id: str, code: str, **kwargs: Any) -> PipelinePodOperator:
    """A task that runs a piece of Python in the pipeline's image."""
    return PipelinePodOperator(
        task_id=task_id,
        repository="pipe",
        release=RELEASE,
        role=kwargs.pop("role", ROLE),
        environment=ENVIRONMENT,
        cmds=["python", "-c"],
        arguments=[code],
        **kwargs,
    )


with DAG(
    dag_id="example.many_tasks",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"region": "london", "count": Param(3, type="integer", minimum=1)},
    default_args={"owner": "analyst", "retries": 0, "retry_delay": timedelta(hours=1)},
) as dag:
    begin = EmptyOperator(task_id="begin")

    look = pod(
        "look",
        LOOK,
        env_vars={
            "PARAMS": "{{ params.region }} {{ params.count }}",
            "DATES": "{{ ds }} {{ macros.ds_add(ds, 1) }} {{ task.task_id }}",
        },
        container_resources=k8s.V1ResourceRequirements(limits={"cpu": "500m", "memory": "256Mi"}),
        container_security_context=k8s.V1SecurityContext(
            run_as_user=1337,
            run_as_non_root=True,
            read_only_root_filesystem=True,
            allow_privilege_escalation=False,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
        ),
        security_context=k8s.V1PodSecurityContext(fs_group=4242),
        volumes=[k8s.V1Volume(name="scratch", empty_dir=k8s.V1EmptyDirVolumeSource())],
        volume_mounts=[k8s.V1VolumeMount(name="scratch", mount_path="/scratch")],
    )
    greedy = pod(
        "greedy",
        "len(bytearray(400_000_000))",
        container_resources=k8s.V1ResourceRequirements(
            limits={"cpu": "64", "memory": "64Mi", "nvidia.com/gpu": "1"}
        ),
    )
    after_greedy = EmptyOperator(task_id="after-greedy", trigger_rule="all_failed")
    never = EmptyOperator(task_id="never")

    # fails once, then succeeds
    flaky = pod(
        "flaky",
        "import os, sys; n = int(os.environ['TRY']); print('try number', n); sys.exit(0 if n > 1 else 7)",
        env_vars={"TRY": "{{ ti.try_number }}"},
        retries=2,
    )
    skips = pod("skips", "raise SystemExit(99)", skip_on_exit_code=99)
    stranger = pod("stranger", "print('never')", role="airflow_dev_somebody_else")

    pod("bad-template", "print('never')", env_vars={"A": "{{ nosuch.thing }}"})
    pod("slow", "import time; time.sleep(100)", execution_timeout=timedelta(seconds=1))
    PipelinePodOperator.partial(
        task_id="mapped",
        repository="pipe",
        release=RELEASE,
        role=ROLE,
        environment=ENVIRONMENT,
        cmds=["python", "-c"],
    ).expand(arguments=[["print('one')"], ["print('two'); raise SystemExit(3)"]])

    choose = BranchPythonOperator(
        task_id="choose", python_callable=lambda params: "left" if params["count"] > 1 else "right"
    )
    left = pod("left", "print('went left')")
    right = pod("right", "print('went right')")
    join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")

    result = pod(
        "result",
        "import json; json.dump({'rows': 12}, open('/airflow/xcom/return.json', 'w'))",
        do_xcom_push=True,
    )

    @task
    def talk(value: dict[str, int]) -> None:
        """Print what a pod returned, in Airflow's own process."""
        print(f"rows: {value['rows']}")  # noqa: T201

    @task
    def broken() -> None:
        """Fail in Airflow's own process."""
        raise KeyError("missing")

    broken()

    begin >> [look, flaky, skips, choose]
    begin >> greedy >> [after_greedy, never]
    begin >> stranger
    choose >> [left, right] >> join
    talk(result.output)
