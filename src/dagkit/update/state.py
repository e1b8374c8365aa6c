"""An update under way: where it began, so that there is a way back from every moment of it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dagkit.errors import DagkitError, UsageError
from dagkit.git import git

POINT = "refs/dagkit/before-update"
"""The commit to go back to: a ref keeps it, whatever becomes of the branches."""

CHANGE = "refs/dagkit/update"
"""The template's own change, which is picked."""

SAVED = "refs/dagkit/aborted"
"""What was being settled when an update was aborted."""

BACK = "dagkit update --abort"

_UNDER_WAY = {
    "MERGE_HEAD": ("merge", "git merge --abort"),
    "CHERRY_PICK_HEAD": ("cherry-pick", "git cherry-pick --abort"),
    "REVERT_HEAD": ("revert", "git revert --abort"),
    "rebase-merge": ("rebase", "git rebase --abort"),
    "rebase-apply": ("rebase", "git rebase --abort"),
}


@dataclass(frozen=True)
class State:
    """An update that has begun.

    Attributes:
        top: The git repository.
        origin: The branch it began on.
        head: The commit it began at.
        branch: The branch it is on.
        title: The subject of its commit.
        before: The template's version it began at.
        after: The version it goes to.
        stash: The message of the stash that holds uncommitted work, if there was any.
        done: Its commit, once it is done.
    """

    top: Path
    origin: str
    head: str
    branch: str
    title: str
    before: str
    after: str
    stash: str | None = None
    done: str | None = None

    @classmethod
    def load(cls, top: Path) -> State | None:
        """The update that was begun last in a repository; None if there is none, or it was put away."""
        try:
            said = json.loads(_file(top).read_text(encoding="utf-8"))
            return cls(**{**said, "top": top})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise DagkitError(
                f"What is written about an update under way cannot be read: {error}",
                where=str(_file(top)),
                fix="Remove that file. The commit before the update: git log refs/dagkit/before-update",
            ) from error

    def save(self, *, done: str | None = None) -> State:
        """Write it, in one step; with its commit, once it is done."""
        state = replace(self, done=done)
        path = _file(self.top)
        said = {key: value for key, value in asdict(state).items() if key != "top"}
        beside = path.with_name(f"{path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(said, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        return state

    def put_away(self) -> None:
        """Forget it."""
        _file(self.top).unlink(missing_ok=True)

    @property
    def here(self) -> bool:
        """Whether the branch that is checked out is that of the update."""
        return branch(self.top) == self.branch

    @property
    def under_way(self) -> bool:
        """Whether it waits for somebody: begun, not done, and not finished or thrown away with git alone."""
        if self.done is not None:
            return False
        if self.stashed is not None:
            return True
        branch_is_there = exists(self.top, f"refs/heads/{self.branch}")
        return branch_is_there and (self.commits == 0 or (self.here and picking(self.top)))

    @property
    def commits(self) -> int:
        """How many commits its branch has that the repository did not have before."""
        return int(git(self.top, "rev-list", "--count", f"{self.head}..refs/heads/{self.branch}"))

    @property
    def stashed(self) -> str | None:
        """The name of the stash that holds the work which was put aside, as long as it does."""
        for line in git(self.top, "stash", "list", "--format=%gd %s").splitlines() if self.stash else ():
            name, _, subject = line.partition(" ")
            if subject.endswith(f": {self.stash}"):
                return name
        return None


def _file(top: Path) -> Path:
    return Path(
        git(top, "rev-parse", "--path-format=absolute", "--git-path", "dagkit-update.json").rstrip("\n")
    )


def branch(top: Path) -> str | None:
    """The branch that is checked out; None if none is."""
    return git(top, "symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1)).strip() or None


def exists(top: Path, ref: str) -> bool:
    """Whether there is such a ref."""
    return bool(git(top, "rev-parse", "--verify", "--quiet", ref, accept=(0, 1)).strip())


def picking(top: Path) -> bool:
    """Whether a cherry-pick has stopped."""
    return exists(top, "CHERRY_PICK_HEAD")


def uncommitted(top: Path) -> tuple[str, ...]:
    """The files with changes that are not committed, and those that git does not know."""
    said = git(top, "status", "--porcelain", "-z", "--untracked-files=normal", "--no-renames")
    return tuple(line[3:] for line in said.split("\0") if line)


def check_ready(top: Path) -> str:
    """See that an update may begin, uncommitted work apart; return the branch that is checked out.

    Raises:
        UsageError: An update is under way, or another operation of git, or no branch is checked out.
    """
    state = State.load(top)
    if state is not None and state.under_way:
        raise UsageError(
            f"An update to {state.after} is under way, on the branch {state.branch}",
            where=str(top),
            fix=f"Finish it: dagkit update --continue. Or go back: {BACK}",
        )
    for name, (what, stop) in _UNDER_WAY.items():
        if Path(git(top, "rev-parse", "--path-format=absolute", "--git-path", name).rstrip("\n")).exists():
            raise UsageError(
                f"The repository is in the middle of a {what}", where=str(top), fix=f"Finish it, or: {stop}"
            )
    if (here := branch(top)) is None:
        raise UsageError(
            "No branch is checked out (a detached HEAD), so there is none to go back to",
            where=str(top),
            fix="Check one out: git switch main",
        )
    return here
