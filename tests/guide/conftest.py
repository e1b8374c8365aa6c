"""What the guide's tests share: caches that are warm, though every reader's home is empty."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guide.reading import NO_DOCKER, Reader, new_reader

NewReader = Callable[..., Reader]


@pytest.fixture(scope="session")
def caches() -> dict[str, str]:
    """Variables of a machine on which somebody has worked before."""
    return {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")}


@pytest.fixture(scope="module")
def make_reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, caches: dict[str, str]
) -> NewReader:
    """Makes somebody who begins with the guide, on a machine with Docker or without."""

    def make(project: str, language: str, *, docker: bool, notebooks: bool = True) -> Reader:
        engine = NO_DOCKER
        if docker:
            engine = {"DAGKIT_BASE_IMAGE": request.getfixturevalue(f"{language}_base_image")}
        root = tmp_path_factory.mktemp(project)
        return new_reader(root, language, project, {**caches, **engine}, notebooks=notebooks)

    return make
