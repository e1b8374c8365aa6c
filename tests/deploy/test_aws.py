"""The same work for many items, side by side."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from dagkit.deploy.aws import each
from dagkit.errors import DagkitError
from tests.deploy.conftest import KilledError


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_failure_is_told_in_order_and_stops_nothing(jobs: int) -> None:
    errors = {
        2: ClientError({"Error": {"Code": "AccessDenied", "Message": "no\nway"}}, "PutRole"),
        3: ResponseParserError("not XML"),
        4: DagkitError("wrong"),
    }
    told: list[tuple[int, str | None]] = []

    def work(item: int) -> None:
        if item in errors:
            raise errors[item]

    each(range(6), work, lambda item, problem: told.append((item, problem)), jobs=jobs)
    assert told == [
        (0, None),
        (1, None),
        (2, "AccessDenied at PutRole: no way"),
        (3, "not XML"),
        (4, "wrong"),
        (5, None),
    ]


def test_items_are_worked_on_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    problems: list[str | None] = []

    def work(_item: int) -> None:
        both.wait()

    each([1, 2], work, lambda _, problem: problems.append(problem), jobs=2)
    assert problems == [None, None]


def test_the_end_of_the_process_leaves_the_rest_undone() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        raise KilledError

    with pytest.raises(KilledError):
        each(range(1000), work, lambda *_: None, jobs=2)
    assert len(begun) < 1000


def test_a_mistake_of_ours_is_not_called_a_failure_of_aws() -> None:
    def work(item: int) -> None:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        each([0], work, lambda *_: None, jobs=2)
