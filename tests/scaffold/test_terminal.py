"""`dagkit new` in a terminal: its questions, and somebody who thinks better of it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scaffold.conftest import files

ENTER, INTERRUPT = b"\r", b"\x03"


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._screen, side = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dagkit", *arguments],
            cwd=folder, stdin=side, stdout=side, stderr=side, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        )  # fmt: skip
        os.close(side)
        self.shown = ""

    def read(self, until: str | None, seconds: float = 60) -> None:
        """Read what it shows, up to some words, or else to its end."""
        end = time.monotonic() + seconds
        begun = len(self.shown)
        while until is None or until not in self.shown[begun:]:
            assert time.monotonic() < end, f"waited for {until!r}, saw {self.shown[begun:]!r}"
            if select.select([self._screen], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self._screen, 65536).decode(errors="replace")
                except OSError:  # the program has ended, and the terminal with it
                    assert until is None, f"it ended before {until!r}: {self.shown!r}"
                    return

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def answer_all(self, keys: bytes, seconds: float = 60) -> None:
        """Type the same whenever it waits for something, to its end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._screen], [], [], 0.5)[0]:
                try:
                    self.shown += os.read(self._screen, 65536).decode(errors="replace")
                except OSError:
                    return
            else:
                self.type(keys)
        raise AssertionError(f"it did not end: {self.shown!r}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_the_questions_answered_with_enter_make_the_defaults(
    template: Path, here: Path, terminals: list[Terminal]
) -> None:
    subprocess.run(
        [sys.executable, "-m", "dagkit", "new", "../asked", "--defaults", "--template", str(template)],
        cwd=here, check=True, capture_output=True,
    )  # fmt: skip
    terminal = Terminal(here, "new", "asked", "--template", str(template))
    terminals.append(terminal)
    terminal.read("What do you want to make")
    terminal.answer_all(ENTER)
    assert terminal.process.wait(timeout=30) == 0
    assert "Which language is your code in?" in terminal.shown
    assert "What is the pipeline called?" in terminal.shown
    assert "Made " in terminal.shown
    assert files(here / "asked") == files(here.parent / "asked")


def test_ctrl_c_in_the_questions_leaves_nothing(
    template: Path, here: Path, terminals: list[Terminal]
) -> None:
    terminal = Terminal(here, "new", "--template", str(template))
    terminals.append(terminal)
    terminal.read("What do you want to make")
    terminal.type(ENTER)
    terminal.read("Which language")
    terminal.type(INTERRUPT)
    terminal.read("stopped")
    assert terminal.process.wait(timeout=30) == 130
    assert "Traceback" not in terminal.shown
    assert list(here.iterdir()) == []


def test_a_taken_name_asks_for_another_and_keeps_the_answers(
    template: Path, here: Path, terminals: list[Terminal]
) -> None:
    (here / "taken").mkdir()
    (here / "taken" / "notes.txt").touch()
    terminal = Terminal(here, "new", "--defaults", "--template", str(template), "-d", "repository=taken")
    terminals.append(terminal)
    terminal.read("taken is taken. Another folder")
    terminal.type(b"free\r")
    terminal.read("Made ")
    terminal.read(None)
    assert "repository: taken" in (here / "free" / ".copier-answers.yml").read_text(encoding="utf-8")
