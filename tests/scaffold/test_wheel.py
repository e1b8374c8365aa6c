"""The wheel alone is enough to make a repository, and that repository can be updated later."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from dagkit import scaffold
from tests.harness.generate import commit_all
from tests.harness.languages import both_languages
from tests.scaffold.conftest import FIRST, SECOND, TEMPLATES, copy_tracked, files


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of the source distribution, which is built of what git tracks."""
    folder = tmp_path_factory.mktemp("wheel")
    copy_tracked(folder / "source")
    run("uv", "build", "--quiet", "--out-dir", folder / "dist", folder / "source")
    assert len(list((folder / "dist").glob("*.tar.gz"))) == 1
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run("uv", "venv", "--quiet", folder)
    run("uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python", wheel)
    return folder / "bin"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program that has to succeed; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_every_file_of_the_templates_and_of_the_guide(wheel: Path, tmp_path: Path) -> None:
    carried = {
        name.removeprefix("dagkit/_bundle/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("dagkit/_bundle/")
    }
    assert carried == set(copy_tracked(tmp_path, *TEMPLATES, "notebooks"))


@both_languages
def test_a_repository_made_by_the_wheel_is_the_published_versions_and_is_updated_from_it(
    language: str, installed: Path, published: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made" / "my-pipeline"
    made.parent.mkdir()
    data = ("--defaults", "-d", f"language={language}")
    run(installed / "dagkit", "new", made, *data, cwd=tmp_path)

    expected = tmp_path / "expected" / "my-pipeline"
    run(installed / "copier", "copy", *data, "--vcs-ref", FIRST, scaffold.PUBLISHED, expected)
    assert files(made) == files(expected)

    commit_all(made)
    run(installed / "copier", "update", "--defaults", cwd=made)
    assert (made / "Dockerfile").read_text(encoding="utf-8").endswith("# the second version\n")
    answers = yaml.safe_load((made / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (answers["_commit"], answers["_src_path"]) == (SECOND, scaffold.PUBLISHED)


def test_another_version_comes_from_where_the_template_is_published(
    installed: Path, published: Path, tmp_path: Path
) -> None:
    run(installed / "dagkit", "new", tmp_path / "newer", "--defaults", "--version", SECOND)
    assert "# the second version" in (tmp_path / "newer" / "Dockerfile").read_text(encoding="utf-8")


def test_without_the_extra_the_doctor_says_how_to_get_it(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([installed / "dagkit", "doctor"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "apache-airflow" in done.stdout
    assert "what to do: pip install 'dagkit[local]'" in done.stdout
    done = subprocess.run([installed / "dagkit", "build"], cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
