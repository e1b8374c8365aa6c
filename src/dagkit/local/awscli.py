"""The AWS command line of this machine, which R pipelines read and write S3 with."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READS_ENDPOINT = {1: (1, 29), 2: (2, 13)}
"""The first version, by major version, that reads AWS_ENDPOINT_URL. Source: the AWS CLI's changelog."""


@dataclass(frozen=True)
class AwsCli:
    """One `aws` on this machine.

    Attributes:
        program: Where it is.
        version: Such as ``(2, 28, 20)``.
    """

    program: str
    version: tuple[int, ...]

    @property
    def shown(self) -> str:
        """The version, as people write it."""
        return ".".join(map(str, self.version))

    @property
    def differs(self) -> str:
        """How it differs from that of images, as a sentence; empty where it does not."""
        if self.version[0] < 2:
            return (
                f"The AWS command line is {self.shown} here; images have version 2, which knows more options"
            )
        return ""

    def install(self, folder: Path) -> None:
        """Put an `aws` into ``folder`` that is this one, and that reaches local AWS whatever its version."""
        words = shlex.quote(self.program)
        if self.version < READS_ENDPOINT.get(self.version[0], self.version):
            # it does not read the variable, but has always had the option
            words += ' ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}'
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "aws.new"
        part.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        part.chmod(0o755)
        part.replace(folder / "aws")


def find_aws() -> AwsCli | None:
    """The `aws` of version 2 that comes first on PATH, or else the first of all; None where there is none."""
    found = None
    for program in _candidates():
        aws = _ask(program)
        if aws and aws.version[0] >= 2:
            return aws
        found = found or aws
    return found


def _candidates() -> Iterator[str]:
    seen = set()
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/bin", "/usr/bin"):
        program = shutil.which("aws", path=folder)
        if program and os.path.realpath(program) not in seen:
            seen.add(os.path.realpath(program))
            yield program


def _ask(program: str) -> AwsCli | None:
    # with as little around it as a task has: a version manager's stand-in does not start there
    bare = {"PATH": os.defpath, "HOME": os.sep}
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False, env=bare
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"aws-cli/(\d+)\.(\d+)\.(\d+)", done.stdout + done.stderr)
    return AwsCli(program, tuple(map(int, match.groups()))) if match else None
