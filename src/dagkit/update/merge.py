"""The merge, tried beside the repository: its working tree, index and branches are not touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dagkit.git import git

# A folder that the template moves does not take along what the analyst put beside its files.
MERGING = (
    "-c",
    "merge.renames=true",
    "-c",
    "merge.directoryRenames=false",
    "-c",
    "merge.conflictStyle=merge",
)

_YOURS = re.compile(r"<<<<<<< ")
_BETWEEN = "======="
_THEIRS = re.compile(r">>>>>>> ")


@dataclass(frozen=True)
class Change:
    """What an update does to a file.

    Attributes:
        path: The file, from the repository's top folder.
        what: ``added``, ``changed``, ``moved`` or ``removed``.
        before: Where it was, if it is moved.
    """

    path: str
    what: str
    before: str | None = None


@dataclass(frozen=True)
class Hunk:
    """Lines that both sides changed.

    Attributes:
        line: Where they begin, from 1, in the file with conflict markers.
        yours: The analyst's lines.
        template: The template's lines.
    """

    line: int
    yours: tuple[str, ...]
    template: tuple[str, ...]


@dataclass(frozen=True)
class Conflict:
    """A file that needs a decision.

    Attributes:
        path: The file, from the repository's top folder.
        hunks: Where both sides changed the same lines; none if git cannot show sides in the file itself.
        why: git's word on it.
    """

    path: str
    hunks: tuple[Hunk, ...]
    why: str


@dataclass(frozen=True)
class Kept:
    """A file that the update leaves as the analyst wants it.

    Attributes:
        path: The file, from the repository's top folder.
        removed: Whether the template removes it, and the analyst, who changed it, keeps it; otherwise the
            template changes it, and the analyst, who removed it, does not get it back.
    """

    path: str
    removed: bool


@dataclass(frozen=True)
class Merged:
    """How the template's change and the repository come together.

    Attributes:
        tree: The files that come of it; conflicts have their markers.
        changes: What is different from the repository as it is.
        conflicts: What needs a decision.
        kept: What stays as the analyst wants it.
    """

    tree: str
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class Stages:
    """What git has of a path that it could not merge: the object and mode of each side."""

    base: tuple[str, str] | None = None
    yours: tuple[str, str] | None = None
    template: tuple[str, str] | None = None

    @property
    def removed(self) -> bool | None:
        """Whether the template removed what the analyst changed; or the other way round. None: neither."""
        if self.yours and not self.template:
            return True
        return False if self.template and self.base and not self.yours else None


class Lab:
    """A git repository beside the real one, which borrows what the real one has."""

    def __init__(self, folder: Path, top: Path, env: Mapping[str, str]) -> None:
        """Make it.

        Args:
            folder: Where; it is made.
            top: The real repository.
            env: Who commits, as git's environment variables.
        """
        self.folder = folder
        self.top = top
        self._env = env
        objects = git(top, "rev-parse", "--path-format=absolute", "--git-path", "objects").rstrip("\n")
        kind = git(top, "rev-parse", "--show-object-format").strip()
        folder.mkdir()
        git(folder, "init", "--quiet", "--bare", f"--object-format={kind}", "--template=")
        (folder / "objects" / "info").mkdir(exist_ok=True)
        (folder / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")

    def tree(self, files: Path) -> str:
        """The tree of a folder's files, to the byte; those too that its .gitignore would leave out."""
        env = self._index("new", files)
        (self.folder / "new").unlink(missing_ok=True)
        plain = ("-c", "core.autocrlf=false", "-c", "core.safecrlf=false", "-c", "core.fsmonitor=false")
        git(files, *plain, "add", "--all", "--force", "--", ".", env=env)
        return git(files, "write-tree", env=env).strip()

    def commit(self, tree: str, message: str, parent: str | None = None) -> str:
        """Commit a tree."""
        parents = ("-p", parent) if parent else ()
        return git(self.folder, "commit-tree", tree, *parents, "-m", message, env=self._env).strip()

    def merge(self, mine: str, theirs: str) -> Merged:
        """Merge two commits."""
        # by names: they stand behind the conflict markers
        for name, commit in (("yours", mine), ("template", theirs)):
            git(self.folder, "update-ref", f"refs/heads/{name}", commit)
        words = ("merge-tree", "--write-tree", "-z", "--messages", "yours", "template")
        said = git(self.folder, *MERGING, *words, accept=(0, 1))
        tree, unmerged, messages = _read(said)
        conflicts, kept = [], []
        index = self._index("merged", self.folder)
        git(self.folder, "read-tree", tree, env=index)
        for path, stages in unmerged.items():
            if (removed := stages.removed) is None:
                hunks = _hunks(self._text(tree, path))
                conflicts.append(Conflict(path, hunks, messages.get(path, "Both sides changed it.")))
                continue
            kept.append(Kept(path, removed))
            if stages.yours:
                mode, blob = stages.yours
                git(self.folder, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
            else:
                git(self.folder, "update-index", "--force-remove", "--", path, env=index)
        if kept:
            tree = git(self.folder, "write-tree", env=index).strip()
        return Merged(tree, self.changes(mine, tree), tuple(conflicts), tuple(kept))

    def changes(self, before: str, after: str) -> tuple[Change, ...]:
        """What is different between two trees."""
        said = git(
            self.folder, "diff-tree", "-r", "-z", "-M", "--no-commit-id", "--name-status", before, after
        )
        words = iter(said.split("\0"))
        found = []
        for status in words:
            if not status:
                continue
            path = next(words)
            if status[0] in "RC":
                found.append(Change(next(words), "moved", path))
            else:
                found.append(Change(path, {"A": "added", "D": "removed"}.get(status[0], "changed")))
        return tuple(sorted(found, key=lambda change: change.path))

    def _index(self, name: str, files: Path) -> dict[str, str]:
        """Where git notes the files of a tree that is being made."""
        return {
            "GIT_DIR": str(self.folder),
            "GIT_WORK_TREE": str(files),
            "GIT_INDEX_FILE": str(self.folder / name),
        }

    def _text(self, tree: str, path: str) -> str:
        return git(self.folder, "cat-file", "blob", f"{tree}:{path}", accept=(0, 128))


def _read(said: str) -> tuple[str, dict[str, Stages], dict[str, str]]:
    """What `git merge-tree -z` says: the tree, what is unmerged, and why."""
    first, _, last = said.partition("\0\0")
    tree, *files = first.split("\0")
    unmerged: dict[str, Stages] = {}
    sides = ("base", "yours", "template")
    for line in filter(None, files):
        about, _, path = line.partition("\t")
        mode, blob, stage = about.split(" ")
        known = unmerged.get(path, Stages())
        unmerged[path] = Stages(
            **{**{side: getattr(known, side) for side in sides}, sides[int(stage) - 1]: (mode, blob)}
        )
    messages: dict[str, str] = {}
    words = iter(last.split("\0"))
    for count in words:
        if not count.isdigit():
            continue
        paths = [next(words) for _ in range(int(count))]
        kind, text = next(words), next(words)
        if kind.startswith("CONFLICT"):
            messages.update(dict.fromkeys(paths, " ".join(text.split())))
    return tree, unmerged, messages


def _hunks(text: str) -> tuple[Hunk, ...]:
    """The conflicts that a text has between its markers."""
    found: list[Hunk] = []
    yours: list[str] = []
    template: list[str] = []
    side, line = None, 0
    for number, content in enumerate(text.split("\n"), start=1):
        if side is None:
            if _YOURS.match(content):
                side, line, yours, template = yours, number, [], []
                side = yours
        elif side is yours and content.rstrip("\r") == _BETWEEN:
            side = template
        elif side is template and _THEIRS.match(content):
            found.append(Hunk(line, tuple(yours), tuple(template)))
            side = None
        else:
            side.append(content)
    return tuple(found)
