"""Airflow in its process: what DAGs cannot do to a validation, and what older versions say."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dagkit.errors import DagkitError
from dagkit.rules.examples import DAG, DAG_PATH, above_dag, in_tasks
from dagkit.rules.load import Loader
from dagkit.rules.runner import Report, validate
from dagkit.rules.subject import find
from tests.rules.cases import BREAKS
from tests.rules.conftest import Check, Make, codes

OTHER = {
    "environments/dev/dags/example/other.py": DAG.replace("example.daily", "example.other"),
    "environments/prod/dags/example/daily.py": DAG.replace('"dev"', '"prod"'),
    "environments/prod/roles/airflow_prod_example_daily.yaml": "iam_role_name: airflow_prod_example_daily\n",
}


def test_a_dag_that_ends_its_process_is_reported_and_the_others_are_still_checked(check: Check) -> None:
    wrong = {
        "environments/dev/dags/example/other.py": OTHER["environments/dev/dags/example/other.py"]
        + "\n1 / 0\n"
    }
    report = check({DAG_PATH: above_dag("import os\n\nos._exit(0)").files[DAG_PATH], **wrong})
    found = {each.path: each.message for each in report.findings if each.code == "DK201"}
    assert "ends the process" in found[DAG_PATH]
    assert "ZeroDivisionError" in found["environments/dev/dags/example/other.py"]


def test_what_a_dag_prints_does_not_disturb(check: Check) -> None:
    noisy = (
        'import os\nimport sys\n\nprint("{")\nos.write(1, b"[")\nsys.stdout.flush()\nsys.stderr.write("x")'
    )
    assert codes(check(above_dag(noisy))) == []


def test_a_dag_sees_no_credentials(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "secret")
    with Loader() as loader:
        top = "import os\n\nassert 'secret' not in os.environ.values()\nassert os.environ['HOME'] != "
        root = make(above_dag(f"{top}{os.environ['HOME']!r}"))
        assert codes(validate(find(root), loader=loader)) == []


def test_the_same_dag_ids_in_two_environments_are_no_duplicates(check: Check) -> None:
    assert codes(check(OTHER)) == []


def test_a_loader_leaves_nothing_behind(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with Loader() as loader:
        process = loader.process_id
        assert [path.name for path in tmp_path.glob("dagkit-rules-*")]
    assert not list(tmp_path.glob("dagkit-rules-*"))
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_nothing_is_written_into_the_repository(make: Make, airflow: Loader) -> None:
    root = make()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    validate(find(root), loader=airflow)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_without_airflow_the_files_are_checked_and_the_rest_is_named(make: Make) -> None:
    report = validate(find(make(in_tasks("1 / 0"))))
    assert codes(report) == []
    assert "not installed" in report.not_checked[0]


def test_a_python_without_airflow_is_one_clear_error(make: Make, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" -S "$@"\n')
    python.chmod(0o755)
    with Loader(python) as loader, pytest.raises(DagkitError, match="Airflow cannot be loaded"):
        validate(find(make()), loader=loader)


def _told(report: Report) -> list[str]:
    return [f"{each.code} {each.line} {each.message}" for each in report.findings]


def test_airflow_2_judges_the_same_dag_in_the_same_way(
    make: Make, airflow: Loader, airflow_211: Path
) -> None:
    cases = {
        case: example
        for case, (_, example) in BREAKS.items()
        if case in ("a capital", "root", "the node's network", "half a profile", "a role that is not YAML")
    }
    with Loader(airflow_211) as older:
        assert _told(validate(find(make()), loader=older)) == []
        for example in cases.values():
            root = make(example)
            assert (
                _told(validate(find(root), loader=older)) == _told(validate(find(root), loader=airflow)) != []
            )
