"""DK3: pods. What runs, under which name, from which image and with which role."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping

from dagkit import names
from dagkit.dagrepo import Registry
from dagkit.rules import examples
from dagkit.rules.base import Edit, Finding, Rule
from dagkit.rules.facts import DagFile, Pod, Role, Task
from dagkit.rules.subject import Subject
from dagkit.rules.values import ABSENT, is_text

TASK_ID_MAX = 54
"""A pod's name has 63 characters at most, and Airflow takes nine of them for a suffix of its own."""

POD = "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator"


def _image(reference: str) -> examples.Example:
    """A task whose image is named in full."""
    return examples.in_task(f'image="{reference}",')


class TaskIdCharacters(Rule):
    """A task_id holds lower-case letters, digits, hyphens and dots."""

    code = "DK301"
    name = "task-id-characters"
    why = "It becomes the pod's name, and Kubernetes takes nothing else."
    bad = examples.in_task('task_id="write_text",')
    good = examples.in_task('task_id="write-text",')
    explains = r"key .* has to be made of alphanumeric|The key has to be"

    def check(self, task: Task) -> Iterator[Finding]:
        """Of each task that runs a pod."""
        task_id = task.task_id
        if task.pod is None or not is_text(task_id) or names.matches(names.TASK_ID, task_id):
            return
        new = re.sub(r"[^a-z0-9.-]+", "-", task_id.lower()).strip("-.") or "task"
        node = task.call.keywords.get("task_id")
        changes: list[Edit] = []
        written = re.findall(rf"['\"]{re.escape(task_id)}['\"]", task.call.source.text)
        # where the old name is written elsewhere too, a person has to look
        if isinstance(node, ast.Constant) and node.value == task_id and len(written) == 1:
            changes.append(task.call.source.replace(node, f'"{new}"'))
        yield self.finding(
            task.place("task_id"),
            f"The task_id '{task_id}' cannot be a pod's name",
            f'Write task_id="{new}".',
            *changes,
        )


class TaskIdLength(Rule):
    """A task_id is short enough for a pod's name."""

    code = "DK302"
    name = "task-id-length"
    why = "A pod's name has 63 characters, nine of which are Airflow's: the rest is cut off."
    bad = examples.in_task(f'task_id="{"copy-the-daily-extract-" * 3}again",')
    good = examples.in_task('task_id="copy-extract",')

    def check(self, task: Task) -> Iterator[Finding]:
        """Of each task that runs a pod."""
        if task.pod is not None and is_text(task.task_id) and len(task.task_id) > TASK_ID_MAX:
            yield self.finding(
                task.place("task_id"),
                f"The task_id has {len(task.task_id)} characters, and may have {TASK_ID_MAX}",
                "Shorten it.",
            )


def split_image(image: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest of an image; empty where there is none."""
    rest, _, digest = image.partition("@")
    head, _, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    registry, _, path = head.partition("/")
    if head and not ("." in registry or ":" in registry or registry == "localhost"):
        registry, path = "", head
    return registry, f"{path}/{name}".lstrip("/"), tag, digest


class RegistryNotAllowed(Rule):
    """Images come from the registries of dagkit.toml."""

    code = "DK303"
    name = "registry-not-allowed"
    why = "What is in any other registry nobody here has built, scanned or can bring back."
    bad = _image("docker.io/library/python:3.13")
    good = _image(examples.IMAGE)

    def check(self, pod: Pod, registry: Registry) -> Iterator[Finding]:
        """Of each pod's image."""
        if not is_text(pod.image):
            return
        found = split_image(pod.image)[0]
        if found not in registry.hosts:
            said = f"the registry '{found}'" if found else "Docker Hub, as no registry is named"
            yield self.finding(
                pod.place("image", "repository"),
                f"The image comes from {said}",
                f"Use an image from {' or '.join(registry.hosts)}.",
            )


class NoTag(Rule):
    """An image is named with its tag."""

    code = "DK304"
    name = "image-without-tag"
    why = "Without one, it is whatever was pushed last: what runs tonight is not what was reviewed."
    bad = _image(examples.IMAGE.split(":")[0])
    good = _image(examples.IMAGE)

    def check(self, pod: Pod) -> Iterator[Finding]:
        """Of each pod's image; there has to be one."""
        if pod.image is ABSENT and "PipelinePodOperator" not in pod.task.bases and not _by_template(pod):
            yield self.finding(
                pod.place("image"), "The pod has no image", "Name it: image=…, with a release as tag."
            )
        elif is_text(pod.image):
            _, _, tag, digest = split_image(pod.image)
            if not tag and not digest:
                yield self.finding(
                    pod.place("image", "release"), "The image has no tag", 'Name a release: "…:v1.0.0".'
                )


def _by_template(pod: Pod) -> bool:
    """Whether the pod is described somewhere else than in the operator's arguments."""
    if pod.spec is not None:
        return False
    call = pod.task.call
    hidden = ("full_pod_spec", "pod_template_file", "pod_template_dict")
    return not call.complete or any(call.expression(name) is not ABSENT for name in hidden)


IMMUTABLE = re.compile(r"v?\d+(\.\d+)+([-.+_][0-9A-Za-z.+_-]+)?|(?=[0-9a-f]*\d)[0-9a-f]{7,40}|\d{8,14}")


class MutableTag(Rule):
    """The tag is a release, which never changes."""

    code = "DK305"
    name = "image-tag-moves"
    why = "Behind `latest` or a branch is another image tomorrow: what runs tonight is not what was reviewed."
    bad = examples.in_task('release="latest",')
    good = examples.in_task('release="v1.0.0",')

    def check(self, pod: Pod) -> Iterator[Finding]:
        """A version, a commit or a digest."""
        if not is_text(pod.image):
            return
        _, _, tag, digest = split_image(pod.image)
        if tag and not digest and not IMMUTABLE.fullmatch(tag):
            yield self.finding(
                pod.place("release", "image"),
                f"The image's tag '{tag}' may be another image tomorrow",
                'Name a release, such as "v1.0.0".',
            )


class RoleOfOtherEnvironment(Rule):
    """A pod has a role of its own environment."""

    code = "DK306"
    name = "role-of-other-environment"
    why = "A DAG in dev that has prod's role can overwrite what prod has written, without anybody's approval."
    bad = examples.in_task(
        'role="airflow_prod_example_daily",',
        also={
            "environments/prod/roles/airflow_prod_example_daily.yaml": "bedrock: true\n",
        },
    )
    good = examples.in_task('role=f"airflow_{ENVIRONMENT}_example_daily",')

    def check(self, pod: Pod, subject: Subject) -> Iterator[Finding]:
        """By the role's name."""
        other = _other_environment(pod, subject)
        if other is not None and not _environment_is_wrong(pod):
            yield self.finding(
                pod.place("role", "service_account_name", "annotations"),
                f"'{pod.role}' is a role of {other}, and the DAG is in {pod.task.environment}",
                f'Use the role of {pod.task.environment}: role=f"airflow_{{ENVIRONMENT}}_…".',
            )


def _other_environment(pod: Pod, subject: Subject) -> str | None:
    for environment in subject.environments:
        prefix = f"{names.ROLE_PREFIX}_{environment}_"
        if environment != pod.task.environment and is_text(pod.role) and pod.role.startswith(prefix):
            return environment
    return None


def _environment_is_wrong(pod: Pod) -> bool:
    """Whether the file's own ENVIRONMENT is the mistake, which another rule reports."""
    scope = pod.task.file.scope
    said = scope.value(scope.assigned.get("ENVIRONMENT"))
    return isinstance(said, str) and said != pod.task.environment


class RoleWithoutFile(Rule):
    """The role of a pod has a file."""

    code = "DK307"
    name = "role-without-file"
    why = "Roles are made from the files: without one there is no such role, and the pod may do nothing."
    bad = examples.in_task('role="airflow_dev_example_dialy",')
    good = examples.in_task('role="airflow_dev_example_daily",')

    def check(self, pod: Pod, subject: Subject, roles: Mapping[str, Mapping[str, Role]]) -> Iterator[Finding]:
        """In the roles of the DAG's environment."""
        known = roles.get(pod.task.environment, {})
        if not is_text(pod.role) or pod.role in known:
            return
        if _other_environment(pod, subject) is None:
            path = f"environments/{pod.task.environment}/roles/{pod.role}.yaml"
            if subject.pipeline is not None:
                stem = pod.task.call.source.path.rsplit("/", 1)[-1].removesuffix(".py")
                path = f"airflow/roles/{pod.task.environment}/{stem}.yaml"
            yield self.finding(
                pod.place("role", "service_account_name", "annotations"),
                f"The role '{pod.role}' has no file{names.closest(pod.role, known)}",
                f"Add {path}, or name a role that has one.",
            )


class ServiceAccountMismatch(Rule):
    """The service account is the role's name with hyphens."""

    code = "DK308"
    name = "service-account-mismatch"
    why = (
        "The cluster gives a pod the role of its service account: a role named anywhere else changes nothing."
    )
    bad = examples.in_task('service_account_name="airflow-dev-example",')
    good = examples.in_task('service_account_name="airflow-dev-example-daily",')

    def check(self, pod: Pod) -> Iterator[Finding]:
        """Where a pod has both."""
        account, role = pod.service_account, pod.role
        if not is_text(account) or not is_text(role) or (account == "default" and is_text(pod.annotation)):
            return
        right = names.service_account(role)
        if account != right:
            yield self.finding(
                pod.place("service_account_name", "role"),
                f"The service account is '{account}', and the role '{role}' has '{right}'",
                f'Remove service_account_name, or write "{right}".',
            )


class ImageNotInRegistry(Rule):
    """The image is in Amazon ECR."""

    code = "DK313"
    name = "image-not-pushed"
    why = 'A release that was never pushed is found out by a pod that "took too long to start".'
    needs = "network"
    bad = examples.in_task('release="v9.9.9",')
    good = examples.in_task('release="v1.0.0",')

    def check(
        self, dag_file: DagFile, registry: Registry, ecr: Callable[[str], bool | None]
    ) -> Iterator[Finding]:
        """Each of a file's images is looked up once."""
        pods = [task.pod for task in dag_file.tasks if task.pod]
        for pod in pods:
            if is_text(pod.image) and split_image(pod.image)[0] == registry.host and ecr(pod.image) is False:
                yield self.finding(
                    pod.place("release", "image"),
                    f"{pod.image} is not in Amazon ECR",
                    "Publish the release on GitHub and wait for its workflow, or name one that is there.",
                )
