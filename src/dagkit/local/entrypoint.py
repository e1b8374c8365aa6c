"""What a container of the repository's image would start, read from its Dockerfile."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from dagkit.errors import DagkitError


@dataclass(frozen=True)
class Start:
    """How an image starts.

    Attributes:
        entrypoint: The ENTRYPOINT.
        cmd: The CMD.
        env: The ENV, without PATH.
        workdir: The WORKDIR.
        copies: (source in the repository, target in the image) of each COPY from the repository.
        base_image: What the first stage starts from.
        path: The Dockerfile.
    """

    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: Mapping[str, str]
    workdir: str
    copies: tuple[tuple[str, str], ...]
    base_image: str
    path: str

    def argv(self, command: Sequence[str], args: Sequence[str]) -> tuple[str, ...]:
        """What runs, by Kubernetes' rules: a command replaces both, arguments replace the CMD.

        Raises:
            DagkitError: Nothing says what.
        """
        words = (*command, *args) if command else (*self.entrypoint, *(args or self.cmd))
        if not words:
            raise DagkitError(
                "The Dockerfile says not what to start",
                where=self.path,
                fix='Its last stage needs an ENTRYPOINT, such as ENTRYPOINT ["python", "scripts/run.py"].',
            )
        return words

    def here(self, word: str, root: Path) -> str:
        """A word of a command line with a path of the image turned into the repository's; else unchanged."""
        if not word.startswith("/"):
            return word
        for source, target in self.copies:
            for inside in (target, posixpath.join(target, posixpath.basename(source))):
                if word == inside or word.startswith(inside.rstrip("/") + "/"):
                    found = root / source / PurePosixPath(word).relative_to(inside)
                    if found.exists():
                        return str(found)
        return word


def read(path: Path, target: str = "") -> Start:
    """Read one stage of a Dockerfile, and the stages it is made from.

    Args:
        path: The Dockerfile.
        target: The stage's name; the last stage where none is called that.

    Raises:
        DagkitError: There is no such file, or it starts from no image.
    """
    from dockerfile_parse import DockerfileParser

    if not path.is_file():
        raise DagkitError(
            "The Dockerfile is missing",
            where=str(path),
            fix="Put it back from git (git checkout -- Dockerfile), or write one: dagkit new shows how.",
        )
    parser = DockerfileParser(fileobj=BytesIO(path.read_bytes()))
    stages = _stages(parser.structure)
    images: list[str] = parser.parent_images
    if not stages:
        raise DagkitError("The Dockerfile starts from no image", where=str(path), fix="It begins with FROM.")
    names = [_stage_name(stage[0]["value"]) for stage in stages]
    number = names.index(target.lower()) if target and target.lower() in names else len(stages) - 1
    chain = [number]
    while images[number].lower() in names[:number]:
        number = names.index(images[number].lower())
        chain.insert(0, number)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir = "/"
    copies: list[tuple[str, str]] = []
    for instruction in (i for number in chain for i in stages[number][1:]):
        kind, value = instruction["instruction"], instruction["value"]
        if kind == "ENTRYPOINT":
            entrypoint, cmd = _words(value), ()
        elif kind == "CMD":
            cmd = _words(value)
        elif kind == "ENV":
            env.update(_variables(value))
        elif kind == "WORKDIR":
            workdir = posixpath.join(workdir, value.strip().strip("\"'"))
        elif kind in ("COPY", "ADD"):
            copies += _copies(value, workdir)
    env.pop("PATH", None)
    return Start(entrypoint, cmd, env, workdir, tuple(copies), images[number], str(path))


def _stages(structure: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    stages: list[list[Mapping[str, Any]]] = []
    for instruction in structure:
        if instruction["instruction"] == "FROM":
            stages.append([instruction])
        elif stages and instruction["instruction"] != "COMMENT":
            stages[-1].append(instruction)
    return stages


def _stage_name(value: str) -> str:
    words = value.split()
    return words[-1].lower() if len(words) > 2 and words[-2].lower() == "as" else ""


def _words(value: str) -> tuple[str, ...]:
    """An ENTRYPOINT or CMD: a JSON list, or a line for the shell."""
    try:
        words = json.loads(value)
    except ValueError:
        words = None
    return tuple(map(str, words)) if isinstance(words, list) else ("/bin/sh", "-c", value)


def _variables(value: str) -> dict[str, str]:
    words = shlex.split(value)
    if words and "=" not in words[0]:
        name, _, rest = value.strip().partition(" ")
        return {name: rest.strip()}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _copies(value: str, workdir: str) -> list[tuple[str, str]]:
    flags = [word for word in value.split() if word.startswith("--")]
    if any(flag.startswith("--from") for flag in flags):
        return []
    rest = value
    for flag in flags:
        rest = rest.replace(flag, "", 1)
    words = _words(rest.strip()) if rest.strip().startswith("[") else tuple(rest.split())
    *sources, target = words
    inside = posixpath.normpath(posixpath.join(workdir, target))
    return [(posixpath.normpath(source), inside) for source in sources]
