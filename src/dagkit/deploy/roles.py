"""IAM roles: from the role files of one environment to a plan. Pure; `iam.py` carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagkit import names
from dagkit.dagrepo import DagRepository, Environment
from dagkit.deploy import policies
from dagkit.deploy.steps import Action
from dagkit.errors import DagkitError
from dagkit.pipeline import RoleFile

# iam-builder and kube2iam both write role ARNs without a path
PATH = "/"
INLINE_POLICY = "dagkit"
DESCRIPTION = "Pods of an Airflow pipeline; made by dagkit from the DAG repository"


@dataclass(frozen=True)
class Owner:
    """Whose roles these are: what a role's tags must say before it is changed or deleted.

    Attributes:
        repository: The DAG repository, `<organisation>/<name>`.
        environment: `dev` or `prod`.
    """

    repository: str
    environment: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark a role as this owner's."""
        return {"managed-by": "dagkit", "repository": self.repository, "environment": self.environment}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags are this owner's."""
        return all(tags.get(key) == value for key, value in self.tags.items())


@dataclass(frozen=True)
class Identity:
    """How a pod proves which role it may have.

    Attributes:
        kind: `irsa` (a service account, by OIDC) or `kube2iam` (the node's role).
        account: AWS account, 12 digits.
        namespace: Kubernetes namespace of the pods.
        oidc_provider: The cluster's provider without `https://`; for `irsa`.
        node_role: ARN of the nodes' role; for `kube2iam`.
    """

    kind: str
    account: str
    namespace: str
    oidc_provider: str | None = None
    node_role: str | None = None

    def trust(self, role: str) -> dict[str, Any]:
        """The trust policy of a role."""
        if self.kind == "kube2iam":
            return _document(
                {"Effect": "Allow", "Principal": {"AWS": self.node_role}, "Action": "sts:AssumeRole"}
            )
        subject = f"system:serviceaccount:{self.namespace}:{names.service_account(role)}"
        provider = f"arn:aws:iam::{self.account}:oidc-provider/{self.oidc_provider}"
        return _document(
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{self.oidc_provider}:aud": "sts.amazonaws.com",
                        f"{self.oidc_provider}:sub": subject,
                    }
                },
            }
        )


@dataclass(frozen=True)
class WantedRole:
    """A role as its file says.

    Attributes:
        name: Name in IAM.
        file: The file, relative to the repository.
        trust: Trust policy.
        policy: Inline policy; None where the file grants nothing.
        tags: Every tag it must carry.
    """

    name: str
    file: str
    trust: policies.Document
    policy: policies.Document | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class LiveRole:
    """A role as it is in IAM.

    Attributes:
        name: Name.
        trust: Trust policy.
        inline: Inline policies, by name.
        attached: ARNs of managed policies.
        tags: Tags.
    """

    name: str
    trust: policies.Document
    inline: Mapping[str, policies.Document]
    attached: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RoleStep:
    """One role's part of the plan.

    Attributes:
        action: What happens.
        name: The role.
        differs: What an update puts right.
        problem: Why it is refused.
        wanted: The role as its file says.
        live: The role as it is.
    """

    action: Action
    name: str
    differs: tuple[str, ...] = ()
    problem: str | None = None
    wanted: WantedRole | None = None
    live: LiveRole | None = None

    @property
    def detail(self) -> str:
        """What differs."""
        return ", ".join(self.differs)


def identity(settings: Environment) -> Identity:
    """How the pods of an environment prove their role, from its settings."""
    return Identity(
        settings.pod_identity,
        settings.account,
        settings.namespace,
        settings.oidc_provider,
        settings.node_role,
    )


def wanted(repository: DagRepository, owner: Owner) -> tuple[dict[str, WantedRole], tuple[RoleStep, ...]]:
    """What the role files of the owner's environment ask for, and a refusal for each that cannot be had."""
    good: dict[str, WantedRole] = {}
    refused: list[RoleStep] = []

    def refuse(name: str, path: str, error: DagkitError) -> None:
        where = (error.where or path).removeprefix(f"{repository.root}/")
        refused.append(RoleStep(Action.REFUSED, name, problem=f"{error.what} ({where})"))

    files = repository.roles(owner.environment)
    trusted = identity(repository.settings.environments[owner.environment])
    for file in files:
        path = file.path.relative_to(repository.root).as_posix()
        try:
            good[file.name] = _wanted(file, path, owner, trusted)
        except DagkitError as error:
            refuse(file.name, path, error)
    read = {file.path for file in files}
    unread = [p for p in sorted(repository.roles_folder(owner.environment).glob("*.yaml")) if p not in read]
    if unread:
        for missed, why in zip(unread, repository.unreadable_roles(owner.environment), strict=True):
            refuse(missed.stem, missed.as_posix(), why)
    return good, tuple(refused)


def _wanted(file: RoleFile, path: str, owner: Owner, trusted: Identity) -> WantedRole:
    prefix = f"{names.ROLE_PREFIX}_{owner.environment}_"
    if not names.matches(names.ROLE, file.name) or len(file.name) > names.ROLE_MAX:
        raise DagkitError(
            f"'{file.name}' cannot be a role's name: up to {names.ROLE_MAX} letters, digits and _", where=path
        )
    if not file.name.startswith(prefix):
        raise DagkitError(f"A role of '{owner.environment}' is called {prefix}…", where=path)
    said = file.config.get("iam_role_name")
    if said is not None and said != file.name:
        raise DagkitError(f"iam_role_name is '{said}', but the file is '{file.name}'", where=path)
    policy = file.policy()
    _fits(policy, policies.INLINE_LIMIT, "its policy", path)
    trust = trusted.trust(file.name)
    _fits(trust, policies.TRUST_LIMIT, "its trust policy", path)
    granted = policy if policy["Statement"] else None
    return WantedRole(file.name, path, trust, granted, {**owner.tags, "file": path})


def _fits(document: policies.Document, limit: int, what: str, path: str) -> None:
    size = policies.size(document)
    if size > limit:
        raise DagkitError(
            f"The role grants too much for one role: {what} has {size:,} characters, IAM takes {limit:,}."
            " Grant folders rather than many single paths, or split the pipeline",
            where=path,
        )


def plan(
    wanted_roles: Mapping[str, WantedRole], live_roles: Mapping[str, LiveRole], owner: Owner, *, prune: bool
) -> tuple[RoleStep, ...]:
    """What has to happen for IAM to hold what the files say, sorted by role.

    Args:
        wanted_roles: By name, from `wanted`.
        live_roles: All roles of the account, by name.
        owner: Whose tags a role must carry to be changed.
        prune: Delete roles of this owner that no file asks for.
    """
    steps = [step(role, live_roles.get(name), owner) for name, role in wanted_roles.items()]
    for name, live in live_roles.items():
        if name not in wanted_roles and owner.owns(live.tags):
            steps.append(RoleStep(Action.DELETE if prune else Action.KEPT, name, live=live))
    return tuple(sorted(steps, key=lambda item: item.name))


def keep_refused(steps: Sequence[RoleStep], refused: Sequence[RoleStep]) -> tuple[RoleStep, ...]:
    """Put refused files into the plan: a file that is wrong is not a file that is gone, so its role stays."""
    held = {item.name for item in refused}
    return tuple(sorted((*refused, *(s for s in steps if s.name not in held)), key=lambda item: item.name))


def step(role: WantedRole, live: LiveRole | None, owner: Owner) -> RoleStep:
    """What has to happen to one role."""
    if live is None:
        return RoleStep(Action.CREATE, role.name, wanted=role)
    if not owner.owns(live.tags):
        tags = " ".join(f"Key={key},Value={value}" for key, value in owner.tags.items())
        problem = (
            "a role of this name exists and does not carry this repository's tags, so it is left alone."
            f" To hand it over: aws iam tag-role --role-name {role.name} --tags {tags}"
        )
        return RoleStep(Action.REFUSED, role.name, problem=problem, wanted=role, live=live)
    differs = tuple(_differences(role, live))
    return RoleStep(Action.UPDATE if differs else Action.UNCHANGED, role.name, differs, None, role, live)


def _differences(role: WantedRole, live: LiveRole) -> Iterable[str]:
    if not policies.same(role.policy, live.inline.get(INLINE_POLICY)):
        yield "policy"
    if not policies.same(role.trust, live.trust):
        yield "trust policy"
    yield from (
        f"inline policy '{name}' added by hand" for name in sorted(live.inline) if name != INLINE_POLICY
    )
    yield from (f"attached policy {arn}" for arn in sorted(live.attached))
    if any(live.tags.get(key) != value for key, value in role.tags.items()):
        yield "tags"


def service_account(role: WantedRole, account: str, namespace: str) -> dict[str, Any]:
    """The Kubernetes service account that carries a role (IRSA)."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": names.service_account(role.name),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "dagkit"},
            "annotations": {
                "eks.amazonaws.com/role-arn": f"arn:aws:iam::{account}:role/{role.name}",
                "eks.amazonaws.com/sts-regional-endpoints": "true",
            },
        },
    }


def _document(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}
