"""How a repository's image is made: Dockerfile, the folder it is built from, what it starts, its packages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from dagkit import dockerfile as dockerfiles
from dagkit import names
from dagkit.adopt.tree import Fact, Sight, Tree, join, parent
from dagkit.adopt.workflows import Workflow
from dagkit.errors import DagkitError, UsageError
from dagkit.local import entrypoint

_DOCKERFILE = (r"(?i:(dockerfile|containerfile)([.-][\w.-]+)?)", r"(?i:[\w.-]+\.dockerfile)")
_NOT_ONE = re.compile(r"(?i)\.dockerignore$|\.(md|jinja2?|j2|tmpl|template)$")
_ELSEWHERE = re.compile(r"(?i)(^|/)(\.devcontainer|\.github|node_modules|docs?|examples?|packrat|renv)/")
_R_IMAGE = re.compile(
    r"(?i)(^|[/-])(r-ver|r-base|rocker|rstudio|shiny|tidyverse|verse|r-minimal|rhel-r)([:/@-]|$)|airflow-r-base|/r-"
)
_PYTHON_IMAGE = re.compile(r"(?i)(python|conda|mamba|pypy|jupyter|airflow-python-base|uv:)")
_TESTS = re.compile(r"(^|/)(tests?|airflow)/|(^|/)test_")
_READS = re.compile(r"(?:os\.environ(?:\.get)?\s*[\[(]|getenv\()\s*[\"']([A-Z][A-Z0-9_]{1,60})[\"']")
_PATH_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*"
PLAIN_PATH = rf"{_PATH_WORD}(/{_PATH_WORD})*"

PACKAGES = {
    "python": ("requirements.txt", "Pipfile", "poetry.lock", "uv.lock", "environment.yml", "environment.yaml",
               "conda.yml", "conda.yaml", "pyproject.toml", "setup.py", "setup.cfg"),
    "r": ("renv.lock", "packrat/packrat.lock", "DESCRIPTION", "install.R", "environment.yml",
          "environment.yaml"),
}  # fmt: skip
"""Where each language's packages are listed, the surest first."""

_CONDA = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml")


@dataclass(frozen=True)
class Image:
    """How the image is made.

    Attributes:
        dockerfile: The Dockerfile; None if it is not known which one, or there is none.
        candidates: Every Dockerfile there is.
        context: The folder it is built from.
        stage: The stage that is the image: its steps; None if the Dockerfile cannot be read.
        start: What it starts; None if it says nothing.
        language: ``python`` or ``r``; None if nothing tells.
        packages: The files that list the packages, that of the image first.
        facts: The answers.
        sights: What else was seen.
        problem: Why the Dockerfile cannot be read; None if it can.
    """

    dockerfile: str | None
    candidates: tuple[str, ...]
    context: str
    stage: dockerfiles.Dockerfile | None
    start: entrypoint.Start | None
    language: str | None
    packages: tuple[str, ...]
    facts: tuple[Fact, ...]
    sights: tuple[Sight, ...]
    problem: DagkitError | None = None


def look(tree: Tree, pushes: Workflow | None, folder: str, given: dict[str, str]) -> Image:
    """Find out how the image is made.

    Args:
        tree: The repository.
        pushes: The workflow that pushes the image, if there is one.
        folder: The folder that adopt was called for.
        given: Answers that count more than what is found.

    Raises:
        UsageError: The Dockerfile that was given is not there, but others are.
    """
    candidates = tuple(
        path for path in tree.named(*_DOCKERFILE) if not _NOT_ONE.search(path) and not _ELSEWHERE.search(path)
    )
    if candidates and (said := given.get("dockerfile")) and not tree.has(said):
        raise UsageError(
            f"There is no Dockerfile '{said}' in the repository{names.closest(said, candidates)}",
            where=str(tree.root),
            fix=f"Its Dockerfiles: {', '.join(candidates)}",
        )
    chosen, where = _choose(tree, candidates, pushes, folder, given)
    facts: list[Fact] = []
    sights: list[Sight] = []
    context, context_where = "." if chosen is None else parent(chosen), ""
    if chosen is not None:
        context, context_where = _context(tree, chosen, pushes, given)
        facts += [Fact("dockerfile", chosen, where), Fact("context", context, context_where)]
        if others := [path for path in candidates if path != chosen]:
            sights.append(
                Sight(
                    "other Dockerfiles",
                    ", ".join(others),
                    f"another one is taken with: -d dockerfile={others[0]}",
                )
            )
    stage, start, problem = None, None, None
    if chosen is not None and tree.has(chosen):
        target = given.get("target") or (pushes.target if pushes and pushes.target else "final")
        stage, start, problem = _read(tree, chosen, target)
        facts += _stages(tree, chosen, pushes)
    language, language_where = _language(tree, chosen, stage, start, context)
    if language:
        facts.append(Fact("language", language, language_where))
    packages = _packages(tree, given.get("language") or language, context, stage)
    sights += [Sight("packages", path.rpartition("/")[2], path) for path in packages]
    if start is not None and stage is not None:
        facts.append(Fact("command", "", _line_of_start(stage, chosen or "")))
        sights.append(
            Sight(
                "entry point",
                shlex.join((*start.entrypoint, *start.cmd)),
                _line_of_start(stage, chosen or ""),
            )
        )
    sights += _variables(tree, context)
    facts.append(_dependabot(tree, packages, context))
    return Image(
        chosen, candidates, context, stage, start, language, packages, tuple(facts), tuple(sights), problem
    )


def _choose(
    tree: Tree, candidates: tuple[str, ...], pushes: Workflow | None, folder: str, given: dict[str, str]
) -> tuple[str | None, str]:
    """The Dockerfile, and what says that it is this one."""
    if said := given.get("dockerfile"):
        return said, "as you said"
    if pushes and pushes.dockerfile and tree.has(pushes.dockerfile.value):
        return pushes.dockerfile.value, f"{pushes.path}:{pushes.dockerfile.line}"
    for base in dict.fromkeys(
        (given.get("context", ""), pushes.context.value if pushes and pushes.context else "")
    ):
        if base and tree.has(join(base, "Dockerfile")):
            at = "as you said" if base == given.get("context") else f"{pushes.path}" if pushes else ""
            return join(base, "Dockerfile"), at
    near = [path for path in candidates if folder == "." or path.startswith(f"{folder}/")]
    if folder == "." and pushes and tree.has("Dockerfile"):
        return "Dockerfile", f"{pushes.path} builds it"
    if len(near) == 1 and re.fullmatch(PLAIN_PATH, near[0]):
        return near[0], near[0]
    if join(folder, "Dockerfile") in near:
        return join(folder, "Dockerfile"), join(folder, "Dockerfile")
    return None, ""


def _context(tree: Tree, chosen: str, pushes: Workflow | None, given: dict[str, str]) -> tuple[str, str]:
    """The folder that a Dockerfile is built from: as the workflow says, or where what it copies lies."""
    if said := given.get("context"):
        return said, "as you said"
    if pushes and pushes.context:
        return pushes.context.value, f"{pushes.path}:{pushes.context.line}"
    beside = parent(chosen)
    copied = [
        (number, source)
        for number, line in tree.lines(chosen)
        if (match := re.match(r"(?i)\s*(?:COPY|ADD)\s+(?!.*--from)((?:--\S+\s+)*)(.+)$", line))
        and "[" not in line
        for source in match[2].split()[:-1]
        if "*" not in source and "$" not in source and source not in (".", "./")
    ]

    def there(folder: str) -> int:
        return sum((tree.root / folder / source).exists() for _, source in copied)

    if beside != "." and copied and there(".") > there(beside):
        return ".", f"{chosen}:{copied[0][0]}"
    return beside, chosen


def _read(
    tree: Tree, chosen: str, target: str
) -> tuple[dockerfiles.Dockerfile | None, entrypoint.Start | None, DagkitError | None]:
    path = tree.root / chosen
    try:
        stage = dockerfiles.read(path, target, {})
    except DagkitError as error:
        if target == "final":
            return None, None, error
        return _read(tree, chosen, "final")
    except ValueError as error:
        return None, None, DagkitError(f"The Dockerfile cannot be read: {error}", where=str(path))
    try:
        start = entrypoint.read(path, target)
    except (DagkitError, ValueError):
        return stage, None, None
    return stage, start if start.entrypoint or start.cmd else None, None


def _stages(tree: Tree, chosen: str, pushes: Workflow | None) -> Iterator[Fact]:
    stages: dict[str, int] = {}
    for number, line in tree.lines(chosen):
        if match := re.match(r"(?i)\s*FROM\s+.*\sAS\s+([A-Za-z][\w.-]*)\s*$", line):
            stages[match[1].lower()] = number
    if pushes and pushes.target and pushes.target.lower() in stages:
        yield Fact("target", pushes.target, f"{pushes.path}:{pushes.line_of_target}")
    elif "final" in stages:
        yield Fact("target", "final", f"{chosen}:{stages['final']}")
    else:
        yield Fact("target", "", chosen)
    test = next((name for name in ("test", "tests", "testing") if name in stages), "")
    yield Fact("test_stage", test, f"{chosen}:{stages[test]}" if test else chosen)


def _language(
    tree: Tree,
    chosen: str | None,
    stage: dockerfiles.Dockerfile | None,
    start: entrypoint.Start | None,
    context: str,
) -> tuple[str | None, str]:
    """The language of the code: of what is started, of the base image, or of most of the files."""
    if start is not None and stage is not None and chosen:
        words = " ".join((*start.entrypoint, *start.cmd))
        for language, pattern in (
            ("r", r"\bRscript\b|(?:^|[\s/])R(?:\s|$)|\.[rR]\b"),
            ("python", r"\bpython[\d.]*\b|\.py\b"),
        ):
            if re.search(pattern, words):
                return language, _line_of_start(stage, chosen)
    if stage is not None and chosen:
        line = tree.first(chosen, r"(?i)^\s*(ARG\s+BASE_IMAGE|FROM)\b")
        at = f"{chosen}:{line[0] if line else 1}"
        if _R_IMAGE.search(stage.base_image):
            return "r", at
        if _PYTHON_IMAGE.search(stage.base_image):
            return "python", at
    files = [path for path in tree.below(context) if not _ELSEWHERE.search(path)]
    counts = {
        "r": [path for path in files if re.search(r"\.[rR](md)?$|(^|/)(renv|packrat)\.lock$", path)],
        "python": [path for path in files if re.search(r"\.py$|(^|/)(requirements.*\.txt|Pipfile)$", path)],
    }
    most = max(counts, key=lambda language: len(counts[language]))
    other = "python" if most == "r" else "r"
    if len(counts[most]) > len(counts[other]):
        return most, f"{counts[most][0]}" + (
            f" and {len(counts[most]) - 1} more" if len(counts[most]) > 1 else ""
        )
    return None, ""


def _packages(
    tree: Tree, language: str | None, context: str, stage: dockerfiles.Dockerfile | None
) -> tuple[str, ...]:
    """The files that list the packages; those that the Dockerfile reads come first."""
    steps = " ".join(step.text for step in stage.layers) if stage else ""
    found = [
        path
        for name in PACKAGES.get(language or "", (*PACKAGES["python"], *PACKAGES["r"]))
        for path in dict.fromkeys((join(context, name), name))
        if tree.has(path) and _lists_packages(tree, path)
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda path: path.rpartition("/")[2] not in steps))


def _lists_packages(tree: Tree, path: str) -> bool:
    name = path.rpartition("/")[2]
    if name in ("pyproject.toml", "setup.cfg"):  # which may hold the settings of tools alone
        return bool(re.search(r"(?m)^\[(project|tool\.poetry)\b|^install_requires", tree.text(path)))
    return True


def _variables(tree: Tree, context: str) -> Iterator[Sight]:
    """The environment variables that the code reads: the DAG has to give them."""
    found: dict[str, str] = {}
    for path in tree.below(context):
        if path.endswith((".py", ".R", ".r")) and not _TESTS.search(path) and not _ELSEWHERE.search(path):
            for number, line in tree.lines(path):
                for name in _READS.findall(line):
                    found.setdefault(name, f"{path}:{number}")
    for name, where in sorted(found.items()):
        if not name.startswith("AWS_"):
            yield Sight("reads the variable", name, where)


def _dependabot(tree: Tree, packages: tuple[str, ...], context: str) -> Fact:
    for name in (".github/dependabot.yml", ".github/dependabot.yaml"):
        if (tree.root / name).exists():
            return Fact("dependabot", "own", name)
    for path in packages:
        name = path.rpartition("/")[2]
        if parent(path) != context:
            continue
        if name in _CONDA[:2]:
            return Fact("dependabot", "conda", path)
        if name == "uv.lock":
            return Fact("dependabot", "uv", path)
        if name in PACKAGES["python"] and name not in _CONDA:
            return Fact("dependabot", "pip", path)
    return Fact("dependabot", "none", packages[0] if packages else "no list of Python packages")


def _line_of_start(stage: dockerfiles.Dockerfile, path: str) -> str:
    for word in ("ENTRYPOINT", "CMD"):
        lines = [step.line for step in stage.layers if step.text.startswith(word)]
        if lines:
            return f"{path}:{lines[-1]}"
    return path
