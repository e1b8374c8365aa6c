"""`dagkit update` as people meet it: what it says, what it refuses, and the way back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagkit.cli import main
from tests.harness.generate import commit_all, git
from tests.update import small

WORKFLOW = ".github/workflows/test.yml"
BRANCH = "dagkit/update-v1.4.0"


@dataclass(frozen=True)
class Said:
    """How a call ended, and what it printed."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*words: str | Path) -> Said:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def root(little: small.Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of the first version, in which the test stands."""
    made = small.fresh(little.made["v1.0.0"], tmp_path / "counts")
    monkeypatch.chdir(made)
    return made


def conflicting(root: Path) -> None:
    """Change a line that the next version changes, too."""
    small.edit(root / WORKFLOW, "timeout-minutes: 30", "timeout-minutes: 45")
    commit_all(root)


def test_it_says_what_changed_and_where_it_is(root: Path, call: Call) -> None:
    before = small.head(root)
    said = call("update")
    assert (said.code, said.err) == (0, "")
    assert "Update the template's files from v1.0.0 to v1.4.0." in said.out
    for line in (
        "changed  settings.toml", "added    lint.toml", "removed  notes.md",
        "moved    tools/check.sh -> .github/check.sh",
        "minutes: 20 (a new question; for another answer: dagkit update -d minutes=...)",
        f"or merge it: git switch main && git merge {BRANCH}",
    ):  # fmt: skip
        assert line in said.out
    assert small.head(root)[0] == BRANCH
    assert git(root, "rev-parse", "HEAD~1") == before[1]
    assert git(root, "log", "-1", "--format=%an") == "An Analyst"
    assert call("update").out == (
        f"Nothing to update: it is at v1.4.0 of the template ({small_address(root)}), as it should be.\n"
    )
    assert call("update", "--abort").code == 0
    assert small.head(root) == before
    assert git(root, "branch", "--list") == "* main"


def small_address(root: Path) -> str:
    return (root / ".copier-answers.yml").read_text().partition("_src_path: ")[2].partition("\n")[0]


def test_a_dry_run_says_the_same_and_changes_nothing(root: Path, call: Call) -> None:
    small.edit(root / "README.md", "Yours.", "Not committed.")
    before = (small.head(root), git(root, "for-each-ref"), (root / "README.md").read_text())
    said = call("update", "--dry-run")
    assert said.code == 0
    assert "What would change" in said.out
    assert "removed  notes.md" in said.out
    assert "Nothing was changed (--dry-run)." in said.out
    assert (small.head(root), git(root, "for-each-ref"), (root / "README.md").read_text()) == before
    assert not list((root / ".git").glob("dagkit*"))


def test_uncommitted_work_is_refused_with_its_names(root: Path, call: Call) -> None:
    (root / "new.txt").write_text("mine\n")
    small.edit(root / "README.md", "Yours.", "Mine.")
    said = call("update")
    assert said.code == 2
    assert "There is work that is not committed: README.md, new.txt" in said.err
    assert "dagkit update --stash" in said.err
    assert small.head(root)[0] == "main"


def test_uncommitted_work_is_put_aside_and_comes_back(root: Path, call: Call) -> None:
    (root / "new.txt").write_text("mine\n")
    small.edit(root / "README.md", "Yours.", "Mine.")
    before = small.head(root)
    said = call("update", "--stash")
    assert said.code == 0
    assert "git stash pop" in said.out
    assert small.head(root)[::2] == (BRANCH, "")
    assert call("update", "--abort").code == 0
    assert small.head(root) == before
    assert (root / "new.txt").read_text() == "mine\n"
    assert git(root, "stash", "list") == ""


def test_a_conflict_is_shown_with_both_sides_and_settled(root: Path, call: Call) -> None:
    conflicting(root)
    before = small.head(root)
    said = call("update")
    assert said.code == 1
    assert f"  {WORKFLOW}:" in said.out
    assert "yours          |     timeout-minutes: 45" in said.out
    assert "the template's |     timeout-minutes: 20" in said.out
    assert "dagkit update --continue" in said.out

    again = call("update")
    assert again.code == 2
    assert "An update to v1.4.0 is under way" in again.err
    unsettled = call("update", "--continue")
    assert unsettled.code == 2
    line = (root / WORKFLOW).read_text().splitlines().index("<<<<<<< HEAD") + 1
    assert f"{WORKFLOW}:{line}" in unsettled.err

    text = (root / WORKFLOW).read_text()
    (root / WORKFLOW).write_text(
        re.sub(r"<<<<<<< .*?\n(.*?)=======\n.*?>>>>>>> .*?\n", r"\1", text, flags=re.DOTALL)
    )
    settled = call("update", "--continue")
    assert settled.code == 0, settled.err
    assert "timeout-minutes: 45" in (root / WORKFLOW).read_text()
    assert "actions/checkout@v4.1.7" in (root / WORKFLOW).read_text()
    assert small.head(root)[::2] == (BRANCH, "")
    assert git(root, "log", "-1", "--format=%s%b") == "Update the template's files from v1.0.0 to v1.4.0"
    assert call("update", "--abort").code == 0
    assert small.head(root) == before


def test_what_was_being_settled_is_kept_when_it_is_aborted(root: Path, call: Call) -> None:
    conflicting(root)
    before = small.head(root)
    call("update")
    (root / WORKFLOW).write_text("half settled\n")
    said = call("update", "--abort")
    assert said.code == 0
    assert "git show refs/dagkit/aborted" in said.out
    assert small.head(root) == before
    assert git(root, "show", f"refs/dagkit/aborted:{WORKFLOW}") == "half settled"


def test_a_picture_that_both_changed_is_left_to_choose(root: Path, call: Call) -> None:
    (root / "logo.bin").write_bytes(small.PICTURE + b"mine")
    commit_all(root)
    assert call("update").code == 1
    said = call("update", "--continue")
    assert said.code == 2
    assert "git checkout --theirs -- logo.bin" in said.err
    git(root, "checkout", "--theirs", "--", "logo.bin")
    git(root, "add", "logo.bin")
    assert call("update", "--continue").code == 0
    assert (root / "logo.bin").read_bytes() == small.PICTURE[::-1]


def test_what_one_side_removed_and_the_other_changed_is_as_the_analyst_wants_it(
    root: Path, call: Call
) -> None:
    (root / "settings.toml").unlink()
    (root / "notes.md").write_text("my notes\n")
    commit_all(root)
    said = call("update")
    assert said.code == 0
    assert "notes.md: you changed it, and the template has removed it." in said.out
    assert "settings.toml: you removed it, and the template has changed it. It stays removed." in said.out
    assert (root / "notes.md").read_text() == "my notes\n"
    assert not (root / "settings.toml").exists()


def test_an_answer_can_be_changed_and_a_wrong_one_is_refused(root: Path, call: Call) -> None:
    said = call("update", "-d", "region=eu-west-9", "-d", "minutes=5")
    assert said.code == 0
    assert "region: eu-west-9 instead of eu-west-1" in said.out
    assert "timeout-minutes: 5" in (root / WORKFLOW).read_text()
    # once more, on top of it, at the same version
    assert call("update", "-d", "minutes=6").code == 0
    assert "timeout-minutes: 6" in (root / WORKFLOW).read_text()
    assert small.head(root)[::2] == ("dagkit/answers-v1.4.0", "")
    git(root, "switch", "--quiet", "main")
    git(root, "branch", "--quiet", "-D", BRANCH)
    refused = call("update", "-d", "region=")
    assert refused.code == 2
    assert "The answer to 'region' is refused: Write a region of AWS." in refused.err
    assert "asks no question 'regoin' (did you mean 'region'?)" in call("update", "-d", "regoin=x").err
    assert small.head(root)[::2] == ("main", "")


def test_programs_read_the_result_as_json(root: Path, call: Call) -> None:
    conflicting(root)
    planned = json.loads(call("update", "--dry-run", "--json").out)
    assert (planned["state"], planned["from"], planned["to"]) == ("planned", "v1.0.0", "v1.4.0")
    done = call("update", "--json")
    assert done.code == 1
    said = json.loads(done.out)
    assert said["state"] == "conflicts"
    assert said["branch"] == BRANCH
    (conflict,) = said["conflicts"]
    assert conflict["path"] == WORKFLOW
    assert conflict["hunks"][0]["yours"] == ["    timeout-minutes: 45"]
    assert "dagkit update --abort" in done.err
    assert json.loads(call("update", "--abort", "--json").out)["state"] == "aborted"


def test_a_release_may_need_a_change_in_the_analysts_file_and_merges_it(
    little: small.Small, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = small.fresh(little.template, tmp_path / "template")
    small.edit(template / "copier.yml", "name:\n", '  - "!/scripts/run.py"\nname:\n')
    small.edit(template / "project/scripts/run.py", "print('two')", "print('two, as the operator needs it')")
    commit_all(template, tag="v1.5.0")
    root = small.make(template, "v1.4.0", tmp_path / "made")
    small.edit(root / "scripts/run.py", "# Yours.", "# Mine.")
    commit_all(root)
    monkeypatch.chdir(root)
    assert call("update").code == 0
    assert (root / "scripts/run.py").read_text() == (
        "# Mine.\nprint('better')\nprint('two, as the operator needs it')\n"
    )


@dataclass(frozen=True)
class Wrong:
    """Something that stands in the way of an update, and what is said of it."""

    makes: Callable[[Path], object]
    what: str
    fix: str


def _rename_template(root: Path) -> None:
    text = (root / ".copier-answers.yml").read_text()
    (root / ".copier-answers.yml").write_text(re.sub("_src_path: .*", "_src_path: /not/there", text))
    commit_all(root)


def _answers(change: Callable[[str], str]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        path = root / ".copier-answers.yml"
        path.write_text(change(path.read_text()))
        commit_all(root)

    return make


def _merging(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "other")
    conflicting(root)
    git(root, "switch", "--quiet", "main")
    small.edit(root / WORKFLOW, "timeout-minutes: 30", "timeout-minutes: 60")
    commit_all(root)
    with pytest.raises(RuntimeError):
        git(root, "merge", "other")


def _ignored(root: Path) -> None:
    (root / ".gitignore").write_text("lint.toml\n")
    commit_all(root)
    (root / "lint.toml").write_text("mine, and in no commit\n")


def _branch(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", BRANCH)
    conflicting(root)
    git(root, "switch", "--quiet", "main")


WRONG = {
    "no template": Wrong(_rename_template, "The template cannot be fetched", "See that the address is right"),
    "version gone": Wrong(
        _answers(lambda text: text.replace("v1.0.0", "v0.0.9")),
        "The template no longer has the version that this was made from: v0.0.9",
        "v1.4.0, v1.3.0",
    ),
    "no version": Wrong(
        _answers(lambda text: text.replace("_commit: v1.0.0\n", "")), "it has no _commit", "git checkout --"
    ),
    "no address": Wrong(
        _answers(lambda text: re.sub("_src_path.*\n", "", text)), "it has no _src_path", "git checkout --"
    ),
    "broken answers": Wrong(
        _answers(lambda text: text + "a: b: c\n"), "not valid YAML", "Look at that line"
    ),
    "answers that are none": Wrong(_answers(lambda _: "- a\n"), "not a set of answers", "git checkout --"),
    "detached": Wrong(
        lambda root: git(root, "checkout", "--quiet", "--detach"), "No branch", "git switch main"
    ),
    "merging": Wrong(_merging, "in the middle of a merge", "git merge --abort"),
    "no git": Wrong(lambda root: shutil.rmtree(root / ".git"), "not a git repository", "git init"),
    "no answers": Wrong(
        lambda root: (root / ".copier-answers.yml").unlink(), "was not made from the template", "dagkit adopt"
    ),
    "a file in the way": Wrong(
        _ignored, "The template brings lint.toml, and lint.toml is there already", "Move it away"
    ),
    "a branch in the way": Wrong(
        _branch,
        f"There is a branch {BRANCH} already",
        f"git merge {BRANCH}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_stands_in_the_way_is_one_clear_error_and_nothing_changes(
    what: str, root: Path, call: Call
) -> None:
    wrong = WRONG[what]
    wrong.makes(root)
    before = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    said = call("update")
    assert said.code in (1, 2)
    first = said.err.splitlines()[0]
    assert first.startswith("error: ")
    assert wrong.what in first
    assert f"what to do: {wrong.fix}" in said.err or wrong.fix in said.err.splitlines()[-1]
    assert {path: path.read_bytes() for path in before} == before
    assert "dagkit/update" not in (git(root, "branch", "--show-current") if (root / ".git").is_dir() else "")


def test_an_older_version_is_refused(root: Path, call: Call) -> None:
    assert call("update", "--version", "1.2.0").code == 0
    said = call("update", "--version", "v1.1.0")
    assert said.code == 2
    assert "It is at v1.2.0 already, which is newer than v1.1.0" in said.err
    unknown = call("update", "--version", "v1.9.0")
    assert "The template has no version 'v1.9.0'" in unknown.err
    assert "v1.4.0, v1.3.0" in unknown.err


@pytest.mark.parametrize("word", ["--continue", "--abort"])
def test_without_an_update_under_way_there_is_nothing_to_end(word: str, root: Path, call: Call) -> None:
    said = call("update", word)
    assert said.code == 2
    assert "No update is under way here" in said.err
    assert "does not go with --dry-run" in call("update", word, "--dry-run").err


def test_after_it_is_merged_an_update_is_not_undone_over_newer_work(root: Path, call: Call) -> None:
    call("update")
    git(root, "switch", "--quiet", "main")
    git(root, "merge", "--quiet", BRANCH)
    small.edit(root / "README.md", "Yours.", "Mine.")
    commit_all(root)
    before = small.head(root)
    said = call("update", "--abort")
    assert said.code == 2
    assert "there is work after it" in said.err
    assert "git revert" in said.err
    assert small.head(root) == before


def test_in_a_folder_of_a_larger_repository_it_changes_that_folder_alone(
    little: small.Small, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "all"
    made = small.make(little.template, "v1.0.0", top / "teams", commit=False)
    (top / "settings.toml").write_text("not the template's\n")
    commit_all(top)
    monkeypatch.chdir(made)
    assert call("update").code == 0
    changed = git(top, "diff", "--name-only", "HEAD~1").splitlines()
    assert "teams/counts/lint.toml" in changed
    assert all(path.startswith("teams/counts/") for path in changed)
    assert small.head(top)[2] == ""
