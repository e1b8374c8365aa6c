"""A private Airflow for one run: its settings, its home folder, and its database, migrated once per machine.

Nothing here imports Airflow.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dagkit.errors import DagkitError

DATABASE = "airflow.db"
DAGS = "dags"
IMPORTS = "lib"
KUBECONFIG = "kubeconfig"

# What Airflow's process keeps of the caller's environment: what programs need to start, and to reach the
# network's edge and Docker. Above all none of AIRFLOW_*, AWS_*, PYTHON*.
_KEPT = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    }
)  # fmt: skip
# The last two so that uv finds the same Python there as here.
_KEPT_PREFIXES = ("LC_", "DOCKER_", "XDG_", "UV_", "PYENV_")

# KubernetesPodOperator reads a kubeconfig before it builds a pod; no cluster is ever asked.
_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: local
contexts: [{name: local, context: {cluster: local, user: local}}]
clusters: [{name: local, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: local, user: {}}]
"""


def airflow_version() -> str:
    """The version of the Airflow that is installed beside dagkit.

    Raises:
        DagkitError: None is, or its Kubernetes provider is missing.
    """
    try:
        version("apache-airflow-providers-cncf-kubernetes")
        return version("apache-airflow-core")
    except PackageNotFoundError as error:
        raise DagkitError(
            f"{error.name} is not installed, and a local run needs it",
            where=sys.executable,
            fix="pip install 'dagkit[local]'",
        ) from error


def cache() -> Path:
    """What is kept for every run on this machine: ``${XDG_CACHE_HOME:-~/.cache}/dagkit``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dagkit"


def kept_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the caller's environment that Airflow's process may see."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or name.upper() in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


def settings(home: Path) -> dict[str, str]:
    """The environment variables that make Airflow live in ``home`` and keep to itself."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # the whole of an error's path, so that the line of the DAG is in it
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "1000",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / DATABASE}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "False",
        "KUBECONFIG": str(home / KUBECONFIG),
        "PYTHONPATH": str(home / IMPORTS),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        # a task that is not a pod has no AWS here, as it has none of the pipeline's on the platform
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def make_home(home: Path, database: Path) -> None:
    """Make an empty home folder for Airflow around a copy of a migrated database."""
    for folder in (home, home / DAGS, home / IMPORTS, home / "plugins", home / "logs"):
        folder.mkdir(parents=True, exist_ok=True)
    # an empty file spares Airflow from writing one of 130 kB, and every setting above from being overruled
    (home / "airflow.cfg").touch()
    (home / KUBECONFIG).write_text(_KUBECONFIG, encoding="utf-8")
    shutil.copyfile(database, home / DATABASE)


def migrated_database(say: Callable[[str], None]) -> Path:
    """An empty database of the installed Airflow's schema, made on this machine's first run and kept.

    Args:
        say: Told when it has to be made, which takes about ten seconds.

    Raises:
        DagkitError: Airflow is not installed, or could not make it.
    """
    airflow = airflow_version()
    return kept_database(f"airflow-{airflow}", airflow, sys.executable, [["db", "migrate"]], say)


def kept_database(
    name: str, airflow: str, python: str, commands: Sequence[Sequence[str]], say: Callable[[str], None]
) -> Path:
    """A database that commands of Airflow make, once on this machine.

    Args:
        name: What it is kept as.
        airflow: The version of Airflow.
        python: The Python of Airflow's environment.
        commands: What comes after ``airflow``, one after the other.
        say: Told when it has to be made.

    Raises:
        DagkitError: Airflow could not make it.
    """
    kept = cache() / f"{name}.db"
    if kept.is_file():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with locked(kept.with_suffix(".lock")):
        if not kept.is_file():
            say(f"making the database of Airflow {airflow} (once on this machine, about ten seconds)")
            _make(kept, python, commands)
    return kept


def _make(kept: Path, python: str, commands: Sequence[Sequence[str]]) -> None:
    with tempfile.TemporaryDirectory(prefix="dagkit-migrate-", dir=kept.parent) as folder:
        home = Path(folder)
        (home / "airflow.cfg").touch()
        for command in commands:
            done = subprocess.run(
                [python, "-P", "-m", "airflow", *command],
                env={**kept_environment(os.environ), **settings(home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                last = "\n".join(done.stdout.strip().splitlines()[-5:])
                raise DagkitError(
                    f"Airflow could not make its database:\n{last}",
                    where=str(kept),
                    fix="Install Airflow afresh: pip install --force-reinstall 'dagkit[local]'",
                )
        (home / DATABASE).replace(kept)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes of this machine respect; it goes with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
