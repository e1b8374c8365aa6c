"""A pod as Airflow built it, read as what an engine has to do. Pure.

Source: the Kubernetes API reference, Pod v1 core; a container's own security context goes before the pod's.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BASE = "base"
XCOM_SIDECAR = "airflow-xcom-sidecar"
XCOM_FOLDER = "/airflow/xcom"
KUBE2IAM_ANNOTATION = "iam.amazonaws.com/role"

Manifest = Mapping[str, Any]

_DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@dataclass(frozen=True)
class PodRun:
    """One pod of one try of a task, ready for an engine.

    Attributes:
        task: The task's name, with its index where it is mapped.
        name: The pod's name.
        image: Its image, as the pod names it.
        command: Instead of the image's ENTRYPOINT (and CMD), where not empty.
        args: Instead of the image's CMD, where not empty.
        env: Environment variables.
        working_dir: Instead of the image's WORKDIR.
        user: User id; None is the image's.
        group: Group id.
        groups: Further group ids.
        non_root: The pod must not run as root.
        memory: Limit in bytes.
        cpus: Limit in cores.
        drop: Capabilities dropped.
        add: Capabilities added.
        new_privileges: Whether the processes may gain privileges.
        privileged: Whether the pod asks to be privileged.
        read_only: Whether the root file system is read-only.
        empty_dirs: Bytes (None: no limit) by mount path of empty, writable folders.
        xcom: Whether the task's result is read from /airflow/xcom/return.json.
        role: The IAM role it names, and None where it names none.
        service_account: Its Kubernetes service account.
        not_reproduced: What of it has no meaning on this machine; a sentence each.
    """

    task: str
    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] = ()
    non_root: bool = False
    memory: int | None = None
    cpus: float | None = None
    drop: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    new_privileges: bool = True
    privileged: bool = False
    read_only: bool = False
    empty_dirs: Mapping[str, int | None] = field(default_factory=dict)
    xcom: bool = False
    role: str | None = None
    service_account: str | None = None
    not_reproduced: tuple[str, ...] = ()


def read(manifest: Manifest, task: str) -> PodRun:
    """Read a pod's manifest, in the form that Kubernetes' API takes (camelCase)."""
    metadata, spec = manifest.get("metadata") or {}, manifest["spec"]
    base, others = _base(spec.get("containers") or [])
    security = {**(spec.get("securityContext") or {}), **(base.get("securityContext") or {})}
    limits = (base.get("resources") or {}).get("limits") or {}
    capabilities = security.get("capabilities") or {}
    env, lost_env = _environment(base, metadata, spec)
    empty_dirs, lost_volumes = _volumes(spec, base)
    gpus = sorted(name for name in limits if name.endswith("/gpu"))
    lost = [
        *lost_env,
        *lost_volumes,
        *(f"init container '{c.get('name')}' does not run" for c in spec.get("initContainers") or []),
        *(f"container '{c.get('name')}' does not run" for c in others if c.get("name") != XCOM_SIDECAR),
        *(f"{name}={limits[name]} is left out: the task runs without a GPU" for name in gpus),
    ]
    groups = [security["fsGroup"]] if security.get("fsGroup") is not None else []
    groups += security.get("supplementalGroups") or []
    return PodRun(
        task=task,
        name=str(metadata.get("name") or task),
        image=str(base["image"]),
        command=_texts(base.get("command")),
        args=_texts(base.get("args")),
        env=env,
        working_dir=base.get("workingDir"),
        user=security.get("runAsUser"),
        group=security.get("runAsGroup"),
        groups=tuple(groups),
        non_root=bool(security.get("runAsNonRoot")),
        memory=int(quantity(limits["memory"])) if "memory" in limits else None,
        cpus=float(quantity(limits["cpu"])) if "cpu" in limits else None,
        drop=_texts(capabilities.get("drop")),
        add=_texts(capabilities.get("add")),
        new_privileges=security.get("allowPrivilegeEscalation") is not False,
        privileged=bool(security.get("privileged")),
        read_only=bool(security.get("readOnlyRootFilesystem")),
        empty_dirs=empty_dirs,
        xcom=any(c.get("name") == XCOM_SIDECAR for c in others),
        role=(metadata.get("annotations") or {}).get(KUBE2IAM_ANNOTATION),
        service_account=spec.get("serviceAccountName"),
        not_reproduced=tuple(lost),
    )


def quantity(text: str | float) -> decimal.Decimal:
    """A Kubernetes quantity as a number: ``500Mi`` is 524288000, ``250m`` is 0.25.

    Raises:
        ValueError: It is not a quantity.
    """
    text = str(text).strip()
    for suffix, power in _BINARY.items():
        if text.endswith(suffix):
            return _number(text.removesuffix(suffix), text) * decimal.Decimal(1024**power)
    suffix = text[-1:] if text[-1:] in _DECIMAL else ""
    return _number(text.removesuffix(suffix), text).scaleb(3 * _DECIMAL[suffix])


def _number(text: str, whole: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"'{whole}' is not a quantity, such as 500Mi or 2") from None


def _base(containers: Sequence[Manifest]) -> tuple[Manifest, list[Manifest]]:
    base = next((c for c in containers if c.get("name") == BASE), containers[0])
    return base, [c for c in containers if c is not base]


def _texts(values: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _environment(base: Manifest, metadata: Manifest, spec: Manifest) -> tuple[dict[str, str], list[str]]:
    fields = {
        "metadata.name": metadata.get("name"),
        "metadata.namespace": metadata.get("namespace"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
    }
    env: dict[str, str] = {}
    lost = []
    for variable in base.get("env") or []:
        source = variable.get("valueFrom")
        if not source:
            env[variable["name"]] = str(variable.get("value") or "")
        elif (at := (source.get("fieldRef") or {}).get("fieldPath")) and fields.get(at):
            env[variable["name"]] = str(fields[at])
        else:
            kind = next(iter(source), "elsewhere").removesuffix("KeyRef").removesuffix("Ref")
            lost.append(f"{variable['name']} is not set: its value comes from a {kind} of the cluster")
    for source in base.get("envFrom") or []:
        for kind, reference in source.items():
            if isinstance(reference, Mapping):
                of = kind.removesuffix("Ref")
                lost.append(f"the variables of the cluster's {of} '{reference.get('name')}' are not set")
    return env, lost


def _volumes(spec: Manifest, base: Manifest) -> tuple[dict[str, int | None], list[str]]:
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
    empty: dict[str, int | None] = {}
    lost = []
    for mount in base.get("volumeMounts") or []:
        volume = volumes.get(mount["name"], {})
        path = mount["mountPath"]
        if path == XCOM_FOLDER:
            continue
        if "emptyDir" in volume:
            size = (volume["emptyDir"] or {}).get("sizeLimit")
            empty[path] = int(quantity(size)) if size else None
        else:
            kind = next((key for key in volume if key != "name"), "volume")
            lost.append(f"{path} is not there: it is a {kind} of the cluster")
    return empty, lost
