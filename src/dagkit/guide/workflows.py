"""The pipeline's GitHub workflows, as pictures: what happens there that cannot happen here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagkit.errors import DagkitError
from dagkit.guide import show
from dagkit.pipeline import Pipeline, read_yaml

_WHEN = {
    "pull_request": "a pull request",
    "release": "a release",
    "push": "a push",
    "workflow_dispatch": "started by hand",
}


def of(pipeline: Pipeline) -> tuple[Path, ...]:
    """The workflows that build the image: of a pull request, and of a release.

    Raises:
        DagkitError: One is missing.
    """
    found = tuple(pipeline.root / ".github" / "workflows" / name for name in ("test.yml", "release.yml"))
    for path in found:
        if not path.is_file():
            raise DagkitError(
                "A workflow is missing, so GitHub would not build the image",
                where=str(path),
                fix=f"Put it back from git: git checkout -- {path.relative_to(pipeline.root)}",
            )
    return found


def picture(path: Path) -> str:
    """A workflow's steps, one after the other, as a Mermaid picture.

    Raises:
        DagkitError: It is no YAML, or no workflow.
    """
    workflow: Any = read_yaml(path)
    try:
        # YAML reads the key `on` as true
        started = workflow.get("on", workflow.get(True))
        jobs = [
            (name, [step.get("name", "") for step in job["steps"]]) for name, job in workflow["jobs"].items()
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise DagkitError(
            "The file is not a GitHub workflow",
            where=str(path),
            fix=f"Put it back from git: git checkout -- {path.name}",
        ) from error
    event = started if isinstance(started, str) else next(iter(started))
    lines = ["flowchart TB", f'    begin(["{show.label(_WHEN.get(event, str(event)))}"])']
    for number, (name, steps) in enumerate(jobs):
        lines.append(f'    subgraph j{number}["{show.label(f"{path.name}: {name}")}"]')
        lines.append("        direction TB")
        shown = [title for title in steps if title]
        lines += [f'        j{number}s{at}["{show.label(title)}"]' for at, title in enumerate(shown)]
        lines += [f"        j{number}s{at} --> j{number}s{at + 1}" for at in range(len(shown) - 1)]
        lines.append("    end")
        lines.append(f"    begin --> j{number}")
    return "\n".join(lines)
