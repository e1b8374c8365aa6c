"""Git, as every part asks for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from dagkit.errors import DagkitError, UsageError


def git(root: Path, *args: str, env: Mapping[str, str] | None = None, accept: Collection[int] = (0,)) -> str:
    """The output of a git command in a folder.

    Args:
        root: The folder.
        args: The command and its arguments.
        env: Environment variables to add.
        accept: The exit codes that are no failure.

    Raises:
        UsageError: The folder is in no git repository.
        DagkitError: git is missing, or the command failed; git's own words.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *args],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            # a missing password is an error here, not a question that nobody sees
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(env or {})},
        )
    except FileNotFoundError as error:
        raise DagkitError("git is not installed.", fix="Install git, and try again.") from error
    if done.returncode not in accept:
        said = done.stderr.strip()
        if "not a git repository" in said:
            raise UsageError(
                f"{root} is not a git repository", fix="Go to a clone of the repository, and try again."
            )
        verb = next((word for word in args if not word.startswith("-") and "=" not in word), "")
        raise DagkitError(f"git {verb} failed: {said}", where=str(root))
    return done.stdout


def author(root: Path) -> dict[str, str]:
    """Who commits in a repository, as environment variables for git.

    Raises:
        UsageError: git does not know.
    """
    try:
        name, email = (
            os.environ.get(f"GIT_AUTHOR_{key.upper()}") or git(root, "config", f"user.{key}").strip()
            for key in ("name", "email")
        )
    except DagkitError as error:
        raise UsageError(
            "git does not know who you are",
            fix='git config --global user.name "Your Name" && git config --global user.email you@example.com',
        ) from error
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in
            (("NAME", name), ("EMAIL", email))}  # fmt: skip
