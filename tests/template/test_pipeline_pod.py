"""The pods of PipelinePodOperator, as they are sent to Kubernetes, on the oldest and the newest Airflow.

The rules are those of the Pod Security Standard "restricted":
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.template.conftest import ImportsFolder, Probe

Pod = dict[str, Any]

TASK: dict[str, Any] = {
    "task_id": "write",
    "repository": "My_Pipeline",
    "release": "v1.2.3",
    "role": "airflow_dev_example",
    "environment": "dev",
}
COMPUTES = ("standard", "high-memory", "gpu")


def containers(pod: Pod) -> Iterator[dict[str, Any]]:
    yield from pod["spec"]["containers"]
    yield from pod["spec"].get("initContainers", [])


def every_container(setting: str, *allowed: Any) -> Callable[[Pod], bool]:
    return lambda pod: all(c["securityContext"].get(setting) in allowed for c in containers(pod))


RESTRICTED: dict[str, Callable[[Pod], bool]] = {
    "no privilege escalation": every_container("allowPrivilegeEscalation", False),
    "not privileged": every_container("privileged", False, None),
    "not root, container": every_container("runAsNonRoot", True),
    "not root, pod": lambda pod: pod["spec"]["securityContext"]["runAsNonRoot"] is True,
    "user is neither root nor 1000, container": lambda pod: all(
        c["securityContext"].get("runAsUser") not in (0, 1000) for c in containers(pod)
    ),
    "user is neither root nor 1000, pod": lambda pod: (
        pod["spec"]["securityContext"].get("runAsUser") not in (0, 1000)
    ),
    "seccomp, container": every_container("seccompProfile", {"type": "RuntimeDefault"}),
    "seccomp, pod": lambda pod: (
        pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ),
    "capabilities": every_container("capabilities", {"drop": ["ALL"]}),
    "host namespaces": lambda pod: not any(pod["spec"].get(k) for k in ("hostNetwork", "hostPID", "hostIPC")),
    "host ports": lambda pod: not any(p.get("hostPort") for c in containers(pod) for p in c.get("ports", [])),
    "volume types": lambda pod: all(
        set(v) - {"name"} <= {"configMap", "emptyDir", "projected", "secret"}
        for v in pod["spec"].get("volumes", [])
    ),
}


def broken_rules(pod: Pod) -> list[str]:
    return [rule for rule, holds in RESTRICTED.items() if not holds(pod)]


@pytest.mark.parametrize("pod_identity", ["irsa", "kube2iam"])
def test_every_pod_keeps_the_restricted_standard(
    pod_identity: str, ask_airflow: Probe, imports: ImportsFolder
) -> None:
    plain = [TASK | {"compute": compute} for compute in COMPUTES]
    with_xcom = [task | {"do_xcom_push": True} for task in plain]
    with_init = [task | {"init_containers": [{"name": "first", "image": "first"}]} for task in plain]
    answers = ask_airflow(
        "build_pods", imports=str(imports(pod_identity=pod_identity)), tasks=[*plain, *with_xcom, *with_init]
    )
    assert [len(list(containers(a["pod"]))) for a in answers] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert [broken_rules(a["pod"]) for a in answers] == [[]] * 9
    assert [a["warnings"] for a in answers] == [[]] * 9


def test_a_pod_that_breaks_the_standard_is_noticed_by_this_test(
    ask_airflow: Probe, imports: ImportsFolder
) -> None:
    loose = TASK | {"container_security_context": {"privileged": True}, "hostnetwork": True}
    [answer] = ask_airflow("build_pods", imports=str(imports()), tasks=[loose])
    assert {"not privileged", "host namespaces", "capabilities"} <= set(broken_rules(answer["pod"]))


def test_the_settings_of_the_platform_reach_the_pod(ask_airflow: Probe, imports: ImportsFolder) -> None:
    ours = imports(
        ecr_account="111111111111",
        ecr_region="eu-west-2",
        namespace="pipelines",
        dev_cluster="analytical-platform-compute-test",
        prod_cluster="analytical-platform-compute-production",
    )
    prod = TASK | {"environment": "prod", "role": "airflow_prod_example"}
    first, second = ask_airflow("build_pods", imports=str(ours), tasks=[TASK, prod])
    container = first["pod"]["spec"]["containers"][0]
    assert container["image"] == "111111111111.dkr.ecr.eu-west-2.amazonaws.com/my-pipeline:v1.2.3"
    assert first["pod"]["metadata"]["namespace"] == "pipelines"
    assert first["pod"]["metadata"]["name"].startswith("write")
    assert first["pod"]["spec"]["serviceAccountName"] == "airflow-dev-example"
    assert second["pod"]["spec"]["serviceAccountName"] == "airflow-prod-example"
    assert {v["name"]: v["value"] for v in container["env"]} == {
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_METADATA_SERVICE_TIMEOUT": "60",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "5",
    }
    assert first["operator"] == {
        "in_cluster": False,
        "cluster_context": "analytical-platform-compute-test",
        "config_file": "/usr/local/airflow/dags/.kube/config",
        "startup_timeout_seconds": 120,
        "get_logs": True,
        "on_finish_action": "delete_pod",
    }
    assert second["operator"]["cluster_context"] == "analytical-platform-compute-production"


def test_with_kube2iam_the_role_is_an_annotation(ask_airflow: Probe, imports: ImportsFolder) -> None:
    [answer] = ask_airflow("build_pods", imports=str(imports(pod_identity="kube2iam")), tasks=[TASK])
    assert answer["pod"]["metadata"]["annotations"] == {"iam.amazonaws.com/role": "airflow_dev_example"}
    assert "serviceAccountName" not in answer["pod"]["spec"]


def test_compute_asks_for_its_node(ask_airflow: Probe, imports: ImportsFolder) -> None:
    answers = ask_airflow(
        "build_pods", imports=str(imports()), tasks=[TASK | {"compute": c} for c in COMPUTES]
    )
    standard, high_memory, gpu = (answer["pod"]["spec"] for answer in answers)
    assert standard["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "4Gi"}
    assert not standard.get("tolerations")
    assert not standard.get("affinity")
    assert high_memory["tolerations"] == [
        {"key": "high-memory", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    ]
    assert high_memory["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "high-memory", "operator": "In", "values": ["true"]}]}
        ]
    }
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert [a["operator"]["startup_timeout_seconds"] for a in answers] == [120, 600, 600]


def test_what_a_task_says_itself_wins(ask_airflow: Probe, imports: ImportsFolder) -> None:
    task = TASK | {
        "compute": "gpu",
        "startup_timeout_seconds": 30,
        "labels": {"team": "prisons"},
        "cmds": ["python"],
        "arguments": ["scripts/other.py"],
        "env_vars": {"AWS_DEFAULT_REGION": "us-east-1", "DAY": "{{ ds }}"},
    }
    [answer] = ask_airflow("build_pods", imports=str(imports()), tasks=[task])
    container = answer["pod"]["spec"]["containers"][0]
    assert answer["operator"]["startup_timeout_seconds"] == 30
    assert answer["pod"]["metadata"]["labels"]["team"] == "prisons"
    assert (container["command"], container["args"]) == (["python"], ["scripts/other.py"])
    assert {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"} in container["env"]
    assert {"name": "DAY", "value": "{{ ds }}"} in container["env"]


def test_wrong_arguments_are_named(ask_airflow: Probe, imports: ImportsFolder) -> None:
    wrong: list[dict[str, Any]] = [
        {"compute": "huge"},
        {"environment": "test"},
        {"env_vars": {"YEAR": 2026}},
        {"env_vars": {"FLAG": None}},
        {"env_vars": {"FLAG": True}},
    ]
    answers = ask_airflow("build_pods", imports=str(imports()), tasks=[TASK | one for one in wrong])
    assert [answer.get("error") for answer in answers] == [
        "compute='huge': must be one of 'standard', 'high-memory', 'gpu'",
        "environment='test': must be one of 'dev', 'prod'",
        "env_vars['YEAR'] is 2026: must be text, in quotes",
        "env_vars['FLAG'] is None: must be text, in quotes",
        "env_vars['FLAG'] is True: must be text, in quotes",
    ]
