"""The one pull request of a repository: found, opened, or brought up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagkit.errors import DagkitError
from dagkit.fleet import words
from dagkit.fleet.github import GitHub, GitHubError
from dagkit.fleet.work import BRANCH, Done


@dataclass(frozen=True)
class Pull:
    """A pull request.

    Attributes:
        url: Its page.
        what: `opened`, `updated` or `unchanged`.
    """

    url: str
    what: str


@dataclass(frozen=True)
class Known:
    """What is known of the pull requests from the fleet's branch.

    Attributes:
        open: The one that is open, as GitHub has it.
        declined: The page of the newest, where it was closed without a merge and offered this version.
        merged: The last commit of the newest, where it is merged.
    """

    open: Mapping[str, Any] | None
    declined: str | None
    merged: str | None


def known(github: GitHub, slug: str, version: str) -> Known:
    """Look for the pull requests from the fleet's branch.

    Args:
        github: The client.
        slug: `organisation/name`.
        version: The version that is about to be offered.
    """
    owner = slug.partition("/")[0]
    listed = list(github.every(f"/repos/{slug}/pulls", head=f"{owner}:{BRANCH}", state="all"))
    # whoever forks a repository has the branch, too; and some answers are not filtered
    ours = [pull for pull in listed if pull["head"]["ref"] == BRANCH and _same(pull, slug)]
    found = next((pull for pull in ours if pull["state"] == "open"), None)
    newest = max(ours, key=lambda pull: int(pull["number"]), default=None)
    declined = (
        found is None
        and newest is not None
        and not newest.get("merged_at")
        and words.marker(version) in (newest.get("body") or "")
    )
    done = newest is not None and found is None and newest.get("merged_at")
    return Known(
        found,
        str(newest["html_url"]) if declined and newest else None,
        str(newest["head"]["sha"]) if done and newest else None,
    )


def ensure(github: GitHub, slug: str, done: Done, open_one: Mapping[str, Any] | None) -> Pull:
    """Open the pull request, or have the open one say what the branch now holds.

    Raises:
        GitHubError: GitHub refuses.
        DagkitError: There are conflicts, and the repository can have no drafts; the branch is gone again.
    """
    wanted = {"title": words.title(done), "body": words.body(done)}
    if open_one is None:
        try:
            content = {**wanted, "head": BRANCH, "base": done.base, "draft": bool(done.conflicts)}
            made = github.send("POST", f"/repos/{slug}/pulls", content)
            return Pull(str(made["html_url"]), "opened")
        except GitHubError as error:
            if error.status != 422:
                raise
            open_one = known(github, slug, done.after).open  # by another run, or by one that was cut off
            if open_one is None and "draft" in error.what.lower():
                github.send("DELETE", f"/repos/{slug}/git/refs/heads/{BRANCH}", {})
                raise DagkitError(
                    f"{len(done.conflicts)} of its files clash with the update, and it can have no drafts",
                    where=slug,
                    fix="Nothing was left there. Settle it in a clone: dagkit update",
                ) from error
            if open_one is None:
                raise
    # line ends come back as a browser sends them
    said = (open_one.get("body") or "").replace("\r\n", "\n").strip()
    if open_one["title"] == wanted["title"] and said == wanted["body"].strip():
        return Pull(str(open_one["html_url"]), "updated" if done.branch == "updated" else "unchanged")
    github.send("PATCH", f"/repos/{slug}/pulls/{open_one['number']}", wanted)
    return Pull(str(open_one["html_url"]), "updated")


def _same(pull: Mapping[str, Any], slug: str) -> bool:
    repository = pull["head"].get("repo")
    return repository is not None and str(repository["full_name"]).lower() == slug.lower()
