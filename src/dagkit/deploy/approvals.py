"""Whose approval GitHub will ask for: what CODEOWNERS says about the files of a pull request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# GitHub takes the first of these, from the branch the pull request goes into
PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


@dataclass(frozen=True)
class Approvals:
    """What CODEOWNERS demands.

    Attributes:
        needed: Owners (any one of them may approve) to the files they own.
        free: Files that nobody owns.
        problem: Why it is not known.
    """

    needed: dict[tuple[str, ...], tuple[str, ...]]
    free: tuple[str, ...]
    problem: str | None = None


def ask(base: Path, files: Iterable[str]) -> Approvals:
    """What the CODEOWNERS file of the base demands for some files.

    Args:
        base: Folder with the files of the branch that the pull request goes into.
        files: Paths from the repository's root.
    """
    from codeowners import CodeOwners

    paths = tuple(files)
    place = next((base / name for name in PLACES if (base / name).is_file()), None)
    if place is None:
        return Approvals({}, paths, "the branch it goes into has no CODEOWNERS file")
    try:
        owners = CodeOwners(place.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        return Approvals({}, (), f"CODEOWNERS cannot be read: {error}")
    needed: dict[tuple[str, ...], tuple[str, ...]] = {}
    for path in paths:
        who = tuple(name for _, name in owners.of(path))
        needed[who] = (*needed.get(who, ()), path)
    free = needed.pop((), ())
    return Approvals(needed, free)
