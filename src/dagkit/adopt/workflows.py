"""The workflows of a repository: which one pushes the image to Amazon ECR, and with what."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from dagkit.adopt.tree import Tree

_ECR = re.compile(
    r"amazon-ecr-login|\.dkr\.ecr\.|\becr\s+get-login|ECR_REPO|ecr[-_]repo|\becr\b.*\.ya?ml@", re.IGNORECASE
)
_PUSH = re.compile(
    r"docker\s+(image\s+)?push\b|docker/build-push-action|buildx\s+build\b.*--push|--push\b|^\s*push:\s*true|kaniko"
    r"|uses:\s*\S+/\.github/workflows/\S*(ecr|push|image|docker)\S*\.ya?ml@",
    re.IGNORECASE | re.MULTILINE,
)
_NAMED = re.compile(
    r"(?i)^\s*(?:-\s*)?(?:export\s+)?(ecr[_-]?repo(?:sitory)?(?:[_-]?name)?|repo(?:sitory)?(?:[_-]name)?|image[_-]?(?:name|repository)?)"
    r"\s*[:=]\s*[\"']?([^\"'#\n]+?)[\"']?\s*(?:#.*)?$"
)
_IN_URI = re.compile(r"\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/([A-Za-z0-9._/-]+)")
_REGISTRY = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
_RETIRED = re.compile(r"\b(ubuntu-(?:16|18|20)\.04|macos-(?:10\.15|11|12|13)|windows-(?:2016|2019))\b")


@dataclass(frozen=True)
class Said:
    """A value that a workflow says, and its line."""

    value: str
    line: int


@dataclass(frozen=True)
class Workflow:
    """A workflow.

    Attributes:
        path: Its file.
        pushing: The jobs that push an image to ECR.
        others: The jobs that do not.
        image: The image's name in ECR.
        account: The AWS account of the registry.
        region: Its region.
        role: The ARN of the role it assumes.
        dockerfile: The Dockerfile that it builds.
        context: The folder that it builds from.
        target_stage: The stage that it builds.
        extras: What it does besides building and pushing, that the template's does not: (line, what).
        retired: Runners that GitHub has no more: (line, runner).
        triggers: What starts it, as in ``push``.
        problem: Why it cannot be read; None if it can.
    """

    path: str
    pushing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    image: Said | None = None
    account: Said | None = None
    region: Said | None = None
    role: Said | None = None
    dockerfile: Said | None = None
    context: Said | None = None
    target_stage: Said | None = None
    extras: tuple[Said, ...] = ()
    retired: tuple[Said, ...] = ()
    triggers: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def target(self) -> str | None:
        """The stage that it builds."""
        return self.target_stage.value if self.target_stage else None

    @property
    def line_of_target(self) -> int:
        """Where it says which stage it builds."""
        return self.target_stage.line if self.target_stage else 1


def look(tree: Tree) -> tuple[Workflow, ...]:
    """Every workflow of a repository."""
    paths = [path for path in tree.paths if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", path)]
    return tuple(_read(tree, path) for path in paths)


def _read(tree: Tree, path: str) -> Workflow:
    text = tree.text(path)
    lines = text.splitlines()
    retired = tuple(
        Said(match[1], number)
        for number, line in enumerate(lines, start=1)
        if (match := _RETIRED.search(line)) and not line.lstrip().startswith("#")
    )
    try:
        node = yaml.compose(text)
        jobs = dict(_jobs(node))
        triggers = _triggers(node)
    except yaml.YAMLError as error:
        return Workflow(path, retired=retired, problem=" ".join(str(error).split()))
    # what the workflow says for all its jobs counts for each
    common = "\n".join(
        line for n, line in enumerate(lines) if not any(first <= n < last for first, last in jobs.values())
    )
    pushing = tuple(
        name
        for name, (first, last) in jobs.items()
        if _PUSH.search(body := _uncommented(lines[first:last])) and _ECR.search(f"{common}\n{body}")
    )
    others = tuple(name for name in jobs if name not in pushing)
    if not pushing:
        return Workflow(path, others=others, retired=retired, triggers=triggers)
    spans = [jobs[name] for name in pushing]
    numbered = [
        (number, line)
        for number, line in enumerate(lines, start=1)
        if not line.lstrip().startswith("#")
        and (
            any(first < number <= last for first, last in spans)
            or not any(f < number <= e for f, e in jobs.values())
        )
    ]
    registry = _first(numbered, _REGISTRY.pattern)
    region = _first(
        numbered,
        r"(?i)(?:aws[-_](?:default[-_])?region|ecr[-_]region|region)\s*[:=]\s*[\"']?([a-z]{2}(?:-[a-z]+)+-\d)\b",
    )
    account = _first(numbered, r"(?i)(?:registries|account(?:[-_]id)?|registry)\s*[:=]\s*[\"']?(\d{12})\b")
    return Workflow(
        path,
        pushing,
        others,
        image=_image(numbered),
        account=registry or account,
        region=region
        or (Said(_REGISTRY.search(lines[registry.line - 1])[2], registry.line) if registry else None),  # type: ignore[index]
        role=_first(numbered, r"\b(arn:aws:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]+)"),
        dockerfile=_path(
            _first(numbered, r"^\s*(?:file|dockerfile)\s*:\s*[\"']?([^\"'#\s]+)")
            or _built(numbered, r"\s(?:-f|--file)[= ]([^\s\"']+)")
        ),
        context=_path(
            _first(numbered, r"^\s*(?:context|docker[_-]?context)\s*:\s*[\"']?([^\"'#\s]+)")
            or _built(numbered, r"\s([^\s\"'\\&|;-][^\s\"'\\&|;]*)\s*$")
        ),
        target_stage=_first(numbered, r"^\s*target\s*:\s*[\"']?([A-Za-z][\w.-]*)")
        or _built(numbered, r"\s--target[= ]([A-Za-z][\w.-]*)"),
        extras=tuple(_extras(numbered)),
        retired=retired,
        triggers=triggers,
    )


def _jobs(node: yaml.Node | None) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each job's name, and its lines (from 0, the last one excluded)."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "jobs" and isinstance(value, yaml.MappingNode):
                for name, job in value.value:
                    yield (
                        str(name.value),
                        (name.start_mark.line, job.end_mark.line + (job.end_mark.column > 0)),
                    )


def _triggers(node: yaml.Node | None) -> tuple[str, ...]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "on":
                if isinstance(value, yaml.MappingNode):
                    return tuple(str(name.value) for name, _ in value.value)
                if isinstance(value, yaml.SequenceNode):
                    return tuple(str(item.value) for item in value.value)
                return (str(value.value),)
    return ()


def _uncommented(lines: list[str]) -> str:
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _first(numbered: list[tuple[int, str]], pattern: str) -> Said | None:
    for number, line in numbered:
        if (match := re.search(pattern, line)) and "${{" not in match[1]:
            return Said(match[1], number)
    return None


def _built(numbered: list[tuple[int, str]], pattern: str) -> Said | None:
    """What a `docker build` says; a command may go on over several lines."""
    joined, began = "", 0
    for number, line in numbered:
        if not joined and not re.search(r"docker\s+(buildx\s+|image\s+)?build\b", line):
            continue
        began = began or number
        joined += " " + line.strip().rstrip("\\").rstrip()
        if not line.rstrip().endswith("\\"):
            match = re.search(pattern, joined)
            return Said(match[1], began) if match and not re.search(r"[${}]", match[1]) else None
    return None


def _path(said: Said | None) -> Said | None:
    """A path of the repository, written plainly; None for what is no path in it."""
    if said is None:
        return None
    path = posixpath.normpath(said.value.removeprefix("./"))
    return None if path.startswith(("..", "/")) or ":" in path else Said(path, said.line)


def _image(numbered: list[tuple[int, str]]) -> Said | None:
    """The image's name, as far as it is written down."""
    for number, line in numbered:
        if (match := _NAMED.match(line)) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", match[2].strip()):
            return Said(match[2].strip(), number)
    for number, line in numbered:
        if match := _IN_URI.search(line):
            return Said(match[1], number)
    return None


def _extras(numbered: list[tuple[int, str]]) -> Iterator[Said]:
    known = (
        (r"^\s*build-args\s*:|--build-arg\b", "gives the build arguments of its own"),
        (r"^\s*secrets\s*:\s*[|>]|^\s*secret-files\s*:|--secret\b", "gives the build secrets"),
        (r"^\s*platforms\s*:|--platform\b", "builds for a platform of its own"),
        (r"^\s*submodules\s*:\s*(true|recursive)", "checks out submodules"),
        (r"^\s*lfs\s*:\s*true", "fetches files from Git LFS"),
        (r"(?<![\w-]):latest\b", "tags the image as latest, too"),
    )
    for pattern, what in known:
        if found := next((number for number, line in numbered if re.search(pattern, line)), None):
            yield Said(what, found)
