"""What begins and ends with a program that runs Airflow here: its signals, and its scratch folder."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

CONTROL = "control.sock"
"""The name of the socket in the scratch folder."""

_SOCKET_PATH_MAX = 100


@contextmanager
def signals_interrupt(stack: ExitStack) -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does; from then on, nothing interrupts the clearing up.

    Args:
        stack: What clears up. Once it has, signals do what they did before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # a library that is just being imported may swallow it, so it comes again until it is heard
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        raise KeyboardInterrupt

    for each in ends:
        stack.callback(signal.signal, each, signal.signal(each, interrupt))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each in ends:
            signal.signal(each, signal.SIG_IGN)


def scratch_folder(stack: ExitStack) -> Path:
    """A folder of the run's own, short enough for a socket in it."""
    folder = tempfile.mkdtemp(prefix="dagkit-")
    if len(folder) + len(CONTROL) > _SOCKET_PATH_MAX:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="dagkit-", dir="/tmp")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder).resolve()
