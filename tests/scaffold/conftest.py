"""A template with two released versions, made from this working copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dagkit import scaffold
from tests.harness.generate import REPOSITORY, commit_all

FIRST, SECOND = "v0.9.0", "v0.10.0"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of the template, tagged v0.9.0 and v0.10.0; the second adds a line to Dockerfiles."""
    root = tmp_path_factory.mktemp("template") / "dagkit"
    for name in ("template-airflow-python", "templates"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "copier.yml", root)
    commit_all(root, tag=FIRST)
    dockerfile = root / "template-airflow-python" / "Dockerfile.jinja"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8") + "# the second version\n", encoding="utf-8")
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


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder but git's own: its mode and content by path."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }
