"""The generated scripts/run.py as a process: being stopped, memory, and a network that fails."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MEBIBYTE = 1024 * 1024
UPLOAD = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
COMPLETE = b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"


class SlowS3(http.server.ThreadingHTTPServer):
    """As much of S3 as one copy needs: an object of any size, made as it is sent, and counted uploads.

    Attributes:
        size: How large the object is, in bytes.
        sent: How many bytes of it are really sent before the connection is closed.
        answers_uploads: Whether a PUT is ever answered.
        asked: Each request, as "METHOD query", set while the test waits for one.
    """

    def __init__(self, *, size: int = 0, sent: int | None = None, answers_uploads: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.size = size
        self.sent = size if sent is None else sent
        self.answers_uploads = answers_uploads
        self.asked: list[str] = []
        self.uploaded = 0
        self.waiting = threading.Event()
        self.stopped = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowS3

    def answer(self, body: bytes = b"", **headers: str) -> None:
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.asked.append("GET")
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.size))
        self.end_headers()
        block = bytes(MEBIBYTE)
        for start in range(0, self.server.sent, MEBIBYTE):
            self.wfile.write(block[: min(MEBIBYTE, self.server.sent - start)])
        self.close_connection = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append("POST")
        self.answer(UPLOAD if self.path.endswith("?uploads") else COMPLETE)

    def do_PUT(self) -> None:
        self.server.asked.append("PUT")
        self.server.waiting.set()
        if not self.server.answers_uploads:
            self.server.stopped.wait()
            return
        left = int(self.headers["Content-Length"])
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        while left:
            left -= len(self.rfile.read(min(left, MEBIBYTE)))
        self.server.uploaded += int(
            self.headers.get("X-Amz-Decoded-Content-Length") or self.headers["Content-Length"]
        )
        self.answer(ETag='"x"')

    def do_DELETE(self) -> None:
        self.server.asked.append("DELETE")
        self.answer()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(server: SlowS3) -> Iterator[SlowS3]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def start(rendered_python: Path, server: SlowS3, *prefix: str, **variables: str) -> subprocess.Popen[str]:
    """Start the script against a server."""
    return subprocess.Popen(
        [*prefix, sys.executable, "scripts/run.py"],
        cwd=rendered_python,
        env={
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_MAX_ATTEMPTS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


COPY = {"RUN": "copy", "FROM": "s3://my-bucket/from", "TO": "s3://my-bucket/to"}
WRITE = {"RUN": "write", "TEXT": "hello", "OUTPATH": "s3://my-bucket/to"}


@pytest.mark.parametrize(("variables", "size"), [(WRITE, 0), (COPY, 1), (COPY, 20 * MEBIBYTE)])
def test_being_stopped_ends_it_in_the_middle_of_an_upload(
    variables: dict[str, str], size: int, rendered_python: Path
) -> None:
    with serving(SlowS3(size=size, answers_uploads=False)) as server:
        process = start(rendered_python, server, **variables)
        assert server.waiting.wait(timeout=60)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (143, "", "error: stopped by SIGTERM\n")
        if size > 8 * MEBIBYTE:
            assert server.asked[-1] == "DELETE"  # the parts that were uploaded do not stay behind


def test_a_large_object_is_never_held_in_memory(rendered_python: Path) -> None:
    size = 256 * MEBIBYTE
    with serving(SlowS3(size=size)) as server:
        limited = [
            "bash",
            "-c",
            f'ulimit -v {200 * 1024} && exec "$@"',
            "bash",
        ]  # in KiB; Python and boto3 take half of it
        process = start(rendered_python, server, *limited, **COPY)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert out == f"copied {size:,} bytes from s3://my-bucket/from to s3://my-bucket/to\n"
        assert server.uploaded >= size


def test_an_object_that_ends_too_soon_is_an_error_of_reading_it(rendered_python: Path) -> None:
    with serving(SlowS3(size=20 * MEBIBYTE, sent=10 * MEBIBYTE)) as server:
        process = start(rendered_python, server, **COPY)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (1, "")
        assert err.startswith("error: s3:GetObject on s3://my-bucket/from failed: ")
        assert len(err.splitlines()) == 1
