"""What the verbs share when they print: colours for a terminal, plain text for everything else."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Whether a person is there to answer a question."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def styled(text: str, *styles: str) -> str:
    """The text in styles (``bold``, ``dim``, ``red``, ``green``, ``yellow``); plain without a terminal."""
    if not styles or not is_terminal() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """Print a line, at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """Print a line beside the work: on standard error."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a dataclass, or what else JSON can say, for a program."""
    print(
        json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value, indent=2)
    )


def width() -> int:
    """Characters that fit on a line."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def shell_path(path: Path) -> str:
    """A path as a person types it from here."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return shlex.quote(str(shown))
