"""What the guide's notebooks call. A cell is one readable line: the work is done by what the verbs call, too.

    from dagkit import guide
    here = guide.open(3, pipeline=pipeline)   # shows where the reader is; returns the notebook's handle
    here.run()                                # a step: a method of the notebook's class, marked @step
    here.check("run")                         # looks at the world; green or red, never an exception

A notebook is a module (`chapters.CHAPTERS` names it) with a class `Steps(Guide)` and its checks:

    class Steps(Guide):
        @step
        def run(self) -> None: …              # shows its result; a DagkitError becomes a red box

    @check("3.run", title="The run wrote its file")
    def _ran(here: Guide) -> Seen: …          # or raises NotYet("what is wrong", todo="what to do next")

Nothing lives in the kernel: a handle knows its notebook, and everything else is read again when asked for.
Outcomes of checks are kept in `<pipeline>/.dagkit/guide.json`; those of notebook 0, all of them until there
is a pipeline, and which pipeline this guide works on, in `.dagkit-guide.json` beside the notebooks.
"""

from __future__ import annotations

from pathlib import Path

from dagkit.guide.handle import Guide


def open(  # noqa: A001 - read as guide.open(3)
    number: int,
    *,
    pipeline: str | Path | None = None,
    engine: str | None = None,
    folder: str | Path | None = None,
) -> Guide:
    """Open a notebook of the guide: show where the reader is, and return what the cells call.

    Args:
        number: The notebook's, 0 to 5.
        pipeline: The pipeline's folder; None is the one that this guide works on already.
        engine: ``docker`` or ``process``; None takes what this machine has.
        folder: The folder of the notebooks; None is the current one, which Jupyter makes the notebook's.
    """
    from importlib import import_module

    from dagkit.guide.chapters import CHAPTERS

    chapter = CHAPTERS[number]
    steps: type[Guide] = import_module(f"dagkit.guide.{chapter.module}").Steps
    here = steps(chapter, Path(folder or "").resolve(), engine)
    here.begin(Path(pipeline) if pipeline else None)
    return here
