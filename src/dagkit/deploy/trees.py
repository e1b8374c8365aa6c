"""Two states of a DAG repository side by side: the base of a pull request, and its head."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagkit.dagrepo import SETTINGS_FILE, DagRepository
from dagkit.deploy.git import commit
from dagkit.errors import DagkitError
from dagkit.git import git


@dataclass(frozen=True)
class Trees:
    """The files of two commits, each in a folder of its own that is removed afterwards.

    Attributes:
        base: The commit that base and head have in common.
        head: The commit under review.
        before: Folder with the files of `base`.
        after: Folder with the files of `head`.
        changed: Paths that differ, sorted, with `/`; a renamed file is one removed and one added.
    """

    base: str
    head: str
    before: Path
    after: Path
    changed: tuple[str, ...]

    def repository(self, root: Path) -> DagRepository | None:
        """The DAG repository in one of the folders; None where it was none yet."""
        return DagRepository.load(root) if (root / SETTINGS_FILE).is_file() else None


@contextmanager
def extracted(root: Path, base_ref: str, head_ref: str) -> Iterator[Trees]:
    """Take the files of two commits out of git, without touching the working tree. Nothing of them is run.

    Args:
        root: A clone.
        base_ref: What the pull request goes into, as in `origin/main`.
        head_ref: The pull request, as in `HEAD`.

    Raises:
        UsageError: A ref is not there.
        DagkitError: They have no commit in common here.
    """
    base_commit, head = commit(root, base_ref), commit(root, head_ref)
    try:
        base = git(root, "merge-base", base_commit, head).strip()
    except DagkitError as error:
        raise DagkitError(
            f"'{base_ref}' and '{head_ref}' have no commit in common in this clone",
            where=str(root),
            fix="Fetch the whole history: git fetch --unshallow (in a workflow: fetch-depth: 0).",
        ) from error
    listed = git(root, "diff", "--name-only", "--no-renames", "-z", base, head)
    with tempfile.TemporaryDirectory(prefix="dagkit-review-") as folder:
        before, after = Path(folder).resolve() / "before", Path(folder).resolve() / "after"
        _extract(root, base, before)
        _extract(root, head, after)
        yield Trees(base, head, before, after, tuple(sorted(filter(None, listed.split("\0")))))


def _extract(root: Path, revision: str, target: Path) -> None:
    # not `git archive`: a pull request could hide files from that with .gitattributes.
    # Links come as plain files, so that none leads out of the folder.
    target.mkdir()
    environment = {**os.environ, "GIT_INDEX_FILE": f"{target}.index"}
    for words in (["read-tree", revision], ["checkout-index", "--all", f"--prefix={target}/"]):
        done = subprocess.run(
            ["git", "-C", str(root), "-c", "core.symlinks=false", *words],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise DagkitError(f"git could not take out {revision}: {done.stderr.strip()}", where=str(root))
