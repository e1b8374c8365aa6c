"""Repositories made from the template of this working copy, as a user would have them."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import copier

REPOSITORY = Path(__file__).parents[2]


def generate(destination: Path, **answers: str | bool) -> Path:
    """Make a repository from the template, with the default for every answer that is not given; return it.

    What is not committed yet is part of the template too: a change can be tested before it is committed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", copier.errors.DirtyLocalWarning)
        copier.run_copy(str(REPOSITORY), destination, data=answers, defaults=True, vcs_ref="HEAD", quiet=True)
    return destination


def commit_all(repository: Path, tag: str | None = None) -> str:
    """Put everything into a git repository, as one commit; return its id."""
    identity = ["-c", "user.name=An Analyst", "-c", "user.email=an.analyst@example.gov.uk"]
    if not (repository / ".git").exists():
        git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", "--all")
    git(repository, *identity, "commit", "--quiet", "--message", "Make the pipeline")
    if tag is not None:
        git(repository, *identity, "tag", tag)
    return git(repository, "rev-parse", "HEAD")


def git(repository: Path, *args: str) -> str:
    """Run git in a repository and return what it prints."""
    done = subprocess.run(["git", *args], cwd=repository, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(args)} failed: {done.stderr}")
    return done.stdout.strip()
