"""Scripts run as a runner runs them, and the files through which they talk back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.harness.workflow_file import WorkflowError


def parse_file_commands(text: str) -> dict[str, str]:
    """Return what a step wrote into $GITHUB_OUTPUT or $GITHUB_ENV: ``name=value``, or a here-document.

    Raises:
        WorkflowError: A line is neither.
    """
    values: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        if heredoc := re.fullmatch(r"([^=]+?)<<(.+)", line):
            body = []
            for inner in lines:
                if inner == heredoc[2]:
                    break
                body.append(inner)
            else:
                raise WorkflowError(f"the value of {heredoc[1]} does not end: {heredoc[2]!r} is missing")
            values[heredoc[1]] = "\n".join(body)
        elif "=" in line:
            name, _, values_text = line.partition("=")
            values[name] = values_text
        else:
            raise WorkflowError(f"GitHub cannot read {line!r}: it is neither name=value nor name<<END")
    return values


def run_command(command: list[str], folder: Path, env: dict[str, str], seconds: float) -> tuple[int, str]:
    """Run a command in a process group of its own, so that nothing of it outlives its time."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            log, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            log, _ = process.communicate()
            return 1, f"{log}\nstopped after {seconds / 60:g} minutes\n"
        return process.returncode, log
