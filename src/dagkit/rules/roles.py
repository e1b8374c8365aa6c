"""DK4: roles. What their files are called, and what iam-builder makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from dagkit import names
from dagkit.dagrepo import PLATFORM_MODULES
from dagkit.errors import DagkitError
from dagkit.pipeline import RoleFile
from dagkit.rules import examples
from dagkit.rules.base import Edit, Finding, Place, Rule
from dagkit.rules.facts import DagFile, Role
from dagkit.rules.subject import Subject
from dagkit.rules.values import UNKNOWN, is_text

SESSION_MAX = 50
NEEDS_NAME = ("glue_job", "secrets", "is_cadet_deployer")
ONLY_SCHEMA = frozenset(("iam_role_name", "s3", "athena", "bedrock", "kms", "role_duration_seconds"))
"""Keys for which iam-builder asks nothing that its schema does not say."""


def _renamed(name: str) -> examples.Example:
    """The role under another name, and the DAG that names it."""
    return examples.Example(
        f"# environments/dev/roles/{name}.yaml\niam_role_name: {name}\n…",
        {
            examples.ROLE_PATH: None,
            f"environments/dev/roles/{name}.yaml": examples.ROLE.replace("airflow_dev_example_daily", name),
            examples.DAG_PATH: examples.DAG.replace('f"airflow_{ENVIRONMENT}_example_daily"', f'"{name}"'),
        },
    )


class RoleCharacters(Rule):
    """A role's name holds letters, digits and underscores."""

    code = "DK401"
    name = "role-characters"
    why = "The service account is made from it by turning each underscore into a hyphen, and back."
    bad = _renamed("airflow_dev_example-daily")
    good = _renamed("airflow_dev_example_daily")

    def check(self, role: Role) -> Iterator[Finding]:
        """By the file's name."""
        right = re.sub(r"[^A-Za-z0-9_]+", "_", role.name)
        if right != role.name:
            yield self.finding(
                Place(role.path),
                f"'{role.name}' cannot be the name of a role",
                f"Rename it to {right}, in the file, its name and the DAG.",
            )


class RolePrefix(Rule):
    """A role's name starts with `airflow_<environment>_`."""

    code = "DK402"
    name = "role-prefix"
    why = "The prefix is what Airflow's pods may use, and what keeps dev's roles from prod's."
    bad = _renamed("example_daily")
    good = _renamed("airflow_dev_example_daily")

    def check(self, role: Role) -> Iterator[Finding]:
        """By the file's name."""
        prefix = f"{names.ROLE_PREFIX}_{role.environment}_"
        if not role.name.startswith(prefix) or role.name == prefix:
            yield self.finding(
                Place(role.path),
                f"The role '{role.name}' does not start with '{prefix}'",
                f"Rename it to {prefix}<project>_<pipeline>, in the file, its name and the DAG.",
            )


class RoleTooLong(Rule):
    """A role's name has at most 64 characters."""

    code = "DK403"
    name = "role-too-long"
    why = "IAM refuses a longer one, so the deployment fails after the merge."
    bad = _renamed("airflow_dev_example_daily_extract_of_everything_that_was_changed_since")
    good = _renamed("airflow_dev_example_daily_extract")

    def check(self, role: Role) -> Iterator[Finding]:
        """By the file's name."""
        if len(role.name) > names.ROLE_MAX:
            yield self.finding(
                Place(role.path),
                f"The role's name has {len(role.name)} characters, and IAM takes {names.ROLE_MAX}",
                "Shorten the project's or the pipeline's name.",
            )


class RoleTooLongForSession(Rule):
    """A role's name has at most 50 characters."""

    code = "DK404"
    name = "role-long-for-session"
    why = "Sessions are named after it, with a suffix, in 64 characters: a longer name is cut off."
    severity = "warning"
    bad = _renamed("airflow_dev_example_daily_extract_of_everything_changed")
    good = _renamed("airflow_dev_example_daily_extract")

    def check(self, role: Role) -> Iterator[Finding]:
        """By the file's name."""
        if SESSION_MAX < len(role.name) <= names.ROLE_MAX:
            yield self.finding(
                Place(role.path),
                f"The role's name has {len(role.name)} characters; with more than {SESSION_MAX},"
                " the names of its sessions are cut off",
                "Shorten the project's or the pipeline's name.",
            )


@cache
def _schema() -> Any:
    from iam_builder.iam_schema import IAM_SCHEMA
    from jsonschema.validators import validator_for

    # compiled once: iam-builder itself checks the schema again with every role, which takes 11 ms
    return validator_for(IAM_SCHEMA)(IAM_SCHEMA)


class NotAccepted(Rule):
    """iam-builder accepts the role."""

    code = "DK405"
    name = "role-not-accepted"
    why = "The policy is made from the file: what is not accepted is not deployed."
    bad = examples.role(
        "iam_role_name: airflow_dev_example_daily\n\ns3:\n  read_writes:\n    - alpha-example/dev/*\n"
    )
    good = examples.role(examples.ROLE)

    def check(self, role: Role, subject: Subject) -> Iterator[Finding]:
        """By its schema, and by its own checks where the schema does not say all."""
        fix = "docs/roles.md lists every key that a role may have."
        source = role.source
        if source.problem is not None:
            yield self.finding(
                Place(role.path, source.problem.line),
                source.problem.message[:1].upper() + source.problem.message[1:],
                "Look at that line and the one above it, for indentation, colons and quotes.",
            )
            return
        for key, place in source.duplicates():
            yield self.finding(place, f"'{key}' stands twice, and only the last counts", "Put both into one.")
        if not isinstance(source.data, dict):
            said = "empty" if source.data is None else "not a set of keys"
            yield self.finding(Place(role.path), f"The role is {said}", fix)
            return
        errors = sorted(
            _schema().iter_errors(source.data), key=lambda error: [str(p) for p in error.absolute_path]
        )
        for error in errors:
            keys = list(error.absolute_path)
            if error.validator != "additionalProperties":
                yield self.finding(source.place(*keys), _said(error), fix)
                continue
            known = error.schema.get("properties", {})
            for key in sorted(str(key) for key in set(error.instance) - set(known)):
                said = f"'{key}' is no key that a role may have here{names.closest(key, known)}"
                yield self.finding(source.place(*keys, key), said, fix)
        if errors:
            return
        for section in ("s3", "athena", "secretsmanager"):
            if section in source.data and not isinstance(source.data[section], dict):
                yield self.finding(source.place(section), f"'{section}' has to hold keys of its own", fix)
                return
        if not ONLY_SCHEMA.issuperset(source.data) and not _lacks_name(role):
            try:
                RoleFile(subject.root / role.path, role.environment, role.name, source.data).policy()
            except DagkitError as error:
                line = (error.where or "").rpartition(":")[2]
                place = Place(role.path, int(line) if line.isdigit() else 1)
                yield self.finding(place, error.what, fix)


def _said(error: Any) -> str:
    at = ".".join(str(part) for part in error.absolute_path)
    kinds = {"array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number",
             "object": "a set of keys"}  # fmt: skip
    if error.validator == "type":
        wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        where = f"'{at}'" if at else "the file"
        known = " or ".join(str(kinds.get(str(kind), kind)) for kind in wanted)
        return f"{where} has to be {known}"
    return f"iam-builder does not accept '{at}': {error.message}"


def _lacks_name(role: Role) -> bool:
    return "iam_role_name" not in role.config and any(role.config.get(key) for key in NEEDS_NAME)


class NoRoleName(Rule):
    """A role that names itself in its policy says its name."""

    code = "DK406"
    name = "no-iam-role-name"
    why = "`glue_job` and `secrets` put the role's name into the policy: without it, no policy can be made."
    bad = examples.role("secrets: read\n\ns3:\n  read_write:\n    - alpha-example/dev/*\n")
    good = examples.role(
        "iam_role_name: airflow_dev_example_daily\nsecrets: read\n\n"
        "s3:\n  read_write:\n    - alpha-example/dev/*\n"
    )

    def check(self, role: Role) -> Iterator[Finding]:
        """Where one of those keys is used."""
        if _lacks_name(role):
            key = next(key for key in NEEDS_NAME if role.config.get(key))
            yield self.finding(
                role.source.place(key),
                f"'{key}' needs the role's name, and iam_role_name is missing",
                f"Add: iam_role_name: {role.name}",
                Edit(role.path, 0, 0, f"iam_role_name: {role.name}\n"),
            )


class RoleNameMismatch(Rule):
    """The `iam_role_name` is the file's name."""

    code = "DK407"
    name = "iam-role-name-mismatch"
    why = "The file's name is the role's: another one in its policy grants somebody else's secrets and jobs."
    bad = examples.role(
        "iam_role_name: airflow_dev_example_weekly\n\ns3:\n  read_write:\n    - alpha-example/dev/*\n"
    )
    good = examples.role(examples.ROLE)

    def check(self, role: Role) -> Iterator[Finding]:
        """Where it is given."""
        said = role.config.get("iam_role_name")
        node = role.source.find("iam_role_name")
        if isinstance(said, str) and said != role.name and node is not None:
            yield self.finding(
                role.source.place("iam_role_name"),
                f"iam_role_name is '{said}', and must be '{role.name}'",
                f"Write: iam_role_name: {role.name}",
                role.source.replace(node, role.name),
            )


class UnusedRole(Rule):
    """Each role is used by a DAG."""

    code = "DK410"
    name = "unused-role"
    why = "Access that nobody uses is access that nobody watches."
    bad = examples.files(
        {
            "environments/dev/roles/airflow_dev_example_old.yaml": "iam_role_name: airflow_dev_example_old\n",
        }
    )
    good = examples.files(
        {
            "environments/dev/roles/airflow_dev_example_old.yaml": None,
        }
    )

    def check(
        self, roles: Mapping[str, Mapping[str, Role]], dag_files: tuple[DagFile, ...], subject: Subject
    ) -> Iterator[Finding]:
        """By a DAG of its environment."""
        files = (*dag_files, *subject.other_environments())
        for environment, found in roles.items():
            used, unsure = _used([file for file in files if file.environment == environment])
            for name, role in found.items():
                if name not in used and not name.startswith(unsure):
                    yield self.finding(
                        Place(role.path),
                        f"No DAG of {environment} uses the role '{name}'",
                        "Remove the file, or name the role in the DAG that needs it.",
                    )


def _used(files: Iterable[DagFile]) -> tuple[set[str], tuple[str, ...]]:
    """The roles that DAGs use, and how the roles begin of which it cannot be told.

    That is so for projects with a DAG that does not load, makes its tasks elsewhere, or has a pod whose
    role is known only when it runs.
    """
    used: set[str] = set()
    unsure: set[str] = set()
    for file in files:
        pods = [task.pod for task in file.tasks if task.pod]
        used |= {pod.role for pod in pods if is_text(pod.role)}
        whole = file.loaded is not None and file.loaded.error is None
        elsewhere = not whole and (not file.tasks or _own_modules(file))
        if file.source.problem is not None or elsewhere or any(pod.role is UNKNOWN for pod in pods):
            unsure.add(f"{names.ROLE_PREFIX}_{file.environment}_{file.project}")
    return used, tuple(unsure)


def _own_modules(file: DagFile) -> bool:
    """Whether a DAG imports modules that may make tasks for it."""
    return any(
        each.module.startswith("imports.") and each.module.split(".")[1] not in PLATFORM_MODULES
        for each in file.imports
    )
