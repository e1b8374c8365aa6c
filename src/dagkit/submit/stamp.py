"""The two comment lines on top of a submitted file: where it comes from, and whether it was edited since.

A stamp lives in the file itself, so that it survives squashed merges, shallow clones and other machines.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_STAMP = re.compile(
    r"\A# Submitted by dagkit from (?P<source>\S+) (?P<release>\S+): make changes there\.\n"
    r"# dagkit-sha256: (?P<digest>[0-9a-f]{64})\n(?P<body>.*)\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class Stamped:
    """A submitted file.

    Attributes:
        source: ``<organisation>/<repository>`` of the image repository it was submitted from.
        release: The release that was submitted.
        body: The file without its stamp.
        edited: Whether somebody changed the file after it was submitted.
    """

    source: str
    release: str
    body: str
    edited: bool


def stamp(body: str, source: str, release: str) -> str:
    """A file with its stamp on top."""
    return (
        f"# Submitted by dagkit from {source} {release}: make changes there.\n"
        f"# dagkit-sha256: {_digest(body)}\n{body}"
    )


def read(text: str) -> Stamped | None:
    """What a file's stamp says; None for a file without one."""
    found = _STAMP.match(text.replace("\r\n", "\n"))
    if found is None:
        return None
    body = found["body"]
    return Stamped(found["source"], found["release"], body, _digest(body) != found["digest"])


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
