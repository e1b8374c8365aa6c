"""The examples of rules: a piece of a file to read, and the whole repository it stands in to run it in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DAG_PATH = "environments/dev/dags/example/daily.py"
ROLE_PATH = "environments/dev/roles/airflow_dev_example_daily.yaml"
IMAGE = "189157455002.dkr.ecr.eu-west-1.amazonaws.com/my-pipeline:v1.0.0"

SETTINGS = """\
[registry]
account = "189157455002"

[environments.dev]
account = "593291632749"
dags_bucket = "example-airflow-dev"
cluster = "analytical-platform-compute-test"
oidc_provider = "oidc.eks.eu-west-1.amazonaws.com/id/DEV"

[environments.prod]
account = "593291632749"
dags_bucket = "example-airflow-prod"
cluster = "analytical-platform-compute-production"
oidc_provider = "oidc.eks.eu-west-1.amazonaws.com/id/PROD"
"""

DAG = '''\
"""Write a text to S3 every day."""

from datetime import UTC, datetime

from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

ENVIRONMENT = "dev"
RELEASE = "v1.0.0"

with DAG(
    dag_id="example.daily",
    doc_md=__doc__,
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"owner": "octocat"},
) as dag:
    write = PipelinePodOperator(
        task_id="write",
        repository="my-pipeline",
        release=RELEASE,
        role=f"airflow_{ENVIRONMENT}_example_daily",
        environment=ENVIRONMENT,
        env_vars={"RUN": "write", "OUTPATH": f"s3://alpha-example/{ENVIRONMENT}/text.txt"},
    )
'''

ROLE = """\
iam_role_name: airflow_dev_example_daily

s3:
  read_write:
    - alpha-example/dev/*
"""


@dataclass(frozen=True)
class Example:
    """What breaks a rule, or keeps it.

    Attributes:
        text: What a reader sees.
        files: The files of the DAG repository that differ from the smallest one there is; None removes one.
    """

    text: str
    files: Mapping[str, str | None] = field(repr=False)

    def repository(self) -> dict[str, str]:
        """The whole DAG repository, by path; without the platform's own modules."""
        smallest: dict[str, str | None] = {
            "dagkit.toml": SETTINGS,
            DAG_PATH: DAG,
            "environments/dev/dags/example/README.md": "# example\n",
            ROLE_PATH: ROLE,
            "environments/prod/dags/example/README.md": "# example\n",
        }
        return {path: text for path, text in {**smallest, **self.files}.items() if text is not None}


def files(files: Mapping[str, str | None]) -> Example:
    """Files by path; what a reader sees is the paths, and the text of those with a short one."""
    shown = [f"{path}" + ("  (removed)" if text is None else "") for path, text in files.items()]
    return Example("\n".join(shown), files)


def whole(text: str, path: str = DAG_PATH, also: Mapping[str, str | None] | None = None) -> Example:
    """A whole file."""
    return Example(text, {path: text, **(also or {})})


def role(text: str, path: str = ROLE_PATH, also: Mapping[str, str | None] | None = None) -> Example:
    """A whole role."""
    return Example(f"# {path}\n{text}", {path: text, **(also or {})})


def in_dag(text: str, *, top: str = "", also: Mapping[str, str | None] | None = None) -> Example:
    """Arguments of the DAG: each line takes the place of the argument of the same name.

    Args:
        text: The lines; ``# no name`` takes an argument away.
        top: Lines that stand above the DAG.
        also: Other files.
    """
    return _arguments(text, DAG, "    ", top, also, after="with DAG(\n")


def in_task(text: str, *, top: str = "", also: Mapping[str, str | None] | None = None) -> Example:
    """Arguments of the task: each line takes the place of the argument of the same name."""
    return _arguments(text, DAG, "        ", top, also, after="PipelinePodOperator(\n")


def in_tasks(text: str, *, top: str = "", also: Mapping[str, str | None] | None = None) -> Example:
    """Lines that stand in the DAG after its task."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in text.strip("\n").split("\n"))
    return Example(_shown(top, text), {DAG_PATH: _under(DAG + lines, top), **(also or {})})


def above_dag(text: str, also: Mapping[str, str | None] | None = None) -> Example:
    """Lines that stand above the DAG, with their imports."""
    return Example(text, {DAG_PATH: _under(DAG, text), **(also or {})})


def _shown(top: str, text: str) -> str:
    return f"{top.strip()}\n\n{text}" if top else text


def _under(dag: str, top: str) -> str:
    """The DAG's file with lines after its own imports and settings."""
    return dag.replace("\nwith DAG(", f"\n{top.strip()}\n\nwith DAG(") if top else dag


def _arguments(
    text: str, dag: str, indent: str, top: str, also: Mapping[str, str | None] | None, *, after: str
) -> Example:
    changed = dag
    added = ""
    # an argument may go on over several lines, which are indented
    for piece in re.split(r"\n(?=\S)", text.strip("\n")):
        removed = re.fullmatch(r"# no (\w+)", piece)
        name = removed[1] if removed else piece.split("=", 1)[0]
        block = "" if removed else "".join(f"{indent}{line}\n" for line in piece.split("\n"))
        changed, times = re.subn(
            rf"^{indent}{re.escape(name)}=.*\n",
            block.replace("\\", r"\\"),
            changed,
            count=1,
            flags=re.MULTILINE,
        )
        added += "" if times else block
    changed = changed.replace(after, after + added, 1)
    return Example(_shown(top, text), {DAG_PATH: _under(changed, top), **(also or {})})
