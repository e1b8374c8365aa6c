"""Airflow's REST API, as far as dagkit asks it: does the page answer, which DAGs are there, what is wrong."""

from __future__ import annotations

from typing import Any

import requests

from dagkit.ui.airflow import USER

TIMEOUT = 10.0


class Api:
    """The REST API of a running Airflow, asked as the user who logs in.

    Args:
        url: The address of its page on this machine, without a slash at its end.
        password: The user's.
        airflow_2: Whether it is Airflow 2.
    """

    def __init__(self, url: str, password: str, *, airflow_2: bool) -> None:
        self._url = url
        self._password = password
        self._is_2 = airflow_2
        self._session = requests.Session()
        self._session.trust_env = False  # this machine is asked without a proxy
        self._session.headers["Accept"] = "application/json"

    def health(self) -> dict[str, Any] | None:
        """The state of each part of Airflow; None while the page does not answer."""
        path = "/health" if self._is_2 else "/api/v2/monitor/health"
        try:
            answer: dict[str, Any] = self._session.get(self._url + path, timeout=TIMEOUT).json()
        except requests.RequestException:  # nobody listens yet, or somebody else
            return None
        return answer

    def is_ready(self) -> bool:
        """Whether the page answers, and the scheduler and who parses DAGs are at work."""
        health = self.health() or {}
        parts = ("scheduler",) if self._is_2 else ("scheduler", "dag_processor")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def dag_ids(self) -> set[str]:
        """The DAGs that the page shows."""
        return {str(dag["dag_id"]) for dag in self.ask("GET", "/dags?limit=1000")["dags"]}

    def import_errors(self) -> dict[str, str]:
        """The traceback by the path of each DAG file that does not load."""
        found = self.ask("GET", "/importErrors?limit=100")["import_errors"]
        return {str(each["filename"]): str(each["stack_trace"]) for each in found}

    def ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        """Ask for something, make or change something.

        Args:
            method: ``GET``, ``POST``, ``PATCH``, ``DELETE``.
            path: Below the version of the API, such as ``/dags``.
            content: What is sent, as JSON.

        Raises:
            OSError: It does not answer, or refuses (``requests.RequestException``).
        """
        answer = self._send(method, path, content)
        if answer.status_code == 401 and not self._is_2:  # a token lasts a day; the page may live for longer
            self._session.headers.pop("Authorization", None)
            answer = self._send(method, path, content)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, content: dict[str, Any] | None) -> requests.Response:
        self._log_in()
        url = f"{self._url}/api/{'v1' if self._is_2 else 'v2'}{path}"
        return self._session.request(method, url, json=content, timeout=TIMEOUT)

    def _log_in(self) -> None:
        if self._is_2:
            self._session.auth = (USER, self._password)
        elif "Authorization" not in self._session.headers:
            login = {"username": USER, "password": self._password}
            answer = self._session.post(f"{self._url}/auth/token", json=login, timeout=TIMEOUT)
            answer.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
