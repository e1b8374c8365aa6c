"""The whole guide for a pipeline in Python, without Docker. A file of its own: one worker reads it."""

from __future__ import annotations

from dataclasses import replace

from tests.guide import whole
from tests.guide.conftest import NewReader


def test_the_guide_leads_from_nothing_to_a_submitted_pipeline(make_reader: NewReader) -> None:
    reader = replace(make_reader("guide_python_process", "python", docker=False), airflow=True)
    whole.read_in_order(reader)
    whole.assert_all_is_there(reader, "process")
    whole.assert_airflow_was_there(reader)
