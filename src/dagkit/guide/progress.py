"""How far the reader is: kept on the disk after every check, so that a closed browser loses nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dagkit.errors import DagkitError

FOLDER_FILE = ".dagkit-guide.json"
"""Beside the notebooks: which pipeline they work on, and what was checked before there was one."""

PIPELINE_FILE = "guide.json"
"""In the pipeline's state folder."""

VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """What a check came to.

    Attributes:
        ok: Green or red.
        saw: What it saw, or what is wrong.
        todo: What to do next, where it is red.
        at: When, as ISO 8601 in UTC.
    """

    ok: bool
    saw: str
    todo: str | None
    at: str


@dataclass(frozen=True)
class Progress:
    """The progress that is kept for one folder of notebooks.

    Attributes:
        folder: The folder of the notebooks.
    """

    folder: Path

    @property
    def pipeline(self) -> Path | None:
        """The pipeline's root; None before there is one, or once it is gone."""
        remembered = _read(self.folder / FOLDER_FILE).get("pipeline")
        if not isinstance(remembered, str):
            return None
        root = (self.folder / remembered).resolve()
        return root if root.is_dir() else None

    def remember(self, pipeline: Path) -> None:
        """Work on this pipeline from now on.

        Raises:
            DagkitError: The folder of the notebooks cannot be written.
        """
        # relative, so that both may move together
        root = os.path.relpath(pipeline.resolve(), self.folder.resolve())
        self.keep(pipeline=root)

    def keep(self, **values: Any) -> None:
        """Keep values beside the notebooks, over those of the same names.

        Raises:
            DagkitError: The folder of the notebooks cannot be written.
        """
        path = self.folder / FOLDER_FILE
        _write(path, {**_read(path), **values})

    def kept(self, name: str) -> Any:
        """A value that `keep` kept; None where there is none."""
        return _read(self.folder / FOLDER_FILE).get(name)

    def outcomes(self) -> Mapping[str, Outcome]:
        """The last outcome of every check that was made, by the check's name (``3.run``)."""
        found = _outcomes(self.folder / FOLDER_FILE)
        if (root := self.pipeline) is not None:
            found |= _outcomes(root / ".dagkit" / PIPELINE_FILE)
        return found

    def record(self, name: str, outcome: Outcome) -> None:
        """Keep the outcome of a check: with the pipeline, or beside the notebooks while there is none.

        Raises:
            DagkitError: It cannot be written.
        """
        path = self.folder / FOLDER_FILE
        root = self.pipeline
        if root is not None and not name.startswith("0."):
            path = root / ".dagkit" / PIPELINE_FILE
        content = _read(path)
        checks = {**_checks(content), name: asdict(outcome)}
        _write(path, {**content, "version": VERSION, "checks": checks})


def _read(path: Path) -> dict[str, Any]:
    """The content of a progress file; nothing where there is none, or it is no longer one.

    What is lost with a broken file is only marks: every check can be made again.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checks(content: Mapping[str, Any]) -> dict[str, Any]:
    checks = content.get("checks")
    return checks if isinstance(checks, dict) else {}


def _outcomes(path: Path) -> dict[str, Outcome]:
    found = {}
    for name, kept in _checks(_read(path)).items():
        try:
            found[name] = Outcome(**kept)
        except TypeError:  # of another version of the guide
            continue
    return found


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file so that whoever reads it, whenever, finds the old content or the new one."""
    temporary = None
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
        Path(temporary).replace(path)
    except OSError as error:
        raise DagkitError(
            f"Progress cannot be kept: {error.strerror}",
            where=str(path),
            fix="Copy the notebooks to a folder that you may write in: dagkit guide ~/dagkit-guide",
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
