"""What a notebook's cells call: the notebook, the pipeline, the engine, and its checks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from dagkit.errors import DagkitError, UsageError
from dagkit.guide import checks, show
from dagkit.guide.chapters import CHAPTERS, Chapter
from dagkit.guide.progress import Progress
from dagkit.names import closest
from dagkit.pipeline import Pipeline

ENGINES = ("docker", "process")
_BANNER = "dagkit-banner-{}"

P = ParamSpec("P")
G = TypeVar("G", bound="Guide")


class Interrupted(KeyboardInterrupt):
    """An interrupt that has been answered: Jupyter shows this one line instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return ["Stopped. Nothing is left running; run the cell again when you like."]


def step(method: Callable[Concatenate[G, P], None]) -> Callable[Concatenate[G, P], None]:
    """A step of a notebook: what a person can put right is shown as a box, and the notebook goes on."""

    @functools.wraps(method)
    def wrapped(self: G, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except DagkitError as error:
            show.problem(error)
        except KeyboardInterrupt:
            # it has to stay an error: Run All then leaves out the cells that follow
            raise Interrupted from None

    return wrapped


@dataclass(frozen=True)
class Guide:
    """One notebook, opened. Its steps are the methods of a subclass.

    Attributes:
        chapter: Which notebook.
        folder: The folder of the notebooks.
        asked_engine: The engine that was asked for.
    """

    chapter: Chapter
    folder: Path
    asked_engine: str | None = None

    @property
    def progress(self) -> Progress:
        """What is kept on the disk."""
        return Progress(self.folder)

    @property
    def pipeline(self) -> Pipeline | None:
        """The pipeline that this guide works on, as it is on the disk now.

        Raises:
            UsageError: Its answers file cannot be read.
        """
        root = self.progress.pipeline
        return Pipeline.load(root) if root else None

    def need(self) -> Pipeline:
        """The pipeline.

        Raises:
            UsageError: There is none yet, or its answers file cannot be read.
        """
        pipeline = self.pipeline
        if pipeline is None:
            raise UsageError(
                "There is no pipeline to work on yet",
                fix=f"Make one with {CHAPTERS[1].file}, or name the folder of yours in this notebook's"
                ' parameters cell: pipeline = "../my-pipeline"',
            )
        return pipeline

    @property
    def language(self) -> str:
        """``python`` or ``r``: the pipeline's; ``python`` before there is one."""
        pipeline = self.pipeline
        return pipeline.language if pipeline else "python"

    @property
    def engine(self) -> str:
        """``docker`` or ``process``: what was asked for, else what this machine has.

        Raises:
            UsageError: There is no such engine.
        """
        from dagkit.containers import engine_available

        if self.asked_engine is None:
            return "docker" if engine_available() else "process"
        if self.asked_engine not in ENGINES:
            raise UsageError(
                f"There is no engine '{self.asked_engine}'{closest(self.asked_engine, ENGINES)}",
                where="the parameters cell of this notebook",
                fix="Write 'docker', 'process', or None for what this machine has.",
            )
        return self.asked_engine

    @step
    def begin(self, pipeline: Path | None) -> None:
        """Show where the reader is; work on ``pipeline`` if one is named."""
        if pipeline is not None:
            root = Pipeline.load((self.folder / pipeline.expanduser()).resolve()).root
            if root != self.progress.pipeline:
                self.progress.remember(root)
        show.banner(self._where(), identity=_BANNER.format(self.chapter.number))

    def check(self, name: str) -> None:
        """Make one of this notebook's checks, show what it came to, and keep it."""
        known = checks.all_checks()
        full = f"{self.chapter.number}.{name}"
        if full not in known:
            mine = [key.partition(".")[2] for key in known if key.startswith(f"{self.chapter.number}.")]
            show.problem(
                UsageError(
                    f"This notebook has no check '{name}'{closest(name, mine)}",
                    fix=f"Its checks: {', '.join(mine)}",
                )
            )
            return
        try:
            outcome = checks.look(known[full], self)
        except KeyboardInterrupt:
            raise Interrupted from None
        show.outcome(full, known[full].title, outcome)
        try:
            self.progress.record(full, outcome)
        except DagkitError as error:
            show.problem(error)
        show.banner(self._where(), identity=_BANNER.format(self.chapter.number), update=True)

    @step
    def done(self) -> None:
        """Show what of this notebook is done, and where it goes on."""
        outcomes = self.progress.outcomes()
        rows = []
        for check in checks.all_checks().values():
            if check.notebook == self.chapter.number:
                outcome = outcomes.get(check.name)
                mark = show.mark(outcome.ok if outcome else None)
                rows.append((mark, check.title, outcome.saw if outcome else "not checked yet"))
        show.table(("", "check", "what it saw"), rows)
        following = CHAPTERS[self.chapter.number + 1 : self.chapter.number + 2]
        if following:
            show.next_notebook(following[0])

    def _where(self) -> show.Where:
        """Where the reader is in the whole."""
        outcomes = self.progress.outcomes()
        marks: list[show.Place] = []
        every = checks.all_checks().values()
        for chapter in CHAPTERS:
            names = [check.name for check in every if check.notebook == chapter.number]
            made = [outcomes[name].ok for name in names if name in outcomes]
            marks.append(show.Place(chapter, sum(made), len(names), red=not all(made)))
        return show.Where(tuple(marks), self.chapter.number, self._subject())

    def _subject(self) -> str:
        """What this guide works on, and with what, in a line."""
        try:
            pipeline = self.pipeline
            engine = "Docker" if self.engine == "docker" else "processes, without Docker"
        except DagkitError as error:
            return error.what
        if pipeline is None:
            return f"No pipeline yet: notebook 1 makes one. Engine: {engine}."
        shown = "R" if pipeline.language == "r" else "Python"
        name = f"{pipeline.project}.{pipeline.name}"
        return f"Your pipeline: {name}, in {shown}, at {pipeline.root}. Engine: {engine}."
