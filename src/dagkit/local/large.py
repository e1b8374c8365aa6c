"""Reading large objects piece by piece.

moto reads a whole object for every range of it that is asked for, so that a download or copy in parts takes
time with the square of the size. An object that moto keeps in a file is read from that file instead.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagkit.local import wsgi
from dagkit.local.backend import MotoBackend
from dagkit.local.calls import Operation
from dagkit.local.calls.s3 import copy_source

Environ = dict[str, Any]
Forward = Callable[[Environ], tuple[Iterable[bytes], int, list[tuple[str, str]]]]
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Piece(Iterable[bytes]):
    """A part of a file, `size` bytes from `start`, read as it is sent; closing it closes the file."""

    file: int
    start: int
    size: int

    def __iter__(self) -> Iterator[bytes]:
        position, end = self.start, self.start + self.size
        while position < end:
            data = os.pread(self.file, min(_CHUNK, end - position), position)
            if not data:
                return
            position += len(data)
            yield data

    def close(self) -> None:
        """Closes the file."""
        os.close(self.file)


def get(
    forward: Forward, environ: Environ, operation: Operation, backend: MotoBackend
) -> tuple[Iterable[bytes], int, list[tuple[str, str]]] | None:
    """Answers GetObject from the file moto keeps the object in.

    Returns:
        Body, status and headers; None when moto itself should answer.
    """
    if (
        operation.name != "GetObject"
        or "partNumber" in operation.params
        or "response-" in operation.request.query
    ):
        return None
    opened = backend.open_object(*(operation.param(name) for name in ("Bucket", "Key", "VersionId")))
    if opened is None:
        return None
    # A HEAD gives the very headers a GET would have, and reads nothing.
    body, status, headers = forward({**environ, "REQUEST_METHOD": "HEAD"})
    wsgi.close(body)
    fields = {name.lower(): value for name, value in headers}
    if status not in {200, 206}:
        os.close(opened[0])
        return None
    span = re.match(r"bytes (\d+)-(\d+)/", fields.get("content-range", ""))
    start, end = (int(span.group(1)), int(span.group(2))) if span else (0, opened[1] - 1)
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    piece = Piece(opened[0], start, end - start + 1)
    return piece, status, [*kept, ("Content-Length", str(piece.size))]


def copy_part(
    forward: Forward, environ: Environ, operation: Operation, backend: MotoBackend
) -> tuple[Iterable[bytes], int, list[tuple[str, str]]] | None:
    """Answers UploadPartCopy by uploading that part of the file moto keeps the source in.

    Returns:
        Body, status and headers; None when moto itself should answer.
    """
    headers = operation.request.headers
    if operation.name != "UploadPartCopy" or any(name.startswith("x-amz-copy-source-if") for name in headers):
        return None
    source = copy_source(headers.get("x-amz-copy-source", ""))
    span = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("x-amz-copy-source-range", ""))
    opened = backend.open_object(*source) if source and span else None
    if opened is None or span is None:
        return None
    file, size = opened
    first, last = int(span.group(1)), int(span.group(2))
    if last >= size:
        os.close(file)
        return None
    piece = Piece(file, first, last - first + 1)
    upload = {name: value for name, value in environ.items() if not name.startswith("HTTP_X_AMZ_COPY_SOURCE")}
    upload |= {"wsgi.input": io.BytesIO(b"".join(piece)), "CONTENT_LENGTH": str(piece.size)}
    piece.close()
    body, status, answered = forward(upload)
    if status != 200:
        return body, status, answered
    wsgi.close(body)
    etag = next((value for name, value in answered if name.lower() == "etag"), "")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    result = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<CopyPartResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<ETag>{etag}</ETag><LastModified>{now}</LastModified></CopyPartResult>"
    ).encode()
    return [result], 200, [("Content-Type", "application/xml"), ("Content-Length", str(len(result)))]
