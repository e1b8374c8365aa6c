"""What a fleet's pull request says, to an analyst who did not ask for it today."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dagkit.deploy.markdown import code
from dagkit.fleet.members import TOPIC
from dagkit.fleet.work import BRANCH, Done
from dagkit.update.merge import Conflict

LONGEST = 65_000
"""Characters of a pull request's text; GitHub takes 65,536."""

_FILES = 60
_LINES = 30


def title(done: Done) -> str:
    """The pull request's title."""
    begin = "Settle what clashes, then update" if done.conflicts else "Update"
    return f"{begin} the template's files from {done.before} to {done.after}"


def marker(version: str) -> str:
    """What a pull request is known again by: the version that it offers."""
    return f"<!-- dagkit fleet: {version} -->"


def body(done: Done) -> str:
    """The pull request's text."""
    parts = [
        marker(done.after),
        f"This repository was made from a template. The template has moved on from {code(done.before)} to"
        f" {code(done.after)}, and this pull request brings what is new. What you changed stays.",
        *_conflicts(done),
        *_news(done),
        *_files(done),
        *_answers(done),
        *_how(done),
    ]
    text = "\n\n".join(parts) + "\n"
    if len(text) <= LONGEST:
        return text
    cut = "\n\n… and more, which GitHub does not take. All of it: `dagkit update --dry-run` in a clone.\n"
    return text[: LONGEST - len(cut)].rsplit("\n", 1)[0] + cut


def _conflicts(done: Done) -> Iterable[str]:
    if not done.conflicts:
        return
    yield "## What needs your decision"
    yield (
        "You and the template changed the same lines, and only you know which are right. So this is a"
        " **draft**: it cannot be merged until the lines between `<<<<<<<` and `>>>>>>>` are settled.\n\n"
        f"1. Open each file below on the branch {code(BRANCH)}: on this page under **Files changed**, or"
        f" `git fetch && git switch {BRANCH}`.\n"
        "2. Keep your lines, the template's, or some of both; remove the three marker lines.\n"
        "3. Commit, see that the tests pass, and press **Ready for review**."
    )
    yield from (_conflict(conflict) for conflict in done.conflicts)


def _conflict(conflict: Conflict) -> str:
    lines = [f"### {code(conflict.path)}"]
    if not conflict.hunks:
        lines.append(conflict.why)
    for hunk in conflict.hunks:
        lines += [f"Line {hunk.line}, yours:", _fenced(hunk.yours), "the template's:", _fenced(hunk.template)]
    return "\n\n".join(lines)


def _fenced(lines: Sequence[str]) -> str:
    shown = [*lines[:_LINES], *([f"… {len(lines) - _LINES} more lines"] if len(lines) > _LINES else [])]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *(shown or ["(nothing: removed)"]), fence])


def _news(done: Done) -> Iterable[str]:
    if done.news:
        yield "## What is new"
        yield "\n\n".join(f"### {news.version}\n\n{news.text}" for news in done.news)


def _files(done: Done) -> Iterable[str]:
    lines = []
    for change in done.changes[:_FILES]:
        moved = f" (was {code(change.before)})" if change.before else ""
        lines.append(f"- {code(change.path)}: {change.what}{moved}")
    if more := len(done.changes) - _FILES:
        lines += [f"- and {more} more"] if more > 0 else []
    lines += [
        f"- {code(kept.path)}: "
        + (
            "the template removes it; you changed it, so it stays"
            if kept.removed
            else "you removed it, so it stays away"
        )
        for kept in done.kept
    ]
    if lines:
        yield "## Which files change"
        yield "\n".join(lines)


def _answers(done: Done) -> Iterable[str]:
    if done.answers:
        yield "## Answers"
        yield "\n".join(
            f"- {code(answer.question)}: "
            + (
                f"{code(answer.after)} (new; the default)"
                if answer.before is None
                else f"{code(answer.before)} becomes {code(answer.after)}"
            )
            for answer in done.answers
        )


def _how(done: Done) -> Iterable[str]:
    yield "## How to try it, and how to say no"
    yield (
        f"`git fetch && git switch {BRANCH}`, then `dagkit build`, `dagkit test` and `dagkit run`. The"
        " workflows test it here, too.\n\n"
        f"Close it, and {code(done.after)} is not offered again; the version after it is. To get no more of"
        f" these, remove the topic {code(TOPIC)} from the repository."
    )
