"""The home folder of an Airflow that is kept from one start to the next, and the files that change in it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import dagkit
from dagkit.local import airflow_home
from dagkit.ui.airflow import USER, Airflow, Secrets
from dagkit.ui.subject import DagFile, Subject

_SECRETS = "secrets.json"

# What Airflow reads of ours in each of its processes: the policies through which the hook is installed.
_LOCAL_SETTINGS = '''\
"""Written by dagkit ui: hands the pods of tasks to it."""

from dagkit.ui.policy import dag_policy, task_policy

__all__ = ["dag_policy", "task_policy"]
'''


def open_home(home: Path, airflow: Airflow, subject: Subject, say: Callable[[str], None]) -> Secrets:
    """Make the home folder, or find again what an earlier start left there: runs, logs, the login.

    Raises:
        DagkitError: Airflow could not make its database.
    """
    database = airflow.database(say)
    if not (home / _SECRETS).is_file():
        shutil.rmtree(home, ignore_errors=True)  # of a start that did not come this far
        airflow_home.make_home(home, database)
        _keep(home / _SECRETS, json.dumps(asdict(_new_secrets())))
    found = Secrets(**json.loads((home / _SECRETS).read_text(encoding="utf-8")))
    _set_password(home, airflow, found.password)
    library = home / airflow_home.IMPORTS
    subject.write_imports(library)
    # whichever Python runs Airflow: the few modules of ours that its tasks need, and none of our packages
    link = library / "dagkit"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(dagkit.__file__).parent)
    config = home / "config"
    config.mkdir(exist_ok=True)
    (config / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS, encoding="utf-8")
    return found


def waits_for_triggerer(home: Path) -> bool:
    """Whether a task has been deferred, which only a triggerer brings back."""
    try:
        with closing(sqlite3.connect(f"file:{home / airflow_home.DATABASE}?mode=ro", uri=True)) as database:
            return database.execute("SELECT 1 FROM trigger LIMIT 1").fetchone() is not None
    except sqlite3.Error:  # busy: it is asked again
        return False


def _new_secrets() -> Secrets:
    return Secrets(
        password=secrets.token_urlsafe(12),
        signing=secrets.token_urlsafe(48),
        fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    )


def _set_password(home: Path, airflow: Airflow, password: str) -> None:
    with closing(sqlite3.connect(home / airflow_home.DATABASE)) as database:
        # readers and the writer do not wait for each other; kept in the file
        database.execute("PRAGMA journal_mode=WAL")
        if airflow.is_2:
            from werkzeug.security import generate_password_hash

            hashed = generate_password_hash(password, method="pbkdf2:sha256")
            database.execute("UPDATE ab_user SET password = ? WHERE username = ?", (hashed, USER))
        database.commit()
    if not airflow.is_2:
        _keep(home / "passwords.json", json.dumps({USER: password}))


def _keep(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


class Staging:
    """Keeps Airflow's folder of DAGs as the repository's is, file by file; the repository's are only read."""

    def __init__(self, subject: Subject, home: Path) -> None:
        self._subject = subject
        self._home = home
        self._folder = home / airflow_home.DAGS
        self._seen: dict[Path, tuple[int, int]] = {}
        self._imports = self._stamps(subject.imports())
        self.sources: dict[Path, DagFile] = {}

    def sync(self) -> list[DagFile]:
        """Bring over what has changed since the last time; the DAGs that did."""
        everything = False
        if (imports := self._stamps(self._subject.imports())) != self._imports:
            self._imports, everything = imports, True
            self._subject.write_imports(self._home / airflow_home.IMPORTS)
        changed = []
        dags = {self._folder / dag.place: dag for dag in self._subject.dags()}
        for staged, dag in dags.items():
            stamp = self._stamps([dag.path]).get(dag.path)
            if stamp is None or (stamp == self._seen.get(staged) and not everything):
                continue
            self._seen[staged] = stamp
            text = self._subject.text(dag)
            if everything or not staged.is_file() or staged.read_text(encoding="utf-8") != text:
                self._write(staged, text)
                changed.append(dag)
        for staged in [path for path in self._folder.rglob("*.py") if path not in dags]:
            staged.unlink(missing_ok=True)
            self._seen.pop(staged, None)
        self.sources = dags
        return changed

    def _write(self, staged: Path, text: str) -> None:
        staged.parent.mkdir(parents=True, exist_ok=True)
        part = self._home / "staged.part"
        part.write_text(text, encoding="utf-8")
        part.replace(staged)

    @staticmethod
    def _stamps(paths: tuple[Path, ...] | list[Path]) -> dict[Path, tuple[int, int]]:
        stamps = {}
        for path in paths:
            try:
                status = path.stat()
            except OSError:  # just removed
                continue
            stamps[path] = (status.st_mtime_ns, status.st_size)
        return stamps
