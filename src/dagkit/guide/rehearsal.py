"""An update rehearsed: plain `copier update` of a copy, from a template with one version more.

Everything lies in `practice/update/` beside the notebooks and is made anew each time. The pipeline itself is
only cloned.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dagkit import scaffold
from dagkit.errors import DagkitError, UsageError
from dagkit.git import git
from dagkit.guide.practice import ENGINEERS, FOLDER, MAKING, room
from dagkit.pipeline import ANSWERS_FILE, Pipeline

BEFORE, AFTER = scaffold.RELEASED, "v99.0.0"
"""The template's version in the copy, and the one it is updated to, which no real template has."""

MINE, THEIRS = "Europe/London", "UTC"
"""What the two sides make of the same lines: a time zone."""

OWN_LINE = "This line of mine is no business of the template's.\n"
"""What the copy's owner adds to README.md besides; it stays through the update."""

NEW_FILE = ".editorconfig"
"""A file that the new version of the template brings."""

_NEW_TEXT = "root = true\n\n[*]\ncharset = utf-8\nend_of_line = lf\ninsert_final_newline = true\n"
_COPIED = ("copier.yml", "template-airflow-python", "template-airflow-r", "templates")
_CONFLICT = re.compile(r"<<<<<<< [^\n]*\n(?P<mine>.*?)=======\n(?P<template>.*?)>>>>>>> [^\n]*\n", re.DOTALL)


@dataclass(frozen=True)
class Contested:
    """Lines that both sides change.

    Attributes:
        path: The file, in the pipeline and, without ``.jinja``, in the template.
        line: A line of it; each side adds one after it.
        mine: What the owner adds.
        theirs: What the template's new version adds.
    """

    path: str
    line: str
    mine: str
    theirs: str


CONTESTED = (
    Contested("Dockerfile", "ENV HOME=/tmp \\\n", f"    TZ={MINE} \\\n", f"    TZ={THEIRS} \\\n"),
    Contested(".gitignore", ".dagkit/\n", "# mine\n/scratch/\n", "# where editors leave things\n/tmp/\n"),
)
"""The lines to quarrel about, the best first; a pipeline without an image has no Dockerfile."""


@dataclass(frozen=True)
class Rehearsal:
    """The copy of a pipeline, and the template that it is updated from.

    Attributes:
        root: The folder that holds both.
    """

    root: Path

    @property
    def template(self) -> Path:
        """The template, a git repository with two versions."""
        return self.root / "template"

    @property
    def copy(self) -> Path:
        """The copy of the pipeline, a git repository."""
        return self.root / "pipeline"

    @property
    def contested(self) -> Contested:
        """What both sides have changed.

        Raises:
            UsageError: The copy is not there.
        """
        self.need()
        return _contested(self.copy)

    def need(self) -> None:
        """See that the copy is there.

        Raises:
            UsageError: It is not.
        """
        if not (self.copy / ".git").is_dir():
            raise UsageError("There is no copy to practise on yet", fix="Run the cell with here.rehearse().")

    @property
    def version(self) -> str:
        """The template's version that the copy says it is of."""
        text = (self.copy / ANSWERS_FILE).read_text(encoding="utf-8")
        found = re.search(r"^_commit: (\S+)$", text, re.MULTILINE)
        return found[1] if found else ""

    def conflicts(self) -> dict[str, str]:
        """The text of each file that has a conflict in it, by its path."""
        found = {}
        for path in git(self.copy, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
            file = self.copy / path
            text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
            if _CONFLICT.search(text):
                found[path] = text
        return found


def at(folder: Path) -> Rehearsal:
    """The rehearsal of a folder of notebooks, whether it is there or not."""
    return Rehearsal(folder / FOLDER / "update")


def prepare(folder: Path, pipeline: Pipeline) -> Rehearsal:
    """Make it: the template with a newer version, and the copy with changes of its owner.

    Args:
        folder: The folder of the notebooks.
        pipeline: Whose last commit is copied; nothing in it is touched.

    Raises:
        DagkitError: The pipeline has no commit, or its files are not those of the template any more.
    """
    rehearsal = at(folder)
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=room(folder)) as workshop:
        made = Rehearsal(Path(workshop) / "update")
        made.root.mkdir()
        _copy(pipeline, made.copy)
        contested = _contested(made.copy)
        _template(made.template, contested)
        answers = made.copy / ANSWERS_FILE
        text = re.sub(
            r"^_(src_path|commit):.*\n", "", answers.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        # where it will be, once it is in its place
        origin = f"_commit: {BEFORE}\n_src_path: {rehearsal.template}\n"
        answers.write_text(f"{text.rstrip()}\n{origin}", encoding="utf-8")
        _commit(made.copy, "Take the template to practise with")
        _add_after(made.copy / contested.path, contested.line, contested.mine)
        with (made.copy / "README.md").open("a", encoding="utf-8") as readme:
            readme.write(f"\n{OWN_LINE}")
        _commit(made.copy, "Change what is mine")
        shutil.rmtree(rehearsal.root, ignore_errors=True)
        made.root.rename(rehearsal.root)
    return rehearsal


def update(rehearsal: Rehearsal) -> None:
    """Update the copy, as `copier update` does.

    Raises:
        DagkitError: The copy is not there, is half updated, or Copier refuses.
    """
    import warnings

    from copier import run_update
    from copier.errors import CopierError

    rehearsal.need()
    if git(rehearsal.copy, "status", "--porcelain").strip():
        raise DagkitError(
            "The copy has changes that are not committed: an update is under way in it already",
            where=str(rehearsal.copy),
            fix="Settle it with here.settle(), or begin anew with here.rehearse().",
        )
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            run_update(
                rehearsal.copy, defaults=True, overwrite=True, conflict="inline", quiet=True, unsafe=False
            )
    except (CopierError, OSError, ValueError) as error:
        raise DagkitError(
            f"Copier could not update the copy: {error}",
            where=str(rehearsal.copy),
            fix="Begin anew with here.rehearse(); your pipeline is not touched by any of this.",
        ) from error


def changes(rehearsal: Rehearsal) -> Iterator[tuple[str, str]]:
    """What the update under way changes in the copy: ``added``, ``changed`` or ``conflict``, and the path."""
    quarrels = rehearsal.conflicts()
    for line in git(rehearsal.copy, "status", "--porcelain", "--untracked-files=all").splitlines():
        state, path = line[:2], line[3:]
        yield (
            "conflict" if path in quarrels else ("added" if "?" in state or "A" in state else "changed"),
            path,
        )


def settle(rehearsal: Rehearsal, choice: str) -> tuple[str, ...]:
    """Settle every conflict one way, and commit the update.

    Args:
        rehearsal: The rehearsal.
        choice: ``mine``, ``template``, or ``both``.

    Returns:
        The files that had a conflict.

    Raises:
        UsageError: There is no such choice.
    """
    kept = {"mine": r"\g<mine>", "template": r"\g<template>", "both": r"\g<mine>\g<template>"}
    if choice not in kept:
        raise UsageError(f"'{choice}' settles nothing", fix=f"Choose: {', '.join(kept)}")
    rehearsal.need()
    found = rehearsal.conflicts()
    for path, text in found.items():
        (rehearsal.copy / path).write_text(_CONFLICT.sub(kept[choice], text), encoding="utf-8", newline="")
    if git(rehearsal.copy, "status", "--porcelain").strip():
        _commit(rehearsal.copy, f"Update the template to {rehearsal.version}")
    return tuple(found)


def _copy(pipeline: Pipeline, copy: Path) -> None:
    try:
        git(pipeline.root, "rev-parse", "--verify", "--quiet", "HEAD")
        top = Path(git(pipeline.root, "rev-parse", "--show-toplevel").strip())
    except DagkitError as error:
        raise DagkitError(
            "Your pipeline is not in git yet, so there is no commit to copy",
            where=str(pipeline.root),
            fix='In notebook 4: here.commit("Start from the template")',
        ) from error
    if top.resolve() != pipeline.root.resolve():
        raise DagkitError(
            "Your pipeline is a folder of a larger git repository, and this practises on whole ones",
            where=str(top),
            fix="Read on: the pictures say how an update goes.",
        )
    git(copy.parent, "clone", "--quiet", "--no-local", "--", str(pipeline.root), str(copy))
    git(copy, "remote", "remove", "origin")


def _contested(copy: Path) -> Contested:
    for each in CONTESTED:
        file = copy / each.path
        if file.is_file() and each.line in file.read_text(encoding="utf-8", errors="replace"):
            return each
    raise DagkitError(
        "Your pipeline's files have become too different from the template's to practise with",
        where=str(copy),
        fix="Read on: the pictures say how an update goes.",
    )


def _template(folder: Path, contested: Contested) -> None:
    """The template as it is, and a version after it."""
    source = scaffold.bundle()
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".ruff_cache", ".pytest_cache")
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(source / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    _commit(folder, "The template")
    git(folder, "tag", BEFORE)
    changed = 0
    for file in sorted(folder.rglob(f"{contested.path}*")):
        if file.is_file() and contested.line in file.read_text(encoding="utf-8"):
            _add_after(file, contested.line, contested.theirs)
            changed += 1
    # .gitignore is included from a file of another name
    for file in sorted(folder.rglob("gitignore.jinja")) if contested.path == ".gitignore" else ():
        _add_after(file, contested.line, contested.theirs)
        changed += 1
    if not changed:
        raise DagkitError(
            "The template has no such line any more", where=f"{contested.path}: {contested.line}"
        )
    for kind in _COPIED[1:3]:
        (folder / kind / NEW_FILE).write_text(_NEW_TEXT, encoding="utf-8")
    (folder / "templates" / "dags" / NEW_FILE).write_text(_NEW_TEXT, encoding="utf-8")
    _commit(folder, "Set the time zone; add an .editorconfig")
    git(folder, "tag", AFTER)


def _add_after(file: Path, line: str, added: str) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(line, line + added, 1), encoding="utf-8", newline="")


def _commit(root: Path, message: str) -> None:
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--no-verify", "--message", message, env=ENGINEERS)
