"""A pod's manifest, read as what an engine has to do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dagkit.local import pods


def manifest(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    base = {"name": "base", "image": "registry/pipe:v1", **(container or {})}
    return {"metadata": {"name": "write-abc", "namespace": "airflow"}, "spec": {"containers": [base], **spec}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500Mi", 500 * 1024**2),
        ("2Gi", 2 * 1024**3),
        ("1G", 10**9),
        ("128974848", 128974848),
        ("250m", Decimal("0.25")),
        ("0.5", Decimal("0.5")),
        ("1e3", 1000),
        ("2", 2),
    ],
)
def test_quantities_are_kubernetes_own(text: str, number: Decimal) -> None:
    assert pods.quantity(text) == number


def test_a_quantity_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="'many' is not a quantity"):
        pods.quantity("many")


def test_the_containers_security_goes_before_the_pods() -> None:
    pod = pods.read(
        manifest(
            {"securityContext": {"runAsUser": 1337, "capabilities": {"drop": ["ALL"]}}},
            securityContext={"runAsUser": 5, "runAsGroup": 6, "fsGroup": 7, "supplementalGroups": [8]},
        ),
        "write",
    )
    assert (pod.user, pod.group, pod.groups, pod.drop) == (1337, 6, (7, 8), ("ALL",))


def test_privileges_can_be_gained_unless_the_pod_says_no() -> None:
    assert pods.read(manifest(), "a").new_privileges
    assert not pods.read(
        manifest({"securityContext": {"allowPrivilegeEscalation": False}}), "a"
    ).new_privileges


def test_what_comes_from_the_cluster_is_left_out_with_a_sentence() -> None:
    pod = pods.read(
        manifest(
            {
                "env": [
                    {"name": "PLAIN", "value": "x"},
                    {"name": "EMPTY"},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/scratch"},
                    {"name": "disk", "mountPath": "/disk"},
                ],
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
            },
            volumes=[
                {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
                {"name": "disk", "persistentVolumeClaim": {"claimName": "c"}},
            ],
            initContainers=[{"name": "before", "image": "x"}],
        ),
        "a",
    )
    assert pod.env == {"PLAIN": "x", "EMPTY": "", "POD": "write-abc"}
    assert pod.empty_dirs == {"/scratch": 1024**3}
    assert pod.not_reproduced == (
        "KEY is not set: its value comes from a secret of the cluster",
        "the variables of the cluster's configMap 'settings' are not set",
        "/disk is not there: it is a persistentVolumeClaim of the cluster",
        "init container 'before' does not run",
        "nvidia.com/gpu=1 is left out: the task runs without a GPU",
    )


def test_the_sidecar_for_xcom_is_understood() -> None:
    text = manifest()
    text["spec"]["containers"].append({"name": "airflow-xcom-sidecar", "image": "alpine"})
    pod = pods.read(text, "a")
    assert pod.xcom
    assert pod.not_reproduced == ()


def test_the_role_is_read_as_either_platform_gives_it() -> None:
    assert pods.read(manifest(serviceAccountName="airflow-dev-a"), "a").service_account == "airflow-dev-a"
    text = manifest()
    text["metadata"]["annotations"] = {"iam.amazonaws.com/role": "airflow_dev_a"}
    assert pods.read(text, "a").role == "airflow_dev_a"
