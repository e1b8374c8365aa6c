"""A template of three versions, repositories made from them, and GitHub around it all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import copier
import pytest
import yaml

from tests.fleet.github import GitHub, running_github
from tests.harness.generate import commit_all, git

TOKEN = "a-token-of-github"
VERSIONS = ("v0.1.0", "v0.2.0", "v0.3.0")
ORG = "an-org"

SETTINGS = """\
_subdirectory: template
_answers_file: .copier-answers.yml
kind: {type: str, default: image}
owner: {type: str, default: nobody}
"""
ANSWERS = "{{ _copier_answers | to_nice_yaml -}}\n"
CHANGELOG = """\
# Changelog

## 0.3.0
### When you update
- Nothing to do: `make` is quieter.

## 0.2.0
### When you update
- The workflow pins its actions.
"""
WORKFLOW = "on: push\njobs:\n  test:\n    steps:\n      - uses: actions/checkout@{pin}\n"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a template: each version changes the workflow's third line; the last adds a file."""
    root = tmp_path_factory.mktemp("template") / "kit"
    files = root / "template"
    (files / ".github").mkdir(parents=True)
    (root / "copier.yml").write_text(SETTINGS, encoding="utf-8")
    (root / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (files / "{{ _copier_conf.answers_file }}.jinja").write_text(ANSWERS, encoding="utf-8")
    (files / "run.py").write_text("print('hello')\n", encoding="utf-8")
    for number, version in enumerate(VERSIONS, start=1):
        (files / ".github" / "test.yml").write_text(WORKFLOW.format(pin=f"v{number}"), encoding="utf-8")
        if number == len(VERSIONS):
            (files / "Makefile").write_text("test:\n\t@pytest -q\n", encoding="utf-8")
        commit_all(root, tag=version)
    bare = root.with_name("kit.git")
    git(root, "clone", "--quiet", "--bare", str(root), str(bare))
    return bare.as_uri()


@pytest.fixture(scope="session")
def made(template: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A repository made from each version, as plain files."""
    folder = tmp_path_factory.mktemp("made")
    for version in VERSIONS:
        copier.run_copy(template, folder / version, vcs_ref=version, defaults=True, quiet=True)
    return {version: folder / version for version in VERSIONS}


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """GitHub, as the environment of Actions names it; and a cache and an identity for this test alone."""
    with running_github(tmp_path / "github", TOKEN) as running:
        monkeypatch.setenv("GITHUB_API_URL", running.url)
        monkeypatch.setenv("GH_TOKEN", TOKEN)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", "The Data Engineers")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "engineers@example.gov.uk")
        yield running


class Fleet:
    """Repositories on GitHub, made from a version of the template, with what somebody changed since."""

    def __init__(self, github: GitHub, made: dict[str, Path], template: str, folder: Path) -> None:
        self.github, self.made, self.template, self.folder = github, made, template, folder

    def add(
        self,
        name: str,
        version: str = VERSIONS[0],
        *,
        topics: tuple[str, ...] = ("dagkit-updates",),
        files: Mapping[str, str | None] | None = None,
        **more: object,
    ) -> str:
        """Add a repository; return its `organisation/name`."""
        slug = f"{ORG}/{name}"
        bare = self.github.add(slug, topics=topics, **more)
        work = self.folder / name
        shutil.copytree(self.made[version], work)
        self.commit(slug, files or {}, bare)
        return slug

    def commit(self, slug: str, files: Mapping[str, str | None], bare: Path | None = None) -> None:
        """Commit to the default branch."""
        work = self.folder / slug.split("/")[1]
        for path, text in files.items():
            if text is None:
                (work / path).unlink()
            else:
                (work / path).write_text(text, encoding="utf-8")
        commit_all(work)
        git(work, "push", "--quiet", str(bare or self.github.folder / f"{slug}.git"), "HEAD:main")

    def __call__(self, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Call `dagkit fleet`, as a process of its own."""
        return subprocess.run(self.words(*words), capture_output=True, text=True, timeout=timeout)

    def words(self, *words: str) -> list[str]:
        verb, *rest = words
        pace = ["--pace", "0"] if verb == "update" and "--pace" not in rest else []
        return [sys.executable, "-m", "dagkit", "fleet", verb, "--template", self.template, *pace, *rest]


@pytest.fixture
def fleet(github: GitHub, made: dict[str, Path], template: str, tmp_path: Path) -> Fleet:
    """A fleet that has no repositories yet."""
    return Fleet(github, made, template, tmp_path / "work")


def answers(text: str) -> dict[str, str]:
    """An answers file's content."""
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found
