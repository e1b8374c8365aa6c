"""The lock files hold what is asked for, with hashes, and nothing of the machine they were made on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
ASKED_BY_LOCK = {
    "requirements/dev.txt": "pyproject.toml",
    "requirements/uv.txt": "requirements/uv.in",
    "tests/awscli/requirements.txt": "tests/awscli/requirements.in",
    "tests/airflow-2.11/requirements.txt": "tests/airflow-2.11/requirements.in",
}


def asked(file: str) -> Iterator[Requirement]:
    text = (REPOSITORY / file).read_text()
    if file.endswith(".toml"):
        project = tomllib.loads(text)
        lines = [
            *project["project"]["dependencies"],
            *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
            *project["dependency-groups"]["dev"],
        ]
    else:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        yield Requirement(line)


def locked(file: str) -> dict[str, list[str]]:
    """The versions of every package; one that differs between platforms or Pythons has several."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;]+)", (REPOSITORY / file).read_text(), re.MULTILINE
    ):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


@pytest.mark.parametrize(("lock", "source"), ASKED_BY_LOCK.items())
def test_a_lock_holds_everything_that_is_asked_for(lock: str, source: str) -> None:
    versions = locked(lock)
    missing = [
        str(requirement)
        for requirement in asked(source)
        if canonicalize_name(requirement.name) != "dagkit"
        and not any(
            requirement.specifier.contains(version)
            for version in versions.get(canonicalize_name(requirement.name), [])
        )
    ]
    assert missing == [], "run `make lock`"


@pytest.mark.parametrize("lock", ASKED_BY_LOCK)
def test_a_lock_has_hashes_and_nothing_of_the_machine_it_was_made_on(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    pins = [block for block in re.split(r"\n(?=[A-Za-z0-9])", text) if "==" in block.partition("\n")[0]]
    assert pins
    assert [block for block in pins if "--hash=sha256:" not in block] == []
    assert re.findall(r"://|--index-url|--find-links|file:|(?<!\w)/(?:home|root|tmp|work)/", text) == []
