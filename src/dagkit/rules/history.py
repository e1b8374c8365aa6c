"""What git remembers of an environment's DAGs."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path


class History:
    """The lines that were ever written into DAG files; git is asked once, and only when it matters.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines: dict[str, str] = {}

    def has_named(self, environment: str, tag: str) -> bool:
        """Whether a DAG of an environment has ever named a tag, as far as this clone goes back."""
        if environment not in self._lines:
            self._lines[environment] = self._read(environment)
        return f'"{tag}"' in self._lines[environment] or f":{tag}" in self._lines[environment]

    def _read(self, environment: str) -> str:
        if not self._in_git:
            return ""
        folder = f"environments/{environment}/dags"
        words = ["log", "--format=", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--", folder]
        done = subprocess.run(["git", "-C", str(self._root), *words], capture_output=True, check=False)
        lines = done.stdout.decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.startswith("+"))

    @cached_property
    def _in_git(self) -> bool:
        return any((folder / ".git").exists() for folder in (self._root, *self._root.parents))
