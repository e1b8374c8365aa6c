"""The rules on what the templates make; on an image repository they are checked for both environments."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.rules.load import Loader
from dagkit.rules.runner import Report, validate
from dagkit.rules.subject import find
from tests.harness.generate import generate
from tests.harness.languages import both_languages
from tests.rules.conftest import codes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What the template makes, for each language."""

    @functools.cache
    def make(language: str) -> Path:
        folder = tmp_path_factory.mktemp("made") / "my-pipeline"
        return generate(folder, language=language, project="example", pipeline="daily", owner="octocat")

    return make


@pytest.fixture
def pipeline(made: Callable[[str], Path], language: str, tmp_path: Path) -> Path:
    """A copy of it, in the test's language."""
    return Path(shutil.copytree(made(language), tmp_path / "my-pipeline"))


def told(report: Report) -> list[str]:
    return [f"{each.code} {each.path}:{each.line} {each.message}" for each in report.findings]


@pytest.mark.parametrize("kind", ["airflow", "dags"])
def test_the_other_templates_keep_every_rule_too(kind: str, tmp_path: Path, airflow: Loader) -> None:
    report = check(generate(tmp_path / "made", kind=kind, owner="octocat"), airflow)
    assert told(report) == []
    assert report.dags == 1


def change(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def check(root: Path, airflow: Loader) -> Report:
    return validate(find(root), loader=airflow)


@both_languages
def test_what_the_template_makes_keeps_every_rule(pipeline: Path, airflow: Loader) -> None:
    report = check(pipeline, airflow)
    assert told(report) == []
    assert (report.dags, report.roles) == (1, 2)


def test_a_dag_is_checked_as_it_is(pipeline: Path, airflow: Loader) -> None:
    change(pipeline, "airflow/dags/daily.py", 'RELEASE = "v0.0.1"', 'RELEASE = "latest"')
    assert set(codes(check(pipeline, airflow))) == {"DK305"}


@both_languages
def test_a_role_that_prod_lacks_is_found_before_the_dag_is_promoted(pipeline: Path, airflow: Loader) -> None:
    (pipeline / "airflow/roles/prod/daily.yaml").unlink()
    found = {(each.code, each.path) for each in check(pipeline, airflow).findings}
    assert found == {("DK307", "airflow/dags/daily.py")}


def test_a_path_that_both_environments_write_is_found(pipeline: Path, airflow: Loader) -> None:
    dev = (pipeline / "airflow/roles/dev/daily.yaml").read_text()
    (pipeline / "airflow/roles/prod/daily.yaml").write_text(dev.replace("airflow_dev", "airflow_prod"))
    assert "DK503" in codes(check(pipeline, airflow))


def test_a_role_with_another_name_is_found(pipeline: Path, airflow: Loader) -> None:
    change(pipeline, "airflow/roles/dev/daily.yaml", "airflow_dev_example_daily", "airflow_dev_example_dialy")
    assert codes(check(pipeline, airflow)) == ["DK407"]


def test_a_dag_that_names_one_environment_for_good_is_found(pipeline: Path, airflow: Loader) -> None:
    change(pipeline, "airflow/dags/daily.py", 'f"airflow_{ENVIRONMENT}_', '"airflow_dev_')
    assert set(codes(check(pipeline, airflow))) == {"DK306", "DK410"}
