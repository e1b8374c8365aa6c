"""Finish an update whose conflicts are settled, or go back to before it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dagkit.errors import UsageError
from dagkit.git import author, git
from dagkit.update.apply import Outcome, finish, go_back, unmerged
from dagkit.update.plan import repository
from dagkit.update.state import BACK, SAVED, State, branch, exists, picking, uncommitted


def resume(path: Path) -> Outcome:
    """Commit an update whose conflicts are settled.

    Raises:
        UsageError: No update is under way, or something is left to settle: where.
    """
    state = _state(path)
    top = state.top
    if state.done is not None:
        raise UsageError(f"The update to {state.after} is done already", fix=f"Go back with: {BACK}")
    if not state.here:
        raise UsageError(
            f"The update is on the branch {state.branch}, and another is checked out",
            where=str(top),
            fix=f"git switch {state.branch}. Or go back: {BACK}",
        )
    began = git(top, "rev-parse", "HEAD").strip() == state.head
    if began and not picking(top):
        raise UsageError(
            "The update was cut off before it brought anything in", fix=f"Go back, and update again: {BACK}"
        )
    left = unmerged(top)
    for name in left:
        if not os.path.lexists(top / name):
            continue
        if line := _marker(top / name):
            raise UsageError(
                "A conflict is not settled yet",
                where=f"{top / name}:{line}",
                fix="Keep the lines that are right, remove those with <<<<<<<, ======= and >>>>>>>, and call"
                " dagkit update --continue again.",
            )
        if not _has_text_sides(top, name):
            raise UsageError(
                "A conflict is not settled yet, and git cannot show its sides in the file",
                where=str(top / name),
                fix=f"Keep yours (git checkout --ours -- {name}), or take the template's"
                f" (git checkout --theirs -- {name}); then: git add {name} && dagkit update --continue",
            )
    if began:
        git(top, "add", "--update")
    elif changed := uncommitted(top):
        raise UsageError(
            f"There is work that is not committed: {', '.join(changed[:5])}", fix="git add and git commit"
        )
    state = finish(state)
    return Outcome(state.branch, state.origin, state.done, stashed=state.stash is not None)


def abort(path: Path) -> tuple[State, str | None]:
    """Go back to before the update.

    Returns:
        The update; and the ref that keeps what was being settled, if anything was.

    Raises:
        UsageError: There is no update to go back from, or work was done on it.
    """
    state = _state(path)
    top = state.top
    saved = None
    here = branch(top)
    head = git(top, "rev-parse", "HEAD").strip()
    if state.done is not None:
        if here != state.branch or head != state.done or uncommitted(top):
            raise UsageError(
                f"The update to {state.after} is done, and there is work after it",
                where=str(top),
                fix=f"To see the files of before: git switch {state.origin}."
                f" To take the update back once it is merged: git revert {state.done[:10]}",
            )
    elif here == state.branch and uncommitted(top):
        saved = _save(top, head)
    elif here not in (state.branch, state.origin):
        raise UsageError(
            f"Another branch is checked out than that of the update: {here or 'none'}",
            where=str(top),
            fix=f"git switch {state.branch}, and call {BACK} again.",
        )
    if state.done is None and exists(top, f"refs/heads/{state.branch}") and state.commits > 1:
        raise UsageError(
            f"There is work on the branch {state.branch} that the update did not make",
            where=str(top),
            fix=f"git checkout --force {state.origin}; the branch stays.",
        )
    go_back(state)
    return state, saved


def _state(path: Path) -> State:
    top = repository(path.resolve())
    state = State.load(top)
    if state is None:
        raise UsageError("No update is under way here", where=str(top), fix="Begin one with: dagkit update")
    return state


def _save(top: Path, head: str) -> str:
    """Keep the files as they are in a commit of their own; return its ref."""
    index = Path(git(top, "rev-parse", "--path-format=absolute", "--git-path", "dagkit-index").rstrip("\n"))
    env = {"GIT_INDEX_FILE": str(index)}
    try:
        git(top, "read-tree", head, env=env)
        git(top, "add", "--all", env=env)
        tree = git(top, "write-tree", env=env).strip()
    finally:
        index.unlink(missing_ok=True)
    commit = git(
        top, "commit-tree", tree, "-p", head, "-m", "An update that was aborted", env=author(top)
    ).strip()
    git(top, "update-ref", SAVED, commit)
    return SAVED


def _marker(path: Path) -> int | None:
    """The line of a file, from 1, that has a conflict marker of git's."""
    if path.is_symlink() or not path.is_file():
        return None
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if re.match(rb"<<<<<<< HEAD\r?$|>>>>>>> [0-9a-f]{7,40} \(", line):
            return number
    return None


def _has_text_sides(top: Path, name: str) -> bool:
    """Whether git could write both sides of a conflict into the file."""
    stages = {line.split(" ")[2][0] for line in git(top, "ls-files", "--unmerged", "--", name).splitlines()}
    compared = git(top, "diff", "--numstat", f":2:{name}", f":3:{name}") if {"2", "3"} <= stages else "-"
    return not compared.startswith("-")
