"""An image repository as the template makes it, built once, and small ones of a test's own."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.image import BuildEvent, BuiltImage, build
from dagkit.pipeline import Pipeline
from tests.harness.generate import generate

Make = Callable[..., Pipeline]
Built = tuple[BuiltImage, list[BuildEvent]]


@pytest.fixture(scope="session")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pipeline]:
    """Repositories from the template, one for each language."""

    @functools.cache
    def make(language: str) -> Pipeline:
        folder = tmp_path_factory.mktemp("generated") / f"dagkit-test-generated-{language}"
        return Pipeline.load(generate(folder, language=language))

    return make


@pytest.fixture
def generated(_generated: Callable[[str], Pipeline], language: str) -> Pipeline:
    """The one of the test's language."""
    return _generated(language)


@pytest.fixture(scope="session")
def _built(_generated: Callable[[str], Pipeline]) -> Callable[[str, str], Built]:
    """Their images. The tags stay, as a cache for the next session."""

    @functools.cache
    def make(language: str, base_image: str) -> Built:
        events: list[BuildEvent] = []
        return build(_generated(language), base_image=base_image, on_event=events.append), events

    return make


@pytest.fixture
def built(_built: Callable[[str, str], Built], language: str, base_image: str) -> Built:
    """The image of the test's language, and what happened while it was built."""
    return _built(language, base_image)


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
