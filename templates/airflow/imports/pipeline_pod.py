# The template's: its updates change this file, and keep what you change in it.
"""The operator that DAGs use: a pod that runs one image of the platform, as the clusters accept it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from imports import platform_settings as platform
from kubernetes.client import models as k8s

# The clusters refuse pods that break the Pod Security Standard "restricted". These two keep it.
POD_SECURITY = k8s.V1PodSecurityContext(
    run_as_non_root=True,
    run_as_user=platform.USER_ID,
    seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
)
CONTAINER_SECURITY = k8s.V1SecurityContext(
    allow_privilege_escalation=False,
    privileged=False,
    run_as_non_root=True,
    run_as_user=platform.USER_ID,
    seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    capabilities=k8s.V1Capabilities(drop=["ALL"]),
)


class PipelinePodOperator(KubernetesPodOperator):
    """Run one image of the platform in a pod.

    Args:
        repository: The GitHub repository of the image.
        release: The release of the image, such as "v1.0.0".
        role: The IAM role of the pod, such as "airflow_dev_example".
        environment: "dev" or "prod": the cluster that the pod runs on.
        compute: What it runs on: "standard", "high-memory" or "gpu".
        env_vars: Environment variables of the container, name to text. Airflow fills in Jinja templates.
        **kwargs: Anything else that KubernetesPodOperator takes; it wins over what this class sets.

    Raises:
        ValueError: An unknown environment or compute, or a variable that is not text.
    """

    def __init__(
        self,
        *,
        repository: str,
        release: str,
        role: str,
        environment: str,
        compute: str = "standard",
        env_vars: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        cluster = _one_of("environment", environment, platform.CLUSTER_CONTEXTS)
        profile = _one_of("compute", compute, platform.COMPUTE)
        variables = {**platform.ENV_VARS, **_checked(env_vars or {})}
        settings: dict[str, Any] = {
            "image": image_uri(repository, release),
            "namespace": platform.NAMESPACE,
            "in_cluster": False,
            "config_file": platform.KUBECONFIG,
            "cluster_context": cluster,
            "security_context": POD_SECURITY,
            "container_security_context": CONTAINER_SECURITY,
            "get_logs": True,
            "on_finish_action": "delete_pod",
            **_identity(role),
            **profile,
        }
        super().__init__(env_vars=variables, **{**settings, **kwargs})

    def build_pod_request_obj(self, *args: Any, **kwargs: Any) -> k8s.V1Pod:
        """The pod to be created. Containers that Airflow adds, for XCom, keep the standard too."""
        pod = super().build_pod_request_obj(*args, **kwargs)
        for container in [*pod.spec.containers, *(pod.spec.init_containers or [])]:
            container.security_context = container.security_context or CONTAINER_SECURITY
        return pod


def image_uri(repository: str, release: str) -> str:
    """The image of a release: registries take lower-case names with hyphens."""
    return f"{platform.REGISTRY}/{repository.lower().replace('_', '-')}:{release}"


def _identity(role: str) -> dict[str, Any]:
    """How the pod gets its IAM role."""
    if platform.POD_IDENTITY == "irsa":
        return {"service_account_name": role.replace("_", "-")}
    return {"annotations": {"iam.amazonaws.com/role": role}}


def _one_of(argument: str, value: str, known: Mapping[str, Any]) -> Any:
    if value not in known:
        raise ValueError(f"{argument}={value!r}: must be one of {', '.join(map(repr, known))}")
    return known[value]


def _checked(env_vars: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in env_vars.items():
        if value is None or isinstance(value, (bool, int, float, list, tuple, dict)):
            raise ValueError(f"env_vars[{name!r}] is {value!r}: must be text, in quotes")
    return env_vars
