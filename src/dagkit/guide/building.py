"""Notebook 2: the recipe, the image built of it, whether the cluster would run it, and the tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagkit import dockerfile, image_tests, names
from dagkit.errors import DagkitError
from dagkit.guide import show, workflows
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide, step
from dagkit.guide.work import Work, working
from dagkit.pipeline import Pipeline
from dagkit.text import human_size, shorten

if TYPE_CHECKING:
    from dagkit.image import BuildEvent, BuiltImage
    from dagkit.image_checks import Check

FINAL = "final"

INSTRUCTIONS = {
    "ARG": "a setting of the build",
    "FROM": "begins with this",
    "USER": "who does what follows; the last one is who runs the image",
    "ENV": "settings for everything that runs in it",
    "WORKDIR": "the folder in which what follows happens",
    "RUN": "runs a command, and keeps the files that it leaves",
    "COPY": "puts files of your repository into it",
    "ENTRYPOINT": "the program that it starts with",
}
"""What each instruction of a Dockerfile does."""

WHY = {
    "entry point": "Kubernetes stops a program by a signal; a shell in between would keep it back.",
    "not root": "The platform starts nothing that runs as root.",
    "starts": "A program that is not in the image, or lacks a package, would be noticed only in Airflow.",
    "any user id": "The platform chooses the user. Files that only one user may read are missing for others.",
    "read-only files": "Only /tmp is there to be written to; what is written is gone afterwards.",
    "no capabilities": "What root could do (change owners, open low ports) nobody can do in a pod.",
    "stops when asked": "A program that does not stop is killed, in the middle of what it writes.",
}
"""Why the cluster asks for what is checked."""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_COPY = re.compile(r"(?:COPY|ADD)\s+(?!.*--from=)(?:--\S+\s+)*(.+)", re.IGNORECASE)


class Steps(Guide):
    """The steps of notebook 2."""

    @step
    def recipe(self) -> None:
        """Show the stages of the Dockerfile, and what each instruction of the last one does."""
        pipeline = self.need()
        pipeline.require_image("no recipe to look at")
        final, tests = _recipe(pipeline, FINAL), _recipe(pipeline, image_tests.stage(pipeline))
        show.mermaid(stages((*final.steps, *tests.steps)))
        rows = []
        for each in final.steps:
            word = each.text.split(" ", 1)[0].upper()
            rows.append((str(each.line), shorten(each.text, 90), INSTRUCTIONS.get(word, "")))
        show.table(("line", "instruction", "what it does"), rows, caption=f"How {pipeline.image} is made")

    @step
    def build(self) -> None:
        """Build the image, and show its layers; without Docker, what GitHub will do instead."""
        pipeline = self.need()
        pipeline.require_image("no image to build")
        if self.engine != "docker":
            show.say("note", "Not built here: this needs Docker. GitHub builds it instead")
            workflows.explain(pipeline)
            return
        built = _build(pipeline, FINAL, "Building the image")
        base = sum(layer.size for layer in built.layers if layer.base)
        rows = [("the base image", base)] if base else []
        rows += [(layer.instruction, layer.size) for layer in built.layers if not layer.base]
        caption = f"{built.tag}: {human_size(built.size)} in {len(built.layers)} layers"
        show.bars(rows, caption=caption)

    @step
    def cluster(self) -> None:
        """Start the image as the cluster would, and explain what is looked at."""
        pipeline = self.need()
        pipeline.require_image("no image to check")
        if self.engine == "docker":
            with working("Starting the image as the cluster would"):
                found = _started(pipeline)
        else:
            found = read_only(pipeline)
            show.say("note", "Read, not tried: without Docker the image cannot be started here")
        rows = []
        for each in found:
            seen = each.seen if not each.fix else f"{each.seen}\nwhat to do: {each.fix}"
            rows.append((show.mark(each.passed), each.name, seen, WHY.get(each.name, "")))
        show.table(("", "check", "what was seen", "why it matters"), rows)

    @step
    def test(self) -> None:
        """Run the repository's own tests: in the image, or without Docker in a local environment."""
        pipeline = self.need()
        pipeline.require_image("no code to test")
        with working("Running the tests") as work:
            code, said = _tests(self, pipeline, work)
            work.title = "The tests passed" if code == 0 else "The tests failed"
            work.ok = code == 0
        if code:
            show.text("\n".join(said[-40:]), "what the tests said")


def stages(steps: Sequence[dockerfile.Step]) -> str:
    """The stages of a Dockerfile as a Mermaid picture: what is made from what."""
    lines = ["flowchart LR"]
    known: dict[str, str] = {}
    for each in sorted(set(steps), key=lambda step: step.line):
        if not (found := _FROM.match(each.text)):
            continue
        begins, name = found[1], (found[2] or f"stage {len(known)}")
        if begins.lower() not in known:
            known[begins.lower()] = f"s{len(known)}"
            lines.append(f'    {known[begins.lower()]}(["{show.label(_shown(begins))}"])')
        known[name.lower()] = f"s{len(known)}"
        lines.append(f'    {known[name.lower()]}["{show.label(name)}"]')
        lines.append(f"    {known[begins.lower()]} --> {known[name.lower()]}")
    return "\n".join(lines)


def _shown(image: str) -> str:
    return "the base image" if "$" in image else image


def _recipe(pipeline: Pipeline, stage: str) -> dockerfile.Dockerfile:
    return dockerfile.read(pipeline.dockerfile, pipeline.target if stage == FINAL else stage, {})


def _build(pipeline: Pipeline, stage: str, title: str) -> BuiltImage:
    from dagkit import image

    with working(title) as work:

        def happened(event: BuildEvent) -> None:
            share = (event.step - 1) / event.steps if event.steps else 0.0
            where = f"step {event.step} of {event.steps}"
            if event.text:
                work.say(f"  {event.text}", share=share)
            else:
                work.say(f"{where}: {event.instruction}{'  (cached)' if event.cached else ''}", share=share)

        built = image.build(pipeline, target=stage, on_event=happened)
        work.title = f"Built {built.tag}"
    return built


def _started(pipeline: Pipeline) -> tuple[Check, ...]:
    from docker.errors import ImageNotFound

    from dagkit.image_checks import check_image

    try:
        tag = names.local_image(pipeline.image)
        return check_image(tag, pipeline=names.dag_id(pipeline.project, pipeline.name))
    except ImageNotFound as error:
        raise _unbuilt(pipeline) from error


def _unbuilt(pipeline: Pipeline) -> DagkitError:
    return DagkitError(
        f"The image {names.local_image(pipeline.image)} is not on this machine",
        fix="Run the cell with here.build(), and then this one again.",
    )


def read_only(pipeline: Pipeline) -> tuple[Check, ...]:
    """What the Dockerfile alone tells about how the image will run; the rest is left open."""
    import json

    from dagkit.image_checks import RESTRICTIONS, Check, default_user, entry_point

    user, program = "", []
    for each in _recipe(pipeline, FINAL).layers:
        word, _, value = each.text.partition(" ")
        if word.upper() == "USER":
            user = value.strip()
        elif word.upper() in ("ENTRYPOINT", "CMD"):
            try:
                program = [str(part) for part in json.loads(value)]
            except ValueError:
                program = ["/bin/sh", "-c", value]
    needs = "not checked: it has to be started for that"
    return (
        entry_point(program, program)
        if program
        else Check("entry point", False, "none", 'End the Dockerfile with: ENTRYPOINT ["python", "run.py"]'),
        default_user(user),
        *(Check(name, None, needs) for name in ("starts", *(r.name for r in RESTRICTIONS))),
    )


def _tests(here: Guide, pipeline: Pipeline, work: Work) -> tuple[int, list[str]]:
    """Run the tests; the exit code, and what they printed."""
    printed = bytearray()

    def write(chunk: bytes) -> None:
        printed.extend(chunk)
        lines = _lines(printed)
        if lines:
            work.say(lines[-1], log=False)

    if here.engine == "docker":
        from dagkit import image

        work.say("building the image with the tests in it")
        built = image.build(pipeline, target=image_tests.stage(pipeline))
        code = image_tests.run_in_image(pipeline, built.tag, (), write)
    else:
        code = image_tests.run_in_environment(pipeline, (), work.say, write)
    said = _lines(printed)
    for line in said:
        work.say(line, headline=False)
    return code, said


def _lines(printed: bytes | bytearray) -> list[str]:
    text = _ANSI.sub("", printed.decode(errors="replace"))
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@check("2.image", title="The image can be built of what lies here")
def _image(here: Guide) -> Seen:
    pipeline = here.need()
    pipeline.require_image("no image to build")
    if here.engine != "docker":
        return _buildable(pipeline)

    from dagkit import image
    from dagkit.containers import docker_client

    client = docker_client()
    try:
        if not client.images.list(names.local_image(pipeline.image)):
            raise _unbuilt(pipeline)
    finally:
        client.close()
    # steps whose files have not changed are taken from before, so this is quick
    built = image.build(pipeline)
    return Seen(f"{built.tag}, {human_size(built.size)}, made of what lies in {pipeline.context}")


def _buildable(pipeline: Pipeline) -> Seen:
    """Whether what GitHub will build has all that its recipe asks for."""
    copied: set[str] = set()
    for stage in (FINAL, image_tests.stage(pipeline)):
        for each in _recipe(pipeline, stage).steps:
            if found := _COPY.match(each.text):
                copied.update(found[1].split()[:-1])
    missing = sorted(name for name in copied if not any(pipeline.context.glob(name.rstrip("/"))))
    if missing:
        raise NotYet(
            f"The Dockerfile copies what is not there: {', '.join(missing)}",
            todo=f"Put it back (git checkout -- {' '.join(missing)}), or correct the Dockerfile.",
        )
    known = [f"{path.name} ({len(workflows.steps(path))} steps)" for path in workflows.of(pipeline)]
    return Seen(
        f"Not built, as there is no Docker here. All that the Dockerfile copies is there ({len(copied)} files"
        f" and folders), and GitHub builds it: {', '.join(known)}"
    )


@check("2.cluster", title="The image keeps to what the cluster asks for")
def _cluster(here: Guide) -> Seen:
    pipeline = here.need()
    pipeline.require_image("no image to check")
    tried = here.engine == "docker"
    found = _started(pipeline) if tried else read_only(pipeline)
    failed = [each for each in found if each.passed is False]
    if failed:
        raise NotYet(
            "; ".join(f"{each.name}: {each.seen}" for each in failed),
            todo=" ".join(each.fix for each in failed if each.fix) or "See the table above.",
        )
    passed = [each.name for each in found if each.passed]
    left = [each.name for each in found if each.passed is None]
    seen = f"{'Started' if tried else 'Read'}, and well: {', '.join(passed)}"
    return Seen(f"{seen}. Not checked: {', '.join(left)}" if left else seen)


@check("2.tests", title="The tests pass")
def _tested(here: Guide) -> Seen:
    pipeline = here.need()
    pipeline.require_image("no code to test")
    with working("Running the tests once more") as work:
        code, said = _tests(here, pipeline, work)
        work.ok = code == 0
    where = "in the image" if here.engine == "docker" else "in a local environment, without Docker"
    summary = _summary(said)
    if code:
        raise NotYet(
            f"The tests failed {where}: {summary or f'exit code {code}'}",
            todo="Run the cell with here.test(): it shows what they said. Correct the code or the test.",
        )
    return Seen(f"They passed {where}. {summary}".strip())


def _summary(said: Sequence[str]) -> str:
    """How many tests there were, from the last lines of pytest or from those of testthat."""
    if (last := said[-1].strip(" =") if said else "") and re.search(r"\d+ (passed|failed|error)", last):
        return last
    # testthat writes a sign for each expectation, after the name of the file
    files = [found for line in said if (found := re.fullmatch(r"([\w-]+): ([.SW\d]+)", line))]
    return ", ".join(f"{found[1]}: {found[2].count('.')} expectations met" for found in files)
