"""`dagkit fleet status` and `dagkit fleet update`, against bare repositories and GitHub's API."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dagkit.cli import main
from tests.fleet.conftest import ORG, TOKEN, Fleet, answers
from tests.fleet.github import GitHub, running_github
from tests.harness.generate import git

MINE = {".github/test.yml": "on: push\njobs:\n  test:\n    steps:\n      - uses: mine\n"}
BRANCH = "refs/heads/dagkit/update"


def standings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    """What `--json` says of each repository, by its name without the organisation."""
    return {str(one["name"]).removeprefix(f"{ORG}/"): one for one in json.loads(done.stdout)}


def test_status_says_who_uses_the_template_how_far_behind_and_what_would_conflict(fleet: Fleet) -> None:
    fleet.add("old")
    fleet.add("newer", "v0.2.0")
    fleet.add("newest", "v0.3.0")
    fleet.add("clash", files=MINE)
    fleet.add("quiet", topics=())
    done = fleet("status", ORG)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines() if line}
    assert lines[f"{ORG}/old"] == "image v0.1.0 2 to v0.3.0, 3 files, no conflict"
    assert lines[f"{ORG}/newer"] == "image v0.2.0 1 to v0.3.0, 3 files, no conflict"
    assert lines[f"{ORG}/newest"] == "image v0.3.0 0 up to date"
    assert lines[f"{ORG}/clash"] == "image v0.1.0 2 to v0.3.0, conflicts in .github/test.yml"
    assert lines[f"{ORG}/quiet"].endswith("no conflict; does not ask for it")
    assert "5 of 5 use the template, 4 behind, 1 with conflicts" in done.stdout
    assert fleet.github.changes() == []


def test_update_opens_a_pull_request_where_it_is_asked_for(fleet: Fleet) -> None:
    asks = fleet.add("asks", files={"run.py": "print('mine')\n", "data.csv": "1,2\n"})
    quiet = fleet.add("quiet", topics=("other",))
    newest = fleet.add("newest", "v0.3.0")
    done = fleet("update", ORG)
    assert done.returncode == 0, done.stderr
    [pull] = fleet.github.pulls
    assert pull["slug"] == asks
    assert (pull["title"], pull["draft"]) == ("Update the template's files from v0.1.0 to v0.3.0", False)
    assert pull["base"]["ref"] == "main"
    assert "The workflow pins its actions." in pull["body"]
    assert "`make` is quieter" in pull["body"]
    assert "`Makefile`: added" in pull["body"]
    assert "`run.py`" not in pull["body"]
    assert pull["html_url"] in done.stdout
    shown = fleet.github.git(asks, "show", f"{BRANCH}:.github/test.yml")
    assert shown is not None
    assert "checkout@v3" in shown
    assert fleet.github.git(asks, "show", f"{BRANCH}:run.py") == "print('mine')\n"
    assert fleet.github.git(asks, "show", f"{BRANCH}:data.csv") == "1,2\n"
    assert (
        answers(fleet.github.git(asks, "show", f"{BRANCH}:.copier-answers.yml") or "")["_commit"] == "v0.3.0"
    )
    assert (fleet.github.git(asks, "rev-list", "--count", f"main..{BRANCH}") or "").strip() == "1"
    for slug in (quiet, newest):
        assert fleet.github.git(slug, "rev-parse", "--verify", "--quiet", BRANCH) is None
    assert fleet("update", ORG, "--all").returncode == 0
    assert [pull["slug"] for pull in fleet.github.pulls] == [asks, quiet]


def test_again_nothing_is_doubled_and_a_newer_version_renews_what_is_open(fleet: Fleet) -> None:
    slugs = [fleet.add("one"), fleet.add("two", files=MINE)]
    assert fleet("update", ORG, "--version", "v0.2.0").returncode == 0
    tips = [fleet.github.git(slug, "rev-parse", BRANCH) for slug in slugs]
    before = len(fleet.github.changes())
    again = fleet("update", ORG, "--version", "v0.2.0")
    assert again.stdout.count("pull request unchanged") == 3, again.stdout
    assert len(fleet.github.changes()) == before
    assert [fleet.github.git(slug, "rev-parse", BRANCH) for slug in slugs] == tips
    assert fleet("update", ORG).returncode == 0
    assert sorted(pull["slug"] for pull in fleet.github.pulls) == sorted(slugs)
    assert all("to v0.3.0" in pull["title"] and "v0.3.0" in pull["body"] for pull in fleet.github.pulls)
    assert all(fleet.github.git(slug, "rev-list", "--count", f"main..{BRANCH}") == "1\n" for slug in slugs)


def test_a_branch_follows_the_default_branch(fleet: Fleet) -> None:
    slug = fleet.add("one")
    fleet("update", ORG)
    fleet.commit(slug, {"run.py": "print('later')\n"})
    done = fleet("update", ORG)
    assert "pull request updated" in done.stdout
    assert fleet.github.git(slug, "show", f"{BRANCH}:run.py") == "print('later')\n"
    assert fleet.github.git(slug, "merge-base", "main", BRANCH) == fleet.github.git(slug, "rev-parse", "main")
    assert len(fleet.github.pulls) == 1


def test_conflicts_come_as_a_draft_with_both_sides(fleet: Fleet) -> None:
    slug = fleet.add("clash", files=MINE)
    done = fleet("update", ORG)
    assert done.returncode == 0, done.stderr
    assert "a draft: 1 to settle" in done.stdout
    [pull] = fleet.github.pulls
    assert pull["draft"] is True
    assert "Line 5, yours:\n\n```text\n      - uses: mine\n```" in pull["body"]
    assert "the template's:\n\n```text\n      - uses: actions/checkout@v3\n```" in pull["body"]
    shown = (fleet.github.git(slug, "show", f"{BRANCH}:.github/test.yml") or "").splitlines()
    assert shown[4:] == [
        "<<<<<<< yours",
        "      - uses: mine",
        "=======",
        "      - uses: actions/checkout@v3",
        ">>>>>>> template",
    ]


def test_where_there_can_be_no_draft_nothing_is_left_behind(fleet: Fleet) -> None:
    slug = fleet.add("clash", files=MINE)
    fleet.github.drafts = False
    done = fleet("update", ORG)
    assert done.returncode == 1
    assert "it can have no drafts" in done.stdout
    assert "dagkit update" in done.stdout
    assert fleet.github.git(slug, "rev-parse", "--verify", "--quiet", BRANCH) is None
    assert fleet.github.pulls == []


def test_somebodys_work_on_the_branch_is_left_alone(fleet: Fleet, tmp_path: Path) -> None:
    slug = fleet.add("clash", files=MINE)
    fleet("update", ORG)
    clone = tmp_path / "analyst"
    git(
        tmp_path,
        "clone",
        "--quiet",
        "--branch",
        "dagkit/update",
        str(fleet.github.folder / f"{slug}.git"),
        str(clone),
    )
    (clone / ".github" / "test.yml").write_text("settled\n", encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Settle it")
    git(clone, "push", "--quiet", "origin", "HEAD")
    done = fleet("update", ORG)
    assert done.returncode == 0
    assert "somebody works on its branch" in done.stdout
    assert fleet.github.git(slug, "show", f"{BRANCH}:.github/test.yml") == "settled\n"


def test_a_branch_that_was_settled_and_merged_is_free_for_the_next_version(
    fleet: Fleet, tmp_path: Path
) -> None:
    slug = fleet.add("clash", files=MINE)
    fleet("update", ORG, "--version", "v0.2.0")
    bare = str(fleet.github.folder / f"{slug}.git")
    clone = tmp_path / "analyst"
    git(tmp_path, "clone", "--quiet", "--branch", "dagkit/update", bare, str(clone))
    (clone / ".github" / "test.yml").write_text(MINE[".github/test.yml"], encoding="utf-8")
    git(clone, "commit", "--quiet", "--all", "--message", "Keep ours")
    git(clone, "push", "--quiet", "origin", "HEAD", "HEAD:main")
    [pull] = fleet.github.pulls
    pull.update(state="closed", merged_at="2026-11-23T01:00:00Z")
    pull["head"]["sha"] = git(clone, "rev-parse", "HEAD")
    assert "pull request opened" in fleet("update", ORG).stdout
    assert [pull["state"] for pull in fleet.github.pulls] == ["closed", "open"]
    assert fleet.github.git(slug, "rev-list", "--count", f"main..{BRANCH}") == "1\n"


def test_conflicts_never_come_into_a_pull_request_that_could_be_merged(fleet: Fleet) -> None:
    slug = fleet.add("one")
    fleet("update", ORG, "--version", "v0.2.0")
    tip = fleet.github.git(slug, "rev-parse", BRANCH)
    fleet.commit(slug, MINE)
    done = fleet("update", ORG)
    assert "it conflicts, and an earlier version is under review there" in done.stdout
    assert fleet.github.git(slug, "rev-parse", BRANCH) == tip
    assert fleet.github.pulls[0]["title"].endswith("to v0.2.0")


def test_what_was_closed_is_not_offered_again_but_the_next_version_is(fleet: Fleet) -> None:
    slug = fleet.add("one")
    fleet("update", ORG, "--version", "v0.2.0")
    fleet.github.pulls[0]["state"] = "closed"
    fleet.github.git(slug, "update-ref", "-d", BRANCH)
    done = fleet("update", ORG, "--version", "v0.2.0")
    assert "its pull request was closed: not offered again" in done.stdout
    assert fleet.github.git(slug, "rev-parse", "--verify", "--quiet", BRANCH) is None
    fleet("update", ORG)
    assert [pull["state"] for pull in fleet.github.pulls] == ["closed", "open"]


def test_what_cannot_be_updated_is_told_and_stops_no_other(fleet: Fleet) -> None:
    fleet.add("fine")
    fleet.add("archived", archived=True)
    fleet.add("fork", fork=True)
    fleet.github.add(f"{ORG}/empty", topics=("dagkit-updates",))
    fleet.add("unreadable", files={".copier-answers.yml": "_src_path: [\n"})
    fleet.add("nowhere", files={".copier-answers.yml": "kind: image\n"})
    fleet.add("other", files={".copier-answers.yml": "_commit: v1.0.0\n_src_path: gh:someone/else\n"})
    fleet.add("by-hand", files={".copier-answers.yml": None})
    gone = answers((fleet.made["v0.1.0"] / ".copier-answers.yml").read_text(encoding="utf-8")) | {
        "_commit": "v9.9.9"
    }
    fleet.add("gone", files={".copier-answers.yml": json.dumps(gone)})
    bare = fleet.github.folder / f"{fleet.add('refuses')}.git"
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no pushes here\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    done = fleet("update", ORG, "--json")
    assert done.returncode == 1
    found = standings(done)
    assert found["fine"]["did"] == "pull request opened"
    why = {name: one["why"] for name, one in found.items()}
    assert why["archived"] == "it is archived"
    assert why["fork"] == "it is a fork"
    assert why["empty"] == why["by-hand"] == "it has no .copier-answers.yml"
    assert why["other"] == "it is made from another template: gh:someone/else"
    problems = {name: str(one["problem"]) for name, one in found.items() if one["problem"]}
    assert set(problems) == {"unreadable", "nowhere", "gone", "refuses"}
    assert "not valid YAML" in problems["unreadable"]
    assert f"{ORG}/unreadable" in problems["unreadable"]
    assert "has no _src_path" in problems["nowhere"]
    assert "has no version v9.9.9" in problems["gone"]
    assert "does not take the branch: no pushes here" in problems["refuses"]
    assert "workflows: write" in problems["refuses"]
    text = fleet("update", ORG).stdout
    assert "4 could not be done:" in text
    assert "what to do: Write the nearest into _commit there: v0.3.0, v0.2.0, v0.1.0" in text


def test_a_dry_run_changes_nothing(fleet: Fleet) -> None:
    slug = fleet.add("one")
    fleet.add("quiet", topics=())
    done = fleet("update", ORG, "--dry-run")
    assert done.returncode == 0
    assert "to v0.3.0, 3 files, no conflict" in done.stdout
    assert "it does not ask for updates" in done.stdout
    assert fleet.github.changes() == []
    assert fleet.github.git(slug, "rev-parse", "--verify", "--quiet", BRANCH) is None


def test_quick_status_clones_nothing(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("one")
    done = fleet("status", ORG, "--quick")
    assert "to v0.3.0" in done.stdout
    assert list((tmp_path / "cache" / "dagkit" / "fleet" / "clones").iterdir()) == []


def test_an_organisation_is_read_page_by_page(github: GitHub, template: str, tmp_path: Path) -> None:
    for number in range(230):
        github.repositories[f"{ORG}/r{number}"] = {
            "full_name": f"{ORG}/r{number}",
            "clone_url": "file:///nowhere",
            "archived": True,
        }
    fleet = Fleet(github, {}, template, tmp_path)
    done = fleet("status", ORG)
    assert "0 of 230 use the template" in done.stdout
    assert "not looked at: 230, as it is archived" in done.stdout
    assert len(github.called) == 3


def test_a_list_takes_repositories_on_github_elsewhere_and_on_disk(fleet: Fleet, tmp_path: Path) -> None:
    forked = fleet.add("forked", fork=True, topics=())
    here, there = fleet.add("here"), fleet.add("there")
    bare = {slug: fleet.github.folder / f"{slug}.git" for slug in (here, there)}
    fleet.github.repositories.pop(here)
    fleet.github.repositories.pop(there)
    listed = tmp_path / "repositories.txt"
    lines = [
        "# ours",
        forked,
        "",
        f"https://github.com/{forked}.git",
        str(bare[here]),
        f"{bare[there].as_uri()} # why",
    ]
    listed.write_text("\n".join(lines), encoding="utf-8")
    done = fleet("update", str(listed))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("3 repositories")
    assert [pull["slug"] for pull in fleet.github.pulls] == [forked]
    assert done.stdout.count("v0.3.0  branch dagkit/update pushed") == 2, done.stdout
    for slug in (here, there):
        assert fleet.github.git(slug, "rev-list", "--count", f"main..{BRANCH}") == "1\n"
    assert fleet("update", str(listed)).stdout.count("v0.3.0  branch as it was") == 2


@pytest.mark.parametrize(
    ("lines", "says"),
    [("ok/ok\nnot a repository\n", "list.txt:2"), ("# nothing\n", "names no repository")],
)
def test_a_list_that_is_none_is_refused(
    lines: str, says: str, github: GitHub, template: str, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(lines, encoding="utf-8")
    done = Fleet(github, {}, template, tmp_path)("status", str(listed))
    assert done.returncode == 2
    assert says in done.stderr


def test_a_scope_that_is_none_is_refused(
    github: GitHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["fleet", "status", "no/such/list.txt"]) == 2
    assert "neither a file nor the name of an organisation" in capsys.readouterr().err
    assert main(["fleet", "status", "nobody-has-this"]) == 2
    assert "no organisation 'nobody-has-this' on GitHub that you may see" in capsys.readouterr().err
    monkeypatch.delenv("GH_TOKEN")
    assert main(["fleet", "status", ORG]) == 1
    assert "export GH_TOKEN=$(gh auth token)" in capsys.readouterr().err


def test_killed_anywhere_the_next_run_goes_on_and_doubles_nothing(fleet: Fleet) -> None:
    slugs = [fleet.add(f"r{number}") for number in range(6)]
    for after in (1, 2, 4):
        # killed as the pull request is being opened: GitHub has it, and nothing here knows
        running = subprocess.Popen(
            fleet.words("update", ORG, "--pace", "0.3"), stdout=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 60
        while len(fleet.github.pulls) < after and time.monotonic() < until:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert len(fleet.github.pulls) >= 4
    done = fleet("update", ORG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "are done, by a run that was cut off" in done.stderr
    assert sorted(pull["slug"] for pull in fleet.github.pulls) == sorted(slugs)
    for slug in slugs:
        assert fleet.github.git(slug, "for-each-ref", "--format=%(refname)", "refs/heads") == (
            f"{BRANCH}\nrefs/heads/main\n"
        )
        assert fleet.github.git(slug, "rev-list", "--count", f"main..{BRANCH}") == "1\n"


def test_killed_between_branch_and_pull_request_the_next_run_opens_it(fleet: Fleet) -> None:
    slug = fleet.add("one")
    fleet.github.refuse = lambda method, _: (500, {"message": "Oops"}, {}) if method == "POST" else None
    assert fleet("update", ORG).returncode == 1
    tip = fleet.github.git(slug, "rev-parse", BRANCH)
    assert tip is not None
    assert fleet.github.pulls == []
    fleet.github.refuse = lambda _method, _path: None
    assert fleet("update", ORG).returncode == 0
    assert len(fleet.github.pulls) == 1
    assert fleet.github.git(slug, "rev-parse", BRANCH) == tip


def test_interrupted_it_stops_soon_although_github_wants_to_wait(fleet: Fleet) -> None:
    fleet.add("one")
    limit = (403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "600"})
    fleet.github.refuse = lambda method, _: limit if method == "POST" else None
    running = subprocess.Popen(fleet.words("update", ORG), stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    said = ""
    while "waiting" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    assert "waiting 10 min 00 s for GitHub: You have exceeded a secondary rate limit" in said
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=90) == 130


def test_two_runs_at_once_are_one_too_many(fleet: Fleet) -> None:
    fleet.add("one")
    fleet.github.waits = 0.5
    first = subprocess.Popen(
        fleet.words("update", ORG), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    assert first.stderr.readline().startswith("1 repository")
    second = fleet("update", ORG)
    assert second.returncode == 1
    assert "Another dagkit fleet is at work" in second.stderr
    assert first.wait(timeout=120) == 0
    assert len(fleet.github.pulls) == 1


def test_a_token_goes_to_github_alone(tmp_path: Path) -> None:
    from dagkit.fleet.conductor import _credentials
    from dagkit.fleet.github import GitHub as Client

    with running_github(tmp_path, TOKEN) as running:
        client = Client(running.url, "https://github.com", TOKEN)
        assert _credentials(client, "https://github.com.evil.example/x/y") == {}
        assert _credentials(client, "file:///x") == {}
        ours = _credentials(client, "https://github.com/an-org/one.git")
        assert ours["GIT_CONFIG_KEY_0"] == "http.https://github.com/.extraheader"
