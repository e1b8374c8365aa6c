"""A Dockerfile: its stages, its steps as the engine counts them, and the part of it that one target needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from dagkit import names
from dagkit.errors import DagkitError, UsageError

BASE_IMAGE = "BASE_IMAGE"

_FROM = re.compile(r"(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_COPIED_FROM = re.compile(r"--from=(\S+)")


@dataclass(frozen=True)
class Step:
    """One instruction, as a build counts it.

    Attributes:
        line: Its line in the Dockerfile, from 1.
        text: The instruction on one line.
    """

    line: int
    text: str


@dataclass(frozen=True)
class Stage:
    """One stage: ``FROM`` and what follows.

    Attributes:
        name: Its name in lower case, or its number where it has none.
        image: What it starts from: an image or an earlier stage, build arguments filled in.
        needs: The stages that it is made from, directly.
        first: Its first line, from 0.
        last: The line after its last, from 0.
    """

    name: str
    image: str
    needs: frozenset[str]
    first: int
    last: int


@dataclass(frozen=True)
class Dockerfile:
    """What a build of one target reads.

    Attributes:
        text: The Dockerfile, with the lines of stages that the target does not need left empty.
        target: The stage to stop at; None is the last one.
        steps: The instructions, in the order of the build.
        layers: Those of them that the target's image is made of, from the base image up.
        base_image: The image that the target begins with.
    """

    text: str
    target: str | None
    steps: tuple[Step, ...]
    layers: tuple[Step, ...]
    base_image: str


def read(path: Path, target: str, arguments: Mapping[str, str]) -> Dockerfile:
    """The part of a Dockerfile that ``target`` needs.

    The classic builder runs every stage above its target, needed or not; BuildKit does not, and nor do we.

    Args:
        path: The Dockerfile.
        target: A stage's name. ``final`` is the last stage where no stage is called that.
        arguments: Build arguments; each must be declared.

    Raises:
        DagkitError: There is no such file, or it has no stage at all.
        UsageError: There is no such stage, or no such build argument.
    """
    from dockerfile_parse import DockerfileParser

    if not path.is_file():
        raise DagkitError(
            "The Dockerfile is missing",
            where=str(path),
            fix="Put it back from git (git checkout -- Dockerfile), or write one: dagkit new shows how.",
        )
    text = path.read_text(encoding="utf-8")
    parser = DockerfileParser(fileobj=BytesIO(text.encode()), build_args=dict(arguments))
    structure = [entry for entry in parser.structure if entry["instruction"] != "COMMENT"]
    declared = {
        part.partition("=")[0] for e in structure if e["instruction"] == "ARG" for part in e["value"].split()
    }
    for name in arguments:
        if name not in declared:
            raise UsageError(
                f"The Dockerfile takes no build argument {name}",
                where=str(path),
                fix=f"Begin it with: ARG {name}=python:3.13-slim, and use it: FROM ${{{name}}} AS base",
            )
    stages = _stages(structure, parser.parent_images, text.count("\n") + 1)
    if not stages:
        raise DagkitError(
            "The Dockerfile starts from no image",
            where=str(path),
            fix="Its first instruction, after any ARG, is FROM and an image.",
        )
    by_name = {stage.name: stage for stage in stages}
    if target.lower() in by_name:
        goal, stop = by_name[target.lower()], target
    elif target == "final":
        goal, stop = stages[-1], None
    else:
        raise UsageError(
            f"The Dockerfile has no stage '{target}'{names.closest(target, by_name)}",
            where=str(path),
            fix=f"Its stages: {', '.join(by_name)}. A stage begins with: FROM base AS {target}",
        )
    needed = _needed(goal, by_name)
    # a stage named by number moves when another is left out
    if any(name.isdigit() for stage in stages for name in stage.needs):
        needed = frozenset(by_name)
    unneeded = {n for stage in stages if stage.name not in needed for n in range(stage.first, stage.last)}
    kept = "".join(
        "\n" if number in unneeded else line for number, line in enumerate(text.splitlines(keepends=True))
    )
    steps = tuple(
        Step(e["startline"] + 1, " ".join(f"{e['instruction']} {e['value']}".split()))
        for e in structure
        if e["startline"] not in unneeded
    )
    chain = [goal]
    while (below := by_name.get(chain[0].image.lower())) and below not in chain:
        chain.insert(0, below)
    layers = tuple(step for stage in chain for step in steps if stage.first + 1 < step.line <= stage.last)
    return Dockerfile(kept, stop, steps, layers, chain[0].image)


def _stages(structure: list[dict[str, Any]], images: list[str], end: int) -> list[Stage]:
    starts = [n for n, entry in enumerate(structure) if entry["instruction"] == "FROM"]
    stages: list[Stage] = []
    for number, start in enumerate(starts):
        following = starts[number + 1] if number + 1 < len(starts) else len(structure)
        match = _FROM.match(structure[start]["value"].strip())
        image = images[number] if len(images) == len(starts) else match["image"] if match else ""
        copied = (
            name
            for entry in structure[start:following]
            if entry["instruction"] in ("COPY", "ADD", "RUN")
            for name in _COPIED_FROM.findall(entry["value"])
        )
        stages.append(
            Stage(
                name=(match["name"] if match and match["name"] else str(number)).lower(),
                image=image,
                needs=frozenset(name.lower() for name in (image, *copied)),
                first=structure[start]["startline"],
                last=structure[following]["startline"] if following < len(structure) else end,
            )
        )
    return stages


def _needed(goal: Stage, by_name: Mapping[str, Stage]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [goal.name]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in found:
            found.add(name)
            waiting.extend(by_name[name].needs)
    return frozenset(found)
