"""DK3, second half: what the clusters accept of a pod, and what must not be written into one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dagkit.rules import examples
from dagkit.rules.base import Finding, Rule
from dagkit.rules.facts import Pod, Task
from dagkit.rules.values import is_text

K8S = "from kubernetes.client import models as k8s"
FORBIDDEN_USERS = {0: "root", 1000: "the user that the nodes' own files belong to"}


class RestrictedStandard(Rule):
    """Pods keep the Pod Security Standard "restricted"."""

    code = "DK309"
    name = "pod-security"
    why = (
        "The clusters refuse a pod that does not, so the task fails after waiting for a pod that never comes."
    )
    needs = "dag"
    bad = examples.in_task(
        "container_security_context=k8s.V1SecurityContext(privileged=True, run_as_user=1337),", top=K8S
    )
    good = examples.in_task('compute="standard",')

    def check(self, pod: Pod) -> Iterator[Finding]:
        """Of the pod as Airflow builds it, every container of it."""
        if pod.spec is None:
            return
        wrong = list(_broken(pod.spec.get("spec") or {}))
        if wrong:
            yield self.finding(
                pod.place("container_security_context", "security_context", "hostnetwork", "volumes"),
                f"The cluster would refuse the pod: {'; '.join(wrong)}",
                "Use PipelinePodOperator without a security context of your own: it keeps the standard.",
            )


def _broken(spec: Mapping[str, Any]) -> Iterator[str]:
    """What of the restricted standard (Kubernetes, Pod Security Standards) a pod breaks."""
    whole = spec.get("securityContext") or {}
    for name, key in (("hostNetwork", "hostNetwork"), ("hostPID", "hostPID"), ("hostIPC", "hostIPC")):
        if spec.get(key):
            yield f"{name} must be false"
    if any(volume.get("hostPath") for volume in spec.get("volumes") or []):
        yield "hostPath volumes are not allowed"
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    settings = [container.get("securityContext") or {} for container in containers]
    if any(each.get("privileged") for each in settings):
        yield "privileged must be false"
    if any(each.get("allowPrivilegeEscalation") is not False for each in settings):
        yield "allowPrivilegeEscalation must be false"
    if any(each.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True for each in settings):
        yield "runAsNonRoot must be true"
    profiles = [
        (each.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type") for each in settings
    ]
    if any(profile not in ("RuntimeDefault", "Localhost") for profile in profiles):
        yield "the seccomp profile must be RuntimeDefault"
    dropped = [(each.get("capabilities") or {}).get("drop") or [] for each in settings]
    if any("ALL" not in drop for drop in dropped):
        yield "capabilities must drop ALL"
    added = [(each.get("capabilities") or {}).get("add") or [] for each in settings]
    if any(set(add) - {"NET_BIND_SERVICE"} for add in added):
        yield "capabilities may not be added"


class ForbiddenUser(Rule):
    """Pods run as any user but 0 and 1000."""

    code = "DK310"
    name = "forbidden-user"
    why = "0 is root, which the clusters refuse, and 1000 owns files of the node."
    needs = "dag"
    bad = examples.in_task(
        """\
security_context=k8s.V1PodSecurityContext(
    run_as_non_root=True, run_as_user=1000, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
),
container_security_context=k8s.V1SecurityContext(
    allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
),""",
        top=K8S,
    )
    good = examples.in_task(
        """\
security_context=k8s.V1PodSecurityContext(
    run_as_non_root=True, run_as_user=1337, seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault")
),
container_security_context=k8s.V1SecurityContext(
    allow_privilege_escalation=False, capabilities=k8s.V1Capabilities(drop=["ALL"])
),""",
        top=K8S,
    )

    def check(self, pod: Pod) -> Iterator[Finding]:
        """Of the pod, and of each container that has its own."""
        spec = (pod.spec or {}).get("spec") or {}
        whole = (spec.get("securityContext") or {}).get("runAsUser")
        containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
        users = {(each.get("securityContext") or {}).get("runAsUser", whole) for each in containers}
        for user, who in FORBIDDEN_USERS.items():
            if user in users:
                yield self.finding(
                    pod.place("security_context", "container_security_context"),
                    f"The pod runs as user {user}, {who}",
                    "Leave the user to PipelinePodOperator, or take another number, such as 1337.",
                )


SECRET_NAME = re.compile(
    r"(?i)(^|_)(password|passwd|pwd|secret|token|api_?key|access_key|private_key|credentials?|auth)(_|$)"
)
NOT_SECRET_NAME = re.compile(
    r"(?i)(_|^)(name|path|arn|url|uri|file|id|bucket|prefix|expiry|ttl|length|count|limit|region|version)$"
)
SECRET_VALUES = {
    r"\b(AKIA|ASIA)[0-9A-Z]{16}\b": "an AWS access key",
    r"\bgh[pousr]_[A-Za-z0-9]{30,}\b": "a GitHub token",
    r"\bgithub_pat_[A-Za-z0-9_]{30,}": "a GitHub token",
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}": "a Slack token",
    r"https://hooks\.slack\.com/services/\S+": "a Slack webhook",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----": "a private key",
    r"\b[a-z][a-z0-9+.-]*://[^\s:/@]+:[^\s@/{}]+@": "a password in a URL",
    r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.": "a signed token",
}


ANY_SECRET = re.compile("|".join(SECRET_VALUES))


def _secret(value: str) -> str | None:
    """What kind of secret a text has the form of."""
    if not ANY_SECRET.search(value):
        return None
    return next(kind for form, kind in SECRET_VALUES.items() if re.search(form, value))


class SecretInVariable(Rule):
    """No secret is written into a pod's environment variables."""

    code = "DK311"
    name = "secret-in-variable"
    why = "DAGs are in git, where everybody with access reads them and nothing is ever forgotten."
    bad = examples.in_task('env_vars={"DATABASE_PASSWORD": "hunter2-hunter2"},')
    good = examples.in_task('env_vars={"DATABASE_PASSWORD_SECRET_NAME": "example/database"},')

    def check(self, pod: Pod) -> Iterator[Finding]:
        """By the value where it has a form that is known, else by the name."""
        for name, value in pod.variables.items():
            if not isinstance(value, str) or not value.strip():
                continue
            what = _secret(value)
            named = is_text(value) and SECRET_NAME.search(name) and not NOT_SECRET_NAME.search(name)
            if named and not re.fullmatch(r"(?i)true|false|none|arn:.*|s3://.*|/.*|\d{1,5}|[a-z]+", value):
                what = what or "a secret, by its name"
            if what is not None:
                yield self.finding(
                    pod.place("env_vars"),
                    f"The variable '{name}' looks like {what}",
                    "Put it into AWS Secrets Manager, let the role read it (secretsmanager: read_only),"
                    " and have the code ask for it. If it was real, have it replaced.",
                )


class UnknownResources(Rule):
    """Pods ask for the resources of a compute profile."""

    code = "DK312"
    name = "resources-outside-profiles"
    why = "The nodes are made for the profiles: another request may wait for a node that never comes."
    needs = "dag"
    bad = examples.in_task(
        'container_resources=k8s.V1ResourceRequirements(requests={"cpu": "7", "memory": "200Gi"}),', top=K8S
    )
    good = examples.in_task('compute="high-memory",')

    def check(self, pod: Pod, compute: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
        """Those of platform_settings.COMPUTE."""
        resources = pod.container.get("resources") or {}
        wanted = {key: _same(value) for key, value in resources.items() if value}
        if pod.spec is None or not wanted:
            return
        for profile in compute.values():
            if wanted == {key: _same(value) for key, value in profile.items() if value}:
                return
        said = ", ".join(
            f"{k} {v}"
            for k, v in sorted((resources.get("requests") or resources.get("limits") or {}).items())
        )
        yield self.finding(
            pod.place("container_resources", "compute"),
            f"The pod asks for {said}, which no compute profile offers",
            f"Write compute= and one of: {', '.join(compute)}.",
        )


def _same(amounts: Mapping[str, Any]) -> dict[str, float]:
    """Amounts of resources as numbers, so that 1000m and 1 are the same."""
    units = {
        "m": 1e-3,
        "k": 1e3,
        "M": 1e6,
        "G": 1e9,
        "T": 1e12,
        "Ki": 2**10,
        "Mi": 2**20,
        "Gi": 2**30,
        "Ti": 2**40,
    }
    found: dict[str, float] = {}
    for name, amount in amounts.items():
        match = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(amount))
        found[name] = float(match[1]) * units.get(match[2], 1) if match else -1.0
    return found


class PodCannotBeBuilt(Rule):
    """Airflow can build the pod from what the task says."""

    code = "DK314"
    name = "pod-not-built"
    why = "The task fails when it is about to start, and not before."
    needs = "dag"
    bad = examples.in_tasks(
        """\
KubernetesPodOperator(
    task_id="check",
    image="189157455002.dkr.ecr.eu-west-1.amazonaws.com/my-pipeline:v1.0.0",
    volumes=["data"],
)""",
        top="from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
    )
    good = examples.in_task('compute="standard",')

    def check(self, task: Task) -> Iterator[Finding]:
        """What Airflow says when it is asked to."""
        error = task.facts["pod_error"] if task.facts else None
        if error and not str(task.facts and task.facts["operator"]).startswith("_"):
            yield self.finding(
                task.place(), f"The pod cannot be built: {error}", "Correct the task's arguments."
            )
