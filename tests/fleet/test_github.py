"""The client: pages, limits, refusals, as GitHub documents them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from dagkit.fleet.github import GitHub, GitHubError, Pace
from tests.fleet.conftest import ORG, TOKEN
from tests.fleet.github import Answer, running_github
from tests.fleet.github import GitHub as StandIn

SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
SLUG = f"{ORG}/one"
AT_ONCE = Pace(0.0)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with running_github(tmp_path, TOKEN) as running:
        running.repositories[SLUG] = {"full_name": SLUG}
        yield running


def client(stand_in: StandIn, pace: Pace = AT_ONCE) -> tuple[GitHub, list[str]]:
    said: list[str] = []
    return GitHub(stand_in.url, "https://github.com", TOKEN, pace, said.append), said


def once(answer: Answer, number: int = 1) -> Iterator[Answer | None]:
    yield from [answer] * number
    while True:
        yield None


def refuse(stand_in: StandIn, answer: Answer, number: int = 1) -> None:
    answers = once(answer, number)
    stand_in.refuse = lambda _method, _path: next(answers)


@pytest.mark.parametrize("status", [403, 429])
def test_waits_as_long_as_a_secondary_limit_says(stand_in: StandIn, status: int) -> None:
    refuse(stand_in, (status, SECONDARY, {"Retry-After": "1"}))
    github, said = client(stand_in)
    begin = time.monotonic()
    assert github.get(f"/repos/{SLUG}") == {"full_name": SLUG}
    assert time.monotonic() - begin >= 1
    assert said == [f"waiting 1.0 s for GitHub: {SECONDARY['message']}"]


def test_waits_until_the_hour_is_over_where_its_calls_are_used_up(stand_in: StandIn) -> None:
    reset = str(int(time.time()) + 1)
    said = {"message": "API rate limit exceeded"}
    refuse(stand_in, (403, said, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}))
    github, _ = client(stand_in)
    assert github.get(f"/repos/{SLUG}") == {"full_name": SLUG}
    assert time.time() >= int(reset)


def test_does_not_use_up_more_than_the_hour_has(stand_in: StandIn) -> None:
    reset = str(int(time.time()) + 1)
    last = (200, {"full_name": SLUG}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    refuse(stand_in, last)
    github, _ = client(stand_in)
    github.get(f"/repos/{SLUG}")
    github.get(f"/repos/{SLUG}")
    assert time.time() >= int(reset), "the second call waited without being refused"


def test_waits_longer_each_time_where_it_is_not_told_how_long(stand_in: StandIn) -> None:
    refuse(stand_in, (403, SECONDARY, {}), 2)
    github, _ = client(stand_in, Pace(0.0, unsaid=0.4))
    begin = time.monotonic()
    github.get(f"/repos/{SLUG}")
    assert time.monotonic() - begin >= 0.4 + 0.8


def test_gives_up_where_the_wait_is_too_long(stand_in: StandIn) -> None:
    refuse(stand_in, (429, SECONDARY, {"Retry-After": "7200"}))
    github, _ = client(stand_in)
    with pytest.raises(GitHubError, match="limit is reached") as refused:
        github.get(f"/repos/{SLUG}")
    assert "Start again in 120 min" in str(refused.value)


def test_a_refusal_with_another_reason_is_told_at_once(stand_in: StandIn) -> None:
    refuse(stand_in, (403, {"message": "Resource not accessible by integration"}, {}), 9)
    github, said = client(stand_in)
    with pytest.raises(GitHubError, match="Resource not accessible") as refused:
        github.send("POST", f"/repos/{SLUG}/pulls", {})
    assert "pull requests: write" in str(refused.value)
    assert len(stand_in.called) == 1
    assert said == []


def test_reads_again_where_github_stumbles_but_never_changes_twice(stand_in: StandIn) -> None:
    refuse(stand_in, (502, {"message": "Bad gateway"}, {}))
    github, _ = client(stand_in)
    assert github.get(f"/repos/{SLUG}") == {"full_name": SLUG}
    refuse(stand_in, (502, {"message": "Bad gateway"}, {}))
    before = len(stand_in.called)
    with pytest.raises(GitHubError, match="Bad gateway"):
        github.send("POST", f"/repos/{SLUG}/pulls", {})
    assert len(stand_in.called) == before + 1


def test_changes_come_one_at_a_time_at_the_pace(stand_in: StandIn) -> None:
    github, _ = client(stand_in, Pace(0.3))
    refuse(stand_in, (201, {"made": True}, {}), 4)
    threads = [
        threading.Thread(target=github.send, args=("POST", f"/repos/{SLUG}/pulls", {})) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    at = [when for method, _, when in stand_in.called if method == "POST"]
    assert len(at) == 4
    # the server notes when a call arrives, the client counts from when it was answered
    assert all(later - earlier >= 0.29 for earlier, later in pairwise(at))


def test_says_who_cannot_be_reached(tmp_path: Path) -> None:
    github = GitHub("http://127.0.0.1:9", "https://github.com", TOKEN, Pace(0.0))
    with pytest.raises(GitHubError, match="cannot be reached") as refused:
        github.send("POST", "/repos/x/y/pulls", {})
    assert "what is done is not done twice" in str(refused.value)


def test_the_token_goes_nowhere_else(stand_in: StandIn, tmp_path: Path) -> None:
    with running_github(tmp_path / "other", TOKEN) as other:
        stand_in.refuse = lambda _m, path: (
            (200, [], {"Link": f'<{other.url}/orgs/x/repos>; rel="next"'})
            if path.startswith("/orgs")
            else None
        )
        github, _ = client(stand_in)
        with pytest.raises(GitHubError, match="Bad credentials"):
            list(github.every("/orgs/x/repos"))


def test_finds_what_was_renamed_and_follows_nobody_elsewhere(stand_in: StandIn, tmp_path: Path) -> None:
    with running_github(tmp_path / "other", TOKEN) as other:
        for target in (stand_in, other):
            moved: Answer = (301, {"message": "Moved"}, {"Location": f"{target.url}/repos/{SLUG}"})
            stand_in.refuse = lambda _m, path, moved=moved: moved if path.endswith("/old") else None  # type: ignore[misc]
            github, _ = client(stand_in)
            if target is stand_in:
                assert github.get(f"/repos/{ORG}/old") == {"full_name": SLUG}
            else:
                with pytest.raises(GitHubError):
                    github.get(f"/repos/{ORG}/old")
                assert other.called == []
