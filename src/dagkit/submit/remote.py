"""The DAG repository as git has it: a shallow clone for as long as a submission takes, and one push.

Nothing changes anywhere but by that push, which git carries out whole or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.git import git
from dagkit.submit.plan import Change


@dataclass(frozen=True)
class Clone:
    """A shallow clone of the DAG repository.

    Attributes:
        root: Its folder, which goes when the submission ends.
        url: Where it was cloned from.
        default: The name of the default branch.
        branch: The branch that the submission goes to.
        tip: The commit that the branch has there now; None where there is no such branch.
    """

    root: Path
    url: str
    default: str
    branch: str
    tip: str | None

    def files(self, ref: str, folder: str) -> dict[str, str]:
        """The text files below a folder, by their path, as a commit has them."""
        listed = git(self.root, "ls-tree", "-r", "-z", "--name-only", ref, "--", f"{folder}/").split("\0")
        return {path: git(self.root, "show", f"{ref}:{path}") for path in listed if path}

    def write(self, changes: Iterable[Change]) -> None:
        """Put the changes into the work tree, which is that of the default branch."""
        for change in changes:
            path = self.root / change.path
            if change.after is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(change.after, encoding="utf-8", newline="")

    def commit(self, message: str, author: Mapping[str, str]) -> str:
        """Commit the work tree on top of the default branch, and return the commit."""
        git(self.root, "add", "--all", env=author)
        git(self.root, "commit", "--quiet", "--no-verify", "--message", message, env=author)
        return git(self.root, "rev-parse", "HEAD").strip()

    def same_as_branch(self) -> bool:
        """Whether the branch has these very files already."""
        return self.tip is not None and not git(self.root, "diff", "--name-only", self.tip, "HEAD").strip()

    def push(self) -> None:
        """Make the commit the branch's, if the branch is still as it was.

        Raises:
            DagkitError: Refused, or the connection was lost: nothing has changed.
        """
        lease = f"--force-with-lease=refs/heads/{self.branch}:{self.tip or ''}"
        try:
            git(self.root, "push", "--quiet", lease, "origin", f"HEAD:refs/heads/{self.branch}")
        except DagkitError as error:
            fix = "Nothing was changed. Ask the data engineers whether you may push there."
            if "stale info" in error.what:
                fix = "Somebody pushed to that branch in the meantime, and nothing was changed: submit again."
            raise DagkitError(
                f"The DAG repository did not take the branch {self.branch}: {error.what}",
                where=self.url,
                fix=fix,
            ) from error


@contextmanager
def cloned(url: str, branch: str) -> Iterator[Clone]:
    """A shallow clone of the DAG repository, gone afterwards.

    Raises:
        DagkitError: It cannot be cloned: no such repository, no access, no network.
    """
    with tempfile.TemporaryDirectory(prefix="dagkit-submit-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "clone"
        try:
            # a URL, where git would take a path for a reason to clone everything
            source = Path(url).resolve().as_uri() if Path(url).is_dir() else url
            git(Path(folder), "clone", "--quiet", "--depth", "1", "--no-tags", "--", source, str(root))
        except DagkitError as error:
            raise DagkitError(
                f"The DAG repository cannot be cloned: {error.what}",
                where=url,
                fix="Check its address (dag_repository in .copier-answers.yml, or --to), your connection,"
                " and that you may read it.",
            ) from error
        default = git(root, "rev-parse", "--abbrev-ref", "HEAD").strip()
        found = git(root, "ls-remote", "--heads", "origin", f"refs/heads/{branch}").split()
        tip = found[0] if found else None
        if tip is not None:
            git(root, "fetch", "--quiet", "--depth", "1", "--no-tags", "origin", tip)
        yield Clone(root, url, default, branch, tip)
