"""How tests run a notebook a cell at a time, stop it, and see what that has left."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil  # type: ignore[import-untyped]
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from dagkit.guide.chapters import CHAPTERS
from tests.guide.reading import Reader, containers, processes

EVERY = bool(os.environ.get("DAGKIT_TEST_EVERY_CELL"))
"""Stop every cell, and not only those that do most."""

PATIENCE = 30
"""Seconds until what was stopped has to be gone."""


class Kernel:
    """A notebook in a kernel of its own, run a cell at a time."""

    def __init__(self, reader: Reader, number: int) -> None:
        path = reader.folder / CHAPTERS[number].file
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        self._cells = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
        given = reader.parameters(number).items()
        self._cells["parameters"] += "".join(f"\n{name} = {value!r}" for name, value in given)
        self._reader = reader
        self.orphans: list[psutil.Process] = []
        self._manager = KernelManager()
        self._manager.start_kernel(env=reader.environment, cwd=str(reader.folder))
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=120)
        self.process = next(each for each in processes(reader) if "ipykernel" in " ".join(each.cmdline()))

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of its cells of code."""
        return tuple(self._cells)

    def begin(self, cell: str) -> str:
        """Begin to run a cell; return the name of the request."""
        while True:  # what earlier cells have shown
            try:
                self._client.get_iopub_msg(timeout=0)
            except queue.Empty:
                return str(self._client.execute(self._cells[cell], store_history=False))

    def run(self, cell: str) -> None:
        """Run a cell to its end; it may not end in an error."""
        reply = self.ended(self.begin(cell))
        assert reply["status"] == "ok", (cell, reply)

    def ended(self, request: str) -> dict[str, str]:
        """What the kernel says about a request at its end."""
        while True:
            reply = self._client.get_shell_msg(timeout=300)
            if reply["parent_header"].get("msg_id") == request:
                content: dict[str, str] = reply["content"]
                return content

    def wait_until_at_work(self, seconds: float = 5) -> None:
        """Wait until a cell shows that it works, and has started something; or that it is over."""
        shown = ""
        while shown not in ("display_data", "execute_result", "idle", "error"):
            message = self._client.get_iopub_msg(timeout=120)
            shown = message["msg_type"]
            if shown == "status":
                shown = message["content"]["execution_state"]
        until = time.monotonic() + seconds
        while shown != "idle" and time.monotonic() < until:
            if containers(self._reader) or len(list(processes(self._reader))) > 1:
                time.sleep(0.3)
                return
            time.sleep(0.05)

    def interrupt(self) -> None:
        """What the button with the square does."""
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """What a machine does that runs out of memory: the kernel is gone, without a word."""
        self.orphans = self.process.children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()


@contextmanager
def kernel(reader: Reader, number: int) -> Iterator[Kernel]:
    """A kernel for a notebook."""
    started = Kernel(reader, number)
    try:
        yield started
    finally:
        started.close()


def read_and_stop(reader: Reader, number: int, heavy: Sequence[str]) -> list[str]:
    """Run a notebook; interrupt each heavy cell once, see that nothing is left of it, and run it again.

    Returns:
        The cells that were stopped, in order; others were over before.
    """
    stopped = []
    with kernel(reader, number) as running:
        for cell in running.cells:
            if cell in heavy or (EVERY and cell != "parameters"):
                before = _held(running.process)
                request = running.begin(cell)
                running.wait_until_at_work()
                running.interrupt()
                reply = running.ended(request)
                if reply["status"] != "ok":
                    assert reply["ename"] in ("Interrupted", "KeyboardInterrupt"), reply
                    stopped.append(cell)
                assert_clean(reader, running)
                assert _held(running.process) == before, cell
            running.run(cell)
    red = {name: each.saw for name, each in reader.outcomes(number).items() if not each.ok}
    assert not red, red
    return stopped


def read_and_kill(reader: Reader, number: int, cell: str) -> None:
    """Run a notebook up to a cell, and kill the kernel while that one is at work."""
    with kernel(reader, number) as running:
        for each in running.cells[: running.cells.index(cell)]:
            running.run(each)
        running.begin(cell)
        running.wait_until_at_work()
        running.kill()
        assert_clean(reader, running)


def _held(process: psutil.Process) -> tuple[set[int], set[str]]:
    """The ports that a process listens on, and the files that it has locked."""
    ports = {each.laddr.port for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN}
    locks = set()
    for entry in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        try:
            if "lock:" in entry.read_text():
                locks.add(str((entry.parents[1] / "fd" / entry.name).readlink()))
        except OSError:  # closed meanwhile
            continue
    return ports, locks


def assert_clean(reader: Reader, kernel: Kernel) -> None:
    """Nothing of a reader's runs but the kernel; no lock of git's and no half-written file is left."""
    until = time.monotonic() + PATIENCE
    left: list[str] = []
    while time.monotonic() < until:
        others = [each for each in processes(reader) if each != kernel.process]
        others += [each for each in kernel.orphans if each.is_running()]
        if kernel.process.is_running():
            others += kernel.process.children(recursive=True)
        left = [str(each) for each in others if _alive(each)]
        left += containers(reader)
        if not left:
            break
        time.sleep(0.2)
    assert not left, left
    if reader.pipeline.exists():
        assert not list((reader.pipeline / ".git").rglob("*.lock"))
        assert not [each for each in reader.pipeline.rglob(".*.*") if each.suffix and _half(each)]


def _alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended and was not asked how goes with the next that is started."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _half(path: Path) -> bool:
    """Whether a file is one of those that are written beside another, and then take its place."""
    return path.is_file() and path.name.startswith((".run.", ".airflow_", ".guide.json."))
