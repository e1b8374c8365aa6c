"""From a released tag of this repository: made from it, and brought to the next release, as users do it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagkit import scaffold
from tests.harness.generate import REPOSITORY, commit_all, git
from tests.update.small import edit


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of this checkout, with what is not committed yet, where `gh:` says that it is published."""
    clone = tmp_path / "dagkit"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(REPOSITORY), str(clone))
    for path in git(REPOSITORY, "ls-files", "-z", "--modified").split("\0"):
        if path and (REPOSITORY / path).is_file():
            shutil.copy(REPOSITORY / path, clone / path)
    git(clone, "commit", "--quiet", "--all", "--allow-empty", "--message", "As it is")
    git(clone, "tag", scaffold.RELEASED)
    config = tmp_path / "gitconfig"
    address = scaffold.PUBLISHED.removeprefix("gh:")
    config.write_text(
        f'[url "file://{clone}"]\n\tinsteadOf = https://github.com/{address}.git\n'
        "[user]\n\tname = An Analyst\n\temail = an.analyst@example.gov.uk\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "mirrors"))
    return clone


def dagkit(cwd: Path, *words: str) -> str:
    """What a call prints that has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "dagkit", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_one_release_to_the_next(released: Path, tmp_path: Path) -> None:
    answers = ("-d", "kind=dags", "-d", "project=courts", "-d", "pipeline=daily", "-d", "owner=octocat")
    dagkit(
        tmp_path, "new", "made", "--template", scaffold.PUBLISHED, "--version", scaffold.RELEASED, *answers
    )
    made = tmp_path / "made"
    commit_all(made)
    assert "Nothing to update" in dagkit(made, "update")

    edit(released / "templates/dags/.gitignore", ".venv/\n", ".venv/\n.uv/\n")
    text = (released / "CHANGELOG.md").read_text(encoding="utf-8")
    news = "## 0.2.0\n\n### When you update\n- `.uv/` stays out of git. Nothing for you to do.\n\n"
    (released / "CHANGELOG.md").write_text(text.replace("## 0.1.0", f"{news}## 0.1.0"), encoding="utf-8")
    commit_all(released, tag="v0.2.0")

    said = dagkit(made, "update", "--check")
    assert f"from {scaffold.RELEASED} to v0.2.0" in said
    assert "  0.2.0\n    - `.uv/` stays out of git. Nothing for you to do.\n" in said
    assert re.search(r"dagkit validate +pass", said)
    assert ".uv/" in (made / ".gitignore").read_text(encoding="utf-8")
    assert f"_src_path: {scaffold.PUBLISHED}" in (made / ".copier-answers.yml").read_text(encoding="utf-8")
    git(made, "switch", "--quiet", "main")
    git(made, "merge", "--quiet", "dagkit/update-v0.2.0")
    assert "Nothing to update: it is at v0.2.0" in dagkit(made, "update")


def test_the_changelog_says_of_each_version_what_an_update_brings() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions
    for version in versions:
        assert re.search(r"^### When you update\n- ", version, re.MULTILINE), version.partition("\n")[0]
