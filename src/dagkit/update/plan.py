"""What an update would do; nothing in the repository is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dagkit.errors import DagkitError, UsageError
from dagkit.git import author, git
from dagkit.update.merge import Change, Conflict, Kept, Lab
from dagkit.update.recorded import Recorded
from dagkit.update.render import render
from dagkit.update.template import News, Template, fetched

OLDEST_GIT = (2, 38)


@dataclass(frozen=True)
class Answer:
    """An answer that the update adds or changes.

    Attributes:
        question: The question.
        before: What was recorded; None if nothing was.
        after: What will be; None if it is asked no more.
    """

    question: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Plan:
    """What an update would do.

    Attributes:
        root: The folder that the template made; ``top``, or a folder in it.
        top: The git repository.
        src: The template's address.
        before: The template's version that it is at.
        after: The version it would be at.
        branch: The branch that the update would be on.
        head: The commit it was planned for.
        changes: What is different afterwards, file by file; with conflicts among them.
        conflicts: What needs a decision.
        kept: What one side removed and the other changed: it stays as the analyst has it.
        answers: Answers that are new or different.
        news: What the changelog says of the versions passed, newest first.
        change: The commit of the template's own change, in ``lab``; None if there is nothing to update.
        tree: The files that come of it, conflicts with their markers; it is in ``lab``, too.
        lab: Where they are, for as long as the plan is.
    """

    root: Path
    top: Path
    src: str
    before: str
    after: str
    branch: str
    head: str
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    kept: tuple[Kept, ...] = ()
    answers: tuple[Answer, ...] = ()
    news: tuple[News, ...] = ()
    change: str | None = field(default=None, repr=False)
    tree: str | None = field(default=None, repr=False)
    lab: Path | None = field(default=None, repr=False)

    @property
    def nothing(self) -> bool:
        """Whether the repository is as the template wants it already."""
        return self.change is None

    @property
    def title(self) -> str:
        """What it is called: the subject of its commit."""
        if self.before == self.after:
            return f"Update the template's files with other answers ({self.after})"
        return f"Update the template's files from {self.before} to {self.after}"


@contextmanager
def planned(
    path: Path,
    *,
    version: str | None = None,
    data: Mapping[str, Any] | None = None,
    ask: bool = False,
    template: Template | None = None,
) -> Iterator[Plan]:
    """Plan the update of a repository, as its last commit has it.

    Args:
        path: The repository, or a folder in it.
        version: A version of the template; None is the newest release.
        data: Answers, to new questions or instead of the recorded ones.
        ask: Ask new questions at the terminal; otherwise they get their defaults.
        template: The template, if it is fetched already: for many repositories, once is enough.

    Raises:
        UsageError: It is not a git repository with a commit, was not made from a template, or cannot go to
            that version; or an answer is refused.
        DagkitError: The template cannot be fetched, or no longer has the version that this was made from.
    """
    recorded = Recorded.load(path)
    top = repository(recorded.root)
    with ExitStack() as stack:
        template = template or stack.enter_context(fetched(recorded.src))
        ref = _next(template, recorded, version)
        same = template.commit(recorded.commit) == template.commit(ref)
        plan = Plan(
            recorded.root,
            top,
            recorded.src,
            recorded.commit,
            template.described(ref),
            f"dagkit/{'answers' if same else 'update'}-{template.described(ref)}",
            git(top, "rev-parse", "HEAD").strip(),
        )
        if same and not data:
            yield plan
            return
        folder = Path(
            stack.enter_context(TemporaryDirectory(prefix="dagkit-update-", ignore_cleanup_errors=True))
        )
        yield _compared(plan, recorded, template, ref, folder, data or {}, ask=ask)


def _compared(
    plan: Plan,
    recorded: Recorded,
    template: Template,
    ref: str,
    folder: Path,
    data: Mapping[str, Any],
    *,
    ask: bool,
) -> Plan:
    """Render both versions, and merge their difference with the repository."""
    inside = recorded.root.relative_to(plan.top)
    old, new = (folder / side / plan.top.name for side in ("old", "new"))
    settings = [template.settings(recorded.commit), template.settings(ref)]
    after = render(template, ref, recorded, new / inside, data=data, ask=ask, leave=settings[1:])
    before = render(template, recorded.commit, recorded, old / inside, data={}, ask=False, leave=settings)
    lab = Lab(folder / "lab.git", plan.top, author(plan.top))
    base = lab.commit(lab.tree(old), f"The template's files at {plan.before}")
    change = lab.commit(lab.tree(new), f"{plan.title}\n", base)
    if lab.changes(base, change) == ():
        return plan
    mine = lab.commit(f"{plan.head}^{{tree}}", "The repository's files", base)
    merged = lab.merge(mine, change)
    return Plan(
        **{
            **plan.__dict__,
            "changes": merged.changes,
            "conflicts": merged.conflicts,
            "kept": merged.kept,
            "answers": _answers(recorded.answers, before.answers, after.answers),
            "news": template.news(plan.before, plan.after) if plan.before != plan.after else (),
            "change": change,
            "tree": merged.tree,
            "lab": lab.folder,
        }
    )


def repository(root: Path) -> Path:
    """The git repository that a folder lies in.

    Raises:
        UsageError: There is none, or it has no commit yet; or git is too old.
    """
    said = git(root, "--version").split()[2].split(".")
    if tuple(int(part) for part in said[:2]) < OLDEST_GIT:
        raise UsageError(
            f"git {'.'.join(said)} is too old to try a merge beside your files",
            fix=f"Install git {'.'.join(map(str, OLDEST_GIT))} or newer.",
        )
    begin = 'git init && git add --all && git commit -m "Start from the template"'
    try:
        top = Path(git(root, "rev-parse", "--show-toplevel").rstrip("\n"))
    except UsageError as error:
        raise UsageError(
            "It is not a git repository, so there would be no way back", where=str(root), fix=begin
        ) from error
    if git(top, "rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1)) == "":
        raise UsageError(
            "There is no commit yet, so there would be no way back",
            where=str(top),
            fix=begin.removeprefix("git init && "),
        )
    return top


def _next(template: Template, recorded: Recorded, version: str | None) -> str:
    """The version to go to.

    Raises:
        UsageError: There is no such version, or it is older.
        DagkitError: The recorded version is gone.
    """
    if template.commit(recorded.commit) is None:
        raise DagkitError(
            f"The template no longer has the version that this was made from: {recorded.commit}",
            where=recorded.src,
            fix="If its tags were moved, write the nearest into _commit in .copier-answers.yml, commit it,"
            f" and try again: {', '.join(reversed(template.versions[-5:])) or 'it has none'}.",
        )
    ref = template.ref(version)
    if not template.is_ancestor(recorded.commit, ref) and template.is_ancestor(ref, recorded.commit):
        if version is None:
            return recorded.commit  # made from a state that is newer than the newest release
        raise UsageError(
            f"It is at {recorded.commit} already, which is newer than {ref}",
            where=str(recorded.root),
            fix="Updates only go forward. To go back to a commit of your own: git revert",
        )
    return ref


def _answers(
    recorded: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[Answer, ...]:
    return tuple(
        Answer(key, recorded.get(key), after.get(key))
        for key in sorted({*recorded, *before, *after})
        if not key.startswith("_") and recorded.get(key) != after.get(key)
    )
