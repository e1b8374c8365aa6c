"""Bring the template's files in: as one commit, made beside the repository, on a branch of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dagkit.adopt.plan import BRANCH, Plan
from dagkit.errors import UsageError
from dagkit.git import author, git
from dagkit.update.state import check_ready, exists, uncommitted


@dataclass(frozen=True)
class Brought:
    """A repository that was adopted.

    Attributes:
        branch: The branch that is checked out now.
        origin: The branch that it began on; nothing on it is changed.
        commit: The one commit.
    """

    branch: str
    origin: str
    commit: str


def check(root: Path) -> str:
    """See that the repository is ready; return the branch that is checked out.

    Raises:
        UsageError: There is work not committed, something of git is under way, or the branch is there.
    """
    origin = check_ready(root)
    if files := uncommitted(root):
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        raise UsageError(
            f"There is work that is not committed: {shown}",
            where=str(root),
            fix="Commit it (git add --all && git commit), or put it aside: git stash --include-untracked",
        )
    if exists(root, f"refs/heads/{BRANCH}"):
        raise UsageError(
            f"There is a branch {BRANCH} already, of an earlier call",
            where=str(root),
            fix=f"See what is on it: git log -p {BRANCH}. To begin again: git branch -D {BRANCH}",
        )
    author(root)
    return origin


def way_back(origin: str) -> str:
    """The command that goes back to how it was, from every moment of it."""
    return f"git switch --force {origin}"


def bring(plan: Plan, *, begun: Callable[[str], None] | None = None) -> Brought:
    """Bring it in. Whenever it is cut off, `way_back` leaves the repository as it was.

    Args:
        plan: What to bring in.
        begun: Called with the branch that is checked out, before anything is written.

    Raises:
        UsageError: The repository is not ready for it; what to do first.
        DagkitError: git could not; its words.
    """
    root = plan.survey.root
    origin = check(root)
    if begun:
        begun(origin)
    head = git(root, "rev-parse", "HEAD").strip()
    both, commit = _commit(plan, head)
    git(root, "update-ref", f"refs/heads/{BRANCH}", commit, "")
    # the index first: of what it names, `git switch --force` takes away what does not belong where it goes,
    # however little of it was written
    git(root, "read-tree", "-m", head, both)
    git(root, "switch", "--quiet", "--force", "--no-guess", BRANCH)
    return Brought(BRANCH, origin, commit)


def _commit(plan: Plan, head: str) -> tuple[str, str]:
    """Make the commit, in an index of its own; and a tree that has old files and new ones together."""
    root = plan.survey.root
    with TemporaryDirectory(prefix="dagkit-adopt-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", head, env=index)
        for before, after in plan.moved:  # its old name is that of a file that comes in
            mode, blob, _ = git(root, "ls-files", "--stage", "--", before, env=index).split(None, 2)
            git(root, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{after}", env=index)
        for number, file in enumerate(plan.files):
            written = Path(folder) / str(number)
            written.write_bytes(file.content)
            blob = git(root, "hash-object", "-w", "--no-filters", str(written)).strip()
            mode = "100755" if file.executable else "100644"
            git(root, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{file.path}", env=index)
        both = git(root, "write-tree", env=index).strip()
        for path in plan.removed:
            git(root, "update-index", "--force-remove", "--", path, env=index)
        tree = git(root, "write-tree", env=index).strip()
    words = ("commit-tree", tree, "-p", head, "-m", message(plan))
    return both, git(root, *words, env=author(root)).strip()


def message(plan: Plan) -> str:
    """The commit's message."""
    version = f" ({plan.version})" if plan.version else ""
    lines = [f"- new: {file.path}" for file in plan.files if not file.replaces]
    lines += [f"- replaced: {file.path}" for file in plan.files if file.replaces]
    lines += [f"- removed, as image-release.yml takes its place: {path}" for path in plan.removed]
    lines += [f"- moved: {before} to {after}" for before, after in plan.moved]
    return f"Adopt the template of dagkit{version}\n\n" + "\n".join(lines) + "\n"
