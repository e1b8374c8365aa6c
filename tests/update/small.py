"""A small template with a history, for tests that update often: real git, real Copier, few files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import copier

from tests.harness.generate import commit_all, git

VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0")

COPIER = """\
_subdirectory: project
_templates_suffix: .jinja
_answers_file: .copier-answers.yml
_exclude:
  - "{% if _copier_operation == 'update' %}/scripts{% endif %}"
  - "{% if _copier_operation == 'update' %}/README.md{% endif %}"
name:
  type: str
  default: counts
region:
  type: str
  default: eu-west-1
  validator: "{% if not region %}Write a region of AWS.{% endif %}"
"""

WORKFLOW = """\
# The template's.
name: test
on: pull_request

jobs:
  test:
    name: Test {{ name }}
    runs-on: ubuntu-22.04
    timeout-minutes: 30
    steps:
      - name: Check out the code
        uses: actions/checkout@v3
      - name: Run the tests
        run: ./tools/check.sh {{ region }}
"""

SETTINGS = """\
# The template's.
[tests]
folder = "tests"
strict = true

[lint]
line-length = 110
select = ["B", "I", "UP"]
ignore = []
"""

CHECK = """\
#!/bin/sh
# The template's: run all tests.
set -e
echo checking
for each in tests/*; do
  echo "$each"
done
"""

PICTURE = bytes(range(256)) * 4


@dataclass(frozen=True)
class Small:
    """The template, and a repository from each version of it, not changed by anybody.

    Attributes:
        template: The template's git repository.
        made: The repositories, by version.
    """

    template: Path
    made: dict[str, Path]


def build(folder: Path) -> Small:
    """Make the template, version by version, and a repository from each."""
    template = folder / "template"
    project = template / "project"
    write(template / "copier.yml", COPIER)
    write(project / ".github/workflows/test.yml.jinja", WORKFLOW)
    write(project / "settings.toml", SETTINGS)
    write(project / "tools/check.sh", CHECK).chmod(0o755)
    write(project / "notes.md", "# Notes of the template\n\nKeep them.\nRead them.\n")
    write(project / "README.md.jinja", "# {{ name }}\n\nYours.\n")
    write(project / "scripts/run.py", "# Yours.\nprint('one')\nprint('two')\n")
    write(
        project / "{{ _copier_conf.answers_file }}.jinja",
        "# Answers.\n{{ _copier_answers | to_nice_yaml -}}\n",
    )
    (project / "logo.bin").write_bytes(PICTURE)
    commit_all(template, tag=VERSIONS[0])

    # a security fix in a workflow; and the example of the first copy gets better
    edit(project / ".github/workflows/test.yml.jinja", "actions/checkout@v3", "actions/checkout@v4.1.7")
    edit(project / "scripts/run.py", "print('one')", "print('better')")
    commit_all(template, tag=VERSIONS[1])

    # a moved file, and a question with a default that is used
    write(project / ".github/check.sh", CHECK).chmod(0o755)
    (project / "tools/check.sh").unlink()
    edit(project / ".github/workflows/test.yml.jinja", "./tools/check.sh", "./.github/check.sh")
    edit(
        project / ".github/workflows/test.yml.jinja", "timeout-minutes: 30", "timeout-minutes: {{ minutes }}"
    )
    write(template / "copier.yml", COPIER + "minutes:\n  type: int\n  default: 20\n")
    commit_all(template, tag=VERSIONS[2])

    # a removed file, and another picture
    (project / "notes.md").unlink()
    (project / "logo.bin").write_bytes(PICTURE[::-1])
    commit_all(template, tag=VERSIONS[3])

    # a split file
    tests, lint = SETTINGS.split("\n[lint]\n")
    write(project / "settings.toml", tests)
    write(project / "lint.toml", "# The template's.\n[lint]\n" + lint.replace("110", "100"))
    commit_all(template, tag=VERSIONS[4])

    return Small(template, {version: make(template, version, folder / version) for version in VERSIONS})


def make(template: Path, version: str, folder: Path, commit: bool = True) -> Path:
    """Make a repository from a version, as `copier copy` does."""
    root = folder / "counts"
    copier.run_copy(str(template), root, vcs_ref=version, defaults=True, quiet=True)
    if commit:
        commit_all(root)
    return root


def fresh(made: Path, to: Path) -> Path:
    """Copy a repository, to be changed."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(made, to, symlinks=True)
    return to


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not say {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def head(root: Path) -> tuple[str, str, str]:
    """Where a repository is: branch, commit, and what is not committed."""
    return (
        git(root, "rev-parse", "--abbrev-ref", "HEAD"),
        git(root, "rev-parse", "HEAD"),
        git(root, "status", "--porcelain"),
    )
