"""Tests that cannot run are skipped with a reason, except in CI, where that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULE = """
import pytest

@pytest.mark.docker
def test_needs_docker():
    pass

def test_says_why():
    pytest.skip("there is no moon")
"""


def run_pytest(module: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "DOCKER_HOST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-ra", "--color=no", str(module)],
        cwd=REPOSITORY,
        env={**inherited, "DOCKER_HOST": "unix:///nowhere.sock", **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "test_module.py"
    path.write_text(MODULE)
    return path


def test_a_test_that_cannot_run_here_is_skipped_with_its_reason(module: Path) -> None:
    ran = run_pytest(module)
    assert ran.returncode == 0, ran.stdout
    assert "there is no moon" in ran.stdout
    assert "no Docker engine answers" in ran.stdout or "Docker is not installed" in ran.stdout
    assert "2 skipped" in ran.stdout


def test_a_skipped_test_fails_in_ci(module: Path) -> None:
    ran = run_pytest(module, CI="true")
    assert ran.returncode == 1
    assert "nothing may be skipped in CI, but this was: Skipped: there is no moon" in ran.stdout
    assert "skipped" not in ran.stdout.splitlines()[-1]


def test_a_skipped_module_fails_in_ci(module: Path) -> None:
    module.write_text("import pytest\npytest.skip('no moon at all', allow_module_level=True)\n")
    assert run_pytest(module).returncode == 5, "nothing was collected, which is not a failure of a test"
    ran = run_pytest(module, CI="true")
    assert ran.returncode == 2
    assert "nothing may be skipped in CI, but this was: Skipped: no moon at all" in ran.stdout
