"""GitHub's REST API, at the pace that GitHub asks for.

Limits: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import http.client
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import urlencode, urlsplit

from dagkit.errors import DagkitError
from dagkit.text import human_time

API = "https://api.github.com"
SERVER = "https://github.com"
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_TRIES = 4
_AGAIN = (500, 502, 503, 504)


class GitHubError(DagkitError):
    """GitHub refused a call.

    Attributes:
        status: The HTTP status; 0 where GitHub could not be reached.
    """

    def __init__(self, status: int, what: str, *, where: str, fix: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status


@dataclass(frozen=True)
class Pace:
    """How fast GitHub is called.

    Attributes:
        between: Seconds between two calls that change something; GitHub asks for one.
        unsaid: Seconds to wait after a refusal that does not say how long; doubled each time.
        longest: Seconds that are waited at most for a limit to end.
    """

    between: float = 1.0
    unsaid: float = 60.0
    longest: float = 3700.0


@dataclass
class GitHub:
    """A client that threads share: one call that changes something at a time; all wait where GitHub says so.

    Attributes:
        api: The API's address.
        server: The address that people see, and git clones from.
        token: Who calls; None is nobody.
        pace: How fast.
        on_wait: Told in a sentence what is waited for.
    """

    api: str = API
    server: str = SERVER
    token: str | None = field(default=None, repr=False)
    pace: Pace = Pace()
    on_wait: Callable[[str], None] = lambda _: None
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    _changing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _not_before: float = 0.0
    _changed: float = 0.0

    @classmethod
    def from_environment(cls, pace: Pace, on_wait: Callable[[str], None]) -> GitHub:
        """As Actions and gh have it: `GITHUB_API_URL`, `GITHUB_SERVER_URL`, `GH_TOKEN` or `GITHUB_TOKEN`."""
        names = os.environ
        return cls(
            names.get("GITHUB_API_URL", API).rstrip("/"),
            names.get("GITHUB_SERVER_URL", SERVER).rstrip("/"),
            names.get("GH_TOKEN") or names.get("GITHUB_TOKEN") or None,
            pace,
            on_wait,
        )

    def stop(self) -> None:
        """Let no thread wait or call any more."""
        self._stopped.set()

    def get(self, path: str, **query: str | int) -> Any:
        """What is at a path.

        Raises:
            GitHubError: It is not there, or may not be read.
        """
        return self._call("GET", self._url(path, query))[0]

    def text(self, path: str) -> str | None:
        """A file's text; None where there is none."""
        try:
            return str(self._call("GET", self._url(path, {}), accept="application/vnd.github.raw+json")[0])
        except GitHubError as error:
            if error.status in (404, 409):  # 409: the repository is empty
                return None
            raise

    def every(self, path: str, **query: str | int) -> Iterator[Any]:
        """What a path lists, page by page."""
        url: str | None = self._url(path, {"per_page": 100, **query})
        while url:
            listed, headers = self._call("GET", url)
            yield from listed
            found = _NEXT.search(headers.get("Link") or "")
            url = found[1] if found else None

    def send(self, method: str, path: str, content: Mapping[str, Any]) -> Any:
        """Change something (POST, PATCH), not sooner after the change before than the pace allows."""
        with self._changing:
            self._wait(self._changed + self.pace.between - time.monotonic())
            try:
                return self._call(method, self._url(path, {}), content)[0]
            finally:
                self._changed = time.monotonic()

    def _url(self, path: str, query: Mapping[str, str | int]) -> str:
        return f"{self.api}{path}{'?' + urlencode(query) if query else ''}"

    def _call(
        self,
        method: str,
        url: str,
        content: Mapping[str, Any] | None = None,
        accept: str = "application/vnd.github+json",
    ) -> tuple[Any, Message]:
        refusals = 0
        for attempt in range(1, _TRIES + 1):
            self._wait(self._not_before - time.monotonic())
            try:
                return self._once(method, url, content, accept)
            except urllib.error.HTTPError as error:
                said = _message(error)
                wait = self._limited(error, said, refusals)
                if wait is None and (error.code not in _AGAIN or method == "POST" or attempt == _TRIES):
                    raise _refused(error.code, said, method, url, self.token) from error
                refusals += wait is not None
                if wait is not None and (attempt == _TRIES or wait > self.pace.longest):
                    raise GitHubError(
                        error.code,
                        f"GitHub's limit is reached: {said}",
                        where=url,
                        fix=f"Start again in {human_time(wait)}: what is done is not done twice.",
                    ) from error
                self._hold(wait if wait is not None else 0.5 * 2**attempt, said if wait is not None else None)
            except (OSError, http.client.HTTPException) as error:
                # whether a POST arrived is not known: the next run looks first
                if attempt == _TRIES or method == "POST":
                    raise GitHubError(
                        0,
                        f"GitHub cannot be reached: {getattr(error, 'reason', error)}",
                        where=url,
                        fix="See that you are online, then call it again: what is done is not done twice.",
                    ) from error
                self._wait(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(max(0.0, seconds)):
            raise DagkitError("Stopped before GitHub was called")

    def _once(
        self, method: str, url: str, content: Mapping[str, Any] | None, accept: str
    ) -> tuple[Any, Message]:
        headers = {"Accept": accept, "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "dagkit"}
        if self.token and url.startswith(self.api + "/"):
            headers["Authorization"] = f"Bearer {self.token}"
        body = None if content is None else json.dumps(content).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
        with _OPENER.open(request, timeout=30) as answer:
            text = answer.read().decode("utf-8")
            self._used_up(answer.headers)
            return (text if "raw" in accept else json.loads(text or "null")), answer.headers

    def _used_up(self, headers: Message) -> None:
        """Wait for the next hour before the call that would be refused."""
        if headers.get("X-RateLimit-Remaining") == "0":
            wait = _until(headers)
            if wait is not None and wait <= self.pace.longest:
                self._hold(wait, "this hour's calls are used up")

    def _limited(self, error: urllib.error.HTTPError, said: str, refusals: int) -> float | None:
        """How many seconds GitHub wants to be left alone for; None where the refusal has another reason."""
        if error.code not in (403, 429):
            return None
        if (after := error.headers.get("Retry-After") or "").isdigit():
            return float(after)
        if error.headers.get("X-RateLimit-Remaining") == "0":
            return _until(error.headers)
        if error.code == 429 or "rate limit" in said.lower():
            return float(self.pace.unsaid * 2**refusals)
        return None

    def _hold(self, seconds: float, why: str | None) -> None:
        """Let every thread wait."""
        with self._waiting:
            until = time.monotonic() + seconds
            news = until > self._not_before + 0.5
            self._not_before = max(self._not_before, until)
        if news and why:
            self.on_wait(f"waiting {human_time(seconds)} for GitHub: {why}")


class _SameHost(urllib.request.HTTPRedirectHandler):
    """A repository that was renamed is found; the token goes to nobody else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise urllib.error.HTTPError(newurl, code, "redirected to another host", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SameHost)


def _until(headers: Message) -> float | None:
    reset = headers.get("X-RateLimit-Reset") or ""
    # a second more, as both clocks are cut off to seconds
    return max(float(reset) - time.time() + 1, 0.0) if reset.isdigit() else None


def _message(error: urllib.error.HTTPError) -> str:
    """What GitHub says is wrong."""
    try:
        answer = json.loads(error.read())
    except (ValueError, OSError, http.client.HTTPException):
        return f"HTTP {error.code}"
    if not isinstance(answer, dict):
        return f"HTTP {error.code}"
    more = [str(e.get("message") or e.get("code")) for e in answer.get("errors") or [] if isinstance(e, dict)]
    return "; ".join([str(answer.get("message", f"HTTP {error.code}")), *more])


def _refused(status: int, said: str, method: str, url: str, token: str | None) -> GitHubError:
    fix = None
    if status == 401 or (status in (403, 404) and token is None):
        fix = "Say who you are: export GH_TOKEN=$(gh auth token)"
    elif status == 403:
        fix = "The token needs the permissions contents: write and pull requests: write on that repository."
    return GitHubError(status, f"GitHub refused {method}: {said}", where=url, fix=fix)
