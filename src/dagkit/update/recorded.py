"""What a repository says about the template it was made from: the one place that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagkit.errors import UsageError
from dagkit.pipeline import ANSWERS_FILE, read_yaml

_PUT_BACK = f"Put it back from git: git checkout -- {ANSWERS_FILE}"


@dataclass(frozen=True)
class Recorded:
    """A repository that was made from a template.

    Attributes:
        root: Its folder: the one that holds the answers file.
        src: The template's address, as the answers file has it.
        commit: The template's version that it was made from or last updated to: a tag, or what
            ``git describe`` says of a commit.
        answers: What its answers file says, all of it.
    """

    root: Path
    src: str
    commit: str
    answers: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Recorded:
        """Read the repository that ``path`` is, or lies in.

        Raises:
            UsageError: There is none, or its answers file does not say where it is from.
            DagkitError: The answers file is not YAML; the error has the line.
        """
        start = path.resolve()
        if not start.exists():
            raise UsageError(
                "There is no such folder", where=str(start), fix="Name a clone of the repository."
            )
        for folder in (start, *start.parents):
            if (folder / ANSWERS_FILE).is_file():
                return _read(folder)
        raise UsageError(
            f"{start} was not made from the template: no {ANSWERS_FILE} in it or above it",
            fix="Go to your pipeline's folder. One made by hand comes under the template with: dagkit adopt",
        )

    @property
    def kind(self) -> str:
        """``image``, ``dags`` or ``airflow``."""
        return str(self.answers.get("kind", "image"))


def _read(root: Path) -> Recorded:
    path = root / ANSWERS_FILE
    answers = read_yaml(path)
    if not isinstance(answers, dict):
        raise UsageError("The answers file is not a set of answers", where=str(path), fix=_PUT_BACK)
    src, commit = answers.get("_src_path"), answers.get("_commit")
    if not src or not isinstance(src, str):
        raise UsageError(
            "The answers file does not say where the template is: it has no _src_path",
            where=str(path),
            fix=_PUT_BACK,
        )
    if commit is None or not str(commit).strip():
        raise UsageError(
            "The answers file does not say which version of the template this is: it has no _commit",
            where=str(path),
            fix=f"{_PUT_BACK}. If it never had one, this was made from a template without versions:"
            " make it again from a released one.",
        )
    if str(commit).startswith("-"):
        raise UsageError(
            f"The answers file names no version of the template: '{commit}'",
            where=str(path),
            fix=_PUT_BACK,
        )
    return Recorded(root, src, str(commit), dict(answers))
