"""JupyterLab in a browser, driven as a person would: open a notebook, Run All, read what is shown."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTH, HEIGHT = 1280, 900

_TALL = 12_000
"""Pixels: taller than any notebook, so that all of it is drawn."""

_BUSY = """() => {
  const prompts = [...document.querySelectorAll('.jp-NotebookPanel .jp-InputPrompt')];
  const state = document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status;
  return prompts.some(prompt => prompt.textContent.includes('*')) || state !== 'idle';
}"""
_WAITING = """() => [...document.querySelectorAll('.jp-NotebookPanel .jp-InputPrompt')]
  .some(prompt => prompt.textContent.includes('*'))"""
_PICTURES = """() => [...document.querySelectorAll(
  '.jp-NotebookPanel .jp-RenderedMermaid img, .jp-NotebookPanel .jp-RenderedMermaid svg')].map(each => {
    const box = each.getBoundingClientRect();
    return [each.complete === false || each.naturalWidth === 0 ? 0 : box.width, box.height];
  })"""
_ERRORS = """() => [...document.querySelectorAll(
  '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"],' +
  '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"],' +
  '.jp-NotebookPanel .jp-RenderedMermaid .jp-mod-warning, .jp-NotebookPanel .mermaid-error')]
  .map(each => each.innerText.slice(0, 2000))"""
_TOO_WIDE = """() => [...document.querySelectorAll('.jp-NotebookPanel .jp-OutputArea-output')]
  .filter(each => each.scrollWidth > each.clientWidth + 2).map(each => each.innerText.slice(0, 200))"""
_TALLEST = """() => Math.max(0, ...[...document.querySelectorAll('.jp-NotebookPanel .jp-OutputArea')]
  .map(each => each.getBoundingClientRect().height))"""
_END = """() => {
  const cells = [...document.querySelectorAll('.jp-NotebookPanel .jp-Notebook .jp-Cell')];
  return Math.ceil(cells[cells.length - 1].getBoundingClientRect().bottom);
}"""
_ALL_THERE = """count => {
  for (const each of document.querySelectorAll('.jp-NotebookPanel .jp-WindowedPanel-outer'))
    each.scrollTop = each.scrollTop ? 0 : each.scrollHeight;
  return document.querySelectorAll('.jp-NotebookPanel .jp-Notebook .jp-Cell').length >= count;
}"""
_TO_THE_TOP = """() => {
  for (const each of document.querySelectorAll('.jp-NotebookPanel .jp-WindowedPanel-outer'))
    each.scrollTop = 0;
}"""


@contextlib.contextmanager
def guide_in_lab(folder: Path, environment: Mapping[str, str], home: Path) -> Iterator[str]:
    """Type `dagkit guide FOLDER` in a terminal with a display; yield the address that opens in the browser.

    Args:
        folder: Where the notebooks go.
        environment: Of the terminal.
        home: Of who types; what JupyterLab asks a newcomer is answered there.

    Raises:
        RuntimeError: JupyterLab did not come up; what the terminal shows is in the message.
    """
    news = {"fetchNews": "false", "checkForUpdates": False}
    _settings(home, "notification", news)
    opened, program = home / "opened", home / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >{opened}.part && mv {opened}.part {opened}\n')
    program.chmod(0o755)
    variables = {**environment, "DISPLAY": ":0", "BROWSER": str(program), "TERM": "xterm"}
    variables.pop("SSH_CONNECTION", None)
    ours, theirs = pty.openpty()
    shown = bytearray()
    words = [sys.executable, "-m", "dagkit", "guide", str(folder)]
    with subprocess.Popen(
        words, env=variables, cwd=home, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=_drain, args=(ours, shown), daemon=True)
        reader.start()
        try:
            until = time.monotonic() + 120
            while not opened.exists():
                if time.monotonic() > until or process.poll() is not None:
                    said = shown.decode(errors="replace")[-3000:]
                    raise RuntimeError(f"no browser was opened; the terminal shows:\n{said}")
                time.sleep(0.1)
            yield opened.read_text().strip()
        finally:
            process.terminate()
            process.wait(timeout=60)
            reader.join(timeout=10)
            os.close(ours)


def _drain(terminal: int, shown: bytearray) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed when nobody writes to it any more
        while chunk := os.read(terminal, 4096):
            shown.extend(chunk)


def _settings(home: Path, name: str, values: Mapping[str, object]) -> None:
    folder = home / ".jupyter" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jupyterlab-settings").write_text(json.dumps(values))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine.

    Raises:
        FileNotFoundError: There is none.
    """
    path = next((each for each in CHROMIUM if Path(each).exists()), None)
    if path is None:
        raise FileNotFoundError("there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield started
        finally:
            started.close()


@dataclass(frozen=True)
class Opened:
    """A notebook in a browser's tab.

    Attributes:
        page: The tab.
        file: The notebook.
    """

    page: Page
    file: Path

    def wait_for_kernel(self) -> None:
        """Wait until a notebook is shown and its kernel answers."""
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=120_000)
        self.page.wait_for_selector("text=/ipykernel.* \\| Idle/", timeout=120_000)
        if self.page.locator("#jp-left-stack").is_visible():
            self.page.keyboard.press("Control+B")  # folds the list of files away

    def run_all(self, seconds: float = 300) -> None:
        """Choose Run, Run All Cells; wait until the last cell has ended."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_function(_WAITING, timeout=20_000, polling=20)
        self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds: float = 300) -> None:
        """Wait until no cell runs or waits."""
        self.page.wait_for_function(f"() => !({_BUSY})()", timeout=seconds * 1000, polling=250)
        self.page.wait_for_timeout(500)

    def saved(self) -> nbformat.NotebookNode:
        """Save the notebook; return it as it is on the disk, with its outputs."""
        before = self.file.stat().st_mtime_ns
        self.page.keyboard.press("Control+S")
        until = time.monotonic() + 60
        while True:
            self.page.wait_for_timeout(200)
            try:
                notebook: nbformat.NotebookNode = nbformat.read(self.file, as_version=4)  # type: ignore[no-untyped-call]
            except ValueError:  # half of it is written
                continue
            if self.file.stat().st_mtime_ns != before or time.monotonic() > until:
                return notebook

    def unroll(self) -> None:
        """Make the tab so tall that every cell is drawn."""
        self.page.set_viewport_size({"width": WIDTH, "height": _TALL})
        notebook = nbformat.read(self.file, as_version=4)  # type: ignore[no-untyped-call]
        self.page.wait_for_function(_ALL_THERE, arg=len(notebook.cells), polling=250)
        self.page.wait_for_timeout(1000)
        self.page.evaluate(_TO_THE_TOP)
        self.page.wait_for_timeout(1000)

    def pictures(self) -> list[tuple[float, float]]:
        """Width and height of each Mermaid picture that is drawn, in pixels."""
        return [(width, height) for width, height in self.page.evaluate(_PICTURES)]

    def errors(self) -> list[str]:
        """What is shown as an error, or went to standard error."""
        return [str(each) for each in self.page.evaluate(_ERRORS)]

    def too_wide(self) -> list[str]:
        """Outputs that one has to scroll sideways."""
        return [str(each) for each in self.page.evaluate(_TOO_WIDE)]

    def tallest_output(self) -> float:
        """The height of the longest output, in pixels."""
        return float(self.page.evaluate(_TALLEST))

    def screenshot(self, path: Path) -> None:
        """A picture of the whole notebook, in parts of at most two screens; ``<path>-1.png`` is the first."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.unroll()
        end = max(int(self.page.evaluate(_END)), 1)
        for number, top in enumerate(range(0, end, 2 * HEIGHT), start=1):
            clip = {
                "x": 0.0,
                "y": float(top),
                "width": float(WIDTH),
                "height": float(min(2 * HEIGHT, end - top)),
            }
            self.page.screenshot(path=path.with_name(f"{path.name}-{number}.png"), clip=clip)  # type: ignore[arg-type]


@contextlib.contextmanager
def opened(context: BrowserContext, address: str, file: Path) -> Iterator[Opened]:
    """Open a notebook in a tab of its own, and wait for its kernel.

    Args:
        context: The browser.
        address: The page to go to.
        file: The notebook that is seen there.
    """
    page = context.new_page()
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    try:
        page.goto(address)
        notebook = Opened(page, file)
        notebook.wait_for_kernel()
        yield notebook
    finally:
        page.close()


def choose_theme(home: Path, theme: str) -> None:
    """Let JupyterLab have a theme, ``light`` or ``dark``, from its next page on."""
    _settings(home, "themes", {"theme": THEMES[theme]})
