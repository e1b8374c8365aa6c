"""`dagkit submit` against a real git remote: what lands there, what never does, and what is told."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dagkit.submit.pull_request import slug
from dagkit.submit.stamp import read, stamp
from tests.harness.languages import both_languages
from tests.submit.conftest import Submitting, git

BRANCH = "dagkit/dev/stats.daily"
DAG = "environments/dev/dags/stats/daily.py"
ROLE = "environments/dev/roles/airflow_dev_stats_daily.yaml"


@both_languages
def test_a_release_lands_on_a_branch_with_its_environment_and_release(submitting: Submitting) -> None:
    done = submitting.submit_in_full("--yes")
    assert done.returncode == 0, done.stderr
    assert set(submitting.branches()) == {"main", BRANCH}
    changed = git(submitting.dags, "diff", "--name-only", "main", BRANCH).split()
    assert changed == ["environments/dev/dags/stats/README.md", DAG, ROLE]
    dag = submitting.file(BRANCH, DAG)
    assert 'ENVIRONMENT = "dev"\nRELEASE = "v1.0.0"\n' in dag
    assert "from moj-analytical-services/daily-stats v1.0.0" in dag
    assert "all rules kept" in done.stdout
    assert f"open the pull request from {BRANCH} into main" in done.stdout


@both_languages
def test_promotion_to_prod_uses_prods_role_and_warns_what_dev_never_ran(submitting: Submitting) -> None:
    done = submitting.submit("--yes", "--environment", "prod")
    assert done.returncode == 0, done.stderr
    branch = "dagkit/prod/stats.daily"
    assert 'ENVIRONMENT = "prod"' in submitting.file(branch, DAG.replace("/dev/", "/prod/"))
    assert "octocat/daily/prod/" in submitting.file(
        branch, "environments/prod/roles/airflow_prod_stats_daily.yaml"
    )
    assert "DK504" in done.stdout


def test_submitting_again_changes_nothing_and_a_new_release_updates_the_same_branch(
    submitting: Submitting,
) -> None:
    submitting.submit("--yes")
    first = submitting.branches()
    again = submitting.submit("--yes")
    assert "has this already" in again.stdout
    assert submitting.branches() == first

    submitting.change("airflow/dags/daily.py", 'retries": 1', 'retries": 3')
    git(submitting.pipeline, "tag", "v1.1.0")
    assert submitting.submit("--yes").returncode == 0
    assert set(submitting.branches()) == set(first)
    dag = submitting.file(BRANCH, DAG)
    assert 'RELEASE = "v1.1.0"' in dag
    assert '"retries": 3' in dag


def test_after_the_merge_there_is_nothing_to_submit_until_something_changes(submitting: Submitting) -> None:
    submitting.submit("--yes")
    submitting.merge(BRANCH)
    assert "nothing to submit" in submitting.submit("--yes").stdout
    assert set(submitting.branches()) == {"main"}
    git(submitting.pipeline, "tag", "v2.0.0")
    done = submitting.submit("--yes")
    assert done.returncode == 0, done.stderr
    assert '-RELEASE = "v1.0.0"\n+RELEASE = "v2.0.0"' in done.stdout


def test_a_dag_that_was_renamed_goes_from_the_dag_repository(submitting: Submitting) -> None:
    submitting.submit("--yes")
    submitting.merge(BRANCH)
    second = submitting.pipeline / "airflow/dags/hourly.py"
    (submitting.pipeline / "airflow/dags/daily.py").rename(second)
    second.write_text(second.read_text().replace("stats.daily", "stats.hourly"))
    git(submitting.pipeline, "add", "--all")
    git(submitting.pipeline, "commit", "--quiet", "--message", "Rename")
    done = submitting.submit("--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    changed = git(submitting.dags, "diff", "--name-status", "--no-renames", "main", BRANCH).split("\n")
    assert f"D\t{DAG}" in changed
    assert f"A\t{DAG.replace('daily', 'hourly')}" in changed


@pytest.mark.parametrize("where", ["main", BRANCH])
def test_what_somebody_edited_there_stops_the_submission_and_is_shown(
    submitting: Submitting, where: str
) -> None:
    submitting.submit("--yes")
    if where == "main":
        submitting.merge(BRANCH)
    submitting.edit(where, DAG, lambda text: text.replace('"retries": 1', '"retries": 9'))
    before = submitting.branches()
    git(submitting.pipeline, "tag", "v1.1.0")
    stopped = submitting.submit("--yes")
    assert stopped.returncode == 1
    assert f"Somebody edited {DAG}" in stopped.stderr
    assert '+        "retries": 9' in stopped.stderr
    assert submitting.branches() == before

    assert submitting.submit("--yes", "--take-over").returncode == 0
    assert '"retries": 1' in submitting.file(BRANCH, DAG)


def test_a_file_of_somebody_else_is_never_touched(submitting: Submitting) -> None:
    theirs = stamp("iam_role_name: airflow_dev_stats_daily\n", "moj-analytical-services/other", "v1.0.0")
    submitting.edit("main", ROLE, lambda _: theirs)
    before = submitting.branches()
    for options in (("--yes",), ("--yes", "--take-over")):
        refused = submitting.submit(*options)
        assert refused.returncode == 1
        assert "belongs to moj-analytical-services/other" in refused.stderr
    assert submitting.branches() == before


def test_a_file_that_dagkit_did_not_put_there_is_replaced_only_when_asked(submitting: Submitting) -> None:
    submitting.edit("main", DAG, lambda _: "# an older DAG, put there by hand\n")
    refused = submitting.submit("--yes")
    assert refused.returncode == 1
    assert "was not put there by dagkit" in refused.stderr
    taken = submitting.submit("--yes", "--take-over")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert "-# an older DAG" in taken.stdout


def test_what_the_rules_refuse_is_not_submitted(submitting: Submitting) -> None:
    submitting.change("airflow/roles/dev/daily.yaml", "octocat/daily/dev/*", "octocat/daily/prod/*")
    submitting.submit("--yes", "--environment", "prod")
    submitting.merge("dagkit/prod/stats.daily")
    before = submitting.branches()
    refused = submitting.submit("--yes")
    assert refused.returncode == 1
    assert "DK5" in refused.stdout
    assert "would not accept this" in refused.stderr
    assert submitting.branches() == before


def test_a_dry_run_shows_everything_and_writes_nothing(submitting: Submitting) -> None:
    shown = submitting.submit("--dry-run")
    assert shown.returncode == 0
    assert '+RELEASE = "v1.0.0"' in shown.stdout
    assert set(submitting.branches()) == {"main"}
    assert git(submitting.pipeline, "status", "--porcelain") == ""
    assert list(submitting.home.iterdir()) == []


@pytest.mark.parametrize(("answer", "branches"), [("n", {"main"}), ("y", {"main", BRANCH})])
def test_in_a_terminal_it_shows_the_difference_and_asks(
    submitting: Submitting, answer: str, branches: set[str]
) -> None:
    controller, terminal = pty.openpty()
    words = [sys.executable, "-m", "dagkit", "submit", str(submitting.pipeline), "--to", str(submitting.dags)]
    words.append("--static")
    running = subprocess.Popen(words, stdin=terminal, stdout=subprocess.PIPE, text=True)
    os.write(controller, f"{answer}\n".encode())
    output, _ = running.communicate(timeout=120)
    os.close(controller)
    os.close(terminal)
    assert f"Put this on the branch {BRANCH}?" in output
    assert running.returncode == (0 if answer == "y" else 1)
    assert set(submitting.branches()) == branches


def test_without_a_terminal_it_wants_a_yes_beforehand(submitting: Submitting) -> None:
    refused = submitting.submit()
    assert refused.returncode == 2
    assert "dagkit submit --yes" in refused.stderr


def test_each_wrong_start_has_its_own_sentence(submitting: Submitting, tmp_path: Path) -> None:
    unknown = submitting.submit("--yes", "--release", "v9.9.9")
    assert (unknown.returncode, "There is no tag v9.9.9" in unknown.stderr) == (2, True)
    branch = submitting.submit("--yes", "--release", "main")
    assert "'main' is not the tag of a release" in branch.stderr
    nowhere = submitting.submit("--yes", "--to", str(tmp_path / "nowhere"))
    assert (nowhere.returncode, "cannot be cloned" in nowhere.stderr) == (1, True)
    elsewhere = submitting.submit("--yes", "--environment", "prd")
    assert "did you mean 'prod'" in elsewhere.stderr
    (submitting.pipeline / "airflow/dags/daily.py").open("a").write("\n# later\n")
    uncommitted = submitting.submit("--yes")
    assert "Not committed yet: airflow/dags/daily.py" in uncommitted.stderr
    git(submitting.pipeline, "checkout", "--", ".")
    git(submitting.pipeline, "tag", "--delete", "v1.0.0")
    assert "There is no release yet" in submitting.submit("--yes").stderr
    assert set(submitting.branches()) == {"main"}


def test_a_tag_that_only_this_machine_has_is_told(submitting: Submitting, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(submitting.pipeline), "origin.git")
    git(submitting.pipeline, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(submitting.pipeline, "tag", "v1.1.0")
    alone = submitting.submit("--yes")
    assert alone.returncode == 2
    assert "v1.1.0 is on this machine only" in alone.stderr
    git(submitting.pipeline, "push", "--quiet", "origin", "v1.1.0")
    assert submitting.submit("--yes").returncode == 0


def test_commits_after_the_release_are_mentioned(submitting: Submitting) -> None:
    submitting.change("airflow/dags/daily.py", "Write a text to S3", "Write a line to S3")
    assert "does not have your last 1 commit\n" in submitting.submit("--dry-run").stdout


def test_a_refused_push_changes_nothing_and_says_so(submitting: Submitting) -> None:
    hook = submitting.dags / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'branches of dagkit/ are closed' >&2\nexit 1\n")
    hook.chmod(0o755)
    refused = submitting.submit("--yes")
    assert refused.returncode == 1
    assert "did not take the branch" in refused.stderr
    assert "branches of dagkit/ are closed" in refused.stderr
    assert set(submitting.branches()) == {"main"}
    hook.unlink()
    assert submitting.submit("--yes").returncode == 0


def test_a_push_by_somebody_else_in_between_is_not_overwritten(
    submitting: Submitting, tmp_path: Path
) -> None:
    submitting.submit("--yes")
    git(submitting.pipeline, "tag", "v1.1.0")
    # somebody pushes to the branch just before our push arrives
    real = _which_git()
    other = git(submitting.dags, "commit-tree", f"{BRANCH}^{{tree}}", "-p", BRANCH, "-m", "In between")
    push = f"{real} -C {submitting.dags} update-ref refs/heads/{BRANCH} {other}"
    wrapper = _git_wrapper(tmp_path, f'case " $* " in *" push "*) {push};; esac')
    raced = submitting.submit("--yes", env=wrapper)
    assert raced.returncode == 1
    assert "Somebody pushed to that branch in the meantime" in raced.stderr
    assert submitting.branches()[BRANCH] == other


def test_killed_at_any_git_call_it_loses_nothing_and_the_next_call_works(
    submitting: Submitting, tmp_path: Path
) -> None:
    submitting.submit("--yes")
    wanted = git(submitting.dags, "rev-parse", f"{BRANCH}^{{tree}}")
    main = submitting.branches()["main"]
    pipeline = git(submitting.pipeline, "rev-parse", "HEAD")
    counter = tmp_path / "calls"
    killed, survived = 0, False
    while not survived:
        killed += 1
        for moment in ("before", "after"):
            git(submitting.dags, "update-ref", "-d", f"refs/heads/{BRANCH}")
            counter.write_text("0")
            kill = f'[ "$n" -eq {killed} ] && kill -KILL $PPID && exit 1'
            count = f"n=$(($(cat {counter}) + 1)); echo $n > {counter}"
            before, after = (f"{count}; {kill}", "") if moment == "before" else (count, kill)
            survived = submitting.submit("--yes", env=_git_wrapper(tmp_path, before, after)).returncode == 0
            branches = submitting.branches()
            assert branches.pop("main") == main
            trees = {git(submitting.dags, "rev-parse", f"{tip}^{{tree}}") for tip in branches.values()}
            assert trees <= {wanted}
            assert git(submitting.pipeline, "status", "--porcelain") == ""
            assert git(submitting.pipeline, "rev-parse", "HEAD") == pipeline
    assert killed > 10
    assert submitting.submit("--yes").returncode == 0
    assert git(submitting.dags, "rev-parse", f"{BRANCH}^{{tree}}") == wanted


def _which_git() -> str:
    return subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()


def _git_wrapper(folder: Path, before: str, after: str = "") -> dict[str, str]:
    """A git that does something before and after each call, and otherwise is git."""
    script = folder / "bin/git"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/bash\n{before}\n{_which_git()} "$@"; code=$?\n{after}\nexit $code\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}"}


def test_a_stamp_knows_its_file_and_any_edit_of_it() -> None:
    text = stamp("a: 1\n", "organisation/repository", "v1.0.0")
    known = read(text)
    assert known is not None
    assert (known.source, known.release, known.body, known.edited) == (
        "organisation/repository", "v1.0.0", "a: 1\n", False
    )  # fmt: skip
    assert read("a: 1\n") is None
    for changed in (text.replace("a: 1", "a: 2"), text + "\n", text.replace("a: 1\n", "a: 1")):
        edited = read(changed)
        assert edited is not None
        assert edited.edited
    windows = read(text.replace("\n", "\r\n"))
    assert windows is not None
    assert not windows.edited


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("https://github.com/moj-analytical-services/airflow.git", "moj-analytical-services/airflow"),
        ("git@github.com:moj-analytical-services/airflow.git", "moj-analytical-services/airflow"),
        ("ssh://git@github.com/moj-analytical-services/airflow", "moj-analytical-services/airflow"),
        ("/srv/git/airflow.git", None),
        ("https://git.example.com/a/b.git", None),
    ],
)
def test_only_addresses_on_github_get_a_link(address: str, known: str | None) -> None:
    assert slug(address) == known


@pytest.fixture
def on_github(submitting: Submitting) -> dict[str, str]:
    """The DAG repository at its address on GitHub: git alone is told where that really is."""
    return {
        "DAGKIT_DAG_REPOSITORY": "",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{submitting.dags.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }


ADDRESS = "https://github.com/moj-analytical-services/airflow.git"
GH = """#!/bin/bash
echo "$*" >> {log}
case "$1 $2" in
  "auth status") exit {logged_in} ;;
  "pr list") [ ! -e {opened} ] || echo https://github.com/moj-analytical-services/airflow/pull/7 ;;
  "pr create") touch {opened}; echo https://github.com/moj-analytical-services/airflow/pull/7 ;;
esac
"""


def gh(folder: Path, logged_in: bool) -> dict[str, str]:
    """GitHub's command line as far as a submission calls it: it writes down its arguments."""
    program = folder / "gh-bin/gh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        GH.format(log=folder / "gh.log", opened=folder / "opened", logged_in=int(not logged_in))
    )
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_where_gh_is_logged_in_it_opens_the_pull_request_once(
    submitting: Submitting, on_github: dict[str, str], tmp_path: Path
) -> None:
    env = on_github | gh(tmp_path, logged_in=True)
    opened = submitting.submit("--yes", "--to", ADDRESS, env=env)
    assert opened.returncode == 0, opened.stderr
    assert "pull request: https://github.com/moj-analytical-services/airflow/pull/7" in opened.stdout
    git(submitting.pipeline, "tag", "v1.1.0")
    assert "airflow/pull/7" in submitting.submit("--yes", "--to", ADDRESS, env=env).stdout
    calls = (tmp_path / "gh.log").read_text().splitlines()
    created = [call for call in calls if call.startswith("pr create")]
    assert len(created) == 1
    assert f"--repo moj-analytical-services/airflow --head {BRANCH} --base main" in created[0]
    assert "--title stats.daily v1.0.0 in dev" in created[0]


def test_where_gh_is_not_logged_in_it_prints_the_link(
    submitting: Submitting, on_github: dict[str, str], tmp_path: Path
) -> None:
    done = submitting.submit("--yes", "--to", ADDRESS, env=on_github | gh(tmp_path, logged_in=False))
    assert done.returncode == 0, done.stderr
    link = "https://github.com/moj-analytical-services/airflow/compare/main...dagkit/dev/stats.daily?expand=1"
    assert link in done.stdout


def test_online_an_image_that_is_not_in_ecr_is_not_submitted(
    submitting: Submitting, moto_server: str
) -> None:
    account = {"AWS_ACCESS_KEY_ID": "189157455002", "AWS_SECRET_ACCESS_KEY": "test"}
    env = {"AWS_ENDPOINT_URL": moto_server, "AWS_DEFAULT_REGION": "eu-west-1", **account}
    refused = submitting.submit("--yes", "--online", env=env)
    assert refused.returncode == 1
    assert "daily-stats:v1.0.0" in refused.stdout
    assert set(submitting.branches()) == {"main"}
