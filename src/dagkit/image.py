"""Build an image repository's image, step by step."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from dagkit import dockerfile, names
from dagkit.containers import docker_client, engine_available
from dagkit.errors import DagkitError
from dagkit.image_hints import hint_for
from dagkit.pipeline import Pipeline

if TYPE_CHECKING:
    import docker

__all__ = ["BuildEvent", "BuiltImage", "Layer", "build", "docker_client", "engine_available"]

CRAN_OVERRIDE = "RENV_CONFIG_REPOS_OVERRIDE"
"""renv's own variable for another package repository: a build gets it, where the Dockerfile asks for it."""

LAST_LINES = 15
"""Lines of a failing step's output that its error shows."""

# The name that the part of the Dockerfile which the target needs has in the build's context.
_PLAN = ".dagkit.Dockerfile"

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_COPIED = re.compile(r"^(COPY|ADD) (?:--\S+ )*\w+:[0-9a-f]+ in ")


@dataclass(frozen=True)
class BuildEvent:
    """Something that happened in a build.

    Attributes:
        step: The number of the step, from 1; 0 before the first.
        steps: How many there are.
        instruction: The step's instruction, on one line.
        text: A line of the step's output; empty when the step begins.
        cached: The step's result was there from an earlier build.
    """

    step: int
    steps: int
    instruction: str
    text: str = ""
    cached: bool = False


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    Attributes:
        size: Bytes.
        instruction: What made it.
        base: Whether it came with the base image.
    """

    size: int
    instruction: str
    base: bool


@dataclass(frozen=True)
class BuiltImage:
    """An image on this machine.

    Attributes:
        tag: ``<repository>:local``.
        id: ``sha256:…``.
        size: Bytes, all layers together.
        layers: From the base image up; those without content are left out.
        seconds: How long the build took.
    """

    tag: str
    id: str
    size: int
    layers: tuple[Layer, ...]
    seconds: float


def build(
    pipeline: Pipeline,
    *,
    target: str = "final",
    base_image: str | None = None,
    no_cache: bool = False,
    on_event: Callable[[BuildEvent], None] | None = None,
) -> BuiltImage:
    """Build one stage of the repository's Dockerfile with this machine's engine.

    Args:
        pipeline: The image repository.
        target: The stage; ``test`` is tagged apart.
        base_image: Instead of the Dockerfile's BASE_IMAGE; None takes DAGKIT_BASE_IMAGE, if that is set.
        no_cache: Run every step again.
        on_event: Called for each step, and for each line of its output.

    Raises:
        DagkitError: No engine; or a step failed, with its instruction, its line, and the last lines it wrote.
    """
    started = time.monotonic()
    base_image = base_image or os.environ.get("DAGKIT_BASE_IMAGE") or None
    arguments = {dockerfile.BASE_IMAGE: base_image} if base_image else {}
    path = pipeline.dockerfile
    asks = path.is_file() and f"ARG {CRAN_OVERRIDE}" in path.read_text(encoding="utf-8")
    if asks and (cran := os.environ.get(CRAN_OVERRIDE)):
        arguments[CRAN_OVERRIDE] = cran
    plan = dockerfile.read(path, pipeline.target if target == "final" else target, arguments)
    tag = names.local_image(pipeline.image, target)
    if not pipeline.context.is_dir():
        raise DagkitError(
            "The folder that the image is built from is missing",
            where=str(pipeline.context),
            fix="Put it back from git, or name another: copier update -d context=…",
        )
    # one beside the Dockerfile, with its name, comes before the folder's
    own = path.with_name(f"{path.name}.dockerignore")
    ignore = own if own.is_file() else pipeline.context / ".dockerignore"
    patterns = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    client = docker_client()

    from docker.errors import APIError
    from docker.utils import build as context_tools

    try:
        with TemporaryFile() as context:
            context_tools.tar(
                pipeline.context,
                # what runs left here is never part of an image
                exclude=[*(p.strip() for p in patterns if p.strip() and not p.startswith("#")), ".dagkit"],
                dockerfile=(_PLAN, plan.text),
                fileobj=context,
            )
            # no time limit: an installation may be silent for minutes
            stream = client.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=_PLAN,
                target=plan.target,
                tag=tag,
                buildargs=dict(arguments),
                nocache=no_cache,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=None,
            )
            _follow(stream, plan, pipeline, on_event or (lambda _: None))
        return _inspect(client, tag, plan, time.monotonic() - started)
    except APIError as error:
        raise _failed(error.explanation or str(error), None, (), pipeline) from error
    except OSError as error:
        raise DagkitError(
            f"The build stopped: {error}",
            where=str(pipeline.context),
            fix="See that Docker still runs, and that every file here can be read: dagkit doctor",
        ) from error
    finally:
        client.close()


def _inspect(
    client: docker.DockerClient, tag: str, plan: dockerfile.Dockerfile, seconds: float
) -> BuiltImage:
    """The image that a build left, layer by layer."""
    from docker.errors import ImageNotFound

    image = client.images.get(tag)
    history: list[dict[str, Any]] = image.history()[::-1]
    try:
        from_base = len(client.images.get(plan.base_image).history())
    except ImageNotFound:
        from_base = 0
    said = [_instruction(entry["CreatedBy"]) for entry in history]
    # where each layer is one instruction, the Dockerfile says it better than "COPY file:3139aa in ./"
    if len(said) == from_base + len(plan.layers):
        said[from_base:] = [step.text for step in plan.layers]
    layers = tuple(
        Layer(entry["Size"], said[number], base=number < from_base)
        for number, entry in enumerate(history)
        if entry["Size"]
    )
    return BuiltImage(tag, str(image.id), image.attrs["Size"], layers, seconds)


def _instruction(created_by: str) -> str:
    """What made a layer, as its Dockerfile says it."""
    text = re.sub(r"^\|\d+ (\S+=\S* )*", "", created_by.strip())
    text = text.removesuffix("# buildkit").strip()
    if text.startswith("/bin/sh -c #(nop)"):
        return _COPIED.sub(r"\1 to ", " ".join(text.removeprefix("/bin/sh -c #(nop)").split()))
    text = text.removeprefix("RUN ").removeprefix("/bin/sh -c ")
    keyword = text.split(" ", 1)[0]
    return " ".join((text if keyword in ("COPY", "ADD", "WORKDIR") else f"RUN {text}").split())


def _follow(
    stream: Iterator[dict[str, Any]],
    plan: dockerfile.Dockerfile,
    pipeline: Pipeline,
    on_event: Callable[[BuildEvent], None],
) -> None:
    number, total = 0, len(plan.steps)
    instruction, step = "", None
    output: list[str] = []
    rest = ""
    for message in stream:
        if "error" in message:
            output += [rest.rstrip()] if rest.strip() else []
            raise _failed(message["error"], step, tuple(output[-LAST_LINES:]), pipeline)
        # a message may end within a line
        text = _pulling(message)
        if "stream" in message:
            text, _, rest = (rest + message["stream"]).rpartition("\n")
        lines = _COLOUR.sub("", text).splitlines()
        for line in (line.rstrip() for line in lines if line.strip()):
            if begun := _STEP.match(line):
                number, total = int(begun[1]), int(begun[2])
                step = plan.steps[number - 1] if number <= len(plan.steps) else None
                instruction = step.text if step else begun[3]
                output = []
                on_event(BuildEvent(number, total, instruction))
            elif line.strip() == "---> Using cache":
                on_event(BuildEvent(number, total, instruction, cached=True))
            elif not line.startswith(
                (" --->", "Removing intermediate", "Successfully built ", "Successfully tagged ")
            ):
                output.append(line)
                on_event(BuildEvent(number, total, instruction, line.strip()))


def _pulling(message: dict[str, Any]) -> str:
    """The progress of pulling the base image, as a line."""
    status = message.get("status")
    if not status:
        return ""
    return " ".join(str(part) for part in (message.get("id"), status, message.get("progress")) if part)


def _failed(
    message: str, step: dockerfile.Step | None, output: tuple[str, ...], pipeline: Pipeline
) -> DagkitError:
    """The error of a build, with what is known about errors like it."""
    message = " ".join(message.split())
    hint = hint_for("\n".join((*output, message)))
    path = str(pipeline.dockerfile)
    shown = "".join(f"\n  | {line}" for line in output)
    if step is None:
        line = re.search(r"line (\d+)", message)
        return DagkitError(
            f"The image cannot be built: {message}{shown}",
            where=f"{path}:{line[1]}" if line else path,
            fix=hint or "Read the message above, correct the Dockerfile, and build again.",
        )
    if code := re.search(r"returned a non-zero code: (\d+)", message):
        message = f"exit code {code[1]}"
    if step.text.startswith("FROM "):
        return DagkitError(
            f"The image that it is built on cannot be had: {message}", where=f"{path}:{step.line}", fix=hint
        )
    return DagkitError(
        f"A step of the build failed ({message}): {step.text}{shown}",
        where=f"{path}:{step.line}",
        fix=hint or "The lines above are the step's own. Correct what they say, and build again.",
    )
