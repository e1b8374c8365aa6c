"""The processes of Airflow: started together, watched, started again when one is killed, ended together."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.ui import sweep
from dagkit.ui.airflow import Airflow

GRACE = 3.0
"""Seconds that Airflow has to end by itself."""

RESTARTS = 3
"""How often a part is started again."""


@dataclass
class Part:
    """One part of Airflow.

    Attributes:
        name: What people call it.
        words: What comes after ``airflow``.
        log: What it prints.
        restarts: How often it has been started again.
    """

    name: str
    words: Sequence[str]
    log: Path
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class Parts:
    """All parts of one Airflow.

    Args:
        airflow: Which one.
        session: Marks the processes.
        environment: Their variables.
        folder: Where they run.
        logs: Where what they print is kept.
    """

    def __init__(
        self, airflow: Airflow, session: str, environment: Mapping[str, str], folder: Path, logs: Path
    ) -> None:
        self._airflow = airflow
        self._session = session
        self._environment = dict(environment)
        self._folder = folder
        self._logs = logs
        self.parts: list[Part] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, words: Sequence[str]) -> None:
        """Start a part."""
        part = Part(name, words, self._logs / f"{words[0]}.log")
        part.log.unlink(missing_ok=True)
        self.parts.append(part)
        self._spawn(part)

    def has(self, name: str) -> bool:
        """Whether a part of that name has been started."""
        return any(part.name == name for part in self.parts)

    def _spawn(self, part: Part) -> None:
        pid = ("--pid", str(self._folder / f"{part.words[0]}.pid")) if part.words[0] == "webserver" else ()
        with part.log.open("ab") as log:
            part.process = subprocess.Popen(
                [self._airflow.python, "-P", "-m", "dagkit.ui.launch", *part.words, *pid],
                cwd=self._folder,
                env={**self._environment, sweep.SESSION: self._session, sweep.PART: part.words[0]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is dagkit's to handle
            )

    def ended(self) -> list[Part]:
        """The parts that have ended by themselves, or by somebody else's doing."""
        return [part for part in self.parts if part.process is not None and part.process.poll() is not None]

    def revive(self, part: Part) -> None:
        """Start a part again, after what is left of it has been ended.

        Raises:
            DagkitError: It has been started often enough.
        """
        if part.restarts >= RESTARTS:
            raise gave_up(part)
        part.restarts += 1
        sweep.kill(self._session, part=part.words[0])
        self._spawn(part)

    def end(self) -> None:
        """End all of them, and every process that they started."""
        alive = [part.process for part in self.parts if part.process is not None]
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + GRACE
        while time.monotonic() < until and any(process.poll() is None for process in alive):
            time.sleep(0.05)
        sweep.kill(self._session)
        for process in alive:
            process.wait()


def gave_up(part: Part) -> DagkitError:
    """The error for a part that does not stay alive, with the end of its log."""
    lines = [line for line in part.log.read_text(errors="replace").splitlines() if line.strip()]
    shown = "\n".join(f"  {line[:200]}" for line in lines[-5:])
    again = f" again and again ({part.restarts + 1} times)" if part.restarts else ""
    code = part.process.returncode if part.process is not None else None
    return DagkitError(
        f"Airflow's {part.name} ended{again}, with exit code {code}\n{shown}",
        where=str(part.log),
        fix="Look at the log. A fresh start: remove the folder .dagkit/ui, and start again.",
    )
