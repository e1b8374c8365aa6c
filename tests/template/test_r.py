"""What is generated for a pipeline in R, where it is not what is generated for Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from dagkit.pipeline import Pipeline
from tests.template.conftest import Render
from tests.template.test_generation import contents


def test_its_pages_never_speak_of_python(rendered_r: Path) -> None:
    readme, how = ((rendered_r / name).read_text() for name in ("README.md", "docs/working-here.md"))
    assert "Python" not in readme + how
    assert "requirements" not in readme + how
    assert "renv::restore()" in how
    assert "renv::snapshot()" in how


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
