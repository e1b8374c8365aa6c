"""What adopting a repository would change: the template's files, with the answers found and given."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagkit import scaffold
from dagkit.adopt.survey import EVERYTHING, Survey
from dagkit.errors import UsageError
from dagkit.pipeline import ANSWERS_FILE
from dagkit.platform import Platform

BRANCH = "dagkit/adopt"

COMPARED = (
    ".gitignore",
    ".github/CODEOWNERS",
    ".pre-commit-config.yaml",
    "README.md",
    "pyproject.toml",
    ".lintr",
)
"""Files of a new repository that an adopted one has of its own, or does without."""


@dataclass(frozen=True)
class NewFile:
    """A file that the template brings.

    Attributes:
        path: From the repository's root.
        content: What it holds.
        executable: Whether it is a program.
        replaces: Whether a file of that path is there already: the old workflow, or an answers file.
    """

    path: str
    content: bytes = field(repr=False)
    executable: bool = False
    replaces: bool = False


@dataclass(frozen=True)
class Kept:
    """A file that the repository and the template both have: it stays as it is.

    Attributes:
        path: From the repository's root.
        lacks: What the template's has and this one has not: lines, or headings of a README.
    """

    path: str
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What adopting would change.

    Attributes:
        survey: What was found.
        answers: Every answer, found, given, asked for or left at its default.
        version: The template's version.
        files: What the template brings.
        removed: The old workflow, if the template's has another name.
        moved: Where another template's answers file was, and where it goes.
        kept: What both have, and stays as it is.
        notes: What Copier remarked.
    """

    survey: Survey
    answers: Mapping[str, Any]
    version: str | None
    files: tuple[NewFile, ...]
    removed: tuple[str, ...]
    moved: tuple[tuple[str, str], ...]
    kept: tuple[Kept, ...]
    notes: tuple[str, ...] = ()


def plan(
    survey: Survey, source: scaffold.Source, *, given: Mapping[str, str], ask: bool, defaults: bool
) -> Plan:
    """Make the template's files beside the repository, and compare.

    Args:
        survey: What was found.
        source: The template.
        given: Answers that count more than what was found.
        ask: Ask for what is not known, in the template's words, at the terminal.
        defaults: Take the default for what is not known, even where that is nobody's answer.

    Raises:
        UsageError: An answer is missing, or refused; or something stands where the template's files go.
        DagkitError: The template cannot be fetched or used.
    """
    missing = () if ask else survey.missing(given)
    if defaults:  # which cannot tell one of several Dockerfiles from another
        missing = tuple(q for q in missing if q == "dockerfile" and survey.image.candidates)
    if missing:
        hints = ", ".join(_hint(survey, question) for question in missing)
        raise UsageError(
            f"Nothing in the repository says, and nobody can be asked: {hints}",
            where=str(survey.root),
            fix=f"Say it: dagkit adopt {' '.join(f'-d {question}=…' for question in missing)}",
        )
    data = _data(survey, given)
    with TemporaryDirectory(prefix="dagkit-adopt-") as folder:
        # each in a folder of the repository's own name, as a template may read that
        adopted, new = (Path(folder) / kind / survey.root.name for kind in ("adopted", "new"))
        adopted.parent.mkdir()
        made = scaffold.new(adopted, source, data=data, defaults=not ask)
        answers = {key: value for key, value in made.answers.items() if not key.startswith("_")}
        files, kept = _compared(survey, made.root)
        if survey.kind == EVERYTHING:
            new.parent.mkdir()
            kept += _would_add(survey, source, answers, new)
    paths = {file.path for file in files}
    pushes = survey.pushes.path if survey.pushes else None
    return Plan(
        survey,
        answers,
        made.version,
        files,
        (pushes,) if pushes and pushes not in paths else (),
        ((ANSWERS_FILE, _free(survey.root, survey.other.moved)),) if survey.other else (),
        kept,
        made.notes,
    )


def _hint(survey: Survey, question: str) -> str:
    if question == "dockerfile" and survey.image.candidates:
        return f"{question} (one of {', '.join(survey.image.candidates)})"
    if question == "dockerfile":
        return f"{question} (there is none yet: where it will be)"
    if question == "command":
        return f"{question} (what the pod starts, as the Dockerfile does not say it; such as python run.py)"
    return question


def _data(survey: Survey, given: Mapping[str, str]) -> dict[str, Any]:
    """The answers that are known; the platform's settings are all recorded once one of them is another."""
    data: dict[str, Any] = {"kind": survey.kind, **survey.answers, **given}
    settings = Platform().model_dump()
    if "customise" not in data:
        data["customise"] = any(name in data for name in settings)
        if data["customise"]:
            data = {**settings, **data}
    return data


def _compared(survey: Survey, made: Path) -> tuple[tuple[NewFile, ...], tuple[Kept, ...]]:
    """The template's files that come in, and those that stay away as the repository has its own."""
    files: list[NewFile] = []
    kept: list[Kept] = []
    pushes = survey.pushes.path if survey.pushes else None
    for source in sorted(path for path in made.rglob("*") if path.is_file()):
        path = source.relative_to(made).as_posix()
        content = source.read_bytes()
        there = survey.root / path
        _check_folders(survey.root, path)
        new = NewFile(path, content, os.access(source, os.X_OK), os.path.lexists(there))
        if not new.replaces or path in (ANSWERS_FILE, pushes):
            if new.replaces and not survey.tree.has(path):
                raise UsageError(
                    "The template brings a file of this name, and the one that is there is not in git",
                    where=str(there),
                    fix=f"Commit it (git add --force {path}), or move it away; then call it again.",
                )
            files.append(new)
        elif there.is_file() and there.read_bytes() != content:
            kept.append(Kept(path, lacking(there.read_text(errors="replace"), content.decode())))
    return tuple(files), tuple(kept)


def _check_folders(root: Path, path: str) -> None:
    """See that the folders of a new file can be made.

    Raises:
        UsageError: A file, or a link that leads out of the repository, has the name of a folder.
    """
    folder = root
    for part in path.split("/")[:-1]:
        folder = folder / part
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            what = "a link" if folder.is_symlink() else "a file"
            raise UsageError(
                f"The template has a folder of the name {part}, and here that is {what}",
                where=str(folder),
                fix="Rename it, commit that, and call it again.",
            )


def _would_add(
    survey: Survey, source: scaffold.Source, answers: Mapping[str, Any], folder: Path
) -> tuple[Kept, ...]:
    """What a new repository's files have that the repository's own of the same name have not."""
    shared = (
        "language",
        "repository",
        "project",
        "pipeline",
        "description",
        "owner",
        "email",
        "schedule",
        "output",
    )
    data = {"kind": "image", **{key: answers[key] for key in shared if key in answers}}
    made = scaffold.new(folder, source, data=data, defaults=True).root
    found = []
    for path in COMPARED:
        theirs, ours = survey.root / path, made / path
        if theirs.is_file() and ours.is_file():
            lacks = lacking(
                theirs.read_text(errors="replace"), ours.read_text(), headings=path.endswith(".md")
            )
            if lacks:
                found.append(Kept(path, lacks))
    return tuple(found)


def lacking(theirs: str, ours: str, *, headings: bool = False) -> tuple[str, ...]:
    """The lines of our text that theirs has not, without comments and empty ones; or the headings alone."""
    pattern = r"^##+ " if headings else r"^\s*[^#\s]"
    have = {line.strip() for line in theirs.splitlines()}
    lines = [line.rstrip() for line in ours.splitlines() if re.match(pattern, line)]
    return tuple(dict.fromkeys(line for line in lines if line.strip() not in have))


def _free(root: Path, name: str) -> str:
    stem, number = name.removesuffix(".yml"), 2
    while os.path.lexists(root / name):
        name, number = f"{stem}-{number}.yml", number + 1
    return name
