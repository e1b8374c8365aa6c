"""The `process` engine: no Docker; the image's entry point runs here, in the locked environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from dagkit import names
from dagkit.errors import DagkitError
from dagkit.local import entrypoint
from dagkit.local.docker_engine import lines
from dagkit.local.engines import Ground, Outcome, Reach, Say
from dagkit.local.environment import CodeEnvironment, of
from dagkit.local.pods import PodRun

UNCHECKED = (
    "without Docker it is not checked that the image builds, nor what the pod's user, limits, capabilities"
    " and read-only file system would refuse"
)
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")


class ProcessEngine:
    """Processes with the variables of the pod, and nothing else of this machine's."""

    name = "process"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._stopping = False
        self._starting = threading.Lock()
        self._pids = Path(ground.scratch) / "pids"
        self._noted: set[str] = set()

    @cached_property
    def _start(self) -> entrypoint.Start:
        return entrypoint.read(self._ground.folder / self._ground.dockerfile, self._ground.target)

    @cached_property
    def _code(self) -> CodeEnvironment:
        state = self._ground.folder / ".dagkit"
        return of(self._ground.language, self._ground.code, self._start.base_image, state=state)

    def reach(self) -> Reach:
        """Loopback."""
        return Reach("127.0.0.1", ("127.0.0.1",))

    def prepare(self, say: Say, build: bool) -> tuple[str, ...]:
        """Make the environment of the lock file, once."""
        del build  # its name says what it was made of: it is never out of date
        self._code.make(say)
        return (UNCHECKED, self._code.differs) if self._code.differs else (UNCHECKED,)

    def run(self, pod: PodRun, environment: Mapping[str, str], log: Say, note: Say) -> Outcome:
        """Run one pod as a process in a group of its own, which is ended with it."""
        del note  # what is different is the same for every pod: UNCHECKED
        self._check(pod)
        home = Path(self._ground.scratch) / "pods" / pod.name
        home.mkdir(parents=True, exist_ok=True)
        argv = self._argv(pod)
        with self._starting:
            if self._stopping:
                return Outcome(143, "the run was stopped")
            try:
                process = subprocess.Popen(
                    argv,
                    cwd=self._ground.code,
                    env=self._environment(environment, home),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise DagkitError(
                    f"The program of the task cannot be started: {error}", where=f"task {pod.task}: {argv[0]}"
                ) from error
            self._pids.mkdir(exist_ok=True)
            (self._pids / str(process.pid)).touch()
        reader = threading.Thread(target=_follow, args=(process, log), daemon=True)
        reader.start()
        try:
            code = process.wait()
        finally:
            # what the program left running goes too, as it would with its container
            _end(process.pid, process)
            reader.join(GRACE)
            (self._pids / str(process.pid)).unlink(missing_ok=True)
            shutil.rmtree(home, ignore_errors=True)
        if self._stopping:
            return Outcome(143, "the run was stopped")
        if code < 0:
            return Outcome(128 - code, f"ended by {signal.Signals(-code).name}")
        return Outcome(code)

    def stop(self) -> None:
        """End every process group of this run."""
        self._stopping = True
        with self._starting:
            for path in self._pids.glob("*"):
                _end(int(path.name))

    def _check(self, pod: PodRun) -> None:
        own = f"{self._ground.registry}/{names.ecr_repository(self._ground.repository)}"
        if pod.image.rpartition(":")[0] != own:
            raise DagkitError(
                f"The task {pod.task} runs another image, {pod.image}; without Docker only this repository's"
                " code can run",
                where=f"task {pod.task}",
                fix="Start Docker, and run with: --engine docker",
            )
        if pod.xcom:
            raise DagkitError(
                f"The task {pod.task} returns a result through /airflow/xcom, a folder of its container",
                where=f"task {pod.task}",
                fix="Start Docker, and run with: --engine docker (or set do_xcom_push=False)",
            )

    def _argv(self, pod: PodRun) -> list[str]:
        words = self._start.argv(pod.command, pod.args)
        program = self._code.program(words[0]) or self._start.here(words[0], self._ground.code)
        path = os.pathsep.join(self._path)
        found = shutil.which(program, path=path)
        if found is None:
            raise DagkitError(
                f"The image starts '{words[0]}', which is not on this machine",
                where=str(self._ground.folder / self._ground.dockerfile),
                fix="Start Docker, and run with: --engine docker",
            )
        return [found, *(self._start.here(word, self._ground.code) for word in words[1:])]

    @property
    def _path(self) -> tuple[str, ...]:
        return (*(str(folder) for folder in self._code.folders), *_SYSTEM)

    def _environment(self, environment: Mapping[str, str], home: Path) -> dict[str, str]:
        image = {
            name: value for name, value in self._start.env.items() if not value.startswith("/")
        }  # a path of the image is none of this machine's
        return {
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **image,
            **self._code.variables,
            "PATH": os.pathsep.join(self._path),
            "HOME": str(home),
            "TMPDIR": str(home),
            **environment,
        }


def _follow(process: subprocess.Popen[bytes], log: Say) -> None:
    assert process.stdout is not None  # noqa: S101
    with process.stdout as stream:
        for line in lines(iter(lambda: stream.read1(65536), b"")):  # type: ignore[attr-defined]
            log(line)


def _end(group: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """End a process group: SIGTERM, and SIGKILL for what is left of it after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        until = time.monotonic() + GRACE
        while time.monotonic() < until:
            if process is not None:
                process.poll()  # a child that has ended stays in its group until it is asked
            if not _alive(group):
                return
            time.sleep(0.02)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
