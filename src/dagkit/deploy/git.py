"""What deployment and review ask of git."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dagkit.errors import DagkitError, UsageError
from dagkit.git import git


def commit(root: Path, ref: str = "HEAD") -> str:
    """The commit (40 hex digits) that a ref names.

    Raises:
        UsageError: It names none.
    """
    git(root, "rev-parse", "--git-dir")
    try:
        return git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except UsageError:
        raise
    except DagkitError as error:
        raise UsageError(
            f"There is no commit '{ref}' here",
            where=str(root),
            fix="Fetch it first (git fetch origin), or name another branch, tag or commit.",
        ) from error


def top(path: Path) -> Path:
    """The folder of the git repository that a path lies in.

    Raises:
        UsageError: It lies in none.
    """
    if not path.is_dir():
        raise UsageError(f"There is no folder '{path}'", fix="Name a clone of the DAG repository.")
    return Path(git(path.resolve(), "rev-parse", "--show-toplevel").strip())


def slug(root: Path) -> str | None:
    """`<organisation>/<name>` of the repository on GitHub, or None where nothing says so.

    The workflow's own `GITHUB_REPOSITORY` comes before the address of the remote `origin`.
    """
    if given := os.environ.get("GITHUB_REPOSITORY"):
        return given
    try:
        address = git(root, "remote", "get-url", "origin").strip()
    except DagkitError:
        return None
    found = re.search(r"[:/]([^/:]+/[^/]+?)(\.git)?/?$", address)
    return found[1] if found else None


def require_committed(root: Path, *paths: str) -> None:
    """See that what is deployed is what the commit says.

    Raises:
        UsageError: A file under one of the paths differs from the commit, or is not in it.
    """
    present = [path for path in paths if (root / path).exists()]
    if present and (changed := git(root, "status", "--porcelain", "--ignored", "--", *present).splitlines()):
        ours = [line[3:] for line in changed if line.endswith(".py")]
        if ours:
            raise UsageError(
                f"Not what the commit says: {', '.join(ours[:5])}{' …' if len(ours) > 5 else ''}",
                where=str(root),
                fix="Commit it or put it back first, so that the commit called live is what is live.",
            )
