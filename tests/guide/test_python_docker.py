"""The whole guide for a pipeline in Python, in containers. A file of its own: one worker reads it."""

from __future__ import annotations

import pytest

from tests.guide import whole
from tests.guide.conftest import NewReader


@pytest.mark.docker
def test_the_guide_leads_from_nothing_to_a_submitted_pipeline(make_reader: NewReader) -> None:
    reader = make_reader("guide_python_docker", "python", docker=True)
    whole.read_in_order(reader)
    whole.assert_all_is_there(reader, "docker")
