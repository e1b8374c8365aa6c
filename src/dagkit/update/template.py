"""The template with its history: versions, what the changelog says of each, and what is whose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagkit import names, scaffold
from dagkit.errors import DagkitError, UsageError
from dagkit.git import git

LATEST = "HEAD"
_ALIASES = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}


@dataclass(frozen=True)
class News:
    """What the changelog says of a version.

    Attributes:
        version: Such as ``0.2.0``.
        text: Markdown: its section ``When you update``, or all that is said of the version if there is none.
    """

    version: str
    text: str


@dataclass(frozen=True)
class Template:
    """A template, fetched.

    Attributes:
        src: Its address, as people write it.
        folder: A bare clone of it.
        versions: The tags of its releases, oldest first.
    """

    src: str
    folder: Path
    versions: tuple[str, ...]

    def ref(self, version: str | None) -> str:
        """The newest release; or the tag (with or without ``v``), branch or commit that ``version`` names.

        Raises:
            UsageError: There is none; the versions there are.
        """
        if version is None:
            return self.versions[-1] if self.versions else LATEST
        for name in (version, f"v{version}"):
            if self.commit(name):
                return name
        raise UsageError(
            f"The template has no version '{version}'{names.closest(version, self.versions)}",
            where=self.src,
            fix=f"Its versions: {', '.join(reversed(self.versions)) or 'none yet, but HEAD'}",
        )

    def commit(self, ref: str) -> str | None:
        """The commit (hex digits) that a ref names, if there is one."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        return git(self.folder, *words, accept=(0, 1, 128)).strip() or None

    def described(self, ref: str) -> str:
        """The commit as Copier records it: a tag, or the tag before it and its distance."""
        return git(self.folder, "describe", "--tags", "--always", self.commit(ref) or ref).strip()

    def is_ancestor(self, ref: str, of: str) -> bool:
        """Whether a version came before another, or is the same."""
        between = f"{self.commit(of)}..{self.commit(ref)}"
        return git(self.folder, "rev-list", "--max-count=1", between).strip() == ""

    def read(self, ref: str, path: str) -> str | None:
        """A file of the template at a version, if it is there."""
        listed = git(self.folder, "ls-tree", "--name-only", self.commit(ref) or ref, "--", path)
        return git(self.folder, "show", f"{self.commit(ref)}:{path}") if listed.strip() else None

    def settings(self, ref: str) -> Mapping[str, Any]:
        """``copier.yml`` at a version: settings and questions.

        Raises:
            DagkitError: It has none, or it is not YAML.
        """
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it is ten times as fast
        for name in ("copier.yml", "copier.yaml"):
            if (text := self.read(ref, name)) is not None:
                try:
                    found = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe
                except yaml.YAMLError:
                    break
                if isinstance(found, dict):
                    return found
        raise DagkitError(
            f"The template cannot be used at {ref}: it has no copier.yml that can be read",
            where=self.src,
            fix="Take another version with --version, or tell the people who keep the template.",
        )

    def news(self, before: str, after: str) -> tuple[News, ...]:
        """What the changelog says of the versions after ``before``, up to ``after``; newest first."""
        text = self.read(after, "CHANGELOG.md") or ""
        old, new = release(before), release(after)
        found = []
        for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
            head, _, body = section.partition("\n")
            number = release(head)
            if number is None or (old and number <= old) or (new and number > new):
                continue
            part = re.search(r"^### When you update\n(.*?)(?=^### |\Z)", body, re.MULTILINE | re.DOTALL)
            said = re.sub(r"\n{2,}", "\n", (part[1] if part else body).strip())
            found.append(News(".".join(map(str, number)), said))
        return tuple(found)


@contextmanager
def fetched(src: str) -> Iterator[Template]:
    """Fetch a template with its history, for as long as it is needed.

    Args:
        src: A folder that is a git repository, or the address of one, as Copier takes them.

    Raises:
        DagkitError: It cannot be fetched; git's own word.
    """
    with TemporaryDirectory(prefix="dagkit-template-", ignore_cleanup_errors=True) as folder:
        # the name ends as an address of git does, by which Copier knows it
        clone = Path(folder) / "template.git"
        try:
            git(Path(folder), "clone", "--quiet", "--bare", "--", address(src), str(clone))
        except DagkitError as error:
            said = error.what.removeprefix("git clone failed: ").splitlines()
            fatal = next((line for line in said if line.startswith("fatal: ")), said[-1] if said else "")
            raise DagkitError(
                f"The template cannot be fetched: {fatal.removeprefix('fatal: ')}",
                where=src,
                fix=scaffold.FETCHING,
            ) from error
        tags = git(clone, "tag", "--list").split()
        numbers = {tag: number for tag in tags if (number := release(tag, whole=True))}
        yield Template(src, clone, tuple(sorted(numbers, key=numbers.__getitem__)))


def address(src: str) -> str:
    """What git clones for an address as Copier takes it."""
    for alias, host in _ALIASES.items():
        if src.startswith(alias):
            return f"{host}{src.removeprefix(alias).lstrip('/').removesuffix('.git')}.git"
    if src.startswith("git+"):
        return src.removeprefix("git+")
    # the clone is made elsewhere, so a folder has to be named in full
    path = Path(src).expanduser()
    return str(path.resolve()) if path.exists() else src


def release(text: str, *, whole: bool = False) -> tuple[int, int, int] | None:
    """The release that a text begins with (``1.2.3 (2026)``, ``v1.2.3-4-g0a1b2c3``), or is (``v1.2.3``)."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)" + (r"\Z" if whole else r"(?!\d)"), text.strip())
    return (int(found[1]), int(found[2]), int(found[3])) if found else None
