"""The Airflow that is shown: which version, its settings, and the parts that a person needs of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dagkit.errors import DagkitError, UsageError
from dagkit.local import airflow_home

USER = "analyst"
WEB, SCHEDULER, PARSER, TRIGGERER = "web page", "scheduler", "DAG processor", "triggerer"

_PARALLEL = 4
"""Tasks at once."""

_ASK = """
import sys
from importlib.metadata import version
version("apache-airflow-providers-cncf-kubernetes")
print(version("apache-airflow"), sys.version_info >= (3, 11))
"""


@dataclass(frozen=True)
class Airflow:
    """An installed Airflow.

    Attributes:
        python: The Python of its environment.
        version: Such as ``3.3.2``.
    """

    python: str
    version: str

    @property
    def is_2(self) -> bool:
        """Whether it is Airflow 2, whose parts and settings have other names."""
        return self.version.startswith("2.")

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """What runs from the start: the words after ``airflow``, by part."""
        if self.is_2:  # whose scheduler parses the DAG files itself
            return {WEB: ("webserver",), SCHEDULER: ("scheduler", "--skip-serve-logs")}
        return {
            WEB: ("api-server",),
            SCHEDULER: ("scheduler", "--skip-serve-logs"),
            PARSER: ("dag-processor",),
        }

    @property
    def triggerer(self) -> tuple[str, ...]:
        """What runs once a task waits for something without a process of its own."""
        return ("triggerer", "--skip-serve-logs")

    def database(self, say: Callable[[str], None]) -> Path:
        """A database of its schema; Airflow 2 keeps its user there."""
        if not self.is_2:
            return airflow_home.kept_database(
                f"airflow-{self.version}", self.version, self.python, [["db", "migrate"]], say
            )
        user = ["--username", USER, "--role", "Admin", "--password", "replaced", "--firstname", "An"]
        user += ["--lastname", "Analyst", "--email", "analyst@localhost"]
        commands = [["db", "migrate"], ["sync-perm"], ["users", "create", *user]]
        return airflow_home.kept_database(
            f"airflow-{self.version}-ui", self.version, self.python, commands, say
        )


@dataclass(frozen=True)
class Secrets:
    """What only this user may know.

    Attributes:
        password: Of the login.
        signing: Signs tokens and sessions.
        fernet: Encrypts connections and variables in the database.
    """

    password: str
    signing: str
    fernet: str


@dataclass(frozen=True)
class Address:
    """Where the web page is.

    Attributes:
        port: On loopback.
        path: What comes before every path, such as ``/user/jo/proxy/absolute/8080``; mostly empty.
        public: The whole address that a proxy gives it; empty where there is none, or it is not known.
    """

    port: int
    path: str = ""
    public: str = ""

    @property
    def local(self) -> str:
        """The address on this machine, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}{self.path}"


def find(python: str | None) -> Airflow:
    """The Airflow of an environment; of dagkit's own where none is named.

    Raises:
        DagkitError: None is installed there, or it is too old.
        UsageError: There is no such Python.
    """
    if python is None:
        return Airflow(sys.executable, airflow_home.airflow_version())
    where = Path(python).expanduser().absolute()
    if where.is_dir():
        where = where / "bin" / "python"
    if not where.is_file():
        raise UsageError(
            "There is no such Python",
            where=str(where),
            fix="Name an environment that has Airflow, or its Python: --airflow ~/airflow-2.11/bin/python",
        )
    asked = subprocess.run(
        [str(where), "-P", "-c", _ASK], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    answer = asked.stdout.split()
    if asked.returncode != 0 or len(answer) != 2:
        last = (asked.stderr.strip().splitlines() or ["it does not start"])[-1]
        raise DagkitError(
            f"Airflow and its Kubernetes provider are not installed there: {last}",
            where=str(where),
            fix="pip install apache-airflow apache-airflow-providers-cncf-kubernetes",
        )
    version, new_enough = answer
    if new_enough != "True" or tuple(map(int, version.split(".")[:2])) < (2, 11):
        raise DagkitError(
            f"That environment is too old: it has Airflow {version}",
            where=str(where),
            fix="Airflow 2.11 or newer works, on Python 3.11 or newer.",
        )
    return Airflow(str(where), version)


def settings(airflow: Airflow, home: Path, address: Address, secrets: Secrets, title: str) -> dict[str, str]:
    """The environment variables of every part of Airflow.

    Args:
        airflow: Which one.
        home: Its home folder.
        address: Where its page is.
        secrets: What it keeps to itself.
        title: What the page calls itself.
    """
    values = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(_PARALLEL),
        "CORE__FERNET_KEY": secrets.fernet,
        # a writer waits for another, where SQLite would fail after five seconds
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / airflow_home.DATABASE}?timeout=30",
        **(_of_2(home, address, secrets, title) if airflow.is_2 else _of_3(home, address, secrets, title)),
    }
    return {
        **airflow_home.settings(home),
        **{f"AIRFLOW__{name}": value for name, value in values.items()},
        # a process that names itself would otherwise overwrite the variables by which it is found again
        "SPT_NOENV": "1",
    } | ({"_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1"} if airflow.is_2 else {})


def _of_3(home: Path, address: Address, secrets: Secrets, title: str) -> dict[str, str]:
    return {
        "API__HOST": "127.0.0.1",
        "API__PORT": str(address.port),
        "API__WORKERS": "1",
        "API__BASE_URL": f"{address.local}/",
        "API__SECRET_KEY": secrets.signing,
        "API__INSTANCE_NAME": title,
        "API_AUTH__JWT_SECRET": secrets.signing,
        "CORE__EXECUTION_API_SERVER_URL": f"{address.local}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "3",
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        # on a busy machine the page may be slow; a task would give up after five seconds
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
    }


def _of_2(home: Path, address: Address, secrets: Secrets, title: str) -> dict[str, str]:
    return {
        "WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
        "WEBSERVER__WEB_SERVER_PORT": str(address.port),
        "WEBSERVER__WORKERS": "1",
        "WEBSERVER__BASE_URL": address.local,
        "WEBSERVER__SECRET_KEY": secrets.signing,
        "WEBSERVER__INSTANCE_NAME": title,
        "WEBSERVER__CONFIG_FILE": str(home / "webserver_config.py"),
        "WEBSERVER__WARN_DEPLOYMENT_EXPOSURE": "False",
        "WEBSERVER__ENABLE_PROXY_FIX": "True",
        "FAB__UPDATE_FAB_PERMS": "False",
        "API__AUTH_BACKENDS": "airflow.api.auth.backend.session,"
        "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth",
        "SCHEDULER__DAG_DIR_LIST_INTERVAL": "3",
        # SQLite locks no rows: two schedulers of one task would count its tries twice
        "SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
        "SCHEDULER__PARSING_PROCESSES": "1",
        "SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "60",
    }
