"""A build as it goes on: a live line in a terminal, a line a step everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagkit.cli import terminal
from dagkit.text import human_time, shorten

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from dagkit.image import BuildEvent


@contextmanager
def build_progress(*, cached: bool = True) -> Iterator[Callable[[BuildEvent], None]]:
    """Show the steps of a build; what is given is the ``on_event`` of `dagkit.image.build`.

    Args:
        cached: Show steps whose result was there already, too.
    """
    if not terminal.is_terminal():
        plain = _Plain(cached=cached)
        try:
            yield plain
        finally:
            plain.end()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    shown = _Live(console, cached=cached)
    with Live(shown, console=console, refresh_per_second=8, transient=True):
        yield shown
        shown.finish()


_NOTHING = 0.05
"""Seconds of a step that did nothing, like FROM; the engine does not call it cached."""


class _Steps:
    """Which step is under way, and since when."""

    def __init__(self, *, cached: bool) -> None:
        self.show_cached = cached
        self.now: BuildEvent | None = None
        self.cached = False
        self.began = time.monotonic()
        self.text = ""

    def __call__(self, event: BuildEvent) -> None:
        if self.now is None or event.step != self.now.step:
            self.finish()
            self.now, self.cached, self.began, self.text = event, False, time.monotonic(), ""
            self.begin(event)
        self.cached = self.cached or event.cached
        self.text = event.text or self.text

    def begin(self, event: BuildEvent) -> None:
        """A step begins."""

    def finish(self) -> None:
        """The step under way is done, if there is one."""

    def hidden(self) -> bool:
        """Whether the step under way is of no interest: nothing had to be done for it."""
        return not self.show_cached and (self.cached or time.monotonic() - self.began < _NOTHING)

    def number(self, event: BuildEvent) -> str:
        return f"step {event.step:>{len(str(event.steps))}}/{event.steps}"

    def took(self) -> str:
        return "cached" if self.cached else human_time(time.monotonic() - self.began)


class _Plain(_Steps):
    """The step on a line when it begins, how long it took on the same line when it is done."""

    def begin(self, event: BuildEvent) -> None:
        if self.show_cached:
            self.write(f"{self.number(event)}  {shorten(event.instruction, 90)}")

    def finish(self) -> None:
        if self.now is not None and not self.hidden():
            if not self.show_cached:
                self.write(f"{self.number(self.now)}  {shorten(self.now.instruction, 90)}")
            self.write(f"  ({self.took()})\n")
        self.now = None

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def end(self) -> None:
        """The build is over: by an error if a step is still under way."""
        if sys.exc_info()[0] is None:
            self.finish()
        elif self.now is not None and self.show_cached:
            self.write("\n")


class _Live(_Steps):
    """Steps that are done scroll up; the one under way has a clock and its last line of output."""

    def __init__(self, console: Console, *, cached: bool) -> None:
        super().__init__(cached=cached)
        self.console = console

    def finish(self) -> None:
        if self.now is not None and not self.hidden():
            from rich.text import Text

            line = Text.assemble(
                ("✓ ", "green"),
                (f"{self.number(self.now)}  {self.took():>10}  ", "dim"),
                shorten(self.now.instruction, max(self.console.width - 30, 20)),
            )
            self.console.print(line, no_wrap=True)
        self.now = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        if self.now is None:
            yield Text("sending the files to Docker …", style="dim")
            return
        clock = human_time(time.monotonic() - self.began)
        room = max(options.max_width - 30, 20)
        yield Text.assemble(
            ("▸ ", "yellow"),
            f"{self.number(self.now)}  {clock:>10}  ",
            (shorten(self.now.instruction, room), "bold"),
        )
        yield Text("  " + shorten(self.text, options.max_width - 3), style="dim")
