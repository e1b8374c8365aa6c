"""Git, as every part asks for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dagkit.errors import DagkitError, UsageError


def git(root: Path, *args: str, env: Mapping[str, str] | None = None) -> str:
    """The output of a git command in a folder.

    Args:
        root: The folder.
        args: The command and its arguments.
        env: Environment variables to add.

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
    if done.returncode != 0:
        said = done.stderr.strip()
        if "not a git repository" in said:
            raise UsageError(
                f"{root} is not a git repository", fix="Go to a clone of the repository, and try again."
            )
        raise DagkitError(f"git {args[0]} failed: {said}", where=str(root))
    return done.stdout
