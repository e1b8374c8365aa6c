"""Killed before or after any of its file operations and git calls, an update has the way back it printed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dagkit import update
from dagkit.errors import UsageError
from tests.harness.generate import commit_all, git
from tests.update import small

WORKFLOW = ".github/workflows/test.yml"
WRITING = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
)


def killed_at(moment: int, root: Path, action: Callable[[], object]) -> bool:
    """Do something in a process that is killed as it begins its n-th git call or change of a file.

    That is also just after the one before it. It returns whether the action was done before that moment.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        left = moment

        def count(event: str, args: tuple[Any, ...]) -> None:
            nonlocal left
            writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if event == "subprocess.Popen" or event in WRITING or (writes and str(root) in str(args[0])):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0, "it failed, and was not killed"
    return True


def everything(root: Path) -> tuple[Any, ...]:
    """Branch, commit, what is not committed, the branches there are, the stash, and every file."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] != ".git"
    }
    return (*small.head(root), git(root, "branch", "--list"), git(root, "stash", "list"), files)


def go_back(root: Path) -> None:
    """The command that is printed: before it is, there is nothing to go back from."""
    with suppress(UsageError):
        update.abort(root)


@pytest.fixture
def kept(little: small.Small, tmp_path: Path) -> Path:
    return small.fresh(little.made["v1.0.0"], tmp_path / "kept")


def conflicting(root: Path) -> None:
    small.edit(root / WORKFLOW, "timeout-minutes: 30", "timeout-minutes: 45")
    commit_all(root)


def uncommitted(root: Path) -> None:
    small.edit(root / "README.md", "Yours.", "Not committed.")
    (root / "new.txt").write_text("in no commit\n")


def nothing(root: Path) -> None:
    """Leave it as it was made."""


@pytest.mark.parametrize("prepare", [nothing, conflicting, uncommitted])
def test_bringing_an_update_in(prepare: Callable[[Path], None], kept: Path, tmp_path: Path) -> None:
    prepare(kept)
    root = small.fresh(kept, tmp_path / "counts")
    before = everything(root)
    moment, done = 0, False
    with update.planned(root) as plan:
        while not done:
            moment += 1
            small.fresh(kept, root)
            done = killed_at(moment, root, lambda: update.apply(plan, stash=True))
            if prepare is not uncommitted:
                # without dagkit, too
                other = small.fresh(root, tmp_path / "other")
                git(other, "checkout", "--quiet", "--force", "main")
                assert (small.head(other), everything(other)[5]) == (before[:3], before[5])
            go_back(root)
            assert everything(root) == before, f"killed at {moment}"
    assert moment > 15
    with update.planned(root) as plan:
        update.apply(plan, stash=True)


@pytest.fixture
def settled(kept: Path, tmp_path: Path) -> Iterator[tuple[Path, Path, tuple[Any, ...]]]:
    """A repository whose update had a conflict, which is settled; where it is kept, and how it was before."""
    conflicting(kept)
    root = small.fresh(kept, tmp_path / "counts")
    before = everything(root)
    with update.planned(root) as plan:
        assert update.apply(plan).conflicts == (WORKFLOW,)
    (root / WORKFLOW).write_text("settled\n")
    shutil.rmtree(kept)
    yield root, small.fresh(root, kept), before


def test_finishing_an_update(settled: tuple[Path, Path, tuple[Any, ...]]) -> None:
    root, kept, before = settled
    moment, done = 0, False
    while not done:
        moment += 1
        small.fresh(kept, root)
        done = killed_at(moment, root, lambda: update.resume(root))
        go_back(root)
        assert everything(root) == before, f"killed at {moment}"
    assert moment > 10


def test_going_back(settled: tuple[Path, Path, tuple[Any, ...]]) -> None:
    root, kept, before = settled
    moment, done = 0, False
    while not done:
        moment += 1
        small.fresh(kept, root)
        done = killed_at(moment, root, lambda: update.abort(root))
        go_back(root)
        assert everything(root) == before, f"killed at {moment}"
    assert moment > 10
    assert git(root, "show", f"refs/dagkit/aborted:{WORKFLOW}") == "settled"
