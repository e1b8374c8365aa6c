"""What runs in Airflow's own processes: cluster policies that hand every pod to `dagkit ui`.

Only the standard library and Airflow are needed: the Python that runs Airflow may be another than dagkit's.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from dagkit.local import podhook
from dagkit.local.dagload import set_on
from dagkit.local.engines import Outcome

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from airflow.sdk import DAG

CONTROL = "DAGKIT_UI_CONTROL"
"""The variable with the path of the socket of `dagkit ui`."""

_OPERATOR = "airflow.providers.cncf.kubernetes.operators.pod"


def dag_policy(dag: DAG) -> None:
    """Tell dagkit which images a DAG that has just been parsed needs. Called by Airflow."""
    images = {
        task.task_id: image
        for task in dag.task_dict.values()
        if isinstance(image := _of(task, "image"), str) and "{{" not in image
    }
    with contextlib.suppress(OSError), _connection() as connection:
        _send(connection, {"kind": "dag", "dag_id": dag.dag_id, "file": dag.fileloc, "images": images})


def task_policy(task: Any) -> None:
    """Make a task fit for this machine, and see that pods are handed on. Called by Airflow."""
    for name in ("email_on_failure", "email_on_retry"):
        if _of(task, name):
            set_on(task, name, False)
    if module := sys.modules.get(_OPERATOR):
        module.KubernetesPodOperator.execute = execute


def execute(operator: KubernetesPodOperator, context: Any, **_of_airflow_2: Any) -> Any:
    """Run the pod of a task; what KubernetesPodOperator.execute is replaced by.

    Raises:
        AirflowException: The pod failed, or `dagkit ui` has ended.
        AirflowSkipException: It ended with an exit code that means skip.
        AirflowFailException: It could not run at all, so that trying again is no use.
    """
    exceptions = podhook.airflow_exceptions()
    instance = context["ti"]
    request = {
        "kind": "pod",
        "dag_id": instance.dag_id,
        "task": podhook.task_name(instance.task_id, getattr(instance, "map_index", -1)),
        "attempt": instance.try_number,
        "manifest": podhook.manifest_of(operator, context, os.environ["AIRFLOW_HOME"]),
    }
    try:
        with _connection() as connection:
            _send(connection, request)
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    answer = json.loads(line)
                    if answer["kind"] == "ended":
                        return podhook.result(operator, Outcome(**answer["outcome"]))
                    _log(operator, answer)
                    if answer["kind"] == "problem":
                        raise exceptions.AirflowFailException(answer["what"])
    except OSError as error:
        raise exceptions.AirflowException(f"dagkit ui does not answer: {error}") from error
    raise exceptions.AirflowException("dagkit ui has ended, and this task's pod with it")


def _log(operator: KubernetesPodOperator, answer: dict[str, Any]) -> None:
    if answer["kind"] == "log":  # as the platform's Airflow shows the lines of a pod's container
        operator.log.info("[base] %s", answer["line"])
    elif answer["kind"] == "hint":
        operator.log.warning("dagkit: %s", answer["line"])
    elif answer["kind"] == "note":
        operator.log.info("dagkit: %s", answer["line"])
    else:
        for label, name in (("", "what"), ("where: ", "where"), ("what to do: ", "fix")):
            for line in (answer[name] or "").splitlines():
                operator.log.error("dagkit: %s%s", label, line)


def _connection() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.environ[CONTROL])
    except BaseException:
        connection.close()
        raise
    return connection


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message, default=str).encode() + b"\n")


def _of(task: Any, name: str) -> Any:
    """An attribute of a task, which a mapped one keeps for the tasks it expands to."""
    partial = getattr(task, "partial_kwargs", None)
    return partial.get(name) if partial is not None else getattr(task, name, None)
