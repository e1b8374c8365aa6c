"""What adopt refuses, and that it leaves a way back from every moment."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagkit import adopt as adopting_module
from dagkit import scaffold
from dagkit.adopt import bring
from tests.adopt.conftest import FIRST, Adopting
from tests.scaffold.test_terminal import ENTER, Terminal

SAY = ("-d", "project=prisons", "-d", "owner=octocat")


def test_every_answer_that_is_missing_is_named_at_once_and_nothing_is_changed(adopting: Adopting) -> None:
    before = adopting.files()
    done = adopting.call()
    assert done.returncode == 2
    assert "nobody can be asked: project, owner\n" in done.stderr
    assert "dagkit adopt -d project=… -d owner=…" in done.stderr
    assert "entry point" in done.stdout, "what was found is shown all the same"
    assert adopting.files() == before
    assert adopting.git("branch", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize("shape", ["several-dockerfiles"])
def test_which_of_several_dockerfiles_it_is_has_to_be_said(adopting: Adopting) -> None:
    done = adopting.call(*SAY)
    assert done.returncode == 2
    assert "dockerfile (one of Dockerfile.score, Dockerfile.train)" in done.stderr
    assert adopting.call("--defaults").stderr.count("dockerfile (one of") == 1, "no default can know"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-d", "project=Prisons"), "The answer to 'project' is refused: Like prison_statistics"),
        (
            ("-d", "dockerfile=Dockerfil"),
            "There is no Dockerfile 'Dockerfil' in the repository (did you mean",
        ),
        (
            ("-d", "command=python run.py; rm -rf /"),
            "The answer to 'command' is refused: Like python scripts",
        ),
        (("-d", "colour=blue"), "The template asks no question 'colour'"),
        (("--only", "dag"), "--only takes workflow, and got 'dag'"),
    ],
)
def test_an_answer_that_is_wrong_is_refused_and_nothing_is_changed(
    words: tuple[str, ...], message: str, adopting: Adopting
) -> None:
    before = adopting.files()
    done = adopting.call(*SAY, *words)
    assert (done.returncode, done.stderr.count(message)) == (2, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert adopting.files() == before
    assert adopting.git("branch", "--format=%(refname:short)") == "main"


def test_uncommitted_work_is_refused(adopting: Adopting) -> None:
    (adopting.root / "main.py").write_text("print('changed')\n")
    (adopting.root / "new.py").write_text("")
    done = adopting.call(*SAY)
    assert done.returncode == 2
    assert "There is work that is not committed: main.py, new.py" in done.stderr
    assert "git stash --include-untracked" in done.stderr
    assert (adopting.root / "main.py").read_text() == "print('changed')\n"
    assert adopting.call("--dry-run", *SAY).returncode == 0, "looking is allowed"


def test_a_repository_that_is_not_ready_is_refused_with_what_to_do(
    adopting: Adopting, tmp_path: Path
) -> None:
    def refused(message: str, folder: str = ".") -> None:
        done = adopting.call(*SAY, folder=folder)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
        assert "what to do: " in done.stderr

    (tmp_path / "plain").mkdir()
    refused("is not a git repository", str(tmp_path / "plain"))
    refused("There is no such folder", str(tmp_path / "nowhere"))
    adopting.git("init", "--quiet", str(tmp_path / "empty"))
    refused("The repository has no commit yet", str(tmp_path / "empty"))
    adopting.git("switch", "--quiet", "--detach")
    refused("No branch is checked out")
    adopting.git("switch", "--quiet", "main")
    (adopting.root / "airflow").write_text("a file\n")
    adopting.git("add", "airflow")
    adopting.git("commit", "--quiet", "--message", "A file")
    refused("The template has a folder of the name airflow, and here that is a file")
    adopting.git("branch", "dagkit/adopt")
    refused("There is a branch dagkit/adopt already")


def test_a_repository_of_the_template_is_not_adopted_again(adopting: Adopting) -> None:
    adopting.adopt(say=("project=prisons", "owner=octocat"))
    done = adopting.call(*SAY)
    assert done.returncode == 2
    assert "The repository is the template's already" in done.stderr
    assert "dagkit update" in done.stderr


def test_a_dry_run_says_all_and_changes_nothing(adopting: Adopting) -> None:
    before, refs = adopting.files(), adopting.git("for-each-ref")
    done = adopting.call("--dry-run", *SAY)
    assert done.returncode == 0, done.stderr
    assert "Would bring in" in done.stdout
    assert "removed   .github/workflows/build-and-push-to-ecr.yml" in done.stdout
    assert "nothing was changed" in done.stdout
    assert (adopting.files(), adopting.git("for-each-ref")) == (before, refs)
    assert adopting.git("status", "--porcelain") == ""


def test_the_way_back_is_printed_before_anything_is_written_and_the_way_to_undo_it_after(
    adopting: Adopting,
) -> None:
    before = adopting.files()
    done = adopting.call(*SAY)
    assert "should this be cut off, go back with: git switch --force main" in done.stderr
    assert "undo it:   git switch main && git branch -D dagkit/adopt" in done.stdout
    adopting.git("switch", "--quiet", "main")
    adopting.git("branch", "--quiet", "-D", "dagkit/adopt")
    assert adopting.files() == before
    assert adopting.git("status", "--porcelain", "--ignored") == ""


def test_a_file_that_git_ignores_is_never_written_over(adopting: Adopting) -> None:
    (adopting.root / ".gitignore").write_text("airflow/\n.copier-answers.yml\n")
    adopting.git("commit", "--quiet", "--all", "--message", "Ignore")
    kept = adopting.root / "airflow/dags/my_counts.py"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine = True\n")
    result = adopting.adopt(say=("project=prisons", "owner=octocat", "pipeline=my_counts"))
    assert kept.read_text() == "mine = True\n"
    assert "airflow/dags/my_counts.py" in [each["path"] for each in result["kept"]]
    assert (adopting.root / "airflow/roles/dev/my_counts.yaml").is_file()


def _killed_at(moment: int, plan: adopting_module.Plan) -> bool:
    """Bring it in, in a process that kills itself before its ``moment``-th operation; whether it did."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            writes = (
                event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            )
            if writes or event in ("subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.rmdir"):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        code = 1
        try:
            bring(plan)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _planned(adopting: Adopting) -> adopting_module.Plan:
    given = {"project": "prisons", "owner": "octocat"}
    found = adopting_module.survey(adopting.root, given=given)
    source = scaffold.source(str(adopting.template), FIRST)
    return adopting_module.plan(found, source, given=given, ask=False, defaults=False)


def test_killed_before_any_operation_the_printed_command_goes_back(adopting: Adopting) -> None:
    plan = _planned(adopting)
    before, main = adopting.files(), adopting.git("rev-parse", "main")
    moment = 0
    while _killed_at(moment := moment + 1, plan):
        adopting.git("switch", "--quiet", "--force", "main")
        assert adopting.files() == before, moment
        assert adopting.git("status", "--porcelain", "--ignored") == ""
        assert adopting.git("rev-parse", "HEAD") == adopting.git("rev-parse", "main") == main
        branches = adopting.git("branch", "--format=%(refname:short)").split()
        if "dagkit/adopt" in branches:
            adopting.git("branch", "--quiet", "-D", "dagkit/adopt")
    assert moment > 20
    assert adopting.git("branch", "--show-current") == "dagkit/adopt"
    assert adopting.git("status", "--porcelain") == ""


def test_killed_while_git_writes_the_files_the_printed_command_goes_back(
    adopting: Adopting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _planned(adopting)
    before = adopting.files()
    written = [file.path for file in plan.files]
    real = adopting.git("--exec-path") + "/git"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
        for number in range(1, len(written) + 1):
            # some files are there, the old workflow is not, and HEAD has not moved
            half = f"cd {adopting.root} && {real} checkout-index --force -- {' '.join(written[:number])}"
            gone = f"rm -f {plan.removed[0]}"
            wrapper.write_text(
                f'#!/bin/sh\ncase " $* " in *" switch "*) {half} && {gone}; kill -KILL $PPID; exit 1;; esac\n'
                f'exec {real} "$@"\n'
            )
            wrapper.chmod(0o755)
            assert _killed_at(10_000, plan)
            assert (adopting.root / written[number - 1]).is_file()
            done = os.system(f"cd {adopting.root} && {real} switch --quiet --force main")  # noqa: S605
            assert done == 0
            assert adopting.files() == before
            os.system(f"cd {adopting.root} && {real} branch --quiet -D dagkit/adopt")  # noqa: S605
    assert adopting.git("status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("shape", ["several-dockerfiles"])
def test_in_a_terminal_it_asks_for_what_it_did_not_find_and_for_nothing_else(adopting: Adopting) -> None:
    terminal = Terminal(adopting.root, "adopt", "--template", str(adopting.template), "--version", FIRST)
    terminal.read(until="Number")
    assert "2  Dockerfile.train" in terminal.shown
    terminal.type(b"1" + ENTER)
    terminal.read(until="Which project does it belong to?")
    terminal.type(b"\x7f" * len("example") + b"Prisons" + ENTER)
    terminal.read(until="Like prison_statistics")
    terminal.type(b"\x7f" * len("Prisons") + b"prisons" + ENTER)
    terminal.answer_all(ENTER, seconds=120)
    assert terminal.process.wait() == 0, terminal.shown
    for question in ("Which language", "What is the GitHub repository called", "Where is its Dockerfile"):
        assert question not in terminal.shown
    answers = yaml.safe_load((adopting.root / ".copier-answers.yml").read_text())
    assert (answers["project"], answers["dockerfile"]) == ("prisons", "Dockerfile.score")
    assert answers["test_stage"] == "test"
