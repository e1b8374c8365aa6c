"""What stands in the way of the platform's rules in a repository as it is; nothing is built to find it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dagkit.adopt.image import Image
from dagkit.adopt.packages import unpinned
from dagkit.adopt.tree import History, Tree, join
from dagkit.adopt.workflows import Workflow
from dagkit.dockerfile import Step
from dagkit.image_checks import default_user, entry_point
from dagkit.rules.pod_security import NOT_SECRET_NAME, SECRET_NAME, SECRET_VALUES

LEAKS, STOPS, BREAKS, DRIFTS, TIDIES = range(5)
"""How much it matters, the worst first: gives a secret away; nothing is built, pushed or started; the cluster
refuses or ends it; it changes under a pipeline that nobody touched; worth doing."""


_REVOKE = (
    "Make it invalid where it came from, today. Then keep the new one in AWS Secrets Manager, and let"
    " the role read it."
)


@dataclass(frozen=True)
class Obstacle:
    """Something that stands in the way.

    Attributes:
        rank: How much it matters: 0 gives a secret away, 1 nothing is built or started, 2 the cluster refuses
            or ends it, 3 it changes under a pipeline that nobody touched, 4 worth doing.
        where: The file, with its line.
        what: What is the matter.
        fix: What to do.
    """

    rank: int
    where: str
    what: str
    fix: str


def look(
    tree: Tree, history: History, image: Image, workflows: tuple[Workflow, ...], replaced: str | None
) -> tuple[Obstacle, ...]:
    """Everything that stands in the way, most important first.

    Args:
        tree: The repository.
        history: What git says of it.
        image: How its image is made.
        workflows: Its workflows.
        replaced: The workflow that the template's takes the place of.
    """
    found = [
        *_image(tree, image),
        *_committed_secrets(tree, workflows),
        *unpinned_packages(tree, image),
        *_workflows(workflows, replaced),
        *(each for workflow in workflows if workflow.path == replaced for each in _lost(workflow)),
        *_tags(history),
    ]
    return tuple(dict.fromkeys(sorted(found, key=lambda obstacle: obstacle.rank)))


def _image(tree: Tree, image: Image) -> Iterator[Obstacle]:
    path = image.dockerfile
    if path is None or not tree.has(path):
        yield Obstacle(
            STOPS,
            path or "Dockerfile",
            "There is no Dockerfile, so there is no image to build, push or run",
            "Write one: a repository that dagkit new makes has one to begin with, for Python and for R.",
        )
        return
    if image.stage is None:
        problem = image.problem
        yield Obstacle(
            STOPS,
            path,
            problem.what if problem else "The Dockerfile cannot be read",
            (problem.fix if problem else None) or "Correct it: hadolint says more.",
        )
        return
    for step in image.stage.steps:
        yield from _secrets(path, step)
    yield from _start(image, path)
    for step in image.stage.layers:
        yield from _step(path, step)
    yield from _base(tree, image, path)
    everything = next(
        (step for step in image.stage.layers if re.match(r"(COPY|ADD) (--\S+ )*\.?/? ", step.text)), None
    )
    ignores = (f"{path}.dockerignore", join(image.context, ".dockerignore"))
    if everything and not any((tree.root / name).is_file() for name in ignores):
        yield Obstacle(
            TIDIES,
            f"{path}:{everything.line}",
            "The whole folder goes into the image, .git and data with it: there is no .dockerignore",
            f"Name what is left out in {ignores[1]}: .git, .github, airflow, data",
        )


def _secrets(path: str, step: Step) -> Iterator[Obstacle]:
    given = step.text.partition(" ")[2] if step.text.startswith(("ENV ", "ARG ")) else ""
    if kind := _secret(step.text, given):
        yield Obstacle(
            LEAKS,
            f"{path}:{step.line}",
            f"The image holds what looks like {kind}: everybody who can pull it, or read git, has it",
            _REVOKE,
        )


def _secret(text: str, variables: str) -> str | None:
    """What kind of secret a line has the form of, or gives a variable by whose name it is one."""
    for form, kind in SECRET_VALUES.items():
        if re.search(form, text):
            return kind
    for name, _ in re.findall(r"(\w+)[= ]\s*[\"']?([^\s\"'$]{6,})", variables):
        if SECRET_NAME.search(name) and not NOT_SECRET_NAME.search(name):
            return f"a secret, by its name ({name})"
    return None


def _committed_secrets(tree: Tree, workflows: tuple[Workflow, ...]) -> Iterator[Obstacle]:
    """Secrets in files of settings and in workflows, one for each file."""
    settings = tree.named(r"\.env", r"\.Renviron")
    for path in (*settings, *(workflow.path for workflow in workflows)):
        for number, line in tree.lines(path):
            if kind := _secret(line, line.strip() if path in settings else ""):
                yield Obstacle(
                    LEAKS,
                    f"{path}:{number}",
                    f"git keeps what looks like {kind}: everybody here has it",
                    _REVOKE,
                )
                break


def _start(image: Image, path: str) -> Iterator[Obstacle]:
    stage, start = image.stage, image.start
    assert stage is not None  # noqa: S101
    last = stage.layers[-1].line if stage.layers else 1
    if start is None:
        yield Obstacle(
            STOPS,
            f"{path}:{last}",
            "The Dockerfile says not what to start",
            'End it with: ENTRYPOINT ["python", "run.py"]. Until then the DAG says it, with cmds.',
        )
    else:
        words = [*start.entrypoint, *start.cmd]
        check = entry_point(start.entrypoint, words)
        if check.passed is False:
            line = next(
                step.line
                for step in reversed(stage.layers)
                if re.match("ENTRYPOINT" if start.entrypoint else "CMD", step.text)
            )
            yield Obstacle(
                BREAKS, f"{path}:{line}", f"A shell-form entry point: {check.seen}", check.fix or ""
            )
    users = [step for step in stage.layers if step.text.startswith("USER ")]
    user = users[-1].text.split()[1] if users else ""
    if not users and "analytical-platform" in stage.base_image:
        return  # which has a user of its own
    check = default_user(user)
    if check.passed is False:
        seen = "It runs as root: " + (f"USER {user}" if users else "no USER says otherwise")
        yield Obstacle(BREAKS, f"{path}:{users[-1].line if users else last}", seen, check.fix or "")


def _step(path: str, step: Step) -> Iterator[Obstacle]:
    where = f"{path}:{step.line}"
    if re.search(
        r"chmod\s+(?:-\w*R\w*|--recursive)\s+(?:0?777|a\+rwx|ugo\+rwx|\+rwx)\b|chmod\s+0?777\s+-R", step.text
    ):
        yield Obstacle(
            BREAKS,
            where,
            "chmod -R 777 lets whatever runs in the image change the code",
            "Let everybody read it, and nobody write: RUN chmod -R a+rX . (the program writes to /tmp only)",
        )
    if step.text.startswith("RUN ") and re.search(r"\bsudo\b", step.text):
        yield Obstacle(TIDIES, where, "sudo is in the image", "A build step is root already: leave sudo out.")
    if re.search(r"--(?:mount|security|network)=", step.text) or re.search(r"<<-?['\"]?\w+", step.text):
        yield Obstacle(
            TIDIES,
            where,
            "The step needs BuildKit: GitHub has it, dagkit build does not use it",
            "Write the step without it, or build on your machine with docker build.",
        )


def _base(tree: Tree, image: Image, path: str) -> Iterator[Obstacle]:
    for number, line in tree.lines(path):
        match = re.match(r"(?i)\s*FROM\s+(?:--\S+\s+)*(\S+)", line)
        if not match:
            continue
        # what an argument says is known for the first stage of the image
        base = image.stage.base_image if "$" in match[1] and image.stage else match[1]
        name, _, tag = base.rpartition("/")[2].partition("@")[0].partition(":")
        if "$" in base or base == "scratch" or "@sha256:" in base or _is_stage(tree, path, base):
            continue
        if tag in ("", "latest"):
            why = "its tag is latest" if tag else "it has no tag"
            version = {"python": "3.13-slim", "r-base": "4.5.2", "r-ver": "4.5"}.get(name, "<version>")
            yield Obstacle(
                DRIFTS,
                f"{path}:{number}",
                f"The base image {base} is another one every few weeks: {why}",
                f"Name a version: FROM {base.removesuffix(':latest')}:{version}",
            )
        elif re.match(r"python$", name) and re.match(r"(2|3\.[0-9])(\b|\.)(?!\d)", tag):
            yield Obstacle(
                DRIFTS,
                f"{path}:{number}",
                f"Python {tag.partition('-')[0]} gets no security fixes any more",
                "Take a newer one, such as python:3.13-slim, and run the tests.",
            )


def _is_stage(tree: Tree, path: str, image: str) -> bool:
    return any(
        re.match(rf"(?i)\s*FROM\s+.*\sAS\s+{re.escape(image)}\s*$", line) for _, line in tree.lines(path)
    )


def unpinned_packages(tree: Tree, image: Image) -> Iterator[Obstacle]:
    """Packages whose versions are left to chance."""
    for where, what, fix in unpinned(tree, image):
        yield Obstacle(DRIFTS, where, what, fix)


def _workflows(workflows: tuple[Workflow, ...], replaced: str | None) -> Iterator[Obstacle]:
    for workflow in workflows:
        if workflow.path == replaced:
            continue
        if workflow.problem:
            yield Obstacle(
                TIDIES, workflow.path, f"The workflow is not valid YAML: {workflow.problem}", "Correct it."
            )
        for runner in workflow.retired:
            system = runner.value.partition("-")[0]
            yield Obstacle(
                STOPS,
                f"{workflow.path}:{runner.line}",
                f"GitHub has no runner {runner.value} any more: the job waits until it is cancelled",
                f"Write: {system}-{'24.04' if system == 'ubuntu' else 'latest'}",
            )
        if workflow.pushing:
            jobs, others = ", ".join(workflow.pushing), ", ".join(workflow.others)
            yield Obstacle(
                STOPS,
                workflow.path,
                f"It pushes the image too (job {jobs}), but does other work ({others}), so it stays",
                f"Take the job {jobs} out: image-release.yml pushes now, and a tag can be pushed only once.",
            )


def _lost(workflow: Workflow) -> Iterator[Obstacle]:
    """What the workflow that is replaced did, and the template's does not."""
    for extra in workflow.extras:
        needed = "build" in extra.value or "checks out" in extra.value or "fetches" in extra.value
        yield Obstacle(
            STOPS if needed else TIDIES,
            f"{workflow.path}:{extra.line}",
            f"The old workflow {extra.value}; image-release.yml does not",
            "If the image needs it, add it to image-release.yml: an update keeps your lines."
            if needed
            else "Name a release in the DAG instead, as it never changes.",
        )
    triggers = ", ".join(workflow.triggers)
    if triggers and "release" not in workflow.triggers:
        yield Obstacle(
            TIDIES,
            workflow.path,
            f"The old workflow ran on {triggers}; image-release.yml runs on a published release",
            "On GitHub: Releases, Draft a new release, a tag such as v1.2.3, Publish release.",
        )


def _tags(history: History) -> Iterator[Obstacle]:
    if history.tags and not any(re.fullmatch(r"v\d+\.\d+\.\d+", tag) for tag in history.tags):
        newest = max(history.tags, key=lambda tag: [int(number) for number in re.findall(r"\d+", tag)])
        yield Obstacle(
            TIDIES,
            f"git tag {newest}",
            "No release has a tag that the workflow takes",
            "Call the next release after the pattern v1.2.3: a v, and three numbers.",
        )
