"""Small edits that the guide makes in the reader's files: told beforehand, and undone exactly.

What a file held is kept in `<pipeline>/.dagkit/guide/` before the file is touched, so that the edit can be
undone after a crash, too. What the reader changes in the file meanwhile stays.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dagkit.errors import DagkitError
from dagkit.pipeline import Pipeline

Undone = Literal["nothing", "undone", "yours"]
"""What undoing came to: there was nothing to undo; it was undone; the reader had undone it already."""


@dataclass(frozen=True)
class Edit:
    """An edit that is made, or under way.

    Attributes:
        path: The file, from the pipeline's root, with ``/``.
        before: What it held.
        after: What it holds since.
    """

    path: str
    before: str
    after: str

    def diff(self) -> str:
        """The lines that go (``-``) and come (``+``), with a line around them."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), n=1, lineterm="")
        return "\n".join(line for line in [*lines][2:] if not line.startswith("@@"))


def made(pipeline: Pipeline, name: str) -> Edit | None:
    """The edit of that name that is not undone yet.

    Raises:
        DagkitError: What was kept of it cannot be read.
    """
    kept = _kept(pipeline, name)
    try:
        return Edit(**json.loads(kept.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DagkitError(
            f"What the guide kept of its edit cannot be read: {error}",
            where=str(kept),
            fix="Compare your files with git (git diff), put right what is not yours, and delete that file.",
        ) from error


def make(pipeline: Pipeline, name: str, plan: Callable[[], Edit]) -> Edit:
    """Make an edit, having kept what the file held; one that was begun already is not planned anew.

    Raises:
        DagkitError: The reader has changed the file since the edit was made; nothing is changed.
    """
    edit = made(pipeline, name) or plan()
    file = pipeline.root / edit.path
    now = _read(file)
    if now == edit.after:
        return edit
    if now != edit.before:
        raise DagkitError(
            "You have changed the file since the guide edited it",
            where=str(file),
            fix="Put back the guide's edit first, with the cell that undoes it; then run this one again.",
        )
    kept = _kept(pipeline, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    _write(kept, json.dumps(asdict(edit), indent=1))
    _write(file, edit.after)
    return edit


def undo(pipeline: Pipeline, name: str, *, keep: str | None = None) -> Undone:
    """Put back what the edit of that name changed, and nothing else.

    Args:
        pipeline: The pipeline.
        name: The edit's.
        keep: Where the reader has changed the same lines since: ``mine`` leaves the file as it is,
            ``original`` puts back what it held before the edit; None asks by raising.

    Raises:
        DagkitError: The reader has changed the same lines since; nothing is changed.
    """
    edit = made(pipeline, name)
    if edit is None:
        return "nothing"
    file = pipeline.root / edit.path
    now = _read(file)
    result: Undone = "undone"
    if now == edit.before or keep == "mine":
        result = "yours"
    elif now == edit.after or keep == "original":
        _write(file, edit.before)
    else:
        _write(file, _without(edit, now, file))
    _kept(pipeline, name).unlink()
    return result


def _without(edit: Edit, now: str, file: Path) -> str:
    """The file as it is now, without the edit: what git merges of both changes."""
    with tempfile.TemporaryDirectory(prefix="dagkit-guide-") as folder:
        paths = [Path(folder) / name for name in ("now", "after", "before")]
        for path, text in zip(paths, (now, edit.after, edit.before), strict=True):
            path.write_text(text, encoding="utf-8", newline="")
        done = subprocess.run(["git", "merge-file", "-p", *map(str, paths)], capture_output=True, check=False)
    if done.returncode != 0:
        raise DagkitError(
            "You have changed the lines that the guide changed, so it does not put them back by itself",
            where=str(file),
            fix='To leave the file as it is: keep="mine" between the brackets of this cell;'
            ' to have it as it was before the edit: keep="original".',
        )
    return done.stdout.decode()


def read(pipeline: Pipeline, path: str) -> str:
    """The text of a file of the pipeline, its line ends as they are.

    Raises:
        DagkitError: It is not there, or is no text.
    """
    return _read(pipeline.root / path)


def _kept(pipeline: Pipeline, name: str) -> Path:
    return pipeline.state / "guide" / f"{name}.json"


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DagkitError(
            f"The file cannot be read: {error}",
            where=str(file),
            fix="Put it back from git, or run the notebook on another pipeline.",
        ) from error


def _write(file: Path, text: str) -> None:
    """Replace a file: whoever reads it, whenever, finds the old content or the new one, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(text.encode())
        if file.exists():
            temporary.chmod(file.stat().st_mode & 0o777)
        else:
            temporary.chmod(0o644)
        temporary.replace(file)
    except OSError as error:
        raise DagkitError(f"The file cannot be written: {error.strerror}", where=str(file)) from error
    finally:
        temporary.unlink(missing_ok=True)
