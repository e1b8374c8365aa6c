"""A Slack workspace on the loopback interface: the four methods that a notification calls, over real HTTP."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

TOKEN = "xoxb-a-token-of-the-tests"


@dataclass
class Slack:
    """What the workspace holds, and how it misbehaves.

    Attributes:
        url: Its address.
        channels: Names of public channels to ids.
        messages: By channel id, oldest first.
        called: The methods called, in order.
        broken: Method (or `*`) to what it answers instead: an error's name, an HTTP status, `garbage`,
            `hang up`.
    """

    url: str = ""
    channels: dict[str, str] = field(default_factory=lambda: {"general": "C001", "airflow-approvals": "C002"})
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"C001": [], "C002": []})
    called: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> list[dict[str, Any]]:
        """The messages of the channel for approvals."""
        return self.messages["C002"]

    def answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """What Slack answers to a call."""
        if method == "conversations.list":
            return self._page("channels", [{"id": i, "name": n} for n, i in self.channels.items()], given)
        channel = self.channels.get(str(given["channel"]).removeprefix("#"), given["channel"])
        if channel not in self.messages:
            return {"ok": False, "error": "channel_not_found"}
        held = self.messages[channel]
        if method == "conversations.history":
            if given["channel"].startswith("#"):
                return {"ok": False, "error": "channel_not_found"}
            newest = [m for m in reversed(held) if float(m["ts"]) > float(given["oldest"])]
            return self._page("messages", newest, given)
        content: dict[str, Any] = {
            key: self._json(given[key]) for key in ("text", "blocks", "metadata") if key in given
        }
        if method == "chat.postMessage":
            content["ts"] = f"{2_000_000_000 + len(held)}.000100"
            held.append(content)
            return {"ok": True, "channel": channel, "ts": content["ts"]}
        found = next((m for m in held if m["ts"] == given["ts"]), None)
        if method != "chat.update" or found is None:
            return {"ok": False, "error": "message_not_found"}
        found |= content
        return {"ok": True, "channel": channel, "ts": found["ts"]}

    def _page(self, name: str, items: list[Any], given: dict[str, Any]) -> dict[str, Any]:
        # one at a time, so that paging is always needed
        start = int(given.get("cursor") or 0)
        more = str(start + 1) if start + 1 < len(items) else ""
        return {"ok": True, name: items[start : start + 1], "response_metadata": {"next_cursor": more}}

    @staticmethod
    def _json(value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


@contextmanager
def running_slack() -> Iterator[Slack]:
    """Run the workspace."""
    slack = Slack()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            method = self.path.rsplit("/", 1)[-1]
            slack.called.append(method)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            if "json" in self.headers.get("Content-Type", ""):
                given = json.loads(body or "{}")
            else:
                given = dict(urllib.parse.parse_qsl(body))
            how = slack.broken.get(method, slack.broken.get("*", ""))
            if how == "hang up":
                self.connection.close()
                return
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                answer = {"ok": False, "error": "invalid_auth"}
            elif how and not how.isdigit() and how != "garbage":
                answer = {"ok": False, "error": how}
            else:
                answer = slack.answer(method, given) if not how else {}
            text = b"<html>" if how in ("500", "garbage") else json.dumps(answer).encode()
            self.send_response(int(how) if how.isdigit() else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if how == "429":
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    slack.url = f"http://127.0.0.1:{server.server_port}/api/"
    try:
        yield slack
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
