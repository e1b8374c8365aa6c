"""Lints every kind of repository that the template makes, as strictly as the tools go; `make lint` runs this.

It makes one repository per combination of the template's choices: a choice added to copier.yml is linted too.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2
import yaml

from tests.harness.generate import REPOSITORY, generate
from tests.harness.workflow_file import WorkflowError, load_workflow

BIN = Path(sys.executable).parent


def say(text: str) -> None:
    """Print a line, at once: the linters' own output comes in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def combinations() -> Iterator[Mapping[str, str]]:
    """Yield answers for every combination of what copier.yml offers, on a schedule and without one.

    What is not asked, given the other answers, is left out: there are few choices in a DAG repository.
    """
    questions = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    choices = {
        name: list(question["choices"].values())
        for name, question in questions.items()
        if isinstance(question, dict) and "choices" in question
    }
    choices["schedule"] = ["manual", "@daily"]
    found: dict[tuple[tuple[str, str], ...], None] = {}
    for values in itertools.product(*choices.values()):
        answers = dict(zip(choices, values, strict=True))
        asked = {name: _asked(questions[name].get("when", True), answers) for name in answers}
        found.setdefault(tuple((name, value) for name, value in answers.items() if asked[name]))
    yield from map(dict, found)


def _asked(when: object, answers: Mapping[str, str]) -> bool:
    return str(jinja2.Template(str(when)).render(customise=True, **answers)).lower() == "true"


def files(repositories: Sequence[Path], *patterns: str) -> list[str]:
    """Return the files of all repositories that match, each content once."""
    found: dict[tuple[str, bytes], str] = {}
    for repository, pattern in itertools.product(repositories, patterns):
        for path in sorted(repository.rglob(pattern)):
            found.setdefault((path.name, path.read_bytes()), str(path))
    return list(found.values())


def run(name: str, *arguments: str, on: Sequence[str]) -> bool:
    """Run a linter on files; return whether it found nothing, and print what it found."""
    if not on:
        say(f"lint: {name}: FOUND no file to look at")
        return False
    # Not from our own folder: a repository without settings of its own must not be given ours.
    done = subprocess.run([str(BIN / name), *arguments, *on], cwd="/", capture_output=True, text=True)
    say(f"lint: {name} {' '.join(arguments)} on {len(on)} files: {'FOUND' if done.returncode else 'clean'}")
    if done.returncode:
        say(done.stdout + done.stderr)
    return done.returncode == 0


def lint_r(repositories: Sequence[Path]) -> bool:
    """Run Air and lintr on a repository in R, with its settings; say where lintr is missing (CI has it)."""
    in_r = next((folder for folder in repositories if (folder / ".lintr").is_file()), None)
    if in_r is None:
        say("lint: air, lintr: no repository is in R")
        return True
    formatted = run("air", "format", "--check", on=files([in_r], "*.R"))
    lintr = ("Rscript", "--no-init-file", "-e")
    have = shutil.which("Rscript") and not subprocess.run(
        [*lintr, "quit(status = !requireNamespace('lintr', quietly = TRUE))"], cwd="/", capture_output=True
    ).returncode  # fmt: skip
    if not have:
        say("lint: lintr: NOT RUN, R or its package lintr is not installed")
        return formatted and os.environ.get("CI") != "true"
    code = "found <- lintr::lint_dir('.'); print(found); quit(status = length(found) > 0)"
    done = subprocess.run([*lintr, code], cwd=in_r, capture_output=True, text=True)
    say(f"lint: lintr on {len(list(in_r.rglob('*.R')))} files: {'FOUND' if done.returncode else 'clean'}")
    if done.returncode:
        say(done.stdout + done.stderr)
    return formatted and done.returncode == 0


def scripts(workflows: Sequence[str], folder: Path) -> list[str]:
    """Write every `run:` step as a file in ``folder``; return the files.

    Raises:
        WorkflowError: GitHub would refuse the workflow.
    """
    written: list[str] = []
    for workflow in workflows:
        for job in load_workflow(Path(workflow)).jobs:
            for step in job.steps:
                if step.run is not None:
                    script = folder / f"{len(written)}-{Path(workflow).stem}-{job.id}.sh"
                    script.write_text(f"# {step.label}\n{step.run}")
                    written.append(str(script))
    return written


def lint(repositories: Sequence[Path], scratch: Path) -> bool:
    """Run every linter on repositories; return whether all is clean. Scripts are written into ``scratch``."""
    workflows = files(repositories, ".github/workflows/*.yml")
    dependabot = files(repositories, ".github/dependabot.yml")
    python = files(repositories, "*.py")
    try:
        steps = scripts(workflows, scratch)
    except WorkflowError as error:
        say(f"lint: FOUND {error}")
        return False
    yamllint = ("--strict", f"--config-file={REPOSITORY / '.yamllint'}")
    clean = [
        run("ruff", "format", "--no-cache", "--check", on=python),
        run("ruff", "check", "--no-cache", on=python),
        run("hadolint", on=files(repositories, "Dockerfile")),
        run("shellcheck", "--shell=bash", on=steps),
        run("zizmor", "--offline", "--persona=auditor", "--quiet", on=[*workflows, *dependabot]),
        run("check-jsonschema", "--builtin-schema=vendor.github-workflows", on=workflows),
        run("check-jsonschema", "--builtin-schema=vendor.dependabot", on=dependabot),
        run("yamllint", *yamllint, on=files(repositories, "*.yml", "*.yaml")),
        lint_r(repositories),
    ]
    return all(clean)


def main() -> int:
    """Make the repositories and lint them; return an exit code."""
    with tempfile.TemporaryDirectory(prefix="dagkit-lint-") as name:
        repositories = []
        for number, answers in enumerate(combinations()):
            folder = Path(name) / "-".join((str(number), *answers.values()))
            # One name for all, so that a file that no choice changes is linted once.
            repositories.append(generate(folder, repository="my-pipeline", customise=True, **answers))
        say(f"lint: made {len(repositories)} repositories, one for each combination of choices")
        scratch = Path(name) / "scripts"
        scratch.mkdir()
        return 0 if lint(repositories, scratch) else 1


if __name__ == "__main__":
    sys.exit(main())
