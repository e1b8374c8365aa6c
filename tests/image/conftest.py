"""An image repository as the template makes it, built once, and small ones of a test's own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.image import BuildEvent, BuiltImage, build
from dagkit.pipeline import Pipeline
from tests.harness.generate import generate

Make = Callable[..., Pipeline]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A repository from the template."""
    return Pipeline.load(generate(tmp_path_factory.mktemp("generated") / "dagkit-test-generated"))


@pytest.fixture(scope="session")
def built(generated: Pipeline, python_base_image: str) -> tuple[BuiltImage, list[BuildEvent]]:
    """Its image, and what happened while it was built. The tag stays, as a cache for the next session."""
    events: list[BuildEvent] = []
    return build(generated, base_image=python_base_image, on_event=events.append), events


@pytest.fixture
def small(tmp_path: Path, python_base_image: str) -> Make:
    """Make a repository of a Dockerfile's instructions after FROM, and of files by name."""

    def make(instructions: str, **files: str) -> Pipeline:
        root = tmp_path / "small"
        root.mkdir(exist_ok=True)
        (root / ".copier-answers.yml").write_text(
            "repository: dagkit-test-small\nproject: example\npipeline: small\n", encoding="utf-8"
        )
        (root / "Dockerfile").write_text(
            f"ARG BASE_IMAGE={python_base_image}\nFROM ${{BASE_IMAGE}}\n{textwrap.dedent(instructions)}\n",
            encoding="utf-8",
        )
        for name, text in files.items():
            (root / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return Pipeline.load(root)

    return make
