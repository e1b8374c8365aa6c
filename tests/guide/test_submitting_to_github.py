"""Notebook 4 where there is a GitHub: real git, whose addresses lead to bare repositories of this machine."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagkit import guide
from dagkit.guide.submitting import Steps
from tests.harness.generate import commit_all, generate, git

GITHUB = "https://github.com/moj-analytical-services/"
BRANCH = "dagkit/dev/stats.daily"


@dataclass(frozen=True)
class Hub:
    """GitHub's repositories, and a reader's clone."""

    root: Path

    @property
    def pipeline(self) -> Path:
        return self.root / "daily-stats"

    @property
    def published(self) -> Path:
        return self.root / "hub" / "daily-stats.git"

    @property
    def dags(self) -> Path:
        return self.root / "hub" / "airflow.git"

    def here(self) -> Steps:
        opened = guide.open(4, folder=self.root / "guide", pipeline=self.pipeline)
        assert isinstance(opened, Steps)
        return opened

    def branches(self) -> list[str]:
        return git(self.dags, "branch", "--format", "%(refname:short)").split()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path)
    (tmp_path / "guide").mkdir()
    (tmp_path / "hub").mkdir()
    generate(made.pipeline, repository="daily-stats", project="stats", pipeline="daily", owner="octocat")
    commit_all(made.pipeline)
    git(tmp_path, "clone", "--quiet", "--bare", str(made.pipeline), str(made.published))
    git(made.pipeline, "remote", "add", "origin", f"{GITHUB}daily-stats.git")
    git(made.pipeline, "update-ref", "refs/remotes/origin/main", "HEAD")
    dags = generate(tmp_path / "dags", kind="airflow", owner="octocat")
    commit_all(dags)
    git(tmp_path, "clone", "--quiet", "--bare", str(dags), str(made.dags))
    settings = {
        f"url.{tmp_path / 'hub'}/.insteadOf": GITHUB,
        "user.name": "Octo Cat",
        "user.email": "octo.cat@justice.gov.uk",
    }
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GH_TOKEN", "")
    monkeypatch.setenv("GH_CONFIG_DIR", str(tmp_path / "gh"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return made


def test_a_release_is_published_there_and_not_made_here(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.here().release()
    shown = capsys.readouterr().out
    assert f"{GITHUB}daily-stats/releases/new?tag=v0.1.0" in shown
    assert "git push" not in shown
    git(hub.pipeline, "commit", "--quiet", "--allow-empty", "--message", "Change")
    hub.here().release()
    assert "GitHub lacks your newest commits" in capsys.readouterr().out
    git(hub.pipeline, "push", "--quiet", "origin", "HEAD")
    assert git(hub.pipeline, "tag", "--list") == ""
    git(hub.published, "tag", "v0.1.0")
    hub.here().release()
    assert "There is a release v0.1.0" in capsys.readouterr().out
    assert git(hub.pipeline, "tag", "--list") == "v0.1.0"


def test_nothing_is_pushed_where_others_see_it_without_a_yes(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    git(hub.published, "tag", "v0.1.0")
    here = hub.here()
    here.release()
    here.dag_repository()
    assert f"{GITHUB}airflow.git" in capsys.readouterr().out
    here.submit()
    assert "Nothing was submitted" in capsys.readouterr().out
    assert hub.branches() == ["main"]

    here.submit(yes=True)
    assert f"{GITHUB}airflow/compare/main...{BRANCH}" in capsys.readouterr().out
    assert BRANCH in hub.branches()

    before = git(hub.dags, "rev-parse", "main")
    here.merge()
    assert "waits for the data engineers" in capsys.readouterr().out
    here.submit("prod", yes=True)
    assert "is not in dev" in capsys.readouterr().out
    assert git(hub.dags, "rev-parse", "main") == before
    assert sorted(hub.branches()) == [BRANCH, "main"]


def test_a_dag_repository_that_does_not_answer_is_told(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.here().dag_repository(str(hub.root / "nowhere.git"))
    assert "No git repository answers there" in capsys.readouterr().out
    hub.dags.rename(hub.root / "away.git")
    hub.here().dag_repository()
    assert "this is practice" in capsys.readouterr().out
    assert git(hub.root / "guide" / "practice" / "airflow.git", "show", "main:dagkit.toml")
