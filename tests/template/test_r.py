"""What is generated for a pipeline in R, where it is not what is generated for Python."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagkit.pipeline import Pipeline
from tests.template.conftest import ImportsFolder, Probe, Render
from tests.template.test_dag import ANSWERS
from tests.template.test_generation import FILES, contents

ONLY_PYTHON = {
    "pyproject.toml",
    "requirements-dev.in",
    "requirements-dev.txt",
    "requirements.in",
    "requirements.txt",
    "scripts/run.py",
    "tests/test_run.py",
}
ONLY_R = {
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
}


@pytest.fixture(scope="session")
def rendered_r(render: Render) -> Path:
    """A repository in R, of the default answers. Tests only read it."""
    return render(language="r")


def test_a_repository_has_these_files_and_no_others(rendered_r: Path) -> None:
    assert set(contents(rendered_r)) == FILES - ONLY_PYTHON | ONLY_R


def test_what_does_not_depend_on_the_language_is_the_same(rendered_r: Path, rendered: Path) -> None:
    r, python = contents(rendered_r), contents(rendered)
    shared = FILES - ONLY_PYTHON
    assert {name for name in shared if r[name] != python[name]} == {
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
    }


def test_its_readme_never_speaks_of_python(rendered_r: Path) -> None:
    readme = (rendered_r / "README.md").read_text()
    assert "Python" not in readme
    assert "requirements" not in readme
    assert "renv::restore()" in readme
    assert "renv::snapshot()" in readme


def test_the_lock_file_names_the_repository_that_was_answered_and_nothing_else_does(render: Render) -> None:
    cran = "https://packages.example.com:8443/cran/2026-01-01"
    made = render(language="r", cran_repository=cran)
    lock = json.loads((made / "renv.lock").read_text())
    assert lock["R"]["Repositories"] == [{"Name": "CRAN", "URL": cran}]
    answers = yaml.safe_load((made / ".copier-answers.yml").read_text())
    assert (answers["customise"], answers["cran_repository"]) == (True, cran)
    named = {name for name, content in contents(made).items() if b"packages.example.com" in content}
    assert named == {"renv.lock", ".copier-answers.yml"}


def test_the_lock_file_is_complete(rendered_r: Path) -> None:
    packages = json.loads((rendered_r / "renv.lock").read_text())["Packages"]
    assert {"testthat", "processx", "withr"} <= packages.keys()
    base = {"R", "graphics", "grDevices", "methods", "stats", "tools", "utils"}
    for entry in packages.values():
        assert set(entry.get("Requirements", ())) - base <= packages.keys()


def test_a_repository_of_packages_that_is_none_is_refused(render: Render) -> None:
    for cran in ("cran.example.com", 'https://a"b', "https://a b", "https://a/", "file:///a", "https://a\n"):
        with pytest.raises(ValueError, match=r"https://cran\.example\.com"):
            render(language="r", cran_repository=cran)


def test_the_base_image_is_one_of_r_unless_another_is_answered(render: Render, rendered_r: Path) -> None:
    assert (rendered_r / "Dockerfile").read_text().startswith("ARG BASE_IMAGE=rocker/r-ver:4.5\n")
    made = render(language="r", base_image="r-base:4.5.2")
    assert (made / "Dockerfile").read_text().startswith("ARG BASE_IMAGE=r-base:4.5.2\n")


def test_the_dag_parses_without_a_warning_and_has_the_second_example(
    ask_airflow: Probe, render: Render, imports: ImportsFolder
) -> None:
    path = render(**ANSWERS, language="r") / "airflow/dags/daily_counts.py"
    [dag] = ask_airflow("load_dags", paths=[str(path)], imports=str(imports()))
    assert dag["warnings"] == []
    assert dag["doc_md"] == ast.get_docstring(ast.parse(path.read_text()), clean=False)
    tasks: dict[str, Any] = {task["task_id"]: task for task in dag["tasks"]}
    assert tasks.keys() == {"write", "copy", "summarise"}
    assert sorted(tasks["write"]["downstream"]) == ["copy", "summarise"]
    assert tasks["summarise"]["env_vars"]["FROM"] == "s3://alpha-prisons/counts/hearings.csv"
    assert tasks["summarise"]["env_vars"]["TO"] == "s3://alpha-prisons/counts/dev/summary.csv"
    assert path.read_text().count('cmds=["Rscript", "scripts/summarise.R"]') == 1


def test_both_roles_may_read_the_example_and_neither_may_write_it(render: Render) -> None:
    made = render(language="r", project="prisons", pipeline="daily", output="s3://alpha-prisons/a/b")
    pipeline = Pipeline.load(made)
    [fixture] = pipeline.fixtures()
    assert (fixture.bucket, fixture.key) == ("alpha-prisons", "a/b/hearings.csv")
    example = f"arn:aws:s3:::{fixture.bucket}/{fixture.key}"
    for environment in ("dev", "prod"):
        statements = pipeline.role(environment).policy()["Statement"]
        [read] = [s for s in statements if example in s["Resource"]]
        assert "s3:GetObject" in read["Action"]
        assert not [action for action in read["Action"] if "Put" in action or "Delete" in action]
