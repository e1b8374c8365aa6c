"""Packages whose versions are left to chance: in lists of packages, and in the steps of a Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from dagkit.adopt.image import Image
from dagkit.adopt.tree import Tree, join, parent

SHOWN = 3
"""Packages that are named before the rest is only counted."""

Found = tuple[str, str, str]
"""Where, what, and what to do."""


def unpinned(tree: Tree, image: Image) -> Iterator[Found]:
    """Every place that names packages without their versions."""
    lists = {"requirements.txt": _requirements, "Pipfile": _pipfile, "pyproject.toml": _pyproject,
             "environment.yml": _conda, "environment.yaml": _conda, "conda.yml": _conda, "conda.yaml": _conda,
             "DESCRIPTION": _description, "packrat.lock": _packrat}  # fmt: skip
    for path in image.packages:
        if look := lists.get(path.rpartition("/")[2]):
            yield from look(tree, path)
    if image.stage is not None and image.dockerfile is not None:
        for step in image.stage.layers:
            if step.text.startswith("RUN "):
                yield from _step(f"{image.dockerfile}:{step.line}", step.text)
    if image.language == "r" and not any(p.endswith((".lock", "environment.yml")) for p in image.packages):
        yield (
            join(image.context, "renv.lock"),
            "Nothing says which versions of R packages the code needs",
            'In R: install.packages("renv"); renv::init(); renv::snapshot(). The Dockerfile restores them.',
        )


def _requirements(tree: Tree, path: str) -> Iterator[Found]:
    if "--hash=" in tree.text(path):
        return
    loose = [
        (number, line.strip())
        for number, line in tree.lines(path)
        if re.match(r"\s*[A-Za-z0-9]", line) and "==" not in line and "@" not in line
    ]
    if loose:
        yield (
            f"{path}:{loose[0][0]}",
            f"Packages without a version: {_names(text for _, text in loose)}",
            "Keep what you ask for in requirements.in, and lock it: uv pip compile requirements.in"
            f" --generate-hashes --output-file {path.rpartition('/')[2]}",
        )


def _pipfile(tree: Tree, path: str) -> Iterator[Found]:
    if not tree.has(join(parent(path), "Pipfile.lock")):
        yield (
            path,
            "A Pipfile without Pipfile.lock: each build takes the newest versions",
            "pipenv lock, and commit it.",
        )


def _pyproject(tree: Tree, path: str) -> Iterator[Found]:
    folder = parent(path)
    if any(
        tree.has(join(folder, name)) for name in ("poetry.lock", "uv.lock", "requirements.txt", "pdm.lock")
    ):
        return
    tool = "poetry lock" if "[tool.poetry" in tree.text(path) else "uv lock"
    yield (
        path,
        "A pyproject.toml without a lock file: each build takes the newest versions",
        f"{tool}, and commit it.",
    )


def _conda(tree: Tree, path: str) -> Iterator[Found]:
    try:
        said = yaml.safe_load(tree.text(path))
    except yaml.YAMLError:
        return
    asked = said.get("dependencies", []) if isinstance(said, dict) else []
    inner = [item for each in asked or [] if isinstance(each, dict) for item in each.get("pip") or []]
    names = [str(item) for item in asked or [] if not isinstance(item, dict)] + [str(item) for item in inner]
    loose = [name for name in names if not re.search(r"=|@|^-", name)]
    if loose:
        line = tree.first(path, rf"-\s*{re.escape(loose[0])}\b")
        yield (
            f"{path}:{line[0] if line else 1}",
            f"Packages without a version: {_names(loose)}",
            "Write versions (- pandas=2.2.3), or export them: conda env export --from-history --no-builds",
        )


def _description(tree: Tree, path: str) -> Iterator[Found]:
    if not tree.has(join(parent(path), "renv.lock")):
        yield (
            path,
            "DESCRIPTION says which R packages, not which versions",
            "In R: renv::init(); renv::snapshot(). Then let the Dockerfile restore renv.lock.",
        )


def _packrat(_: Tree, path: str) -> Iterator[Found]:
    yield (
        path,
        "packrat is not looked after any more, and newer versions of R cannot restore it",
        "In R: renv::migrate() makes renv.lock of it. Then let the Dockerfile restore that.",
    )


def _step(where: str, text: str) -> Iterator[Found]:
    for match in re.finditer(r"\bpip3?\s+install\s+([^&|;]+)", text):
        words = [word.strip("\"'") for word in match[1].split()]
        if any(
            word in ("-r", "--requirement", ".", "-e", "--no-deps") or word.startswith(("-r", "./"))
            for word in words
        ):
            continue
        loose = [
            w
            for w in words
            if re.match(r"[A-Za-z]", w) and not re.search(r"==|@|/|\$", w) and w not in _TOOLS
        ]
        if loose:
            yield (
                where,
                f"pip installs packages without a version: {_names(loose)}",
                "Move them into requirements.txt, with versions.",
            )
    for match in re.finditer(r"install\.packages\(\s*(c\(.*?\)|[\"'][^\"']+[\"'])", text):
        packages = re.findall(r"[\"']([A-Za-z][A-Za-z0-9.]+)[\"']", match[1])
        yield (
            where,
            f"R installs packages without a version: {_names(packages)}",
            "Lock them with renv: renv::init(), renv::snapshot(), and RUN Rscript -e 'renv::restore()' here.",
        )
    if named := re.search(r"\b(?:install_github|pak::pkg_install)\(\s*[\"']([^\"'@]+)[\"']", text):
        yield (
            where,
            f"R installs whatever is newest of {named[1]}",
            f'Name a version: "{named[1]}@v1.0.0"; or lock it with renv.',
        )
    for match in re.finditer(r"\b(?:conda|mamba|micromamba)\s+install\s+([^&|;]+)", text):
        words = match[1].split()
        loose = [
            w
            for n, w in enumerate(words)
            if re.match(r"[a-z]", w) and "=" not in w and words[n - 1] not in _WITH_VALUE
        ]
        if loose and "--file" not in words:
            yield (
                where,
                f"conda installs packages without a version: {_names(loose)}",
                "Write versions: pandas=2.2.3",
            )


_TOOLS = {"pip", "setuptools", "wheel", "pipenv", "poetry", "uv"}
_WITH_VALUE = {"-c", "--channel", "-n", "--name", "-p", "--prefix"}


def _names(texts: Iterator[str] | list[str]) -> str:
    found = [re.split(r"[\s;<>~!\[]", text)[0] for text in texts]
    rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + rest
