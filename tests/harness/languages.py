"""The languages that pipelines are written in: what is promised of one is tested on both."""

from __future__ import annotations

import pytest

LANGUAGES = ("python", "r")

both_languages = pytest.mark.parametrize("language", LANGUAGES)
"""Runs a test with a pipeline in each language; without it, the fixture ``language`` gives Python."""

each_language = pytest.mark.parametrize("language", ["python", pytest.param("r", marks=pytest.mark.r)])
"""The same for a test without Docker, which needs the R of this machine."""
