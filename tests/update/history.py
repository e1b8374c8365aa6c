"""A history of the real template: six versions, each with a change of another kind."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.harness.generate import REPOSITORY, commit_all, git
from tests.update.small import edit

VERSIONS = ("v0.1.0", "v0.2.0", "v0.3.0", "v0.4.0", "v0.5.0", "v0.6.0")
NEWEST = VERSIONS[-1]

CHANGELOG = """\
# Changelog

## 0.6.0

### For analysts
- Not shown: the next section is.

### When you update
- The scan is a workflow of its own: `scan.yml`.
- Nothing for you to do.

## 0.5.0

### When you update
- A new question: after how many minutes a test is stopped.

## 0.2.0

### When you update
- A security fix: the workflows check out the code with a newer action. Merge this soon.
"""


def build(root: Path) -> Path:
    """Make the template's git repository: what git tracks here, and five versions on top of it."""
    names = ("copier.yml", "CHANGELOG.md", "templates", "template-airflow-*")
    for path in git(REPOSITORY, "ls-files", "-z", "--", *names).rstrip("\0").split("\0"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, root / path)
    (root / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    commit_all(root, tag="v0.1.0")
    for version, change in zip(
        VERSIONS[1:], (_security_fix, _move, _remove, _question_and_default, _split), strict=True
    ):
        change(root)
        commit_all(root, tag=version)
    return root


def _workflows(root: Path) -> tuple[Path, Path]:
    pipeline = root / "templates/pipeline/github/workflows/test.yml.jinja"
    return pipeline, root / "templates/airflow/.github/workflows/validate.yml"


def _security_fix(root: Path) -> None:
    for workflow in _workflows(root):
        edit(
            workflow,
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            f"actions/checkout@{'a' * 40} # v7.0.2",
        )
    # the worked example gets better too: who has a copy of it already is left alone
    for example in ("template-airflow-python/scripts/run.py", "template-airflow-r/scripts/run.R"):
        with (root / example).open("a", encoding="utf-8") as file:
            file.write("# A better example.\n")


def _move(root: Path) -> None:
    for language in ("python", "r"):
        docs = root / f"template-airflow-{language}/docs"
        (docs / "working-here.md.jinja").rename(docs / "how-to.md.jinja")
    airflow = root / "templates/airflow"
    (airflow / "ruff.toml").rename(airflow / ".ruff.toml")


def _remove(root: Path) -> None:
    for language in ("python", "r"):
        (root / f"template-airflow-{language}/.github/CODEOWNERS.jinja").unlink()
    (root / "templates/airflow/.pre-commit-config.yaml.jinja").unlink()


def _question_and_default(root: Path) -> None:
    question = "minutes:\n  type: int\n  help: After how many minutes is a test stopped?\n  default: 25\n"
    with (root / "copier.yml").open("a", encoding="utf-8") as file:
        file.write(f"\n{question}")
    edit(root / "copier.yml", "  default: eu-west-1\n", "  default: eu-west-2\n")
    pipeline, airflow = _workflows(root)
    edit(pipeline, "timeout-minutes: 30", "timeout-minutes: {{ minutes }}")
    text = airflow.read_text(encoding="utf-8")
    airflow.unlink()
    jinja = airflow.with_name("validate.yml.jinja")
    jinja.write_text(
        "{% raw %}"
        + text.replace("on:", "# {% endraw %}{{ minutes }}{% raw %} minutes\non:", 1)
        + "{% endraw %}",
        encoding="utf-8",
    )


def _split(root: Path) -> None:
    pipeline, _ = _workflows(root)
    text = pipeline.read_text(encoding="utf-8")
    step = text.index("      - name: Look for known vulnerabilities")
    head = text[: text.index("    steps:\n")]
    pipeline.write_text(text[:step].rstrip() + "\n", encoding="utf-8")
    (pipeline.with_name("scan.yml.jinja")).write_text(
        head.replace("name: test", "name: scan") + "    steps:\n" + text[step:], encoding="utf-8"
    )
    for language in ("python", "r"):
        (root / f"template-airflow-{language}/.github/workflows/scan.yml.jinja").write_text(
            "{% include 'templates/pipeline/github/workflows/scan.yml.jinja' -%}\n", encoding="utf-8"
        )
    settings = root / "templates/airflow/dagkit.toml.jinja"
    text = settings.read_text(encoding="utf-8")
    last = text.rindex("\n[") + 1
    settings.write_text(text[:last], encoding="utf-8")
    settings.with_name("rules.toml.jinja").write_text(text[last:], encoding="utf-8")
