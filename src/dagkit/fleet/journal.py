"""What a run has done so far, on disk: cut off anywhere, the next run goes on behind it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from dagkit.errors import DagkitError

_KEPT = 24 * 3600.0
"""Seconds after which a run that was cut off is not gone on with: too much has happened since."""


def cache() -> Path:
    """The folder that fleets keep clones and journals in."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "dagkit" / "fleet"


@dataclass
class Journal:
    """The repositories that a run has finished with.

    Attributes:
        path: Its file: a line of JSON for each.
        done: What was written for each, by its name.
    """

    path: Path
    done: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def write(self, name: str, what: Mapping[str, Any]) -> None:
        """Note that a repository is finished."""
        line = json.dumps({"name": name, "what": what}) + "\n"
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    def end(self) -> None:
        """The run has come to its end."""
        self.path.unlink(missing_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs out of a fleet's folder, as two would work in the same clones.

    Raises:
        DagkitError: One is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DagkitError(
                "Another dagkit fleet is at work", where=str(folder), fix="Wait for it, or stop it."
            ) from error
        yield


def journal(folder: Path, *call: object, restart: bool) -> Journal:
    """The journal of a call.

    Args:
        folder: The fleet's folder.
        call: What the call was; another call is another run.
        restart: Forget what an earlier run did.
    """
    path = folder / f"{sha256(repr(call).encode()).hexdigest()[:16]}.jsonl"
    if path.exists() and (restart or time.time() - path.stat().st_mtime > _KEPT):
        path.unlink()
    return _read(path)


def _read(path: Path) -> Journal:
    if not path.exists():
        return Journal(path)
    done: dict[str, Mapping[str, Any]] = {}
    whole = ""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            entry = json.loads(line)
            done[entry["name"]] = entry["what"]
        except (ValueError, KeyError, TypeError):
            break  # the line that was being written
        whole += line if line.endswith("\n") else ""
    path.write_text(whole, encoding="utf-8")
    return Journal(path, done)
