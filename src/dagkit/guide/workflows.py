"""The pipeline's GitHub workflows, as pictures: what happens there that cannot happen here."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

from dagkit.errors import DagkitError
from dagkit.guide import show
from dagkit.pipeline import Pipeline, read_yaml

NAMES = ("test.yml", "release.yml")
"""Of a pull request, and of a release."""

PICTURE = """\
flowchart LR
    pull(["a pull request"]) --> test["{test}<br/>{tested} steps"]
    test --> tick["a tick, or a cross<br/>on the pull request"]
    release(["a release, such as v1.0.0"]) --> build["{release}<br/>{built} steps"]
    build --> ecr[("Amazon ECR<br/>the image v1.0.0")]
"""


def of(pipeline: Pipeline) -> tuple[Path, ...]:
    """The workflows that build the image: of a pull request, and of a release.

    Raises:
        DagkitError: One is missing.
    """
    found = tuple(pipeline.root / ".github" / "workflows" / name for name in NAMES)
    for path in found:
        if not path.is_file():
            raise _broken("A workflow is missing, so GitHub would not build the image", path)
    return found


def steps(path: Path) -> tuple[str, ...]:
    """The names of a workflow's steps, in order.

    Raises:
        DagkitError: The file is no YAML, or no workflow.
    """
    workflow: Any = read_yaml(path)
    try:
        return tuple(
            str(step["name"]) for job in workflow["jobs"].values() for step in job["steps"] if "name" in step
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise _broken("The file is not a GitHub workflow", path) from error


def explain(pipeline: Pipeline) -> None:
    """Show what GitHub does with a pull request and with a release.

    Raises:
        DagkitError: A workflow is missing, or is none.
    """
    test, release = (steps(path) for path in of(pipeline))
    show.mermaid(PICTURE.format(test=NAMES[0], tested=len(test), release=NAMES[1], built=len(release)))
    rows = [(str(at), *pair) for at, pair in enumerate(zip_longest(test, release, fillvalue=""), 1)]
    show.table(("", f"{NAMES[0]}: every pull request", f"{NAMES[1]}: every release"), rows)


def _broken(what: str, path: Path) -> DagkitError:
    return DagkitError(
        what, where=str(path), fix=f"Put it back from git: git checkout -- .github/workflows/{path.name}"
    )
