"""Loads DAG files with the real Airflow, in a process of its own, and tells what it found as plain facts.

Run as a script, by the parent in `load.py`; it imports nothing of dagkit, so that any environment with
Airflow 2.11 or newer can run it. Each line of standard input is a JSON object that says what to load;
standard output has one JSON object a line: ``{"begin": file}`` before each file, so that the parent knows
which file ended the process, its facts after it, and ``{"done": true}`` after the last. What the DAGs
themselves print goes nowhere.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import importlib
import inspect
import io
import json
import logging
import os
import re
import sys
import time
import traceback
import warnings
from typing import Any

_Recorded = tuple[dict[int, int | None], dict[tuple[int, str, str], None]]

STOP_AT = ("BaseOperator", "AbstractOperator", "LoggingMixin", "object")


def main() -> None:
    """Import Airflow, then load what the parent asks for."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def tell(fact: dict[str, Any]) -> None:
        out.write(json.dumps(fact, default=str) + "\n")
        out.flush()

    with contextlib.redirect_stdout(io.StringIO()):
        bag_class = _dag_bag()
        recorded = (_record_places(), _record_warnings())
    # Airflow itself is here to stay: without this, collecting garbage goes through all of it again and again
    gc.freeze()
    searched = list(sys.path)
    for line in sys.stdin:
        request = json.loads(line)
        for name in [name for name in sys.modules if name.split(".")[0] == "imports"]:
            del sys.modules[name]
        sys.path[:] = [*request["path"], *searched]
        tell({"compute": _compute()})
        for batch in request["batches"]:
            # dag_ids are the same in every environment, so each environment is a bag of its own
            bag = _empty(bag_class)
            for file in batch:
                tell({"begin": file})
                with contextlib.redirect_stdout(io.StringIO()):
                    facts = _load(bag, file, recorded)
                tell(facts)
        tell({"done": True})


def _dag_bag() -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    with contextlib.suppress(ImportError):
        # what nearly every DAG imports, so that the first file does not seem slow
        importlib.import_module("airflow.providers.cncf.kubernetes.operators.pod")
        _quicken_pods()
    logging.disable(logging.CRITICAL)
    return DagBag


def _quicken_pods() -> None:
    """Build the same pods in a third of the time.

    Each object of a pod would make and copy a client's configuration of its own, which no pod is made of; and
    most of what it holds is None, which need not be copied.
    """
    from kubernetes.client import Configuration, models

    shared = Configuration()
    Configuration.get_default_copy = classmethod(lambda _: shared)
    Configuration.__deepcopy__ = lambda self, _: self

    def copied(self: Any, memo: dict[int, Any]) -> Any:
        new = object.__new__(type(self))
        memo[id(self)] = new
        for name, value in vars(self).items():
            new.__dict__[name] = value if isinstance(value, _PLAIN) else copy.deepcopy(value, memo)
        return new

    for model in vars(models).values():
        if isinstance(model, type) and hasattr(model, "openapi_types"):
            model.__deepcopy__ = copied  # type: ignore[attr-defined]


_PLAIN = (str, int, float, type(None))


def _compute() -> dict[str, Any] | None:
    """The resources of each compute profile of the platform; None where it has no such settings."""
    try:
        settings = importlib.import_module("imports.platform_settings")
        return {
            name: _serialised(profile["container_resources"]) for name, profile in settings.COMPUTE.items()
        }
    except Exception:
        return None


def _empty(bag_class: Any) -> Any:
    known = inspect.signature(bag_class).parameters
    options = {"collect_dags": False, "include_examples": False}
    return bag_class(os.devnull, **{key: value for key, value in options.items() if key in known})


_FILE = ""
"""The DAG file that is being loaded."""


def _line() -> int | None:
    """The line of the DAG file that is being carried out."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != _FILE:
        frame = frame.f_back
    return frame.f_lineno if frame is not None else None


def _record_places() -> dict[int, int | None]:
    """Have the line of every task written down as it is made, by id(task)."""
    lines: dict[int, int | None] = {}
    try:
        from airflow.sdk.definitions.dag import DAG
    except ImportError:
        from airflow.models.dag import DAG
    add_task = DAG.add_task

    def add_and_record(self: Any, task: Any) -> Any:
        lines[id(task)] = _line()
        return add_task(self, task)

    DAG.add_task = add_and_record
    return lines


def _record_warnings() -> dict[tuple[int, str, str], None]:
    """Have Airflow's warnings written down with the line of the DAG file that they are about."""
    found: dict[tuple[int, str, str], None] = {}
    warn = warnings.warn

    def warn_and_record(message: Any, category: Any = None, *args: Any, **kwargs: Any) -> None:
        kind = type(message).__name__ if isinstance(message, Warning) else getattr(category, "__name__", "")
        line = _line()
        if line is not None and re.search(r"Airflow.*Deprecat|RemovedIn|DeprecatedImport", kind):
            found[line, kind, str(message)] = None
        # one level further away than the caller believes
        kwargs["stacklevel"] = (args[0] if args else kwargs.get("stacklevel", 1)) + 1
        warn(message, category, *args[1:], **kwargs)

    warnings.warn = warn_and_record
    return found


def _load(bag: Any, file: str, recorded: _Recorded) -> dict[str, Any]:
    global _FILE  # noqa: PLW0603 - Airflow's own code, which is recorded, takes no argument of ours
    _FILE = file
    lines, warned = recorded
    warned.clear()
    bag.import_errors.clear()
    began = time.perf_counter()
    try:
        dags = bag.process_file(file, only_if_updated=False, safe_mode=False)
    except KeyboardInterrupt:
        raise
    except BaseException:
        dags = []
        bag.import_errors[file] = traceback.format_exc()
    seconds = time.perf_counter() - began
    error = next(iter(bag.import_errors.values()), None)
    return {
        "file": file,
        "seconds": seconds,
        "error": _error(file, error) if error else None,
        "warnings": [{"line": line, "category": kind, "message": text} for line, kind, text in warned],
        "dags": [_dag(dag, lines) for dag in dags],
    }


def _error(file: str, text: str) -> dict[str, Any]:
    """The line in the DAG file that an import error comes from, and what it says."""
    lines = [int(line) for line in re.findall(rf'File "{re.escape(file)}", line (\d+)', text)]
    said = [line for line in text.strip().splitlines() if line.strip()]
    # the last line of a traceback starts at the margin; what an exception says may go on for several
    last = max(
        (n for n, line in enumerate(said) if re.match(r"[\w.]+(Error|Exception|Exit|\w*): ?", line)),
        default=-1,
    )
    message = " ".join(line.strip() for line in said[last:][:3])
    return {"line": lines[-1] if lines else None, "message": message[:600], "text": text[-4000:]}


def _dag(dag: Any, lines: dict[int, int | None]) -> dict[str, Any]:
    return {
        "dag_id": dag.dag_id,
        "start_date": dag.start_date.isoformat() if dag.start_date else None,
        "catchup": bool(dag.catchup),
        "schedule": _schedule(dag),
        "documented": bool((dag.doc_md or "").strip() or (dag.description or "").strip()),
        "tasks": [_task(task, lines) for task in dag.tasks],
    }


def _schedule(dag: Any) -> Any:
    """What the DAG was given: a cron expression or preset, seconds, None, or a timetable's class."""
    given = getattr(dag, "schedule", None) if hasattr(dag, "schedule") else dag.schedule_interval
    if given is None or isinstance(given, str):
        return given
    if hasattr(given, "total_seconds"):
        return {"seconds": given.total_seconds()}
    return {"timetable": type(given).__name__}


def _task(task: Any, lines: dict[int, int | None]) -> dict[str, Any]:
    mapped = hasattr(task, "operator_class") and hasattr(task, "expand_input")
    kind = task.operator_class if mapped and isinstance(task.operator_class, type) else type(task)
    facts: dict[str, Any] = {
        "task_id": task.task_id,
        "label": task.label or task.task_id,
        "operator": kind.__name__,
        "bases": [base.__name__ for base in kind.__mro__ if base.__name__ not in STOP_AT],
        "line": lines.get(id(task)),
        "upstream": sorted(task.upstream_task_ids),
        "downstream": sorted(task.downstream_task_ids),
        "owner": str(task.owner or ""),
        "started": bool(task.start_date or (task.dag and task.dag.start_date)),
        "trigger_rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
        "role": getattr(task, "role", None),
        "cluster": getattr(task, "cluster_context", None),
        "pod": None,
        "pod_error": None,
    }
    if not mapped and "KubernetesPodOperator" in facts["bases"]:
        try:
            facts["pod"] = _pod(task)
        except Exception as error:
            facts["pod_error"] = f"{type(error).__name__}: {error}"
    return facts


class _NoHook:
    """Stands where a task's connection to its cluster would be: building a pod needs none of it."""

    is_in_cluster = False

    def get_namespace(self) -> None:
        """No namespace of its own."""

    def get_xcom_sidecar_container_image(self) -> None:
        """The provider's own."""

    def get_xcom_sidecar_container_resources(self) -> None:
        """The provider's own."""

    def get_xcom_sidecar_container_security_context(self) -> None:
        """The provider's own."""


def _pod(task: Any) -> dict[str, Any]:
    task.__dict__["hook"] = _NoHook()
    pod: dict[str, Any] = _serialised(task.build_pod_request_obj())
    return pod


@functools.cache
def _client() -> Any:
    from kubernetes.client import ApiClient

    return ApiClient()


def _serialised(thing: Any) -> Any:
    return _client().sanitize_for_serialization(thing)


if __name__ == "__main__":
    main()
