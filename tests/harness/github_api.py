"""GitHub's API for the comments of issues and pull requests, on the loopback interface, over real HTTP."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LONGEST = 65_536
_COMMENTS = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/issues/(?P<number>\d+)/comments")
_COMMENT = re.compile(r"/repos/(?P<repository>[^/]+/[^/]+)/issues/comments/(?P<id>\d+)")


@dataclass
class GitHub:
    """What it holds.

    Attributes:
        token: The only one that it takes: the token of an app, whose comments are a bot's.
        url: Its address.
        comments: Of all issues, oldest first; each with `issue`, the repository and number it is in.
        called: Method and path of every call.
    """

    token: str
    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    called: list[str] = field(default_factory=list)

    def comment(self, issue: str, body: str, kind: str) -> dict[str, Any]:
        """Add a comment of a `User` or a `Bot` to an issue, `organisation/name#7`."""
        made = {"id": 1000 + len(self.comments), "issue": issue, "body": body, "user": {"type": kind}}
        self.comments.append(made)
        return made

    def bots(self, issue: str) -> list[str]:
        """The texts of a bot's comments on an issue."""
        return [c["body"] for c in self.comments if c["issue"] == issue and c["user"]["type"] == "Bot"]

    def answer(self, method: str, address: str, body: bytes) -> tuple[int, Any]:
        """The status and the content that GitHub answers with."""
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        try:
            text = json.loads(body)["body"] if method != "GET" else ""
        except (ValueError, KeyError):
            return 400, {"message": "Problems parsing JSON"}
        if len(text) > LONGEST:
            return 422, {"message": f"Body is too long (maximum is {LONGEST} characters)"}
        if found := _COMMENTS.fullmatch(path):
            issue = f"{found['repository']}#{found['number']}"
            if method == "POST":
                return 201, self.comment(issue, text, "Bot")
            if method == "GET":
                size = min(int(query.get("per_page", ["30"])[0]), 100)
                start = (int(query.get("page", ["1"])[0]) - 1) * size
                return 200, [c for c in self.comments if c["issue"] == issue][start : start + size]
        if (found := _COMMENT.fullmatch(path)) and method == "PATCH":
            for comment in self.comments:
                if comment["id"] == int(found["id"]) and comment["issue"].startswith(
                    f"{found['repository']}#"
                ):
                    comment["body"] = text
                    return 200, comment
        return 404, {"message": "Not Found"}


@contextmanager
def running_github(token: str) -> Iterator[GitHub]:
    """Run the API."""
    github = GitHub(token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            github.called.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {github.token}":
                status, answer = 401, {"message": "Bad credentials"}
            else:
                status, answer = github.answer(self.command, self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
