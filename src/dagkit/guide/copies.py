"""The analyst's own copy of the notebooks: made fresh, and never over what they changed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dagkit import __version__, scaffold
from dagkit.errors import DagkitError, UsageError
from dagkit.guide.progress import Progress

GIVEN = "given"
"""What the folder's file remembers: the digest of each notebook as it was put there."""

What = Literal["new", "same", "renewed", "yours", "beside"]


@dataclass(frozen=True)
class Placing:
    """What becomes of one file of the guide.

    Attributes:
        source: The file that dagkit carries.
        target: Where it goes.
        what: ``new``; ``same``: it is there already; ``renewed``: it replaces an older one, not changed;
            ``yours``: it is there, changed by the analyst; ``beside``: new, beside an older changed one.
        digest: Of its sources.
    """

    source: Path
    target: Path
    what: What
    digest: str

    @property
    def written(self) -> bool:
        """Whether the file is written."""
        return self.what in ("new", "renewed", "beside")


def carried() -> tuple[Path, ...]:
    """The files of the guide that dagkit carries.

    Raises:
        DagkitError: It was installed without them.
    """
    folder = scaffold.bundle() / "notebooks"
    found = tuple(sorted((*folder.glob("*.ipynb"), *folder.glob("*.py"))))
    if not found:
        raise DagkitError(
            "This installation of dagkit has no notebooks",
            where=str(folder),
            fix="Install it again: pip install --force-reinstall dagkit",
        )
    return found


def plan(folder: Path) -> tuple[Placing, ...]:
    """What would become of each file of the guide in a folder.

    Raises:
        UsageError: The folder is a file, or something in it is in the way.
        DagkitError: dagkit carries no notebooks, or one in the folder cannot be read.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("There is a file of that name", where=str(folder), fix="Name another folder.")
    remembered = Progress(folder).kept(GIVEN)
    given = remembered if isinstance(remembered, dict) else {}
    return tuple(_placing(source, folder, given) for source in carried())


def put(folder: Path, placings: tuple[Placing, ...]) -> None:
    """Carry out a plan: each file as a whole or not at all.

    Raises:
        DagkitError: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for placing in placings:
            if placing.written:
                _write(placing.target, placing.source.read_bytes())
    except OSError as error:
        raise DagkitError(
            f"The notebooks cannot be put there: {error.strerror}",
            where=str(error.filename or folder),
            fix="Name a folder that you may write in: dagkit guide ~/dagkit-guide",
        ) from error
    progress = Progress(folder)
    remembered = progress.kept(GIVEN)
    given = dict(remembered) if isinstance(remembered, dict) else {}
    # a file that was the same before anybody noted it counts as given, too
    given |= {p.target.name: p.digest for p in placings if p.what != "yours"}
    if given != remembered:
        progress.keep(**{GIVEN: given})


def digest(content: bytes) -> str:
    """What tells whether a file was changed: of a notebook its cells, whatever they have shown since."""
    try:
        cells = json.loads(content)["cells"]
        # a source may be one text or a list of lines
        sources = [[cell["cell_type"], "".join(cell["source"]).strip()] for cell in cells]
        content = json.dumps(sources).encode()
    except (ValueError, KeyError, TypeError):
        pass  # no notebook, or no longer one: then every byte counts
    return hashlib.sha256(content).hexdigest()


def _placing(source: Path, folder: Path, given: Mapping[str, str]) -> Placing:
    ours = digest(source.read_bytes())
    target = folder / source.name
    beside = False
    number = 1
    while target.exists() or target.is_symlink():
        if target.is_dir():
            raise UsageError("There is a folder in the way", where=str(target), fix="Name another folder.")
        try:
            theirs = digest(target.read_bytes())
        except OSError as error:
            raise DagkitError(
                f"The file cannot be read: {error.strerror}",
                where=str(target),
                fix="Name another folder: dagkit guide ~/dagkit-guide",
            ) from error
        if theirs == ours:
            return Placing(source, target, "same", ours)
        before = given.get(target.name)
        if before == theirs:
            return Placing(source, target, "renewed", ours)
        if before == ours:
            return Placing(source, target, "yours", ours)
        again = f"-{number}" if number > 1 else ""
        target = folder / f"{source.stem}-{__version__}{again}{source.suffix}"
        beside, number = True, number + 1
    return Placing(source, target, "beside" if beside else "new", ours)


def _write(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
