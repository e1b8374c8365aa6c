"""The pull request: opened with GitHub's own `gh` where it is logged in, otherwise a link to open it with."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import quote

_GITHUB = re.compile(r"(?:https://|git@|ssh://git@)github\.com[:/](?P<slug>[^/]+/[^/]+?)(?:\.git)?/?")


@dataclass(frozen=True)
class PullRequest:
    """What became of the pull request.

    Attributes:
        url: Where it is, or where it can be opened; None for a repository that is not on GitHub.
        open: Whether it is open already.
    """

    url: str | None
    open: bool


def slug(url: str) -> str | None:
    """`<organisation>/<name>` of a repository on GitHub; None for an address elsewhere."""
    found = _GITHUB.fullmatch(url)
    return found["slug"] if found else None


def ensure(url: str, branch: str, base: str, title: str, body: str) -> PullRequest:
    """Open the pull request of a branch, or find the one that is open.

    Args:
        url: The repository's address.
        branch: The branch with the changes.
        base: The branch they go into.
        title: The pull request's title.
        body: Its text.
    """
    repository = slug(url)
    if repository is None:
        return PullRequest(None, open=False)
    link = f"https://github.com/{repository}/compare/{quote(base)}...{quote(branch)}?expand=1&title={quote(title)}"
    if _gh("auth", "status", "--hostname", "github.com") is None:
        return PullRequest(link, open=False)
    known = _gh("pr", "list", "--repo", repository, "--head", branch, "--json", "url", "--jq", ".[].url")
    if known is not None and known.strip():
        return PullRequest(known.split()[0], open=True)
    change = ("--head", branch, "--base", base, "--title", title, "--body", body)
    made = _gh("pr", "create", "--repo", repository, *change)
    return (
        PullRequest(made.split()[-1], open=True) if made and made.strip() else PullRequest(link, open=False)
    )


def _gh(*words: str) -> str | None:
    """What gh said; None where it is missing or failed."""
    if shutil.which("gh") is None:
        return None
    done = subprocess.run(
        ["gh", *words], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return done.stdout if done.returncode == 0 else None
