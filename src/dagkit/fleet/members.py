"""Who is in the fleet: the repositories of a GitHub organisation, or those of a list."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagkit.errors import UsageError
from dagkit.fleet.github import GitHub, GitHubError

TOPIC = "dagkit-updates"
"""The topic by which a repository on GitHub asks for pull requests."""

_ORGANISATION = re.compile(r"[A-Za-z0-9](-?[A-Za-z0-9])*")
_SLUG = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9])*/[A-Za-z0-9._-]+")
_SSH = re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)")


@dataclass(frozen=True)
class Member:
    """A repository that may be in the fleet.

    Attributes:
        name: `organisation/name` on GitHub; elsewhere its address or path.
        address: What git clones.
        slug: `organisation/name` where it is on GitHub; otherwise None.
        asks: Whether it asks for pull requests.
        left_out: Why it is not looked at; None where it is.
        known: Whether GitHub has said this; otherwise a list has.
    """

    name: str
    address: str
    slug: str | None
    asks: bool
    left_out: str | None = None
    known: bool = True


def members(scope: str, github: GitHub) -> tuple[Member, ...]:
    """The repositories of an organisation, or of a file with one a line.

    Raises:
        UsageError: It is neither; or a line of the file is no repository.
        GitHubError: GitHub does not tell.
    """
    path = Path(scope).expanduser()
    if path.is_file():
        return _listed(path, github)
    if not _ORGANISATION.fullmatch(scope) or len(scope) > 39:
        raise UsageError(
            f"'{scope}' is neither a file nor the name of an organisation on GitHub",
            fix="dagkit fleet status my-organisation, or dagkit fleet status repositories.txt",
        )
    try:
        found = list(github.every(f"/orgs/{scope}/repos", type="all"))
    except GitHubError as error:
        if error.status != 404:
            raise
        try:
            found = list(github.every(f"/users/{scope}/repos"))  # a person's, then
        except GitHubError as none:
            if none.status != 404:
                raise
            raise UsageError(
                f"There is no organisation '{scope}' on GitHub that you may see, and no file of that name",
                where=github.api,
                fix="See how it is written; for a private one: export GH_TOKEN=$(gh auth token)",
            ) from none
    return tuple(_on_github(one) for one in sorted(found, key=lambda one: str(one["full_name"]).lower()))


def _on_github(told: Mapping[str, Any], *, asks: bool | None = None) -> Member:
    reasons = {
        "it is archived": told.get("archived"),
        "it is disabled": told.get("disabled"),
        "it is a fork": told.get("fork") and asks is None,
    }
    return Member(
        told["full_name"],
        told["clone_url"],
        told["full_name"],
        TOPIC in (told.get("topics") or ()) if asks is None else asks,
        next((why for why, so in reasons.items() if so), None),
    )


def _listed(path: Path, github: GitHub) -> tuple[Member, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The list cannot be read: {error}", where=str(path)) from error
    found: dict[str, Member] = {}
    for number, line in enumerate(lines, start=1):
        if entry := line.partition(" #")[0].strip():
            if entry.startswith("#"):
                continue
            member = _entry(entry, path.parent, github)
            if member is None:
                raise UsageError(
                    f"No repository: '{entry}'",
                    where=f"{path}:{number}",
                    fix="One a line: organisation/name, an address that git clones, or a repository's path.",
                )
            found.setdefault(canonical(member.address), member)
    if not found:
        raise UsageError("The list names no repository", where=str(path), fix="Write one on each line.")
    return tuple(found.values())


def _entry(entry: str, folder: Path, github: GitHub) -> Member | None:
    """A line of a list; who is on a list asks for updates."""
    path = folder / Path(entry).expanduser()
    if path.is_dir():
        return Member(entry, path.resolve().as_uri(), None, asks=True)
    host = canonical(github.server)
    address = f"{github.server}/{entry}" if _SLUG.fullmatch(entry) else entry
    known = canonical(address)
    if known.startswith(f"{host}/") and _SLUG.fullmatch(slug := known.removeprefix(f"{host}/")):
        # as it is written: what is canonical is in small letters
        end = address.removesuffix("/").removesuffix(".git")[-len(slug) :]
        return Member(end, address, end, asks=True, known=False)
    if re.match(r"(https?|ssh|git|file)://|[\w.-]+@[\w.-]+:", entry):
        return Member(entry, entry, None, asks=True)
    return None


def details(member: Member, github: GitHub) -> Member:
    """What GitHub knows besides of a repository that a list names."""
    told = github.get(f"/repos/{member.slug}")
    return _on_github(told, asks=member.asks)


def canonical(address: str) -> str:
    """One form for all ways to write a repository's address."""
    text = address.strip()
    for alias, host in (("gh:", "https://github.com/"), ("gl:", "https://gitlab.com/")):
        if text.startswith(alias):
            text = host + text.removeprefix(alias)
    text = text.removeprefix("git+")
    if found := _SSH.fullmatch(text):
        text = f"https://{found['host']}/{found['path']}"
    if text.startswith(("http://", "https://")):
        text = re.sub(r"^https?://([^@/]*@)?", "", text).lower()
    elif text.startswith("file://"):
        text = text.removeprefix("file://")
    elif "://" not in text:
        text = os.path.realpath(Path(text).expanduser())
    return re.sub(r"/+", "/", text).rstrip("/").removesuffix(".git")
