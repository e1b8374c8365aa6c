"""Watches the repository's DAGs: brings changes to Airflow, and says what Airflow makes of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.local.dagload import parse_error
from dagkit.ui.home import Staging
from dagkit.ui.rest import Api
from dagkit.ui.subject import DagFile, Subject

_ENOUGH = 45.0
"""Seconds after which no DAG of a file is waited for."""

_ASK_EVERY = 1.5
"""Seconds between two questions for what did not load."""


class DagWatch:
    """What is staged, what Airflow has parsed, and what not.

    Args:
        subject: Whose DAGs they are.
        home: Airflow's home folder.
        api: Airflow's REST API.
        say: Told when a changed DAG is in Airflow.
        note: Told what is wrong with a DAG.
        lacking: Those of a DAG's images, by task, that are not on this machine.
    """

    def __init__(
        self,
        subject: Subject,
        home: Path,
        api: Api,
        say: Callable[[str], None],
        note: Callable[[str], None],
        lacking: Callable[[dict[str, str]], dict[str, str]],
    ) -> None:
        self._staging = Staging(subject, home)
        self._root = subject.root
        self._api = api
        self._say = say
        self._note = note
        self._lacking = lacking
        self._lock = threading.Lock()
        self._waiting: dict[str, DagFile] = {}
        self._parsed: set[str] = set()
        self._started = False
        self._next = 0.0
        self._since = 0.0
        self._told: dict[str, str] = {}

    def sync(self) -> None:
        """Bring over what has changed."""
        changed = self._staging.sync()
        with self._lock:
            self._waiting |= {dag.dag_id: dag for dag in changed}

    def parsed(self, dag_id: str, file: str, images: dict[str, str]) -> None:
        """Airflow has parsed a DAG; called from its processes, time and again.

        Args:
            dag_id: What it is called.
            file: Its file, as Airflow loads it.
            images: Its images, by task.
        """
        own = next((dag for dag in self._staging.sources.values() if file.endswith(f"/{dag.place}")), None)
        with self._lock:
            if own is None:
                return
            changed = self._waiting.pop(own.dag_id, None) is not None
            first = own.dag_id not in self._parsed
            self._parsed.add(own.dag_id)
            started = self._started
        if not (changed or first):
            return
        self._told.pop(own.dag_id, None)
        if changed and started:
            self._say(f"{dag_id}: Airflow has the changed file")
        if dag_id != own.dag_id:
            self._tell(
                f"{own.path} {dag_id}",
                f"{own.path}: the dag_id is '{dag_id}', and must be '{own.dag_id}' on the platform:"
                " the project and the file's name",
            )
        try:
            lacking = self._lacking(images)
        except DagkitError:  # Docker has gone; the task that needs it will say so
            lacking = {}
        for image in sorted(set(lacking.values())):
            tasks = ", ".join(task for task, wanted in lacking.items() if wanted == image)
            text = f"{dag_id}: the image of {tasks} is not on this machine, and has to be pulled: {image}"
            self._tell(f"{dag_id} {image}", text)

    def _tell(self, key: str, text: str) -> None:
        """Say something once."""
        with self._lock:
            told = self._told.get(key) == text
            self._told[key] = text
        if not told:
            self._note(text)

    def is_complete(self) -> bool:
        """Whether every DAG file is in Airflow, or has been found not to load; once only."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _ASK_EVERY / 3
        try:
            known = self._api.dag_ids()
        except OSError:
            return False
        with self._lock:
            for dag_id in [each for each in self._waiting if each in known]:
                del self._waiting[dag_id]
        self._ask_for_errors()
        self._since = self._since or time.monotonic()
        with self._lock:
            late = dict(self._waiting) if time.monotonic() > self._since + _ENOUGH else {}
        for dag_id, dag in late.items():
            self._tell(dag_id, f"{dag.path}: Airflow finds no DAG in it yet")
        with self._lock:
            self._started = self._waiting.keys() <= late.keys()
            return self._started

    def report(self) -> None:
        """Say which changed files do not load."""
        with self._lock:
            waiting = bool(self._waiting)
        if waiting and time.monotonic() > self._next:
            self._next = time.monotonic() + _ASK_EVERY
            self._ask_for_errors()

    def _ask_for_errors(self) -> None:
        try:
            errors = self._api.import_errors()
        except OSError:
            return
        for staged, dag in self._staging.sources.items():
            trace = next((text for name, text in errors.items() if str(staged).endswith(name)), None)
            if trace is None or self._told.get(dag.dag_id) == trace:
                continue
            self._told[dag.dag_id] = trace
            self._note(f"{dag.dag_id}: {parse_error(trace, staged, dag.path)}")
            with self._lock:
                self._waiting.pop(dag.dag_id, None)
