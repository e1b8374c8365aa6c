"""What the guide says about logs, schedules, packages and previews."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dagkit.errors import DagkitError
from dagkit.guide import packages, previews, reading
from dagkit.guide.submitting import next_release

LOGS = {
    "Pod took too long to start. More than 600s": "never pushed",
    "An error occurred (AccessDenied) when calling the GetObject operation": "role",
    "calling the HeadObject operation: An error occurred (403): Forbidden": "role",
    "ModuleNotFoundError: No module named 'pandas'": "package",
    "Error in library(dplyr) : there is no package called 'dplyr'": "package",
    "error: the environment variable OUTPATH is missing or empty": "DAG",
    "Container terminated with reason OOMKilled": "memory",
    "PermissionError: [Errno 13] Permission denied: '/out.csv'": "writes where",
    "An error occurred (NoSuchKey) when calling the GetObject operation": "not in S3",
}


@pytest.mark.parametrize("log", LOGS)
def test_a_log_is_explained(log: str) -> None:
    read = reading.explain(f"some lines before\n{log}\nand after")
    assert read is not None
    assert LOGS[log] in read.meaning
    assert read.sign in log


def test_a_log_without_a_known_sign_is_not() -> None:
    assert reading.explain("ValueError: 7") is None


def test_a_run_starts_at_the_end_of_its_interval() -> None:
    now = datetime(2026, 6, 3, 12, tzinfo=UTC)
    first, second = reading.intervals("0 6 * * *", now, 2)
    assert (first.begin.day, first.end.day) == (3, 4)
    assert second.begin == first.end
    assert first.end > now
    drawn = reading.picture([first, second])
    assert "2026-06-03T06:00, 2026-06-04T06:00" in drawn


def test_on_working_days_the_interval_of_monday_begins_on_friday() -> None:
    saturday = datetime(2026, 6, 6, 12, tzinfo=UTC)
    first = reading.intervals("0 6 * * 1-5", saturday)[0]
    assert (f"{first.begin:%a}", f"{first.end:%a}") == ("Fri", "Mon")


def test_the_next_release() -> None:
    assert next_release(None, 0) == "v0.1.0"
    assert next_release("v1.2.9", 0) == "v1.2.9"
    assert next_release("v1.2.9", 3) == "v1.2.10"


def test_a_line_that_is_no_package_is_told_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("# mine\nboto3\n???\n")
    with pytest.raises(DagkitError) as error:
        packages.asked(tmp_path, "python")
    assert str(error.value.where).endswith("requirements.in:3")


def test_a_csv_that_is_cut_off_is_shown_in_whole_rows() -> None:
    assert previews.rows_of('court,"of, which"\nLeeds,1\nCar…', ",") == [
        ["court", "of, which"],
        ["Leeds", "1"],
    ]
