"""Whatever an analyst has changed before an update, in whichever file: no line of it is lost.

`DAGKIT_UPDATE_CASES=1000` takes longer and looks harder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagkit import update
from dagkit.update.template import Template, fetched
from tests.harness.generate import git
from tests.update import small

CASES = int(os.environ.get("DAGKIT_UPDATE_CASES", "25"))

PATHS = (
    ".github/workflows/test.yml", "settings.toml", "tools/check.sh", ".github/check.sh", "notes.md",
    "README.md", "scripts/run.py", "logo.bin", "lint.toml", ".copier-answers.yml", "scripts/mine.py",
    "tools/mine.sh", ".github/workflows/mine.yml", ".gitignore", ".gitattributes",
    "a folder/with spaces/and ümläuts.txt",
)  # fmt: skip

texts = st.one_of(
    st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85"), max_size=20
    ),
    st.sampled_from(
        ["=======", "    timeout-minutes: 45", "[lint]", "echo checking", "", "  ", "\tx", "line-length = 88"]
    ),
)
paths = st.sampled_from(PATHS)
places = st.integers(0, 20)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), paths, places, st.lists(texts, min_size=1, max_size=3)),
        st.tuples(st.just("replace"), paths, places, st.lists(texts, min_size=1, max_size=3)),
        st.tuples(st.just("cut"), paths, places, st.integers(1, 6)),
        st.tuples(st.just("remove"), paths),
        st.tuples(st.just("rename"), paths, paths),
        st.tuples(st.just("copy"), paths, paths),
        st.tuples(st.just("windows"), paths),
        st.tuples(st.just("no end"), paths),
        st.tuples(st.just("executable"), paths),
        st.tuples(st.just("bytes"), paths, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("link"), paths),
    ),
    min_size=1,
    max_size=7,
)  # fmt: skip


class Analyst:
    """Somebody who changes a repository. Each line they write has a number, by which it is found again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.number = 0

    def do(self, what: str, path: str, *rest: Any) -> None:
        file = self.root / path
        if path == ".copier-answers.yml" and what not in ("insert", "windows"):
            return  # it is Copier's to read: broken, an update refuses it
        if what in ("insert", "replace", "bytes", "rename", "copy", "link") and not self._room(path):
            return
        actions: dict[str, Callable[..., None]] = {
            "insert": self.insert, "replace": self.replace, "cut": self.cut, "remove": self.remove,
            "rename": self.rename, "copy": self.copy, "windows": self.windows, "no end": self.no_end,
            "executable": self.executable, "bytes": self.write, "link": self.link,
        }  # fmt: skip
        actions[what](file, *rest)

    def _room(self, path: str) -> bool:
        """Whether a file can be there: nothing above it is one."""
        folder = self.root / path
        return not folder.is_dir() and not any(
            above.is_file() or above.is_symlink()
            for above in folder.parents
            if above != self.root and above.is_relative_to(self.root)
        )

    def _lines(self, file: Path) -> list[str]:
        if file.is_symlink() or not file.is_file():
            return []
        return file.read_bytes().decode("utf-8", "surrogateescape").split("\n")

    def _put(self, file: Path, lines: list[str]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink():
            file.unlink()
        file.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))

    def _written(self, file: Path, texts: list[str]) -> list[str]:
        lines = []
        for text in texts:
            self.number += 1
            lines += [
                f"# mine {self.number}: {text}",
                *([text] if file.name != ".copier-answers.yml" else []),
            ]
        return lines

    def insert(self, file: Path, place: int, texts: list[str]) -> None:
        lines = self._lines(file)
        # in the answers file, where a comment may stand: not within what Copier writes on several lines
        at = 0 if file.name == ".copier-answers.yml" else min(place, len(lines))
        self._put(file, [*lines[:at], *self._written(file, texts), *lines[at:]])

    def replace(self, file: Path, place: int, texts: list[str]) -> None:
        lines = self._lines(file)
        at = min(place, len(lines))
        self._put(file, [*lines[:at], *self._written(file, texts), *lines[at + len(texts) :]])

    def cut(self, file: Path, place: int, count: int) -> None:
        if lines := self._lines(file):
            self._put(file, [*lines[:place], *lines[place + count :]])

    def remove(self, file: Path) -> None:
        if file.is_symlink() or file.is_file():
            file.unlink()

    def rename(self, file: Path, to: str) -> None:
        other = self.root / to
        if to != ".copier-answers.yml" and self._room(to) and (file.is_symlink() or file.is_file()):
            other.parent.mkdir(parents=True, exist_ok=True)
            file.replace(other)

    def copy(self, file: Path, to: str) -> None:
        if to != ".copier-answers.yml" and self._room(to) and (lines := self._lines(file)):
            self._put(self.root / to, lines)

    def windows(self, file: Path) -> None:
        if lines := self._lines(file):
            self._put(file, [line.rstrip("\r") + "\r" for line in lines[:-1]] + lines[-1:])

    def no_end(self, file: Path) -> None:
        if (lines := self._lines(file)) and file.name != ".copier-answers.yml":
            self._put(file, "\n".join(lines).rstrip("\n").split("\n"))

    def executable(self, file: Path) -> None:
        if file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode ^ 0o111)

    def write(self, file: Path, content: bytes) -> None:
        if file.name not in (".gitignore", ".gitattributes"):
            self.remove(file)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def link(self, file: Path) -> None:
        if file.name not in (".gitignore", ".gitattributes"):
            self.remove(file)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.symlink_to("scripts/run.py")


@pytest.fixture(scope="module")
def template(little: small.Small) -> Any:
    with fetched(str(little.template)) as template:
        yield template


def tracked(root: Path) -> dict[str, bytes]:
    """Every file in git: what it holds, or where it points to."""
    return {path: content(root / path) for path in git(root, "ls-files", "-z").split("\0") if path}


def content(file: Path) -> bytes:
    return str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()


def lines_of(text: bytes) -> Counter[bytes]:
    """The lines of a file, however they end."""
    return Counter(line.rstrip(b"\r") for line in text.split(b"\n") if line.strip())


def is_text(path: str, text: bytes) -> bool:
    return b"\0" not in text and path != "logo.bin"


@pytest.mark.timeout(900 + 20 * CASES)
@settings(
    max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)
@given(version=st.sampled_from(small.VERSIONS[:-1]), edits=edits)
def test_each_line_of_the_analyst_is_there_afterwards_or_in_a_file_that_is_named(
    little: small.Small,
    template: Template,
    tmp_path_factory: pytest.TempPathFactory,
    version: str,
    edits: list[Any],
) -> None:
    root = small.fresh(little.made[version], tmp_path_factory.getbasetemp() / "case")
    made, newest = tracked(root), tracked(little.made[small.VERSIONS[-1]])
    analyst = Analyst(root)
    for each in edits:
        analyst.do(*each)
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Work")
    mine, before = tracked(root), small.head(root)

    with update.planned(root, template=template) as plan:
        outcome = update.apply(plan)

    now = {
        path.relative_to(root).as_posix(): content(path)
        for path in root.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.relative_to(root).parts[0] != ".git"
    }
    moved = {change.before: change.path for change in plan.changes if change.before}
    named = {conflict.path for conflict in plan.conflicts} | set(outcome.conflicts)
    named |= {kept.path for kept in plan.kept} | {change.path for change in plan.changes}
    # a line that the template wrote stays the template's, wherever the analyst has moved or copied its file
    theirs = sum(map(lines_of, made.values()), Counter[bytes]())
    for path, text in mine.items():
        if text == made.get(path):
            continue
        if path not in named and path not in moved:
            assert now.get(path) == text, f"{path} is changed, and not named"
        elif is_text(path, text):
            places = (path, moved.get(path, path), *named)
            there = set().union(*(lines_of(now.get(place, b"")) for place in places))
            assert not {line for line in lines_of(text) - theirs if line not in there}, (
                f"{path} has lost lines"
            )

    untouched = {path for path, text in made.items() if mine.get(path) == text}
    for path in untouched & set(newest) - named:
        if not path.startswith("scripts/"):
            assert now[path] == newest[path], f"{path} is not as in a fresh copy"
    assert all(now[path] == mine[path] for path in untouched if path.startswith("scripts/"))

    if not outcome.conflicts:
        assert small.head(root)[0] == plan.branch
        assert git(root, "status", "--porcelain") == ""
        assert update.Recorded.load(root).commit == small.VERSIONS[-1]
    update.abort(root)
    assert small.head(root) == before
    assert tracked(root) == mine
