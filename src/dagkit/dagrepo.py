"""The DAG repository: where all DAGs and roles live, and what `dagkit.toml` says about the platform.

Reading is cheap (TOML, YAML and file names): Airflow and boto3 are never needed for it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dagkit import names
from dagkit.errors import DagkitError, UsageError
from dagkit.pipeline import RoleFile, read_yaml

SETTINGS_FILE = "dagkit.toml"
README = "README.md"
PLATFORM_MODULES = ("__init__", "pipeline_pod", "platform_settings")
"""The modules of `imports/` that are the platform's own: everything else there belongs to a project."""

ALLOWED_OPERATORS = (
    "PipelinePodOperator",
    "KubernetesPodOperator",
    "EmptyOperator",
    "BranchPythonOperator",
    "ShortCircuitOperator",
    "LatestOnlyOperator",
    "BranchDayOfWeekOperator",
    "BranchDateTimeOperator",
    "TriggerDagRunOperator",
    "ExternalTaskSensor",
    "DateTimeSensor",
    "TimeDeltaSensor",
    "DayOfWeekSensor",
)
"""What a DAG may use unless dagkit.toml says otherwise: pods, and what decides whether and when they run."""

Account = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Arn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]


class _Table(BaseModel):
    """A table of dagkit.toml: an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Registry(_Table):
    """`[registry]`: where images come from.

    Attributes:
        account: AWS account of the Amazon ECR registry that releases are pushed to.
        region: Its AWS region.
        allowed: Registries (host names) that a pod's image may come from; the one above when not given.
    """

    account: Account
    region: Region = "eu-west-1"
    allowed: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host name of the Amazon ECR registry."""
        return names.registry(self.account, self.region)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every registry that a pod's image may come from."""
        return self.allowed or (self.host,)


class Environment(_Table):
    """`[environments.<name>]`: one Airflow, one cluster, one account.

    Attributes:
        account: AWS account of the data and the IAM roles.
        region: AWS region of all of it.
        dags_bucket: The S3 bucket that Airflow reads.
        dags_prefix: Folder in it; DAGs go to ``<prefix>dags/…``, imports to ``<prefix>dags/imports/``.
        cluster: kubeconfig context of the cluster.
        namespace: Kubernetes namespace of the pods.
        pod_identity: How pods get their role: ``irsa`` (a service account) or ``kube2iam`` (an annotation).
        oidc_provider: The cluster's OIDC provider, without ``https://``; needed for ``irsa``.
        node_role: ARN of the nodes' IAM role; needed for ``kube2iam``.
        deploy_role: ARN of the role that the deployment workflow assumes.
    """

    account: Account
    region: Region = "eu-west-1"
    dags_bucket: str = Field(pattern=rf"^{names.BUCKET}$")
    dags_prefix: str = Field("", pattern=r"^([A-Za-z0-9_.-]+/)*$")
    cluster: str
    namespace: str = "airflow"
    pod_identity: Literal["irsa", "kube2iam"] = "irsa"
    oidc_provider: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]+(/[A-Za-z0-9_.-]+)*$")
    node_role: Arn | None = None
    deploy_role: Arn | None = None

    @model_validator(mode="after")
    def _identity_is_complete(self) -> Environment:
        if self.pod_identity == "irsa" and not self.oidc_provider:
            raise ValueError("pod_identity 'irsa' needs oidc_provider, the cluster's OIDC provider")
        if self.pod_identity == "kube2iam" and not self.node_role:
            raise ValueError("pod_identity 'kube2iam' needs node_role, the ARN of the nodes' IAM role")
        return self


class Slack(_Table):
    """`[slack]`: where people are told that something needs their approval."""

    channel: str = Field(pattern=r"^[#C].+$")


class Off(_Table):
    """`[[rules.off]]`: a rule switched off, for a reason.

    Attributes:
        code: The rule, as in ``DK205``.
        path: Which files, as a pattern from the repository's root; every file when not given.
        reason: Why; reported with every validation. A finding of its own when empty.
    """

    code: str = Field(pattern=r"^DK[0-9]{3}$")
    path: str | None = None
    reason: str = ""


class RuleSettings(_Table):
    """`[rules]`: what may be chosen about the rules.

    Attributes:
        parse_budget: Seconds that a DAG file may take to parse.
        allowed_operators: Class names of the operators that a DAG may use.
        off: Rules that are switched off.
    """

    parse_budget: Annotated[float, Field(gt=0, strict=False)] = 2.0
    allowed_operators: tuple[str, ...] = ALLOWED_OPERATORS
    off: tuple[Off, ...] = ()


class Settings(_Table):
    """Everything in dagkit.toml."""

    registry: Registry
    environments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")], Environment] = Field(min_length=1)
    slack: Slack | None = None
    rules: RuleSettings = RuleSettings()

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read the settings file.

        Raises:
            UsageError: It cannot be read, is not TOML, or says something not understood (with the line).
        """
        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The settings cannot be read: {error}", where=str(path)) from error
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"line (\d+)", str(error))
            raise UsageError(
                f"The settings are not valid TOML: {error}",
                where=f"{path}:{at[1]}" if at else str(path),
                fix="Look at that line: text needs quotes, lists need brackets, keys need an equals sign.",
            ) from error
        try:
            # TOML has lists only; the settings are frozen, so lists become tuples
            return cls.model_validate(_freeze(content))
        except ValidationError as error:
            errors = error.errors()
            # a mistyped key is also a missing one, and the first says more
            first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
            key = ".".join(str(part) for part in first["loc"]) or "the whole file"
            hint, fix = "", "Correct that setting."
            if first["type"] == "extra_forbidden":
                known = _known(cls, first["loc"][:-1])
                hint = names.closest(str(first["loc"][-1]), known)
                fix = f"What may stand there: {', '.join(known)}"
            raise UsageError(
                f"{key}: {first['msg'].removeprefix('Value error, ')}{hint}",
                where=f"{path}:{setting_line(text, first['loc'])}",
                fix=fix,
            ) from error


@dataclass(frozen=True)
class DagSource:
    """A DAG file, by its place: ``environments/<environment>/dags/<project>/<stem>.py``."""

    path: Path
    environment: str
    project: str
    stem: str

    @property
    def dag_id(self) -> str:
        """The dag_id that the file must have."""
        return names.dag_id(self.project, self.stem)


@dataclass(frozen=True)
class DagRepository:
    """A DAG repository.

    Attributes:
        root: The repository's folder.
        settings: What dagkit.toml says.
    """

    root: Path
    settings: Settings = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> DagRepository:
        """Read the DAG repository that ``path`` is, or lies in.

        Raises:
            UsageError: There is none, or its settings cannot be read.
        """
        start = path.resolve()
        for folder in (start, *start.parents):
            if (folder / SETTINGS_FILE).is_file():
                return cls(folder, Settings.load(folder / SETTINGS_FILE))
        raise UsageError(
            f"{start} is not in a DAG repository: no {SETTINGS_FILE} in it or above it",
            fix="Go to a clone of the DAG repository, and try again.",
        )

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments, in the order of dagkit.toml (which is the order of deployment)."""
        return tuple(self.settings.environments)

    def dags_folder(self, environment: str) -> Path:
        """Where the DAGs of an environment live."""
        return self.root / "environments" / environment / "dags"

    def roles_folder(self, environment: str) -> Path:
        """Where the roles of an environment live."""
        return self.root / "environments" / environment / "roles"

    @property
    def imports_folder(self) -> Path:
        """Where the modules that DAGs import live, for every environment."""
        return self.root / "imports"

    def dags(self, environment: str) -> tuple[DagSource, ...]:
        """The DAG files of an environment, sorted by project and name."""
        return tuple(
            DagSource(path, environment, path.parent.name, path.stem)
            for path in sorted(self.dags_folder(environment).glob("*/*.py"))
        )

    def roles(self, environment: str) -> tuple[RoleFile, ...]:
        """The roles of an environment whose files can be read, sorted by name, which is the file's stem."""
        found = self._roles(environment)
        return tuple(role for role in found if isinstance(role, RoleFile))

    def unreadable_roles(self, environment: str) -> tuple[DagkitError, ...]:
        """What is wrong with those files of roles that are not YAML, or not a set of keys."""
        found = self._roles(environment)
        return tuple(error for error in found if isinstance(error, DagkitError))

    def _roles(self, environment: str) -> tuple[RoleFile | DagkitError, ...]:
        paths = sorted(self.roles_folder(environment).glob("*.yaml"))
        return tuple(_role(path, environment) for path in paths)

    @property
    def imports(self) -> tuple[Path, ...]:
        """The modules that DAGs import, sorted by name."""
        return tuple(sorted(self.imports_folder.glob("*.py")))


def _role(path: Path, environment: str) -> RoleFile | DagkitError:
    try:
        config = read_yaml(path)
    except DagkitError as error:
        return error
    if not isinstance(config, dict):
        return DagkitError(
            "The role's file is empty or is not a set of keys",
            where=str(path),
            fix="Write the role's keys, or remove the file.",
        )
    return RoleFile(path, environment, path.stem, config)


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _freeze(item) for key, item in value.items()}
    return tuple(_freeze(item) for item in value) if isinstance(value, list) else value


def _known(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a table may have."""
    tables: Mapping[str, type[BaseModel]] = {
        "registry": Registry,
        "environments": Environment,
        "slack": Slack,
        "rules": Off if "off" in loc else RuleSettings,
    }
    return list((tables[str(loc[0])] if loc else model).model_fields)


def setting_line(text: str, loc: tuple[int | str, ...]) -> int:
    """The line (from 1) of dagkit.toml that a setting stands on, or of the nearest table above it.

    Args:
        text: The file.
        loc: The setting's keys; a number counts the entries of an array of tables, from 0.
    """
    tables = [str(part) for part in loc if not isinstance(part, int)]
    index = next((part for part in loc if isinstance(part, int)), 0)
    best, best_depth, table, seen = 1, 0, [], -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[{1,2}([^\]]+)\]{1,2}", line):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            seen += table == tables[: len(table)] and line.lstrip().startswith("[[")
            here = table
        elif key := re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line):
            here = [*table, *key[1].split(".")]
        else:
            continue
        counted = seen in (-1, index) or len(here) < 2
        if counted and here == tables[: len(here)] and len(here) > best_depth:
            best, best_depth = number, len(here)
    return best
