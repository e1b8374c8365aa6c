"""What an image repository says about itself: answers, DAGs, roles, fixtures.

Reading is cheap (YAML and file names): Airflow, moto and Docker are never needed for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dagkit import names
from dagkit.errors import DagkitError, UsageError
from dagkit.platform import Platform

ANSWERS_FILE = ".copier-answers.yml"


@dataclass(frozen=True)
class RoleFile:
    """The IAM role of one environment, as its YAML says.

    Attributes:
        path: The YAML file.
        environment: ``dev`` or ``prod``.
        name: The role's name in IAM.
        config: The YAML: configuration for iam-builder.
    """

    path: Path
    environment: str
    name: str
    config: Mapping[str, Any]

    def policy(self) -> dict[str, Any]:
        """The IAM policy document that iam-builder makes of the configuration.

        Raises:
            DagkitError: The configuration is not one that iam-builder accepts; its own words, at the file.
        """
        from jsonschema import ValidationError

        from dagkit.iambuilder import build_iam_policy

        def refused(reason: str, at: Iterable[str | int] = ()) -> DagkitError:
            keys = list(at)
            key = f" (at {'.'.join(str(part) for part in keys)})" if keys else ""
            return DagkitError(
                f"The role is not one that iam-builder accepts: {reason}{key}",
                where=f"{self.path}:{line_of(self.path, keys)}",
                fix="Correct the file: docs/roles.md lists every key.",
            )

        for section in ("s3", "athena", "secretsmanager"):
            # iam-builder's schema leaves these open, and fails on them without naming them
            if section in self.config and not isinstance(self.config[section], Mapping):
                raise refused(f"'{section}' has to hold keys of its own", [section])
        try:
            document = build_iam_policy(self.config)
        except ValidationError as error:
            # iam-builder wraps jsonschema's error, which is the one with the place
            cause = error.__context__ if isinstance(error.__context__, ValidationError) else error
            raise refused(cause.message, cause.absolute_path) from error
        except KeyError as error:
            raise refused(f"the key {error} is missing") from error
        except (TypeError, ValueError) as error:
            raise refused(str(error)) from error
        return document

    @property
    def buckets(self) -> frozenset[str]:
        """The S3 buckets that the configuration names."""
        s3 = self.config.get("s3") or {}
        paths = [p for key in ("read_only", "write_only", "read_write", "deny") for p in s3.get(key) or []]
        return frozenset(str(path).split("/", 1)[0] for path in paths)


@dataclass(frozen=True)
class Fixture:
    """A file that lies in S3 before a local run: ``airflow/fixtures/<bucket>/<key>``."""

    path: Path
    bucket: str
    key: str


@dataclass(frozen=True)
class Pipeline:
    """An image repository.

    Attributes:
        root: The repository's folder.
        answers: The answers it was generated from.
    """

    root: Path
    answers: Mapping[str, Any] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> Pipeline:
        """Read the image repository that ``path`` is, or lies in.

        Raises:
            UsageError: There is none, or its answers file cannot be read.
        """
        start = path.resolve()
        for folder in (start, *start.parents):
            answers_file = folder / ANSWERS_FILE
            if answers_file.is_file():
                return cls(folder, _answers(answers_file))
        raise UsageError(
            f"{start} is not in an image repository: no {ANSWERS_FILE} in it or above it",
            fix="Go to the folder of your pipeline; or make one (dagkit new my-pipeline); or bring one that"
            " exists under the template (dagkit adopt).",
        )

    @property
    def repository(self) -> str:
        """The GitHub repository's name."""
        return str(self.answers["repository"])

    @property
    def image(self) -> str:
        """The image's name in the registry."""
        return str(self.answers.get("image") or names.ecr_repository(self.repository))

    @property
    def context(self) -> Path:
        """The folder that the image is built from, and that its code lies in."""
        return self.root / str(self.answers.get("context", "."))

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile."""
        return self.root / str(self.answers.get("dockerfile", "Dockerfile"))

    @property
    def target(self) -> str:
        """The stage that is the image; ``final`` is the last one where none is called that."""
        return str(self.answers.get("target") or "final")

    @property
    def project(self) -> str:
        """The folder of the DAG repository that the DAGs go to."""
        return str(self.answers["project"])

    @property
    def name(self) -> str:
        """The pipeline's name: the file stem of its DAG."""
        return str(self.answers["pipeline"])

    @property
    def language(self) -> str:
        """``python`` or ``r``."""
        return str(self.answers.get("language", "python"))

    @cached_property
    def platform(self) -> Platform:
        """The platform's settings for this repository."""
        return Platform.from_answers(self.answers)

    @property
    def has_image(self) -> bool:
        """Whether the image is made of this repository; otherwise its DAGs name images made elsewhere."""
        return self.answers.get("kind") != "dags"

    def require_image(self, what: str) -> None:
        """See that the image is made here.

        Args:
            what: What cannot be done otherwise, as in "no image to build".

        Raises:
            UsageError: It is made elsewhere.
        """
        if not self.has_image:
            raise UsageError(
                f"There is {what} here: only the DAG and its roles are, and the image is made elsewhere",
                where=str(self.root),
                fix=f"Go to the repository that the image is made from ({self.repository});"
                " here, dagkit run runs the image that the DAG names.",
            )

    @property
    def state(self) -> Path:
        """Where runs, environments and other things that are made again when needed are kept."""
        return self.root / ".dagkit"

    @property
    def dags(self) -> tuple[Path, ...]:
        """The DAG files, sorted by name."""
        return tuple(sorted((self.root / "airflow" / "dags").glob("*.py")))

    def dag(self, name: str | None = None) -> Path:
        """One DAG file: the one called ``name``, or else the only one, or else the pipeline's own.

        Raises:
            UsageError: There is none of that name, or there are several and none was named.
        """
        folder = self.root / "airflow" / "dags"
        found = {path.stem: path for path in self.dags}
        if name is not None:
            stem = name.removesuffix(".py").removeprefix(f"{self.project}.")
            if stem in found:
                return found[stem]
            raise UsageError(
                f"There is no DAG called '{name}'{names.closest(stem, found)}",
                where=str(folder),
                fix=f"DAGs here: {', '.join(found) or 'none'}",
            )
        if self.name in found:
            return found[self.name]
        if len(found) == 1:
            return next(iter(found.values()))
        if not found:
            raise UsageError(
                "The DAG file is missing",
                where=str(folder / f"{self.name}.py"),
                fix="Put it back from git: git checkout -- airflow/dags",
            )
        raise UsageError(
            "There are several DAGs, and none has the pipeline's name",
            where=str(folder),
            fix=f"Name one of them with --dag: {', '.join(found)}",
        )

    def role(self, environment: str) -> RoleFile:
        """The pipeline's role in one environment.

        Raises:
            DagkitError: The file is missing or is not YAML; UsageError for an unknown environment.
        """
        if environment not in names.ENVIRONMENTS:
            raise UsageError(
                f"There is no environment '{environment}'{names.closest(environment, names.ENVIRONMENTS)}",
                fix=f"Environments: {', '.join(names.ENVIRONMENTS)}",
            )
        path = self.root / "airflow" / "roles" / environment / f"{self.name}.yaml"
        if not path.is_file():
            raise DagkitError(
                f"The role's file for {environment} is missing",
                where=str(path),
                fix="Put it back from git: git checkout -- airflow/roles",
            )
        return self._role(path, environment)

    def roles(self, environment: str) -> tuple[RoleFile, ...]:
        """Every role of one environment, the pipeline's own first.

        Raises:
            DagkitError: The pipeline's own is missing, or one is not YAML.
        """
        own = self.role(environment)
        others = sorted(path for path in own.path.parent.glob("*.yaml") if path != own.path)
        return (own, *(self._role(path, environment) for path in others))

    def _role(self, path: Path, environment: str) -> RoleFile:
        config = read_yaml(path)
        if not isinstance(config, dict):
            raise DagkitError(
                "The role's file is empty or is not a set of keys",
                where=str(path),
                fix="docs/roles.md shows a role, and every key it may have.",
            )
        name = str(config.get("iam_role_name") or names.role(environment, self.project, path.stem))
        return RoleFile(path, environment, name, config)

    def fixtures(self) -> Iterator[Fixture]:
        """Every file under ``airflow/fixtures/<bucket>/``, sorted by path."""
        folder = self.root / "airflow" / "fixtures"
        for bucket in sorted(p for p in folder.glob("*") if p.is_dir()):
            for path in sorted(p for p in bucket.rglob("*") if p.is_file()):
                yield Fixture(path, bucket.name, path.relative_to(bucket).as_posix())

    def check_fixtures(self, role: RoleFile) -> None:
        """See that every fixture lies in a bucket that the role names.

        Raises:
            DagkitError: A fixture's folder names a bucket that the role does not know.
        """
        for fixture in self.fixtures():
            if fixture.bucket not in role.buckets:
                known = ", ".join(sorted(role.buckets)) or "none"
                hint = names.closest(fixture.bucket, role.buckets)
                raise DagkitError(
                    f"The fixture names a bucket that the role does not know: '{fixture.bucket}'{hint}",
                    where=str(fixture.path),
                    fix=f"Rename the folder to one of the role's buckets ({known}),"
                    f" or add the path to {role.path}.",
                )


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        DagkitError: It is not YAML; the error has the line.
    """
    try:
        # the loader in C is ten times as fast, which counts with thousands of roles
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise DagkitError(
            f"The file is not valid YAML: {error.problem or error}",
            where=where,
            fix="Look at that line and the one above it, for indentation, colons and quotes.",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DagkitError(
            f"The file is not valid YAML: {error}", where=str(path), fix="Save it as plain UTF-8 text."
        ) from error


def line_of(path: Path, keys: Iterable[str | int]) -> int:
    """The line (from 1) at which the value under ``keys`` stands in a YAML file; as deep as it exists."""
    node = yaml.compose(path.read_text(encoding="utf-8"))
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == key), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _answers(path: Path) -> Mapping[str, Any]:
    answers = read_yaml(path)
    if isinstance(answers, dict) and answers.get("kind") == "airflow":
        raise UsageError(
            f"{path.parent} is the DAG repository, which holds everybody's DAGs and roles, and no pipeline",
            fix="Check it with: dagkit validate. For anything else go to the pipeline's own repository.",
        )
    if isinstance(answers, dict) and answers.get("kind") == "workflow":
        raise UsageError(
            f"{path.parent} has only the workflow of the template, and no DAG",
            fix="Bring the rest in with: dagkit adopt",
        )
    missing = [key for key in ("repository", "project", "pipeline") if key not in (answers or {})]
    if missing:
        raise UsageError(
            f"The answers file does not say: {', '.join(missing)}",
            where=str(path),
            fix="Put it back from git: git checkout -- .copier-answers.yml",
        )
    return dict(answers)
