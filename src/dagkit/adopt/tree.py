"""What a repository holds: the files that git keeps, and what git says about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.git import git

READABLE = 1_000_000
"""Bytes of a file that is read; a larger one is data."""


@dataclass(frozen=True)
class Fact:
    """An answer to one of the template's questions, found in the repository.

    Attributes:
        question: The question, as copier.yml calls it.
        value: The answer.
        where: Where it was found: a file and its line, or git.
    """

    question: str
    value: str
    where: str


@dataclass(frozen=True)
class Sight:
    """Something that was found and that no question asks for.

    Attributes:
        what: What it is, in a word or two.
        text: What was found.
        where: Where.
    """

    what: str
    text: str
    where: str


@dataclass(frozen=True)
class Tree:
    """The files of a repository that git keeps.

    Attributes:
        root: The repository's folder.
        paths: Every file, from the root, sorted; links and what is no file are left out.
    """

    root: Path
    paths: tuple[str, ...]

    @classmethod
    def of(cls, root: Path) -> Tree:
        """What git keeps in a folder."""
        listed = git(root, "ls-files", "-z").split("\0")
        found = (
            path for path in listed if path and not (root / path).is_symlink() and (root / path).is_file()
        )
        return cls(root, tuple(sorted(set(found))))

    def text(self, path: str) -> str:
        """What a file says; nothing if git does not keep it, or if it is too large to be text."""
        file = self.root / path
        if not self.has(path) or file.stat().st_size > READABLE:
            return ""
        return file.read_bytes().decode("utf-8", errors="replace")

    def lines(self, path: str) -> Iterator[tuple[int, str]]:
        """A file's lines, with their numbers from 1."""
        return enumerate(self.text(path).splitlines(), start=1)

    def first(self, path: str, pattern: str) -> tuple[int, re.Match[str]] | None:
        """The first line of a file in which a pattern is found, and what it found there."""
        for number, line in self.lines(path):
            if match := re.search(pattern, line):
                return number, match
        return None

    def has(self, path: str) -> bool:
        """Whether git keeps a file of that path."""
        return path in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.paths)

    def named(self, *patterns: str) -> tuple[str, ...]:
        """The files whose name matches one of the patterns in whole; those nearest to the root come first."""
        whole = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
        found = (path for path in self.paths if whole.fullmatch(path.rpartition("/")[2]))
        return tuple(sorted(found, key=lambda path: (path.count("/"), path)))

    def below(self, folder: str) -> tuple[str, ...]:
        """The files in a folder (``.`` is all), from the root."""
        return self.paths if folder == "." else tuple(p for p in self.paths if p.startswith(f"{folder}/"))


@dataclass(frozen=True)
class History:
    """What git says about a repository.

    Attributes:
        remote: The address of its remote; None if it has none.
        tags: Its tags.
        email: Who commits in it.
    """

    remote: str | None
    tags: tuple[str, ...]
    email: str | None

    @classmethod
    def of(cls, root: Path) -> History:
        """Ask git."""
        remotes = git(root, "remote").split()
        name = "origin" if "origin" in remotes else next(iter(remotes), None)
        remote = git(root, "remote", "get-url", name).strip() if name else None
        try:
            email = git(root, "config", "user.email").strip() or None
        except DagkitError:
            email = None
        return cls(remote, tuple(git(root, "tag", "--list").split()), email)


def join(folder: str, name: str) -> str:
    """A path in a folder, where ``.`` is the root."""
    return name if folder in ("", ".") else f"{folder}/{name}"


def parent(path: str) -> str:
    """The folder of a path; ``.`` is the root."""
    return path.rpartition("/")[0] or "."
