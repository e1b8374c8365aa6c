"""Repositories from each version of the real template, brought to the newest: every kind, both languages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import copier
import pytest

from dagkit import update
from dagkit.update.template import Template, fetched
from tests.harness.generate import commit_all, git
from tests.update import history

KINDS = {
    "python": {"language": "python"},
    "r": {"language": "r"},
    "dags": {"kind": "dags", "owner": "octocat"},
    # its settings of the platform are answers, which stay when the template's default changes
    "airflow": {"kind": "airflow", "ecr_region": "eu-west-1"},
}
ANALYSTS = {
    "airflow": ("README.md", "environments/"),
    "dags": ("README.md", "airflow/"),
    "python": ("README.md", "airflow/", "requirements", "scripts/", "tests/"),
    "r": ("README.md", "airflow/", "R/", "renv.lock", "scripts/", "tests/", "my-pipeline.Rproj"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return history.build(tmp_path_factory.mktemp("template") / "dagkit")


@pytest.fixture(scope="module")
def template(root: Path) -> Iterator[Template]:
    with fetched(str(root)) as template:
        yield template


@pytest.fixture(scope="module")
def newest(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the newest version makes, of each kind."""
    folder = tmp_path_factory.mktemp("newest")
    return {kind: files(copied(root, history.NEWEST, folder / kind, kind)) for kind in KINDS}


def copied(template: Path, version: str, folder: Path, kind: str) -> Path:
    made = folder / "my-pipeline"
    copier.run_copy(str(template), made, vcs_ref=version, data=KINDS[kind], defaults=True, quiet=True)
    return made


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def is_the_analysts(kind: str, path: str) -> bool:
    return path.startswith(ANALYSTS[kind])


def check(kind: str, before: dict[str, bytes], after: dict[str, bytes], newest: dict[str, bytes]) -> None:
    """See that what is the template's is as in a fresh copy, and what is the analyst's as it was."""
    assert {path: text for path, text in after.items() if not is_the_analysts(kind, path)} == {
        path: text for path, text in newest.items() if not is_the_analysts(kind, path)
    }
    assert {path: text for path, text in after.items() if is_the_analysts(kind, path)} == {
        path: text for path, text in before.items() if is_the_analysts(kind, path)
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", history.VERSIONS[:-1])
def test_an_update_makes_of_it_what_a_fresh_copy_is(
    kind: str,
    version: str,
    root: Path,
    template: Template,
    newest: dict[str, dict[str, bytes]],
    tmp_path: Path,
) -> None:
    made = copied(root, version, tmp_path, kind)
    commit_all(made)
    before = files(made)
    with update.planned(made, template=template) as plan:
        outcome = update.apply(plan)
    assert (outcome.conflicts, plan.kept) == ((), ())
    assert (plan.before, plan.after) == (version, history.NEWEST)
    check(kind, before, files(made), newest[kind])
    assert git(made, "status", "--porcelain") == ""
    with update.planned(made, template=template) as again:
        assert again.nothing


@pytest.mark.parametrize("kind", ["python", "r", "airflow"])
def test_what_the_analyst_has_made_of_it_stays(
    kind: str, root: Path, template: Template, newest: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    """Files renamed, removed, rewritten and new, and a line in the template's; by Copier alone, too."""
    made = copied(root, "v0.1.0", tmp_path, kind)
    commit_all(made)
    dag = next(made.rglob("dags/**/*.py"))
    dag.rename(dag.with_name("weekly.py"))
    (made / "README.md").unlink()
    if kind != "airflow":
        next((made / "scripts").iterdir()).write_text("# all my own\n", encoding="utf-8")
    (made / "mine.bin").write_bytes(bytes(range(256)))
    with (made / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("my-results/\n")
    commit_all(made)
    before = files(made)
    wanted = {**newest[kind], "mine.bin": before["mine.bin"], ".gitignore": before[".gitignore"]}

    command = [sys.executable, "-m", "copier", "update", "--defaults", "--quiet", str(made)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check(kind, before, files(made), wanted)
    git(made, "reset", "--hard", "--quiet")
    git(made, "clean", "--force", "-d", "--quiet")
    assert files(made) == before

    with update.planned(made, template=template) as plan:
        assert update.apply(plan).conflicts == ()
    check(kind, before, files(made), wanted)


def test_it_is_told_what_changed_and_what_the_changelog_says(
    root: Path, template: Template, tmp_path: Path
) -> None:
    made = copied(root, "v0.1.0", tmp_path, "python")
    commit_all(made)
    with update.planned(made, template=template) as plan:
        assert [(change.what, change.before, change.path) for change in plan.changes] == [
            ("changed", None, ".copier-answers.yml"),
            ("removed", None, ".github/CODEOWNERS"),
            ("changed", None, ".github/workflows/release.yml"),
            ("added", None, ".github/workflows/scan.yml"),
            ("changed", None, ".github/workflows/test.yml"),
            ("moved", "docs/working-here.md", "docs/how-to.md"),
        ]
        assert [(answer.question, answer.before, answer.after) for answer in plan.answers] == [
            ("minutes", None, 25)
        ]
        assert [news.version for news in plan.news] == ["0.6.0", "0.5.0", "0.2.0"]
        assert plan.news[0].text.splitlines() == [
            "- The scan is a workflow of its own: `scan.yml`.", "- Nothing for you to do."
        ]  # fmt: skip
    with update.planned(made, template=template, version="0.2.0") as plan:
        assert (plan.after, [news.version for news in plan.news]) == ("v0.2.0", ["0.2.0"])
    with update.planned(made, template=template, data={"minutes": "40"}) as plan:
        update.apply(plan)
    assert "timeout-minutes: 40" in (made / ".github/workflows/test.yml").read_text(encoding="utf-8")


def test_a_file_that_the_analyst_changed_moves_with_its_changes_and_is_never_removed(
    root: Path, template: Template, tmp_path: Path
) -> None:
    made = copied(root, "v0.1.0", tmp_path, "python")
    commit_all(made)
    for path in ("docs/working-here.md", ".github/CODEOWNERS"):
        with (made / path).open("a", encoding="utf-8") as file:
            file.write("/mine/ @me\n")
    commit_all(made)
    with update.planned(made, template=template) as plan:
        outcome = update.apply(plan)
    assert outcome.conflicts == ()
    assert [(kept.path, kept.removed) for kept in plan.kept] == [(".github/CODEOWNERS", True)]
    for path in ("docs/how-to.md", ".github/CODEOWNERS"):
        assert (made / path).read_text(encoding="utf-8").endswith("/mine/ @me\n")
    assert not (made / "docs/working-here.md").exists()
