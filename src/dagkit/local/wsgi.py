"""HTTP as WSGI has it (PEP 3333): reading requests, sending answers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from dagkit.local.calls import HttpRequest
from dagkit.local.refusals import Answered

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
CHUNK = 1 << 20  # bytes


def read_head(environ: Environ) -> HttpRequest:
    """Reads a request, but its body."""
    target = environ.get("RAW_URI") or environ.get("PATH_INFO", "/")
    without_scheme = re.sub(r"^https?://[^/?]*", "", target)
    path, _, query = without_scheme.partition("?")
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    method = environ["REQUEST_METHOD"]
    return HttpRequest(method, headers.get("host", ""), path or "/", query, headers)


def has_telling_body(request: HttpRequest) -> bool:
    """Tells whether the body of an S3 call says what it needs: only that of DeleteObjects does."""
    return request.method == "POST" and "delete" in parse_qs(request.query, keep_blank_values=True)


def read_body(environ: Environ) -> bytes:
    """Reads the whole body."""
    return b"".join(chunks(environ))


class Body(io.RawIOBase):
    """A request's body, which ends where it ends: whoever reads on, after moto has, is told so.

    Args:
        environ: Of a request nothing of which was read yet.
    """

    def __init__(self, environ: Environ) -> None:
        self._stream = environ["wsgi.input"]
        self._left = None if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)

    def readable(self) -> bool:
        """Says yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads into a buffer; 0 at the end."""
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        data = self._stream.read(wanted) if wanted else b""
        buffer[: len(data)] = data
        if self._left is not None:
            self._left = self._left - len(data) if data else 0
        return len(data)


def chunks(environ: Environ) -> Iterable[bytes]:
    """Reads the body, or what is left of it, piece by piece."""
    while data := environ["wsgi.input"].read(CHUNK):
        yield data


def send(environ: Environ, start_response: StartResponse, answered: Answered) -> Iterable[bytes]:
    """Sends a finished answer."""
    # A client that is still sending would see its connection break instead of the answer.
    for _ in chunks(environ):
        pass
    start_response(status_line(answered.status), list(answered.headers))
    return [answered.body]


def status_line(status: int) -> str:
    """Returns the status with its phrase."""
    from http import HTTPStatus

    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def close(body: Iterable[bytes]) -> None:
    """Ends an answer that is not sent (PEP 3333)."""
    close = getattr(body, "close", None)
    if close:
        close()
