"""What each file of a generated repository is, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch

from dagkit.pipeline import Pipeline

_SHARED = (
    ("Dockerfile", "how the image is made, step by step"),
    (".dockerignore", "what never goes into the image"),
    (".gitignore", "what never goes into git"),
    (".copier-answers.yml", "your answers; an update of the template reads them, so leave it as it is"),
    (".pre-commit-config.yaml", "checks that can run before every commit"),
    ("README.md", "the five commands, and where things are"),
    ("docs", "to read"),
    ("docs/working-here.md", "what is yours to change, and how to do the everyday things"),
    ("airflow", "what goes into the DAG repository"),
    ("airflow/dags", "the plan: which tasks there are, in which order, and when"),
    ("airflow/dags/*.py", "the DAG"),
    ("airflow/roles", "what the pipeline may read and write"),
    ("airflow/roles/dev", "in dev"),
    ("airflow/roles/prod", "in prod"),
    ("airflow/roles/dev/*.yaml", "the role for trying things"),
    ("airflow/roles/prod/*.yaml", "the role for what others rely on"),
    ("airflow/fixtures", "what lies in S3 when the pipeline runs here"),
    ("airflow/fixtures/README.md", "how to add a file"),
    ("airflow/fixtures/*/*", "an example file"),
    (".github", "what GitHub does"),
    (".github/workflows", "what it does by itself"),
    (".github/workflows/test.yml", "builds and tests every pull request"),
    (".github/workflows/release.yml", "builds, scans and pushes the image of every release"),
    (".github/CODEOWNERS", "who is asked to review"),
    (".github/dependabot.yml", "asks for updates of packages and actions"),
)
_PYTHON = (
    ("scripts", "your code"),
    ("scripts/run.py", "what a task runs: the worked example"),
    ("tests", "the tests of your code"),
    ("tests/*.py", "tests of the worked example"),
    ("requirements.in", "the packages you ask for"),
    ("requirements.txt", "every package with its exact version: the lock file"),
    ("requirements-dev.in", "the packages that only tests need"),
    ("requirements-dev.txt", "their lock file"),
    ("pyproject.toml", "settings of the tools: tests, style"),
)
_R = (
    ("R", "the functions that the scripts call"),
    ("R/s3.R", "reading from and writing to S3"),
    ("R/main.R", "how a script starts and fails"),
    ("R/summarise.R", "the second example: a summary of a table"),
    ("scripts", "what a task runs"),
    ("scripts/run.R", "the worked example"),
    ("scripts/summarise.R", "the second example"),
    ("tests", "the tests of your code"),
    ("tests/testthat.R", "runs all tests"),
    ("tests/lint.R", "looks for mistakes and style"),
    ("tests/testthat", "the tests, with testthat"),
    ("tests/testthat/test-*.R", "tests of one file"),
    ("tests/testthat/helper.R", "what the tests share"),
    ("tests/testthat/bin/aws", "stands in for the AWS command line in tests"),
    ("renv.lock", "every package with its exact version: the lock file"),
    ("renv", "belongs to renv, which installs the packages"),
    ("renv/restore.R", "installs the packages of the lock file into the image"),
    ("renv/settings.json", "settings of renv"),
    ("renv/.gitignore", "what of it never goes into git"),
    (".Rprofile", "makes R use the project's packages"),
    (".lintr", "settings of lintr"),
    ("air.toml", "settings of the formatter"),
    ("*.Rproj", "open this in RStudio"),
)


def notes(pipeline: Pipeline) -> Mapping[str, str]:
    """A line about each file and folder that there is one about, by its path in the repository."""
    patterns = _SHARED + (_R if pipeline.language == "r" else _PYTHON)
    found = {}
    for path in sorted(pipeline.root.rglob("*")):
        name = path.relative_to(pipeline.root).as_posix()
        if name.startswith((".git/", ".dagkit/")) or (path.is_dir() and name.startswith("airflow/fixtures/")):
            continue
        for pattern, note in patterns:
            if fnmatch(name, pattern):
                found[name] = note
                break
    return found


def needed(pipeline: Pipeline) -> tuple[str, ...]:
    """The files without which the next notebooks have nothing to work on."""
    if pipeline.answers.get("kind", "image") != "image":
        return ()
    code = ("renv.lock", "R") if pipeline.language == "r" else ("requirements.txt",)
    return ("Dockerfile", "scripts", "tests", ".github/workflows/release.yml", *code)
