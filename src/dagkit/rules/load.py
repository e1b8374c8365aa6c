"""What Airflow says about DAG files: the parent's side of `child.py`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from dagkit.errors import DagkitError
from dagkit.rules.facts import Loaded

CHILD = Path(__file__).parent / "child.py"
KEEP = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
"""What of this process's environment DAG code gets to see: no credentials, and no home to find any in."""


def airflow_is_here() -> bool:
    """Whether this Python has Airflow; nothing is imported."""
    return importlib.util.find_spec("airflow") is not None


class Loader:
    """Airflow in a process of its own, being imported from the moment this is made.

    A context manager: the process and its folder are gone afterwards.
    Until then it loads as often as needed.

    Args:
        python: The Python that has Airflow.
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = str(python or sys.executable)
        self._home = tempfile.TemporaryDirectory(prefix="dagkit-rules-")
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = self._start()
        self.compute: Mapping[str, Any] | None = None

    @property
    def process_id(self) -> int:
        """The process that Airflow is in."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._errors.close()
        self._home.cleanup()

    def _start(self) -> subprocess.Popen[str]:
        home = Path(self._home.name)
        environment = {key: os.environ[key] for key in KEEP if key in os.environ} | {
            "HOME": str(home),
            "PYTHONUSERBASE": site.getuserbase(),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "1000",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            [self._python, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=home,
            env=environment,
            text=True,
            encoding="utf-8",
        )

    def _stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def load(
        self, batches: Sequence[Sequence[Path]], search: Sequence[Path]
    ) -> Iterator[tuple[Path, Loaded]]:
        """Load DAG files.

        Args:
            batches: The files, those of an environment together.
            search: Folders that are searched for modules: those that hold ``imports/``.

        Yields:
            A file, and what Airflow says about it. A file that ends the process gets an error that says so,
            and the others are loaded by a new one.

        Raises:
            DagkitError: Airflow itself cannot be imported.
        """
        done: set[str] = set()
        while True:
            left = [[str(file) for file in batch if str(file) not in done] for batch in batches]
            if not any(left):
                return
            begun = None
            for fact in self._answers({"path": [str(path) for path in search], "batches": left}):
                if "begin" in fact:
                    begun = fact["begin"]
                    continue
                done.add(fact["file"])
                begun = None
                yield Path(fact["file"]), _loaded(fact)
            if len(done) == sum(map(len, batches)):
                return
            if begun is None:
                raise self._broken()
            done.add(begun)
            said = "it ends the process that loads it"
            yield Path(begun), Loaded(0.0, {"line": None, "message": said, "text": said})
            self._stop()
            self._process = self._start()

    def _answers(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        ask, answers = self._process.stdin, self._process.stdout
        if ask is None or answers is None:
            raise self._broken()
        with contextlib.suppress(BrokenPipeError):
            ask.write(json.dumps(request) + "\n")
            ask.flush()
        for line in answers:
            fact: dict[str, Any] = json.loads(line)
            if "compute" in fact:
                self.compute = fact["compute"]
            elif "done" in fact:
                return
            else:
                yield fact

    def _broken(self) -> DagkitError:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return DagkitError(
            "Airflow cannot be loaded" + (f": {said[-1]}" if said else ""),
            where=self._python,
            fix="Install it again (pip install 'dagkit[local]'), or check the files alone: --static",
        )


def _loaded(fact: Mapping[str, Any]) -> Loaded:
    return Loaded(fact["seconds"], fact["error"], tuple(fact["warnings"]), tuple(fact["dags"]))
