"""DAGs and roles that a repository has already, as people copied them by hand to the DAG repository."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from dagkit import names
from dagkit.adopt.identity import acceptable
from dagkit.adopt.tree import Fact, Sight, Tree
from dagkit.rules.reading import read_dag_file
from dagkit.rules.source import PythonSource
from dagkit.rules.values import is_text

_PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_FIELD = r"(\*|\d+(-\d+)?(,\d+(-\d+)?)*)(/\d+)?"
_ROLE_KEYS = {"iam_role_name", "athena", "glue_job", "s3", "secrets", "secretsmanager", "kms", "bedrock"}


def look(tree: Tree, registry: str) -> tuple[tuple[Fact, ...], tuple[Sight, ...]]:
    """Find DAG and role files, and what they say that the template asks for.

    Args:
        tree: The repository.
        registry: The host name of the platform's registry.
    """
    facts: list[Fact] = []
    sights: list[Sight] = []
    for path in tree.paths:
        if path.endswith(".py") and "airflow" in (text := tree.text(path)) and "DAG" in text.upper():
            for fact in _dag(path, text, registry):
                (facts if isinstance(fact, Fact) else sights).append(fact)  # type: ignore[arg-type]
    for path in tree.paths:
        if path.endswith((".yaml", ".yml")) and not path.startswith(".") and (found := _role(tree, path)):
            sights.append(found[0])
            facts += found[1]
    return tuple(facts), tuple(sights)


def _dag(path: str, text: str, registry: str) -> Iterator[Fact | Sight]:
    stem = path.rpartition("/")[2].removesuffix(".py")
    file = read_dag_file(PythonSource.parse(path, text.encode()), "dev", "", stem, registry)
    for dag in file.dags:
        said = dag.call.value("dag_id")
        yield Sight("DAG", said if is_text(said) else stem, f"{path}:{dag.call.line}")
        for question, value, keyword in _says(said, dag.call.value):
            if question == "schedule" or acceptable(question, value):
                yield Fact(question, value, f"{path}:{dag.call.place(keyword).line}")
        if (match := re.search(r"environments/(?:dev|prod)/dags/([^/]+)/[^/]+$", path)) and acceptable(
            "project", match[1]
        ):
            yield Fact("project", match[1], path)


def _says(dag_id: object, value: object) -> Iterator[tuple[str, str, str]]:
    """What a DAG answers: (question, value, the keyword that it stands in)."""
    ask = value if callable(value) else lambda _: None
    if is_text(dag_id):
        project, dot, stem = dag_id.partition(".")
        if dot:
            yield "project", project, "dag_id"
        yield "pipeline", re.sub(r"[^a-z0-9]+", "_", (stem if dot else project).lower()).strip("_"), "dag_id"
    for keyword in ("schedule", "schedule_interval"):
        said = ask(keyword)
        if isinstance(said, str) and (said in _PRESETS or re.fullmatch(rf"{_FIELD}( {_FIELD}){{4}}", said)):
            yield "schedule", said, keyword
    for question in ("owner", "email", "description"):
        said = ask(question)
        said = said[0] if isinstance(said, list) and said else said
        if isinstance(said, str):
            yield question, said, question


def _role(tree: Tree, path: str) -> tuple[Sight, tuple[Fact, ...]] | None:
    """A role's configuration for iam-builder."""
    text = tree.text(path)
    if not re.search(r"(?m)^(iam_role_name|s3|athena|glue_job)\s*:", text):
        return None
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(config, dict) or not set(config) <= _ROLE_KEYS:
        return None
    facts: tuple[Fact, ...] = ()
    s3 = config.get("s3") if isinstance(config.get("s3"), dict) else {}
    for key in ("read_write", "write_only"):
        for said in s3.get(key) or () if isinstance(s3, dict) else ():
            output = "s3://" + re.sub(r"/(dev|prod)$", "", str(said).removesuffix("/*").rstrip("/"))
            if not facts and names.matches(names.S3_PATH, output) and len(output) <= 80:
                line = tree.first(path, re.escape(str(said)))
                facts = (Fact("output", output, f"{path}:{line[0] if line else 1}"),)
    return Sight("role", str(config.get("iam_role_name") or path.rpartition("/")[2]), path), facts
