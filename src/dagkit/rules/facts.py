"""What rules may ask about: DAG files, DAGs, tasks, pods, modules, roles.

Each is what the file alone says (`reading.py`), completed by what Airflow says where it loaded the file
(`load.py`). A value that neither knows is UNKNOWN, and a rule says nothing about it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import yaml

from dagkit import names
from dagkit.rules.base import Place
from dagkit.rules.source import PythonSource, YamlSource
from dagkit.rules.values import ABSENT, UNKNOWN, Missing, Scope, is_text

Grant = Literal["read_only", "write_only", "read_write", "deny"]
WRITES: tuple[Grant, ...] = ("write_only", "read_write")


@dataclass(frozen=True)
class Import:
    """An imported module, and the names taken from it (none for ``import x``)."""

    module: str
    names: tuple[str, ...]
    place: Place
    node: ast.Import | ast.ImportFrom = field(repr=False, compare=False)
    top_level: bool = True


@dataclass(frozen=True)
class PythonModule:
    """A Python file that Airflow reads: a DAG file, or a module of ``imports/``.

    Attributes:
        source: The file.
        scope: Its names.
        imports: What it imports, wherever it stands.
        project: The project that it belongs to; empty for the platform's own modules.
    """

    source: PythonSource = field(repr=False)
    scope: Scope = field(repr=False)
    imports: tuple[Import, ...] = field(repr=False)
    project: str

    @property
    def path(self) -> str:
        """From the repository's root."""
        return self.source.path


@dataclass(frozen=True)
class Loaded:
    """What Airflow says about a DAG file.

    Attributes:
        seconds: How long it took to parse.
        error: Why it does not import: its line (None where unknown), and what Airflow says.
        warnings: Line, category and message of each warning that comes from the file.
        dags: What it says about each DAG, as `child.py` writes it down.
    """

    seconds: float
    error: Mapping[str, Any] | None
    warnings: tuple[Mapping[str, Any], ...] = ()
    dags: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class DagFile(PythonModule):
    """A DAG file.

    Attributes:
        environment: Whose it is.
        stem: The file's name without ``.py``.
        dags: The DAGs in it.
        tasks: Their tasks.
        loaded: What Airflow says; None where it was not asked.
    """

    environment: str = ""
    stem: str = ""
    dags: tuple[Dag, ...] = field(default=(), repr=False)
    tasks: tuple[Task, ...] = field(default=(), repr=False)
    loaded: Loaded | None = None

    @property
    def dag_id(self) -> str:
        """The dag_id that its DAG must have."""
        return names.dag_id(self.project, self.stem)


@dataclass(frozen=True)
class Call:
    """Something made with keywords in a file: a DAG, a task.

    Attributes:
        source: The file.
        scope: Its names.
        node: The call; None where only Airflow knows of it.
        line: Where it stands.
        keywords: Its keywords.
        defaults: The DAG's ``default_args``, by name; UNKNOWN where the file alone does not say.
        complete: Whether nothing is hidden in ``**something``.
    """

    source: PythonSource = field(repr=False)
    scope: Scope = field(repr=False)
    node: ast.Call | None = field(repr=False)
    line: int
    keywords: Mapping[str, ast.expr] = field(repr=False)
    defaults: Mapping[str, ast.expr] | Missing = field(repr=False)
    complete: bool = True

    def expression(self, name: str) -> ast.expr | Missing:
        """The expression given for a keyword, or in ``default_args``; ABSENT, or UNKNOWN."""
        if name in self.keywords:
            return self.keywords[name]
        if isinstance(self.defaults, Mapping) and name in self.defaults:
            return self.defaults[name]
        sure = self.node is not None and self.complete and isinstance(self.defaults, Mapping)
        return ABSENT if sure else UNKNOWN

    def value(self, name: str) -> Any:
        """What a keyword is worth; ABSENT if it is not given, UNKNOWN if the file alone does not say."""
        found = self.expression(name)
        return found if isinstance(found, Missing) else self.scope.value(found)

    def place(self, *keywords: str) -> Place:
        """Where the first of these keywords stands that is given; else where the call does."""
        for name in keywords:
            found = self.keywords.get(name)
            if found is None and isinstance(self.defaults, Mapping):
                found = self.defaults.get(name)
            if found is not None:
                return self.source.place(found)
        return Place(self.source.path, self.line)


@dataclass(frozen=True)
class Dag:
    """A DAG.

    Attributes:
        file: The module it is in.
        environment: Whose it is.
        expected_id: The dag_id that its place asks for.
        call: ``DAG(…)`` or ``@dag(…)``.
        function: The function under ``@dag``, where there is one.
        facts: What Airflow says; None where it was not asked, or does not know it.
    """

    file: PythonModule = field(repr=False)
    environment: str
    expected_id: str
    call: Call
    function: ast.FunctionDef | None = field(default=None, repr=False)
    facts: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def dag_id(self) -> Any:
        """The dag_id, UNKNOWN or ABSENT."""
        if self.facts is not None:
            return self.facts["dag_id"]
        value = self.call.value("dag_id")
        return self.function.name if value is ABSENT and self.function else value

    def place(self, *keywords: str) -> Place:
        """Where the first of these keywords stands that is given; else where the DAG is made."""
        return self.call.place(*keywords)


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        file: The module it is in.
        environment: Whose it is.
        call: The call that makes it.
        operator: The class's name.
        known_bases: The names of its classes, itself first, where Airflow says.
        facts: What Airflow says; None where it was not asked.
        registry: The platform's own registry, which PipelinePodOperator takes images from.
    """

    file: PythonModule = field(repr=False)
    environment: str
    call: Call
    operator: str
    facts: Mapping[str, Any] | None = field(default=None, repr=False)
    registry: str = field(default="", repr=False)

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of its classes, itself first; only itself where Airflow was not asked."""
        return tuple(self.facts["bases"]) if self.facts else (self.operator,)

    @property
    def task_id(self) -> Any:
        """The task_id, without the task groups it is in; UNKNOWN or ABSENT."""
        if self.facts is None:
            return self.call.value("task_id")
        return self.facts["label"]

    def place(self, *keywords: str) -> Place:
        """Where the first of these keywords stands that is given; else where the task is made."""
        return self.call.place(*keywords)

    @cached_property
    def pod(self) -> Pod | None:
        """The pod it runs; None for a task without one."""
        if "KubernetesPodOperator" in self.bases or "PipelinePodOperator" in self.bases:
            return Pod(self)
        return None


@dataclass(frozen=True)
class Pod:
    """The pod of a task."""

    task: Task

    @property
    def spec(self) -> Mapping[str, Any] | None:
        """The pod as Airflow builds it; None where it was not asked, or cannot before the task runs."""
        return self.task.facts["pod"] if self.task.facts else None

    @property
    def container(self) -> Mapping[str, Any]:
        """The container with the image, as Airflow builds it."""
        containers: list[Mapping[str, Any]] = ((self.spec or {}).get("spec") or {}).get("containers") or [{}]
        return containers[0]

    def place(self, *keywords: str) -> Place:
        """Where the first of these keywords stands that is given; else where the task is made."""
        return self.task.place(*keywords)

    @property
    def _platform(self) -> bool:
        return self.task.operator == "PipelinePodOperator"

    @cached_property
    def image(self) -> Any:
        """The image; UNKNOWN or ABSENT."""
        if self.spec is not None:
            image = self.container.get("image")
            return UNKNOWN if image and not is_text(image) else image or ABSENT
        value = self.task.call.value("image")
        if self._platform and value is ABSENT:
            repository, release = self.task.call.value("repository"), self.task.call.value("release")
            if is_text(repository) and is_text(release):
                return f"{self.task.registry}/{names.ecr_repository(repository)}:{release}"
            return UNKNOWN
        return value if value is ABSENT or is_text(value) else UNKNOWN

    @cached_property
    def service_account(self) -> Any:
        """The service account; UNKNOWN or ABSENT."""
        if self.spec is not None:
            return (self.spec.get("spec") or {}).get("serviceAccountName") or ABSENT
        value = self.task.call.value("service_account_name")
        return value if value is ABSENT or is_text(value) else UNKNOWN

    @cached_property
    def annotation(self) -> Any:
        """The role that kube2iam's annotation names; UNKNOWN or ABSENT."""
        if self.spec is not None:
            annotations = (self.spec.get("metadata") or {}).get("annotations") or {}
            return annotations.get("iam.amazonaws.com/role") or ABSENT
        value = self.task.call.value("annotations")
        if isinstance(value, dict):
            return value.get("iam.amazonaws.com/role", ABSENT)
        return ABSENT if value is ABSENT or value is None else UNKNOWN

    @cached_property
    def role(self) -> Any:
        """The IAM role: what ``role``, the annotation or the service account says; UNKNOWN or ABSENT."""
        given = self.task.facts["role"] if self.task.facts else None
        if self._platform and not given:
            given = self.task.call.value("role")
        if is_text(given):
            return given
        if is_text(self.annotation):
            return self.annotation.rsplit("/", 1)[-1]
        account = self.service_account
        if is_text(account) and account.startswith(f"{names.ROLE_PREFIX}-"):
            # role names hold no hyphen, so this is exact
            return account.replace("-", "_")
        if UNKNOWN in (account, self.annotation) or (self._platform and given is UNKNOWN):
            return UNKNOWN
        return ABSENT

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """The environment variables whose names are known; their values may be UNKNOWN."""
        if self.spec is not None:
            listed = self.container.get("env") or []
            return {item["name"]: item.get("value", UNKNOWN) for item in listed if isinstance(item, dict)}
        value = self.task.call.value("env_vars")
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class S3Path:
    """A path of a role's ``s3`` section, with the line it stands on."""

    grant: Grant
    text: str
    place: Place
    node: yaml.Node = field(repr=False, compare=False)

    @property
    def bucket(self) -> str:
        """The part before the first slash."""
        return self.text.split("/", 1)[0]

    @property
    def key(self) -> str:
        """The part after the first slash; empty where there is none."""
        return self.text.partition("/")[2]


def pattern_matches(pattern: str, path: str) -> bool:
    """Whether a path, or all that another pattern covers, fits a pattern of ``*`` and ``?``."""
    return pattern == path or _compiled(pattern).fullmatch(path) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    return re.compile("".join(signs.get(sign) or re.escape(sign) for sign in pattern), re.DOTALL)


@dataclass(frozen=True)
class Role:
    """An IAM role's file.

    Attributes:
        source: The file.
        environment: Whose it is.
        name: The role's name in IAM, by its place.
    """

    source: YamlSource = field(repr=False)
    environment: str
    name: str

    @property
    def path(self) -> str:
        """From the repository's root."""
        return self.source.path

    @property
    def config(self) -> Mapping[str, Any]:
        """What it says; empty where it cannot be read."""
        return self.source.data if isinstance(self.source.data, dict) else {}

    @cached_property
    def paths(self) -> tuple[S3Path, ...]:
        """The S3 paths it names, in the file's order."""
        return tuple(self._paths())

    def _paths(self) -> Iterator[S3Path]:
        section = self.source.find("s3")
        if not isinstance(section, yaml.MappingNode):
            return
        grants: dict[str, Grant] = {
            "read_only": "read_only",
            "write_only": "write_only",
            "read_write": "read_write",
            "deny": "deny",
        }
        for key, value in section.value:
            if key.value in grants and isinstance(value, yaml.SequenceNode):
                for node in value.value:
                    if isinstance(node, yaml.ScalarNode) and isinstance(node.value, str):
                        mark = node.start_mark
                        place = Place(self.path, mark.line + 1, mark.column + 1)
                        yield S3Path(grants[key.value], node.value, place, node)
