"""Every naming rule of the platform, once.

Patterns are full matches. Sources: GitHub (repository, username), Amazon ECR (repository), IAM (role name,
64 characters), S3 (bucket), Kubernetes (service account, task_id as pod name), Airflow (dag_id).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ENVIRONMENTS = ("dev", "prod")

REPOSITORY = r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*"
PROJECT = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
PIPELINE = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
OWNER = r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
EMAIL = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
S3_PATH = rf"s3://{BUCKET}(/[A-Za-z0-9_][A-Za-z0-9_.=-]*)+"
ROLE = r"[A-Za-z0-9_]+"
TASK_ID = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
RELEASE = r"v[0-9]+\.[0-9]+\.[0-9]+([-.][0-9A-Za-z.-]+)?"

REPOSITORY_MIN = 2  # Amazon ECR
REPOSITORY_MAX = 100
PROJECT_MAX = 40  # leaves room for the pipeline in the name of the role
OWNER_MAX = 39
ROLE_MAX = 64

ROLE_PREFIX = "airflow"


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` fits ``pattern``."""
    return re.fullmatch(pattern, text) is not None


def ecr_repository(repository: str) -> str:
    """The repository's name in Amazon ECR: lower-case, ``_`` becomes ``-``."""
    return repository.lower().replace("_", "-")


def registry(account: str, region: str) -> str:
    """The host name of an Amazon ECR registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def image_uri(account: str, region: str, repository: str, tag: str) -> str:
    """The image a release is pushed as: ``<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>``."""
    return f"{registry(account, region)}/{ecr_repository(repository)}:{tag}"


def local_image(repository: str, target: str = "final") -> str:
    """The image ``dagkit build`` makes on this machine; the test stage has a tag of its own."""
    tag = "local" if target == "final" else f"local-{target}"
    return f"{ecr_repository(repository)}:{tag}"


def role(environment: str, project: str, pipeline: str) -> str:
    """The IAM role of a pipeline in one environment: ``airflow_<environment>_<project>_<pipeline>``."""
    return f"{ROLE_PREFIX}_{environment}_{project}_{pipeline}"


def service_account(role_name: str) -> str:
    """The Kubernetes service account that carries a role (IRSA): the role's name in kebab-case."""
    return role_name.replace("_", "-")


def dag_id(project: str, pipeline: str) -> str:
    """The dag_id of a DAG file: ``<folder>.<file stem>``."""
    return f"{project}.{pipeline}"


def branch(environment: str, project: str, pipeline: str) -> str:
    """The branch of the DAG repository that a submission lives on."""
    return f"dagkit/{environment}/{project}.{pipeline}"


def closest(name: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: `` (did you mean 'docker'?)``, or nothing."""
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""
