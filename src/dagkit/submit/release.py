"""Which release is submitted, and whether it exists: as a tag here, at GitHub, and as an image."""

from __future__ import annotations

import re
from pathlib import Path

from dagkit import names
from dagkit.errors import DagkitError, UsageError
from dagkit.git import git


def newest(root: Path) -> str | None:
    """The newest release tag of a repository, by version; None where there is none."""
    tags = git(root, "tag", "--list", "v*").split()
    releases = [tag for tag in tags if re.fullmatch(r"v[0-9]+\.[0-9]+\.[0-9]+", tag)]
    return max(releases, key=lambda tag: tuple(int(part) for part in tag[1:].split(".")), default=None)


def chosen(root: Path, wanted: str | None) -> str:
    """The release to submit: the one that was asked for, or else the newest.

    Raises:
        UsageError: There is none, or none of that name, or it is not on the remote `origin` yet.
    """
    release = wanted or newest(root)
    if release is None:
        raise UsageError(
            "There is no release yet, so no image that the DAG could run",
            where=str(root),
            fix="Publish one on GitHub (Releases, Draft a new release, tag v1.0.0), then: git fetch --tags",
        )
    if not names.matches(names.RELEASE, release):
        raise UsageError(f"'{release}' is not the tag of a release", fix="Releases are called v1.2.3.")
    tags = git(root, "tag", "--list").split()
    if release not in tags:
        raise UsageError(
            f"There is no tag {release} here{names.closest(release, tags)}",
            where=str(root),
            fix="Fetch the tags that GitHub has (git fetch --tags), or publish that release first.",
        )
    if "origin" in git(root, "remote").split():
        try:
            there = git(root, "ls-remote", "--tags", "origin", f"refs/tags/{release}")
        except DagkitError as error:
            raise DagkitError(
                f"GitHub cannot be asked whether it has {release}: {error.what}",
                fix="Check your connection, and that you may read the remote `origin`.",
            ) from error
        if not there.strip():
            raise UsageError(
                f"The tag {release} is on this machine only, so no image was built from it",
                where=str(root),
                fix=f"Publish the release on GitHub, or push the tag: git push origin {release}",
            )
    return release


def since(root: Path, release: str) -> int:
    """How many commits there are that the release does not have."""
    return int(git(root, "rev-list", "--count", f"refs/tags/{release}..HEAD"))


def require_committed(root: Path) -> None:
    """See that the DAGs and roles that are submitted are in git.

    Raises:
        UsageError: The repository is not in git, or a file under `airflow/` has changes that are not.
    """
    try:
        changed = git(root, "status", "--porcelain", "--", "airflow").splitlines()
    except DagkitError as error:
        raise UsageError(
            "Your pipeline is not a git repository yet",
            where=str(root),
            fix='git init && git add --all && git commit -m "Start from the template"',
        ) from error
    if changed:
        raise UsageError(
            f"Not committed yet: {', '.join(line[3:] for line in changed)}",
            where=str(root),
            fix="Commit first, so that what is reviewed is what you have: git add airflow && git commit",
        )
