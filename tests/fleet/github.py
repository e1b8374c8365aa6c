"""GitHub's API for repositories and pull requests, on the loopback interface, over real HTTP and real git."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LONGEST = 65_536
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class GitHub:
    """What it holds, and what was asked of it.

    Attributes:
        folder: Where the bare repositories lie, as `organisation/name.git`.
        token: The only one that it takes.
        url: Its address.
        repositories: What it says of each, by `organisation/name`.
        pulls: All pull requests, oldest first.
        called: Method and path of every call, and when.
        refuse: Asked before a call is answered: an answer instead, or None.
        drafts: Whether there can be draft pull requests.
        waits: Seconds that each call takes.
    """

    folder: Path
    token: str
    url: str = ""
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    called: list[tuple[str, str, float]] = field(default_factory=list)
    refuse: Callable[[str, str], Answer | None] = lambda _method, _path: None
    drafts: bool = True
    waits: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, slug: str, *, topics: tuple[str, ...] = (), **more: Any) -> Path:
        """Add an empty repository; return its bare git repository."""
        bare = self.folder / f"{slug}.git"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True)
        self.repositories[slug] = {
            "full_name": slug,
            "clone_url": bare.as_uri(),
            "default_branch": "main",
            "archived": False,
            "disabled": False,
            "fork": False,
            "size": 100,
            "topics": list(topics),
            **more,
        }
        return bare

    def git(self, slug: str, *words: str) -> str | None:
        """What git says in a repository; None where it fails."""
        folder = str(self.folder / f"{slug}.git")
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def changes(self) -> list[tuple[str, str, float]]:
        """The calls that change something."""
        return [call for call in self.called if call[0] != "GET"]

    def answer(self, method: str, address: str, content: Mapping[str, Any]) -> Answer:
        """The status, the content and the headers that GitHub answers with."""
        path = unquote(urlsplit(address).path)
        query = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
        if found := re.fullmatch(r"/(orgs|users)/([^/]+)/repos", path):
            listed = [one for name, one in self.repositories.items() if name.split("/")[0] == found[2]]
            return self._page(listed, address, query) if listed and found[1] == "orgs" else _missing()
        if not (found := re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)):
            return _missing()
        slug, rest = found[1], found[2] or ""
        if slug not in self.repositories:
            return _missing()
        if not rest:
            return 200, self.repositories[slug], {}
        if rest.startswith("/contents/"):
            if self.git(slug, "rev-parse", "HEAD") is None:
                return 404, {"message": "This repository is empty."}, {}
            text = self.git(slug, "show", f"HEAD:{rest.removeprefix('/contents/')}")
            return _missing() if text is None else (200, text, {})
        if rest.startswith("/git/refs/") and method == "DELETE":
            self.git(slug, "update-ref", "-d", rest.removeprefix("/git/"))
            return 204, None, {}
        if rest == "/pulls" and method == "GET":
            owner, _, branch = query["head"].partition(":")
            assert owner == slug.split("/")[0], "GitHub filters by owner:branch"
            ours = [p for p in reversed(self.pulls) if p["slug"] == slug and p["head"]["ref"] == branch]
            return self._page([p for p in ours if query["state"] in ("all", p["state"])], address, query)
        if rest == "/pulls" and method == "POST":
            return self._open(slug, content)
        if (found := re.fullmatch(r"/pulls/(\d+)", rest)) and method == "PATCH":
            pull = next(p for p in self.pulls if p["slug"] == slug and p["number"] == int(found[1]))
            pull.update({key: content[key] for key in ("title", "body", "state") if key in content})
            return 200, pull, {}
        return _missing()

    def _page(self, listed: list[Any], address: str, query: Mapping[str, str]) -> Answer:
        size, page = min(int(query.get("per_page", "30")), 100), int(query.get("page", "1"))
        shown = listed[(page - 1) * size : page * size]
        if page * size >= len(listed):
            return 200, shown, {}
        following = re.sub(r"&page=\d+", "", address) + f"&page={page + 1}"
        return 200, shown, {"Link": f'<{self.url}{following}>; rel="next", <{self.url}>; rel="last"'}

    def _open(self, slug: str, content: Mapping[str, Any]) -> Answer:
        head, base = (self.git(slug, "rev-parse", f"refs/heads/{content[side]}") for side in ("head", "base"))
        if head is None or base is None or head == base:
            return _invalid("head" if head is None else "base")
        if len(content["body"]) > LONGEST:
            return _invalid("body")
        if content.get("draft") and not self.drafts:
            return 422, {"message": "Draft pull requests are not supported in this repository."}, {}
        known = [p for p in self.pulls if p["slug"] == slug and p["state"] == "open"]
        if any(p["head"]["ref"] == content["head"] for p in known):
            said = {
                "message": f"A pull request already exists for {slug.partition('/')[0]}:{content['head']}."
            }
            return 422, {"message": "Validation Failed", "errors": [said]}, {}
        number = 1 + sum(p["slug"] == slug for p in self.pulls)
        made = {
            "slug": slug,
            "number": number,
            "html_url": f"https://github.com/{slug}/pull/{number}",
            "state": "open",
            "merged_at": None,
            "title": content["title"],
            "body": content["body"],
            "draft": bool(content.get("draft")),
            "head": {"ref": content["head"], "sha": head.strip(), "repo": {"full_name": slug}},
            "base": {"ref": content["base"]},
        }
        self.pulls.append(made)
        return 201, made, {}


def _missing() -> Answer:
    return 404, {"message": "Not Found"}, {}


def _invalid(key: str) -> Answer:
    return 422, {"message": "Validation Failed", "errors": [{"field": key, "code": "invalid"}]}, {}


@contextmanager
def running_github(folder: Path, token: str) -> Iterator[GitHub]:
    """Run the API."""
    github = GitHub(folder, token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(github.waits)
            with github.lock:
                github.called.append((self.command, self.path, time.monotonic()))
                status, answer, headers = self.reply(body)
            raw = "raw" in self.headers.get("Accept", "") and isinstance(answer, str)
            text = b"" if answer is None else (answer if raw else json.dumps(answer)).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def reply(self, body: bytes) -> Answer:
            if self.headers.get("Authorization") != f"Bearer {github.token}":
                return 401, {"message": "Bad credentials"}, {}
            if not self.headers.get("User-Agent") or not self.headers.get("X-GitHub-Api-Version"):
                return 403, {"message": "Request forbidden by administrative rules."}, {}
            refused = github.refuse(self.command, self.path)
            return refused or github.answer(self.command, self.path, json.loads(body or b"{}"))

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
