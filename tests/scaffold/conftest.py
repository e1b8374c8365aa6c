"""A template with two released versions, made from this working copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagkit import scaffold
from tests.harness.generate import REPOSITORY, commit_all, git

FIRST = scaffold.RELEASED
SECOND = "v10.0.0"
TEMPLATES = ("copier.yml", "templates", "template-airflow-*")
"""What a template is made of, as git's patterns."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of the template with two versions; the second adds a line to Dockerfiles."""
    root = tmp_path_factory.mktemp("template") / "dagkit"
    copy_tracked(root, *TEMPLATES)
    commit_all(root, tag=FIRST)
    for dockerfile in root.glob("template-airflow-*/Dockerfile.jinja"):
        text = dockerfile.read_text(encoding="utf-8")
        dockerfile.write_text(f"{text}# the second version\n", encoding="utf-8")
    commit_all(root, tag=SECOND)
    return root


@pytest.fixture
def published(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template where `gh:` says it is published: git is told to find that address here."""
    address = scaffold.PUBLISHED.removeprefix("gh:")
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "file://{template}"]\n\tinsteadOf = https://github.com/{address}.git\n'
        "[user]\n\tname = An Analyst\n\temail = an.analyst@example.gov.uk\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "mirrors"))
    return template


def copy_tracked(destination: Path, *patterns: str) -> list[str]:
    """Copy what git tracks in this working copy, as it is now; return the paths."""
    paths = git(REPOSITORY, "ls-files", "-z", "--", *patterns).rstrip("\0").split("\0")
    for path in paths:
        (destination / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, destination / path)
    return paths


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder but git's own: its mode and content by path."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }
