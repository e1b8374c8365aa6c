"""Long work as a notebook shows it: one display that changes, its log folded below it when it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from dagkit.guide import show
from dagkit.text import human_time, shorten

LOG_LINES = 400
"""Lines of a log that are kept for its folded part."""

REFRESH = 0.2
"""Seconds between two pictures of the same work."""


class Work:
    """Something long that is under way: one display that changes, its log folded below it.

    Attributes:
        title: What it is; may be set anew, for how it ended.
        ok: Whether it ends well, unless it ends in an exception.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.ok = True
        self._log: list[str] = []
        self._begun = time.monotonic()
        self._shown = 0.0
        self._identity = f"dagkit-work-{time.time_ns()}"
        self._share: float | None = None
        self._now = ""

    def say(self, line: str, *, share: float | None = None, headline: bool = True, log: bool = True) -> None:
        """Something happened.

        Args:
            line: What.
            share: How much is done, 0 to 1, where that is known.
            headline: Show it as what is happening now.
            log: Keep it in the log.
        """
        if log:
            self._log.append(line.rstrip())
            del self._log[:-LOG_LINES]
        if headline:
            self._now = line
        if share is not None:
            self._share = share
        if time.monotonic() - self._shown > REFRESH:
            self._show("…", show.AMBER, update=True)

    @property
    def log(self) -> str:
        """The last lines that were said."""
        return "\n".join(self._log)

    def begin(self) -> None:
        """Show it."""
        self._show("…", show.AMBER, update=False)

    def end(self, *, ok: bool, title: str | None = None) -> None:
        """It is over, well or badly."""
        self.title = title or self.title
        self._now, self._share = "", None
        self._show("✓" if ok else "✗", show.GREEN if ok else show.RED, update=True, final=True)

    def _show(self, sign: str, colour: str, *, update: bool, final: bool = False) -> None:
        self._shown = time.monotonic()
        took = human_time(self._shown - self._begun)
        bar = ""
        if self._share is not None:
            bar = (
                f'<div style="border:1px solid {show.GREY};height:.6em;margin:.3em 0">'
                f'<div style="background:{show.BLUE};height:100%;width:{100 * self._share:.0f}%"></div></div>'
            )
        said = escape(shorten(self._now, 110))
        now = f'<div style="opacity:.75;font-family:monospace;font-size:85%">{said}</div>'
        log = show.details("the log", self.log) if final and self._log else ""
        html = (
            f'<div style="padding:.2em .8em"><span style="color:{colour};font-weight:bold">{sign}</span> '
            f'<b>{escape(self.title)}</b> <span style="opacity:.7">{took}</span>'
            f"{'' if final else bar + now}{log}</div>"
        )
        plain = f"{sign} {self.title} ({took})"
        show.send(html, plain, identity=self._identity, update=update)


@contextmanager
def working(title: str) -> Iterator[Work]:
    """Show that something long is under way; what is given takes its progress."""
    work = Work(title)
    work.begin()
    over = False
    try:
        yield work
        over = True
    finally:
        work.end(ok=over and work.ok)
