"""Notebook 0: the ideas, whether Airflow is the right thing at all, and what this machine can do."""

from __future__ import annotations

import os

from dagkit.guide import show
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide, step
from dagkit.guide.work import working

WORDS = {"ok": "✓", "note": "!", "lack": "✗"}

MEANING = {
    "Python": "dagkit itself is written in Python, whatever your own code is written in.",
    "git": "Your pipeline is a git repository, and so is the place you submit it to.",
    "Docker": "It builds the image and runs it as the platform will.",
    "local runs": "The packages for running here: Airflow itself, and a local AWS.",
    "uv": "Installs your locked packages quickly, where there is no Docker.",
    "R": "Runs a pipeline in R where there is no Docker.",
    "R packages": "What your pipeline's lock file asks for.",
    "GitHub": "Opens the pull request for you.",
    "AWS": "Local runs use a local AWS; your own credentials stay out of them.",
    "disk": "Images and environments take up a few gigabytes.",
    "pipeline": "The pipeline that this guide works on.",
}
"""What each thing that the doctor looks at is for."""


class Steps(Guide):
    """The steps of notebook 0."""

    @step
    def questions(self) -> None:
        """Ask what the work is like; say whether Airflow fits, and what does if not."""
        from dagkit.guide import fitting

        fitting.ask()

    @step
    def doctor(self) -> None:
        """Look at this machine, and explain what was found."""
        from dagkit.doctor import examine

        pipeline = self.pipeline
        with working("Looking at this machine"):
            found = examine(pipeline.root if pipeline else self.folder)
        rows = []
        for finding in found.findings:
            seen = "\n".join(part for part in (finding.seen, finding.means) if part)
            if finding.fix:
                seen += f"\nwhat to do: {finding.fix}"
            rows.append((WORDS[finding.state], finding.name, seen, MEANING.get(finding.name, "")))
        show.table(("", "", "what was found", "what it is for"), rows, caption=found.machine)
        if found.engine:
            show.say("info", f"Pipelines run here with the engine {found.engine}", [("Why", found.why)])
        else:
            show.say("bad", "Pipelines cannot run here yet", [("Why", found.why)])


@check("0.machine", title="This machine can run a pipeline")
def _machine(here: Guide) -> Seen:
    from dagkit.doctor import examine

    pipeline = here.pipeline
    found = examine(pipeline.root if pipeline else here.folder)
    if found.ready:
        return Seen(f"{found.machine}, engine {found.engine}: {found.why}")
    lacking = [finding for finding in found.findings if finding.state == "lack"]
    saw = "; ".join(f"{finding.name}: {finding.seen}" for finding in lacking) or found.why
    fixes = [finding.fix for finding in lacking if finding.fix]
    raise NotYet(saw, todo=", then ".join(fixes) or "See the table above; then run this cell again.")


@check("0.folder", title="The guide is complete, and your progress can be kept here")
def _folder(here: Guide) -> Seen:
    missing = [chapter.file for chapter in CHAPTERS if not (here.folder / chapter.file).is_file()]
    if missing:
        raise NotYet(
            f"Notebooks are missing in {here.folder}: {', '.join(missing)}",
            todo=f"Put them back: dagkit guide {here.folder}",
        )
    if not os.access(here.folder, os.W_OK):
        raise NotYet(
            f"Nothing can be written in {here.folder}",
            todo="Copy the notebooks to a folder of your own: dagkit guide ~/dagkit-guide",
        )
    return Seen(f"{len(CHAPTERS)} notebooks in {here.folder}")
