"""Notebook 1: the questions, the repository made from the answers, its files, its names, its first commit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from dagkit import names, scaffold
from dagkit.errors import DagkitError, UsageError
from dagkit.git import git
from dagkit.guide import files, show
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.form import PERSONAL, Form
from dagkit.guide.handle import Guide, step
from dagkit.guide.questions import Questions
from dagkit.guide.work import working
from dagkit.pipeline import ANSWERS_FILE, Pipeline

FIXED = {"kind": "image"}
"""The guide makes a pipeline with an image of its own; `dagkit new` asks for the other kinds."""

COMMIT = "Start from the template"


class Steps(Guide):
    """The steps of notebook 1."""

    @step
    def form(self, answers: Mapping[str, Any] | None = None, *, folder: str | Path | None = None) -> None:
        """Ask the template's questions, and make the repository.

        Args:
            answers: The answers, where nobody is asked; a question without one gets its default.
            folder: The folder to make it in; None is beside the notebooks.
        """
        parent = self.folder / Path(folder).expanduser() if folder else beside(self.folder)
        if answers is not None:
            self._make_from(answers, parent)
            return
        if (pipeline := self.pipeline) is not None:
            show.say(
                "info",
                f"This guide works on {pipeline.project}.{pipeline.name}",
                [("", f"It is at {pipeline.root}. To make another, fill the form again.")],
            )
        try:
            import ipywidgets  # noqa: F401 - the form needs it
        except ImportError as error:
            raise DagkitError(
                "The form cannot be shown: ipywidgets is not installed",
                fix="Run the install cell above; or write the answers into the parameters cell.",
            ) from error
        form = Form(Questions.read(scaffold.source()), FIXED, parent, self._pressed)
        show.put(form.widget)

    def _pressed(self, answers: Mapping[str, Any], target: Path) -> str:
        """The button of the form: make it; what happened, as HTML."""
        return show.box("good", *self._make(answers, target))[0]

    def _make_from(self, answers: Mapping[str, Any], parent: Path) -> None:
        missing = [name for name in PERSONAL if not answers.get(name)]
        if missing:
            raise UsageError(
                f"The answers do not say: {', '.join(missing)}",
                where="the parameters cell of this notebook",
                fix='answers = {"repository": "my-pipeline", "owner": "octocat", "email": "…"}',
            )
        target = parent / str(answers.get("repository") or "my-pipeline")
        existing = self.pipeline
        if existing is not None and existing.root == target.resolve():
            show.say("good", f"{target.name} was made before", [("Where", str(existing.root))])
            return
        with working("Making the repository"):
            title, lines = self._make({**answers, **FIXED}, target)
        show.say("good", title, lines)

    def _make(self, answers: Mapping[str, Any], target: Path) -> tuple[str, list[tuple[str, str]]]:
        # Copier's remarks are for a terminal; in a notebook they would stand there in red
        with redirect_stderr(StringIO()):
            made = scaffold.new(target, scaffold.source(), data=answers, defaults=True)
        self.progress.remember(made.root)
        return f"Made {made.root.name}: {made.files} files", [
            ("Where", str(made.root.resolve())),
            ("Next", "run the cells below the form again: menu Run, Run Selected Cell and All Below"),
        ]

    @step
    def files(self) -> None:
        """Show the repository's files, each with a line about it."""
        pipeline = self.need()
        show.tree(pipeline.root, files.notes(pipeline))

    @step
    def names(self) -> None:
        """Show what the pipeline is called, and where."""
        pipeline = self.need()
        platform = pipeline.platform
        role = names.role("dev", pipeline.project, pipeline.name)
        show.table(
            ("in", "it is", "which is"),
            [
                ("GitHub", f"{platform.organisation}/{pipeline.repository}", "your repository"),
                (
                    "Amazon ECR",
                    names.image_uri(platform.ecr_account, platform.ecr_region, pipeline.repository, "v1.0.0"),
                    "the image of release v1.0.0",
                ),
                ("Airflow", names.dag_id(pipeline.project, pipeline.name), "the DAG"),
                ("IAM", role, "the role in dev; in prod it has prod in its name"),
                ("Kubernetes", names.service_account(role), "the service account that gives a pod the role"),
                ("S3", str(pipeline.answers.get("output", "")), "the folder that it may write to"),
            ],
        )

    @step
    def first_commit(self) -> None:
        """Make the folder a git repository, and keep what was generated as its first commit."""
        pipeline = self.need()
        root = pipeline.root
        if not (root / ".git").exists():
            git(root, "init", "--quiet", "--initial-branch", "main")
        if _committed(root):
            show.say(
                "good", "It was committed before", [("", git(root, "log", "-1", "--format=%h %s").strip())]
            )
            return
        identity = {"user.name": "Your Name", "user.email": str(pipeline.answers.get("email", ""))}
        unknown = [key for key in identity if not git(root, "config", "--default", "", key).strip()]
        if unknown:
            commands = [f"git config --global {key} {shlex.quote(identity[key])}" for key in unknown]
            raise DagkitError(
                f"git does not know who you are: {' and '.join(unknown)} not set",
                fix=f"Run this, with yours, in a cell, and then this one again: !{' && '.join(commands)}",
            )
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", COMMIT)
        show.say("good", "Committed", [("", git(root, "log", "-1", "--format=%h %an: %s").strip())])


def beside(folder: Path) -> Path:
    """Where a pipeline is made: beside the notebooks' folder, or beside the checkout that holds it."""
    checkout = next((f for f in (folder, *folder.parents) if (f / ".git").exists()), folder)
    parent = checkout.parent
    return parent if os.access(parent, os.W_OK) else Path.home()


def _committed(root: Path) -> bool:
    """Whether the answers file is in the repository's last commit."""
    try:
        return bool(git(root, "ls-tree", "HEAD", "--", ANSWERS_FILE).strip())
    except DagkitError:  # no commit yet
        return False


@check("1.created", title="Your repository is there, with all that belongs to it")
def _created(here: Guide) -> Seen:
    from dagkit import doctor

    pipeline = here.pipeline
    if pipeline is None:
        raise NotYet("Nothing was made yet", todo="Fill the form above, and press Create.")
    found, _ = doctor.pipeline(pipeline.root)
    if found.state != "ok":
        raise NotYet(
            found.seen, todo=found.fix or "Put the missing files back, or make the repository again."
        )
    missing = [name for name in files.needed(pipeline) if not (pipeline.root / name).exists()]
    if missing:
        raise NotYet(
            f"Missing in {pipeline.root}: {', '.join(missing)}",
            todo=f"Put it back from git: git checkout -- {' '.join(missing)}",
        )
    return Seen(f"{found.seen}, at {pipeline.root}")


@check("1.committed", title="It is a git repository, and what was made is committed")
def _in_git(here: Guide) -> Seen:
    pipeline: Pipeline = here.need()
    root = pipeline.root
    if not (root / ".git").exists():
        raise NotYet(f"{root} is no git repository yet", todo="Run the cell with here.first_commit()")
    if not _committed(root):
        raise NotYet(
            "There is no commit with the generated files", todo="Run the cell with here.first_commit()"
        )
    count = git(root, "rev-list", "--count", "HEAD").strip()
    last = git(root, "log", "-1", "--format=%h %s").strip()
    return Seen(f"{count} {'commits' if count != '1' else 'commit'}, the last: {last}")
