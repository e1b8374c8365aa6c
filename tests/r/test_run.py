"""`dagkit build`, `test`, `run` and `validate` on a repository in R, as people in RStudio would call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagkit.image import BuiltImage
from tests.run.harness import Done, run

DAGKIT = Path(sys.executable).parent / "dagkit"
OUTPUT = "alpha-everyone/airflow-example/analyst"
ENGINES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("process", marks=pytest.mark.r),
]


@pytest.fixture
def base(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds take the base image of these tests."""
    if "docker" in request.node.name:
        image: str = request.getfixturevalue("r_base_image")
        monkeypatch.setenv("DAGKIT_BASE_IMAGE", image)


def from_r(repository: Path, command: str) -> subprocess.CompletedProcess[bytes]:
    """Call a command as the R console does: ``system("...")`` in the folder of the pipeline."""
    path = f"{DAGKIT.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["Rscript", "--no-init-file", "-e", f'quit(status = system("{command}"))'],
        cwd=repository,
        env={**os.environ, "PATH": path},
        capture_output=True,
    )


@pytest.mark.docker
def test_what_the_role_refuses_fails_the_task_with_the_line_to_add(
    repository: Path, r_base_image: str
) -> None:
    role = repository / "airflow" / "roles" / "dev" / "pipe.yaml"
    allowed = f"  read_only:\n    - {OUTPUT}/hearings.csv\n"
    assert allowed in role.read_text()
    role.write_text(role.read_text().replace(allowed, ""))
    dag = repository / "airflow" / "dags" / "pipe.py"
    dag.write_text(dag.read_text().replace('"retries": 1', '"retries": 0'))
    done = run(repository, "--engine", "docker", env={"DAGKIT_BASE_IMAGE": r_base_image})
    assert done.code == 1
    assert done.states == {"write": "success", "copy": "success", "summarise": "failed"}
    assert f"error: s3:GetObject on s3://{OUTPUT}/hearings.csv failed: " in done.log("summarise")
    assert f"{OUTPUT}/hearings.csv" in done.out.partition("efused")[2]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_object_is_copied_from_where_the_role_may_only_read(
    engine: str, base: None, repository: Path
) -> None:
    large = repository / "airflow" / "fixtures" / OUTPUT / "hearings.csv"
    large.write_bytes(b"court,minutes\n" * 1_500_000)  # 21 MB: in several parts
    dag = repository / "airflow" / "dags" / "pipe.py"
    text = dag.read_text()
    dag.write_text(text.replace('"FROM": f"{OUTPUT}/text.txt"', f'"FROM": "s3://{OUTPUT}/hearings.csv"'))
    done = run(repository, "--engine", engine, "--task", "copy")
    assert done.code == 0, done.out + done.err
    assert "copied 21,000,000 bytes" in done.log("copy")


@pytest.mark.r
def test_the_r_console_shows_the_same_report_without_colours_or_progress_bars(repository: Path) -> None:
    called = from_r(repository, "dagkit run --engine process")
    assert called.returncode == 0, called.stderr
    for output in (called.stdout, called.stderr):
        assert b"\x1b" not in output
        assert b"\r" not in output
    shown = called.stdout.decode()
    assert "summarise  success" in shown
    assert "Written to S3" in shown
    report = Done(0, shown, "", repository).folder / "report.md"
    assert str(report.relative_to(repository)) in shown

    tests = from_r(repository, "dagkit test --engine process -- summarise")
    assert tests.returncode == 0, tests.stdout
    assert b"DONE" in tests.stdout
    assert b"run:" not in tests.stdout
    assert b"\x1b" not in tests.stdout + tests.stderr


@pytest.mark.docker
@pytest.mark.r
def test_the_r_console_builds_and_tests_the_image(
    repository: Path, built: BuiltImage, r_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGKIT_BASE_IMAGE", r_base_image)
    for verb, shown in (("build", b"reached its own code"), ("test", b"DONE")):
        called = from_r(repository, f"dagkit {verb}")
        assert called.returncode == 0, called.stdout + called.stderr
        assert shown in called.stdout
        assert b"\x1b" not in called.stdout + called.stderr
