"""Everything that can be found out about a repository, before anybody is asked anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dagkit import names
from dagkit.adopt import airflow, identity, image, obstacles, workflows
from dagkit.adopt.identity import OtherTemplate
from dagkit.adopt.image import Image
from dagkit.adopt.obstacles import Obstacle
from dagkit.adopt.tree import Fact, History, Sight, Tree
from dagkit.adopt.workflows import Workflow
from dagkit.errors import UsageError
from dagkit.git import git
from dagkit.platform import Platform

WORKFLOW, EVERYTHING = "workflow", "adopted"
"""The kinds of repository that the template makes of one that exists: only its workflow, or all there is."""

NEEDED = {
    WORKFLOW: ("repository", "dockerfile"),
    EVERYTHING: ("language", "repository", "dockerfile", "command", "project", "owner", "email"),
}
"""The questions whose defaults are nobody's answer."""

_PLATFORM = ("organisation", "ecr_account", "ecr_region", "push_role")


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        root: The repository's folder.
        kind: ``adopted``, or ``workflow`` for its workflow alone.
        tree: Its files.
        history: What git says.
        image: How its image is made.
        pushes: The workflow that pushes the image, and does nothing else; the template's takes its place.
        workflows: All its workflows.
        other: The answers file that is there, of another template.
        facts: The answers that were found, one for each question; the surest of each.
        also: Answers that were found and do not count, as something surer says otherwise.
        sights: What else was found.
        obstacles: What stands in the way, most important first.
    """

    root: Path
    kind: str
    tree: Tree
    history: History
    image: Image
    pushes: Workflow | None
    workflows: tuple[Workflow, ...]
    other: OtherTemplate | None
    facts: tuple[Fact, ...]
    also: tuple[Fact, ...]
    sights: tuple[Sight, ...]
    obstacles: tuple[Obstacle, ...]

    @property
    def answers(self) -> dict[str, str]:
        """The answers that were found."""
        return {fact.question: fact.value for fact in self.facts}

    def missing(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """The questions that have no answer yet, and whose default is nobody's."""
        known = self.answers | dict(given)
        return tuple(question for question in NEEDED[self.kind] if question not in known)


def survey(path: Path, *, kind: str = EVERYTHING, given: Mapping[str, str] | None = None) -> Survey:
    """Look at a repository; nothing is written.

    Args:
        path: The repository, or the folder in it that the image is made of.
        kind: ``adopted`` or ``workflow``.
        given: Answers that count more than what is found.

    Raises:
        UsageError: It is no git repository, has no commit, or was made from the template already.
    """
    if not path.is_dir():
        raise UsageError(
            "There is no such folder", where=str(path), fix="Go to the repository, and call it there."
        )
    root = Path(git(path, "rev-parse", "--show-toplevel").rstrip("\n"))
    folder = os.path.relpath(path.resolve(), root.resolve())
    given = dict(given or {})
    if not git(root, "rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1)).strip():
        raise UsageError(
            "The repository has no commit yet",
            where=str(root),
            fix='git add --all && git commit -m "My pipeline". (From nothing at all: dagkit new)',
        )
    other = _others_answers(root, kind)
    tree, history = Tree.of(root), History.of(root)
    found = workflows.look(tree)
    # with several, the one that does nothing else comes first, and is the one that is replaced
    pushing = sorted((each for each in found if each.pushing), key=lambda each: bool(each.others))
    first = pushing[0] if pushing else None
    pushes = first if first and not first.others else None
    own = other if other and other.answers.get("kind") == WORKFLOW else None
    made = image.look(tree, first, folder, given)
    platform = Platform()
    who, what = identity.look(tree, history, first, None if own else other, given)
    dags, seen = airflow.look(tree, platform.registry)
    recorded = (
        [Fact(q, str(v), own.path) for q, v in own.answers.items() if not q.startswith("_")] if own else []
    )
    facts, also = _surest([*recorded, *made.facts, *dags, *who], kind, platform)
    hinder = obstacles.look(tree, history, made, found, pushes.path if pushes else None)
    return Survey(
        root, kind, tree, history, made, pushes, found, None if own else other, facts, also,
        (*made.sights, *seen, *what), hinder,
    )  # fmt: skip


def _others_answers(root: Path, kind: str) -> OtherTemplate | None:
    """The answers file that is there, if it is not this template's.

    Raises:
        UsageError: It is this template's, and there is nothing left to bring in.
    """
    other = identity.answers_file(root)
    made = other.answers.get("kind") if other and "repository" in other.answers else None
    if other is None or made not in ("image", "dags", "airflow", EVERYTHING, WORKFLOW):
        return other
    if made == WORKFLOW and kind == EVERYTHING:
        return other
    raise UsageError(
        "The repository is the template's already" + (" (its workflow alone)" if made == WORKFLOW else ""),
        where=str(root / other.path),
        fix="Bring in the template's next version with: dagkit update",
    )


def _surest(found: list[Fact], kind: str, platform: Platform) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """One answer for each question that is asked, and the others that were found."""
    asked = {"repository", "image", "context", "dockerfile", "target", *_PLATFORM}
    if kind == EVERYTHING:
        asked |= {"language", "test_stage", "command", "dependabot", "release", "project", "pipeline"}
        asked |= {"owner", "email", "description", "schedule", "output"}
    usual = platform.model_dump()
    chosen: dict[str, Fact] = {}
    also = []
    for fact in found:
        # a setting of the platform that is as usual is no answer: it follows the template
        if fact.question not in asked or (fact.question in _PLATFORM and fact.value == usual[fact.question]):
            continue
        first = chosen.setdefault(fact.question, fact)
        if first.value != fact.value:
            also.append(fact)
    project, pipeline = chosen.get("project"), chosen.get("pipeline")
    if (
        pipeline
        and len(names.role("prod", project.value if project else "", pipeline.value)) > names.ROLE_MAX
    ):
        also.append(chosen.pop("pipeline"))
    return tuple(chosen.values()), tuple(also)
