"""What is generated, and the ways to generate it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from dagkit.pipeline import Pipeline
from dagkit.platform import Platform
from tests.harness.languages import both_languages
from tests.template.conftest import REPOSITORY, Render

BOTH = {
    ".copier-answers.yml",
    ".dockerignore",
    ".github/CODEOWNERS",
    ".github/dependabot.yml",
    ".github/workflows/release.yml",
    ".github/workflows/test.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "Dockerfile",
    "README.md",
    "airflow/dags/my_pipeline.py",
    "airflow/fixtures/README.md",
    "airflow/roles/dev/my_pipeline.yaml",
    "airflow/roles/prod/my_pipeline.yaml",
    "docs/working-here.md",
}
ONLY = {
    "python": {
        "pyproject.toml",
        "requirements-dev.in",
        "requirements-dev.txt",
        "requirements.in",
        "requirements.txt",
        "scripts/run.py",
        "tests/test_run.py",
    },
    "r": {
        ".Rprofile",
        ".lintr",
        "R/main.R",
        "R/s3.R",
        "R/summarise.R",
        "air.toml",
        "airflow/fixtures/alpha-everyone/airflow-example/your-github-username/my_pipeline/hearings.csv",
        "my-pipeline.Rproj",
        "renv.lock",
        "renv/.gitignore",
        "renv/restore.R",
        "renv/settings.json",
        "scripts/run.R",
        "scripts/summarise.R",
        "tests/lint.R",
        "tests/testthat.R",
        "tests/testthat/bin/aws",
        "tests/testthat/helper.R",
        "tests/testthat/test-run.R",
        "tests/testthat/test-summarise.R",
    },
}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def copy_on_the_command_line(source: Path, made: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--vcs-ref", "HEAD", *options, str(source), str(made)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@both_languages
def test_a_repository_has_these_files_and_no_others(language: str, rendered: Path) -> None:
    assert set(contents(rendered)) == BOTH | ONLY[language]


def test_what_does_not_depend_on_the_language_is_the_same(rendered_r: Path, rendered_python: Path) -> None:
    r, python = contents(rendered_r), contents(rendered_python)
    assert {name for name in BOTH if r[name] != python[name]} == {
        ".copier-answers.yml",
        ".dockerignore",
        ".github/dependabot.yml",
        ".github/workflows/test.yml",
        ".gitignore",
        ".pre-commit-config.yaml",
        "Dockerfile",
        "README.md",
        "airflow/dags/my_pipeline.py",
        "airflow/roles/dev/my_pipeline.yaml",
        "airflow/roles/prod/my_pipeline.yaml",
        "docs/working-here.md",
    }


@both_languages
def test_the_command_line_and_the_library_make_the_same(
    language: str, template: Path, tmp_path: Path
) -> None:
    data = {
        "language": language, "project": "prisons", "description": 'It\'s "daily"', "schedule": "@daily"
    }  # fmt: skip
    options = [word for name, value in data.items() for word in ("--data", f"{name}={value}")]
    copied = copy_on_the_command_line(template, tmp_path / "one/my-pipeline", "--defaults", *options)
    assert copied.returncode == 0, copied.stderr
    copier.run_copy(str(template), tmp_path / "two/my-pipeline", data=data, defaults=True, quiet=True)
    assert contents(tmp_path / "one/my-pipeline") == contents(tmp_path / "two/my-pipeline")


@both_languages
def test_answering_every_question_is_the_same_as_taking_the_defaults(render: Render, rendered: Path) -> None:
    answers = yaml.safe_load((rendered / ".copier-answers.yml").read_text())
    every_answer = {name: value for name, value in answers.items() if not name.startswith("_")}
    assert contents(render(**every_answer)) == contents(rendered)


@both_languages
def test_it_is_generated_from_a_git_repository_without_trust(language: str, tmp_path: Path) -> None:
    options = ("--defaults", "--data", f"language={language}")
    copied = copy_on_the_command_line(REPOSITORY, tmp_path / "my-pipeline", *options)
    assert copied.returncode == 0, copied.stderr
    assert set(contents(tmp_path / "my-pipeline")) == BOTH | ONLY[language]
    answers = yaml.safe_load((tmp_path / "my-pipeline/.copier-answers.yml").read_text())
    assert answers["_commit"]
    assert answers["_src_path"] == str(REPOSITORY)


def test_the_template_runs_no_code_of_its_own() -> None:
    settings = {
        name for name in yaml.safe_load((REPOSITORY / "copier.yml").read_text()) if name.startswith("_")
    }
    assert not settings & {"_tasks", "_migrations", "_jinja_extensions"}


def test_what_to_do_next_is_said(template: Path, tmp_path: Path) -> None:
    made = tmp_path / "my first" / "my-pipeline"
    copied = copy_on_the_command_line(template, made, "--defaults")
    assert f"cd '{made}'\n  dagkit build\n  dagkit run\n" in copied.stderr


@pytest.mark.parametrize(
    ("folder", "repository", "pipeline"),
    [
        ("my-pipeline", "my-pipeline", "my_pipeline"),
        ("My_Pipeline", "My_Pipeline", "my_pipeline"),
        ("my first pipeline!", "my-first-pipeline", "my_first_pipeline"),
        ("2024-prison--counts", "2024-prison-counts", "prison_counts"),
        ("2024", "2024", "pipeline"),
        ("données", "donn-es", "donn_es"),
        ("x", "my-pipeline", "my_pipeline"),
        ("-_-", "my-pipeline", "my_pipeline"),
        ("a" * 150, "a" * 100, "a" * 43),
        ("a" * 42 + "-" + "b" * 60, "a" * 42 + "-" + "b" * 57, "a" * 42),
    ],
)
def test_the_names_come_from_the_folder(folder: str, repository: str, pipeline: str, render: Render) -> None:
    answers = yaml.safe_load((render(folder) / ".copier-answers.yml").read_text())
    assert (answers["repository"], answers["pipeline"]) == (repository, pipeline)


@both_languages
def test_the_answers_are_recorded_and_the_platform_only_where_it_was_changed(
    language: str, render: Render
) -> None:
    answered = {"kind", "language", "repository", "project", "pipeline", "description", "owner", "email"}
    answered |= {"schedule", "output", "compute", "customise"}
    plain = yaml.safe_load((render(language=language) / ".copier-answers.yml").read_text())
    assert {name for name in plain if not name.startswith("_")} == answered
    made = render(language=language, customise=True, ecr_region="eu-west-2")
    changed = yaml.safe_load((made / ".copier-answers.yml").read_text())
    of_images = {"base_image"} if language == "python" else {"base_image", "cran_repository"}
    assert set(Platform.model_fields) | of_images == set(changed) - set(plain)
    assert changed["ecr_region"] == "eu-west-2"


def test_a_setting_of_the_platform_that_was_only_passed_on_is_recorded_too(render: Render) -> None:
    answers = yaml.safe_load((render(namespace="pipelines") / ".copier-answers.yml").read_text())
    assert (answers["customise"], answers["namespace"]) == (True, "pipelines")


def test_the_defaults_are_those_that_the_program_knows(render: Render) -> None:
    made = render(customise=True)
    assert Pipeline.load(made).platform == Platform()


@both_languages
def test_the_settings_of_the_platform_are_used(language: str, render: Render) -> None:
    made = render(
        language=language,
        ecr_account="111111111111",
        ecr_region="eu-west-2",
        push_role="arn:aws:iam::111111111111:role/push",
        cluster_accounts="222222222222,333333333333",
        base_image="example.org:5000/team/python:3.12@sha256:" + "0" * 64,
    )
    release = yaml.safe_load((made / ".github/workflows/release.yml").read_text())
    assert release["env"] == {
        "REPOSITORY": "my-pipeline",
        "REGION": "eu-west-2",
        "PUSH_ROLE": "arn:aws:iam::111111111111:role/push",
        "CLUSTER_ACCOUNTS": "222222222222,333333333333",
        "TAG": "${{ github.event.release.tag_name }}",
    }
    first = (made / "Dockerfile").read_text().splitlines()[0]
    assert first == "ARG BASE_IMAGE=example.org:5000/team/python:3.12@sha256:" + "0" * 64
    assert (
        "111111111111.dkr.ecr.eu-west-2.amazonaws.com/my-pipeline:v1.0.0"
        in (made / "docs/working-here.md").read_text()
    )


@both_languages
def test_the_roles_are_ones_that_iam_builder_takes_and_share_no_path(language: str, render: Render) -> None:
    answers = {"project": "prisons", "pipeline": "daily", "output": "s3://alpha-prisons/a/b"}
    pipeline = Pipeline.load(render(language=language, **answers))
    allowed: dict[str, set[str]] = {}
    for environment in ("dev", "prod"):
        role = pipeline.role(environment)
        assert role.name == f"airflow_{environment}_prisons_daily"
        assert role.path.name == "daily.yaml"
        statements: list[dict[str, Any]] = role.policy()["Statement"]
        written = [s for s in statements if any("PutObject" in action for action in s["Action"])]
        allowed[environment] = {arn for statement in written for arn in statement["Resource"]}
    assert allowed == {
        "dev": {"arn:aws:s3:::alpha-prisons/a/b/dev/*"},
        "prod": {"arn:aws:s3:::alpha-prisons/a/b/prod/*"},
    }


def test_another_kind_or_language_is_refused_by_name(render: Render) -> None:
    with pytest.raises(ValueError, match="'language'"):
        render(language="cobol")
    with pytest.raises(ValueError, match="'kind'"):
        render(kind="notebook")


def test_the_computes_that_are_offered_are_those_of_the_operator() -> None:
    offered = yaml.safe_load((REPOSITORY / "copier.yml").read_text())["compute"]["choices"]
    settings = (REPOSITORY / "templates/airflow/imports/platform_settings.py.jinja").read_text()
    for label, name in offered.items():
        profile = settings.partition(f'    "{name}": {{')[2].partition("\n    },")[0]
        cpus, memory = label.split(": ")[1].split(" of memory")[0].split(", ")
        assert f'limits={{"cpu": "{cpus.split()[0]}", "memory": "{memory.replace(" GiB", "Gi")}"' in profile


def test_the_lock_files_hold_what_is_asked_for_with_a_hash_each(rendered_python: Path) -> None:
    for name in ("requirements", "requirements-dev"):
        locked = (rendered_python / f"{name}.txt").read_text()
        pins = re.findall(r"^([a-z][\w.-]*)==", locked, re.MULTILINE)
        with_hash = re.findall(
            r"^([a-z][\w.-]*)==.* \\\n    --hash=sha256:[0-9a-f]{64}", locked, re.MULTILINE
        )
        asked = re.findall(r"^([a-z][\w-]*)", (rendered_python / f"{name}.in").read_text(), re.MULTILINE)
        assert set(asked) <= set(pins)
        assert with_hash == pins
        assert "http" not in locked
    how = (rendered_python / "docs/working-here.md").read_text()
    assert "--universal --python-version 3.11 --generate-hashes" in how
