"""Bring an update in: on a branch of its own, in one step of git, with a way back from every moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagkit.errors import DagkitError, UsageError
from dagkit.git import git
from dagkit.update.merge import MERGING, Kept
from dagkit.update.plan import Plan
from dagkit.update.state import CHANGE, POINT, SAVED, State, branch, check_ready, exists, picking, uncommitted


@dataclass(frozen=True)
class Outcome:
    """An update that was brought in.

    Attributes:
        branch: The branch it is on, checked out.
        origin: The branch it began on.
        commit: Its commit; None as long as there are conflicts.
        conflicts: The files that need a decision, with conflict markers where git can write them.
        stashed: Whether uncommitted work waits in git's stash.
    """

    branch: str
    origin: str
    commit: str | None
    conflicts: tuple[str, ...] = ()
    stashed: bool = False


def check_committed(top: Path) -> None:
    """See that nothing is there that git does not have.

    Raises:
        UsageError: There are files with changes, or that git does not know; their names.
    """
    if files := uncommitted(top):
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        raise UsageError(
            f"There is work that is not committed: {shown}",
            where=str(top),
            fix="Commit it (git add --all && git commit), or have it put aside: dagkit update --stash",
        )


def apply(plan: Plan, *, stash: bool = False, begun: Callable[[State], None] | None = None) -> Outcome:
    """Bring an update in.

    Args:
        plan: What to bring in, as planned for the commit that is checked out.
        stash: Put uncommitted work aside, in git's stash.
        begun: Called when the point to go back to is recorded, before anything is touched.

    Raises:
        UsageError: The repository is not ready for it; what to do first.
        DagkitError: git could not bring it in; the repository is as it was.
    """
    top = plan.top
    origin = check_ready(top)
    if not stash:
        check_committed(top)
    if plan.change is None or plan.lab is None:
        return Outcome(origin, origin, plan.head)
    if git(top, "rev-parse", "HEAD").strip() != plan.head:
        raise UsageError("The repository has a new commit since this was planned", fix="Call it again.")
    _check_free(plan)
    label = f"before {plan.branch} ({plan.change[:10]})" if stash and uncommitted(top) else None
    state = State(
        top, origin, plan.head, plan.branch, plan.title, plan.before, plan.after, stash=label
    ).save()
    git(top, "update-ref", POINT, plan.head)
    if begun:
        begun(state)
    if label:
        git(top, "stash", "push", "--quiet", "--include-untracked", "--message", label)
    fetch = (
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
    )
    git(plan.lab, "update-ref", "refs/heads/change", plan.change)
    git(top, *fetch, str(plan.lab), f"+refs/heads/change:{CHANGE}")
    git(top, "switch", "--quiet", "--no-track", "--create", plan.branch)
    _pick(state, plan.kept)
    conflicts = unmerged(top)
    if not conflicts:
        state = finish(state)
    return Outcome(plan.branch, origin, state.done, conflicts, stashed=label is not None)


def _check_free(plan: Plan) -> None:
    """See that nothing stands where the update puts something: a branch, or a file that git does not know.

    Raises:
        UsageError: Something does.
    """
    top = plan.top
    if exists(top, f"refs/heads/{plan.branch}"):
        if git(top, "rev-parse", plan.branch).strip() != plan.head:
            raise UsageError(
                f"There is a branch {plan.branch} already",
                where=str(top),
                fix=f"Merge it (git merge {plan.branch}), or remove it (git branch -D {plan.branch})"
                " and try again.",
            )
        git(
            top, "branch", "--quiet", "-D", plan.branch
        )  # left by an update that was cut off; nothing is on it
    for change in plan.changes:
        if change.what in ("added", "moved") and (there := _in_the_way(top, Path(change.path))):
            raise UsageError(
                f"The template brings {change.path}, and {there} is there already, which git ignores",
                where=str(top / there),
                fix=f"Move it away, or commit it: git add --force {there}",
            )


def _in_the_way(top: Path, path: Path) -> Path | None:
    """What stands where a new file goes, or is a file where it needs a folder; git knows nothing of it."""
    for above in reversed(path.parents):
        if (top / above).is_symlink() or (top / above).is_file():
            return None if git(top, "ls-files", "--", str(above)) else above
    return path if os.path.lexists(top / path) and not (top / path).is_dir() else None


def _pick(state: State, kept: Sequence[Kept]) -> None:
    """Bring the template's change in; what was decided already is settled.

    Raises:
        DagkitError: git could not; the repository is as it was.
    """
    top = state.top
    words = ("cherry-pick", "--allow-empty", "--keep-redundant-commits", CHANGE)
    try:
        git(top, *MERGING, *words, env={"GIT_EDITOR": "true"})
        return
    except DagkitError as error:
        if not picking(top):
            go_back(state)
            raise DagkitError(
                f"git cannot bring the update in: {error.what.removeprefix('git cherry-pick failed: ')}",
                where=str(top),
                fix="The repository is as it was. Do what git asks for, and try again.",
            ) from error
    for each in kept:
        if each.removed:
            git(top, "add", "--", each.path)
        else:
            git(top, "rm", "--quiet", "--ignore-unmatch", "--", each.path)


def unmerged(top: Path) -> tuple[str, ...]:
    """The files that git could not merge and nobody has settled."""
    said = git(top, "diff", "--name-only", "--diff-filter=U", "-z")
    return tuple(sorted(set(filter(None, said.split("\0")))))


def finish(state: State) -> State:
    """Commit what is left to commit, and note that the update is done."""
    if picking(state.top):
        words = (
            "commit",
            "--quiet",
            "--no-verify",
            "--allow-empty",
            "--cleanup=strip",
            "--message",
            state.title,
        )
        git(state.top, *words)
    git(state.top, "update-ref", "-d", CHANGE)
    return state.save(done=git(state.top, "rev-parse", "HEAD").strip())


def go_back(state: State) -> None:
    """Check out the branch it began on, as it was; remove the update's branch, and bring stashed work back.

    Raises:
        DagkitError: git could not; its words.
    """
    top = state.top
    if branch(top) == state.branch:
        git(top, "checkout", "--quiet", "--force", state.origin, "--")
    if exists(top, f"refs/heads/{state.branch}"):
        if state.done is None and state.commits:
            git(top, "update-ref", SAVED, f"refs/heads/{state.branch}")
        git(top, "branch", "--quiet", "-D", state.branch)
    if found := state.stashed:
        git(top, "stash", "pop", "--quiet", "--index", found)
    git(top, "update-ref", "-d", CHANGE)
    state.put_away()
