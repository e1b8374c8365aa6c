"""Every generated file is the analyst's or the template's, says which, and is treated so."""

from __future__ import annotations

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from dagkit.update import render
from tests.harness.generate import REPOSITORY, generate

KINDS = {
    "python": {"language": "python"},
    "r": {"language": "r"},
    "dags": {"kind": "dags"},
    "airflow": {"kind": "airflow"},
}


def paths(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def said_in_the_table(root: Path, path: str) -> bool | None:
    """Whether the table of whose each file is gives it to the analyst; None where it does not name it."""
    for page in ("docs/working-here.md", "README.md"):
        text = (root / page).read_text(encoding="utf-8") if (root / page).is_file() else ""
        for row in re.findall(r"^\| (`.*`|`.*) \| (yours|the template's.*?) \|", text, re.MULTILINE):
            for pattern in re.findall(r"`([^`]+)`", row[0]):
                if path.startswith(pattern) if pattern.endswith("/") else fnmatch(path, pattern):
                    return bool(row[1] == "yours")
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_says_whose_it_is_and_updates_keep_to_it(kind: str, tmp_path: Path) -> None:
    made = generate(tmp_path / "my-pipeline", owner="octocat", **KINDS[kind])
    updated = tmp_path / "updated"
    shutil.copytree(made, updated)
    answers = yaml.safe_load((made / ".copier-answers.yml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))
    render.leave_out(updated, settings["_exclude"], answers)
    the_templates = paths(updated)
    assert ".copier-answers.yml" in the_templates
    for path in paths(made):
        begins = "\n".join((made / path).read_text(encoding="utf-8").splitlines()[:3])
        if "Yours: " in begins or "The template's" in begins:
            assert ("Yours: " in begins) is (path not in the_templates), path
        elif (in_table := said_in_the_table(made, path)) is not None:
            assert in_table is (path not in the_templates), path
        else:
            # only DAGs: its README says that all is the analyst's but what it names
            text = (made / "README.md").read_text(encoding="utf-8")
            named = re.search(r"All files here are yours: .*?changes only (.*?)\.\n", text, re.DOTALL)
            assert named, f"{path} does not say whose it is"
            assert (f"`{path}`" in named[1]) is (path in the_templates), path
