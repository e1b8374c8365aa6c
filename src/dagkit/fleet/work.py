"""One repository, in a process of its own: its update planned in a shallow clone, its branch pushed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.fleet.members import canonical
from dagkit.git import git
from dagkit.pipeline import ANSWERS_FILE
from dagkit.update import Plan, Recorded, planned
from dagkit.update.merge import Change, Conflict, Kept
from dagkit.update.plan import Answer
from dagkit.update.template import News, Template

BRANCH = "dagkit/update"
"""The branch of a fleet's pull request, whatever the version: so there is never a second one."""

_TRAILER = "Dagkit-Tree"


@dataclass(frozen=True)
class Job:
    """What to do with a repository.

    Attributes:
        address: What git clones.
        cache: The folder of all clones.
        template: The template, fetched.
        version: The version to go to; None is the newest release.
        push: Push the branch; otherwise only plan.
        env: Environment variables for git: credentials.
        clean: Push no conflicts: the branch is under review, and could be merged.
        merged: A commit of the branch that is merged, so that the branch may begin anew.
    """

    address: str
    cache: Path
    template: Template
    version: str | None
    push: bool
    env: Mapping[str, str]
    clean: bool = False
    merged: str | None = None


@dataclass(frozen=True)
class Done:
    """What came of it.

    Attributes:
        base: The default branch.
        src: The template's address, as the repository has it.
        before: The template's version that it is at.
        after: The version that the update goes to.
        changes: Files that are different afterwards.
        conflicts: What needs a decision.
        kept: What one side removed and the other changed.
        answers: Answers that are new or different.
        news: What the changelog says of the versions passed.
        branch: `new`, `updated`, `same`; `theirs` with somebody else's work on it, `clash` where conflicts
            are not to be pushed: both left alone; None where there is nothing to push.
    """

    base: str
    src: str
    before: str
    after: str
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    kept: tuple[Kept, ...] = ()
    answers: tuple[Answer, ...] = ()
    news: tuple[News, ...] = ()
    branch: str | None = None


def begin(environment: Mapping[str, str]) -> None:
    """Get a process ready: the conductor alone is interrupted, and where it dies, so does this."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    if parent := parent_process():
        wait([parent.sentinel])
        os._exit(1)


def carry_out(job: Job) -> Done:
    """Plan the update of a repository, and push it.

    Raises:
        DagkitError: It cannot be cloned, read, planned or pushed.
    """
    root, base, tip = _clone(job)
    recorded = Recorded.load(root)
    with planned(root, version=job.version, template=job.template) as plan:
        branch = None
        if job.push and plan.tree is not None and plan.lab is not None:
            branch = _push(job, plan, root, tip)
        return Done(
            base,
            recorded.src,
            plan.before,
            plan.after,
            plan.changes,
            plan.conflicts,
            plan.kept,
            plan.answers,
            plan.news,
            branch,
        )


def read(job: Job) -> str | None:
    """The answers file of a repository; None where it has none, or no commit."""
    try:
        root, _, _ = _clone(job)
    except EmptyError:
        return None
    path = root / ANSWERS_FILE
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


class EmptyError(DagkitError):
    """A repository without a commit."""


def _clone(job: Job) -> tuple[Path, str, str | None]:
    """A clone of the last commit, with its answers file alone written out; its branch; the update's tip."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(canonical(job.address)).name) or "repository"
    root = job.cache / sha256(canonical(job.address).encode()).hexdigest()[:16] / name
    try:
        return _fetched(job, root)
    except EmptyError:
        raise
    except DagkitError:
        if not root.exists():
            raise
        shutil.rmtree(root)  # cut off while it was made, perhaps
        return _fetched(job, root)


def _fetched(job: Job, root: Path) -> tuple[Path, str, str | None]:
    said = _network(
        job, job.cache, "ls-remote", "--symref", "--", job.address, "HEAD", f"refs/heads/{BRANCH}"
    )
    head = re.search(r"^ref: refs/heads/(.+)\tHEAD$", said, re.MULTILINE)
    if head is None or not re.search(r"^[0-9a-f]+\tHEAD$", said, re.MULTILINE):
        raise EmptyError("It has no commit on its default branch", where=job.address)
    tip = re.search(rf"^([0-9a-f]+)\trefs/heads/{BRANCH}$", said, re.MULTILINE)
    if not (root / ".git" / "HEAD").exists():
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "--quiet", "--template=")
    ours = [f"+refs/heads/{head[1]}:refs/dagkit/base"]
    if tip:
        ours.append(f"+refs/heads/{BRANCH}:refs/dagkit/update")
    _network(
        job,
        root,
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-auto-maintenance",
        "--",
        job.address,
        *ours,
    )
    commit = git(root, "rev-parse", "refs/dagkit/base").strip()
    git(root, "update-ref", "--no-deref", "HEAD", commit)
    answers = root / ANSWERS_FILE
    answers.unlink(missing_ok=True)
    if git(root, "ls-tree", "--name-only", "HEAD", "--", ANSWERS_FILE).strip():
        text = git(root, "show", f"HEAD:{ANSWERS_FILE}")
        answers.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    return root, head[1], tip[1] if tip else None


def _push(job: Job, plan: Plan, root: Path, tip: str | None) -> str:
    """Make the plan the branch's one commit, unless it is that already, or somebody else's work is on it."""
    assert plan.lab is not None and plan.tree is not None  # noqa: S101 - the caller has seen to it
    if tip is not None and tip != job.merged:
        theirs = git(root, "cat-file", "commit", tip)
        head, _, message = theirs.partition("\n\n")
        tree = re.findall(r"^tree (\w+)$", head, re.MULTILINE)
        if re.findall(rf"^{_TRAILER}: (\w+)$", message, re.MULTILINE) != tree:
            return "theirs"
        if tree == [plan.tree] and re.findall(r"^parent (\w+)$", head, re.MULTILINE) == [plan.head]:
            return "same"
    if job.clean and plan.conflicts:
        return "clash"
    with suppress(FileNotFoundError):
        # the commit's parent has no parents here
        shutil.copy(root / ".git" / "shallow", plan.lab / "shallow")
    message = f"{plan.title}\n\n{_TRAILER}: {plan.tree}\n"
    identity = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))
    }
    commit = git(plan.lab, "commit-tree", plan.tree, "-p", plan.head, "-m", message, env=identity).strip()
    lease = f"--force-with-lease=refs/heads/{BRANCH}:{tip or ''}"
    _network(job, plan.lab, "push", lease, "--", job.address, f"{commit}:refs/heads/{BRANCH}")
    return "updated" if tip else "new"


def _network(job: Job, root: Path, *words: str) -> str:
    """Git with the network: with credentials, and not for ever."""
    patience = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "60"}
    try:
        return git(root, *words, env={**patience, **job.env})
    except DagkitError as error:
        doing, fix = "It cannot be read", "See that it is there, and that you may read it: gh auth status"
        if words[0] == "push":
            doing = "It does not take the branch"
            fix = "The token needs contents: write and, as updates change workflows, workflows: write."
        said = error.what.partition(" failed: ")[2]
        raise DagkitError(f"{doing}: {_reason(said)}", where=job.address, fix=fix) from error


def _reason(said: str) -> str:
    """The one line of what git says that has the reason."""
    refused = re.search(r"^ ! \[.*\] .* \((.*)\)$", said, re.MULTILINE)
    if refused and not refused[1].endswith("hook declined"):
        return refused[1]
    lines = re.findall(r"^(?:remote|fatal):\s*(?:error: )?(\S.*?)\s*$", said, re.MULTILINE)
    return str(lines[0] if lines else (said.splitlines() or ["git does not say why"])[-1])
