"""A GitHub workflow file, read and checked before anything of it runs.

What is not understood is an error: no key and no expression is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.harness.expressions import KNOWN_FUNCTIONS, STATUS_FUNCTIONS, to_string
from tests.harness.syntax import Call, Context, ExpressionError, Node, parse, split_template, walk

_ALWAYS = frozenset({"github", "inputs", "vars"})
_JOB = _ALWAYS | {"needs", "strategy", "matrix"}
_STEP = _JOB | {"job", "runner", "env", "steps"}
# Which contexts may be used where (GitHub's documentation "Contexts reference", context availability).
CONTEXTS: Mapping[str, frozenset[str]] = {
    "run-name": _ALWAYS,
    "concurrency": _ALWAYS,
    "env": _ALWAYS | {"secrets"},
    "job.name": _JOB,
    "job.if": _ALWAYS | {"needs"},
    "job.runs-on": _JOB,
    "job.environment": _JOB,
    "job.concurrency": _JOB,
    "job.timeout-minutes": _JOB,
    "job.env": _JOB | {"secrets"},
    "job.defaults": _JOB | {"env"},
    "job.outputs": _STEP | {"secrets"},
    "step.if": _STEP,
    "step.name": _STEP | {"secrets"},
    "step.run": _STEP | {"secrets"},
    "step.with": _STEP | {"secrets"},
    "step.env": _STEP | {"secrets"},
    "step.working-directory": _STEP | {"secrets"},
    "step.timeout-minutes": _STEP | {"secrets"},
    "step.continue-on-error": _STEP | {"secrets"},
}
_CONDITIONS = frozenset({"job.if", "step.if"})
_WORKFLOW_KEYS = {"name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs"}
_SHARED_KEYS = {"name", "if", "env", "timeout-minutes"}
_JOB_KEYS = _SHARED_KEYS | {
    *("runs-on", "needs", "permissions", "defaults", "outputs", "environment", "concurrency", "steps")
}
_STEP_KEYS = _SHARED_KEYS | {"id", "run", "uses", "with", "shell", "working-directory", "continue-on-error"}


class WorkflowError(Exception):
    """A workflow that GitHub would refuse, or that this harness does not understand."""


@dataclass(frozen=True)
class Step:
    """One step as written; strings may hold expressions."""

    label: str
    id: str | None
    condition: Node
    run: str | None
    uses: str | None
    inputs: Mapping[str, str]
    env: Mapping[str, str]
    shell: str | None
    working_directory: str | None
    continue_on_error: bool
    timeout_minutes: float


@dataclass(frozen=True)
class Job:
    """One job as written; strings may hold expressions."""

    id: str
    needs: tuple[str, ...]
    condition: Node
    permissions: Mapping[str, str]
    env: Mapping[str, str]
    shell: str | None
    working_directory: str | None
    outputs: Mapping[str, str]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Workflow:
    """A workflow as written, its jobs in an order in which they can run."""

    path: Path
    name: str
    triggers: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str]
    jobs: tuple[Job, ...]


def load_workflow(path: Path) -> Workflow:
    """Read and check a workflow file.

    Raises:
        WorkflowError: What is wrong, and where in the file.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise WorkflowError(f"{path.name}: {error}") from error
    if not isinstance(document, dict):
        raise WorkflowError(f"{path}: not a mapping")
    document = {
        "on" if key is True else key: value for key, value in document.items()
    }  # YAML reads `on` as true
    try:
        _check_keys(document, _WORKFLOW_KEYS, "the workflow")
        for place in ("run-name", "concurrency", "env"):
            _check_expressions(document.get(place), place, place)
        shell, folder = _defaults(document)
        jobs = {
            name: _job(name, body, document.get("permissions"), shell, folder)
            for name, body in document["jobs"].items()
        }
        return Workflow(
            path=path,
            name=str(document.get("name", path)),
            triggers=_triggers(document["on"]),
            env=_strings(document.get("env")),
            jobs=_in_order(jobs),
        )
    except (WorkflowError, ExpressionError) as error:
        raise WorkflowError(f"{path.name}: {error}") from error


def _job(
    name: str, body: Mapping[str, Any], permissions: object, shell: str | None, folder: str | None
) -> Job:
    where = f"jobs.{name}"
    _check_keys(body, _JOB_KEYS, where)
    for key, value in body.items():
        if f"job.{key}" in CONTEXTS:
            _check_expressions(value, f"job.{key}", f"{where}.{key}")
    own_shell, own_folder = _defaults(body)
    shell, folder = own_shell or shell, own_folder or folder
    steps = tuple(
        _step(step, f"{where}.steps[{number}]", number, shell, folder)
        for number, step in enumerate(body["steps"])
    )
    return Job(
        id=name,
        needs=tuple([body["needs"]] if isinstance(body.get("needs"), str) else body.get("needs", ())),
        condition=_condition(body.get("if")),
        permissions=_permissions(body.get("permissions", permissions), where),
        env=_strings(body.get("env")),
        shell=shell,
        working_directory=folder,
        outputs=_strings(body.get("outputs")),
        steps=steps,
    )


def _step(body: Mapping[str, Any], where: str, number: int, shell: str | None, folder: str | None) -> Step:
    _check_keys(body, _STEP_KEYS, where)
    if ("run" in body) == ("uses" in body):
        raise WorkflowError(f"{where}: a step has either `run` or `uses`")
    for key, value in body.items():
        if f"step.{key}" in CONTEXTS:
            _check_expressions(value, f"step.{key}", f"{where}.{key}")
    first_line = str(body.get("run", "")).strip().partition("\n")[0]
    return Step(
        label=str(body.get("name") or body.get("id") or body.get("uses") or first_line),
        id=body.get("id", f"__{number}"),
        condition=_condition(body.get("if")),
        run=body.get("run"),
        uses=body.get("uses"),
        inputs=_strings(body.get("with")),
        env=_strings(body.get("env")),
        shell=body.get("shell", shell),
        working_directory=body.get("working-directory", folder),
        continue_on_error=bool(body.get("continue-on-error", False)),
        timeout_minutes=float(body.get("timeout-minutes", 360)),
    )


def _condition(written: object) -> Node:
    """Return what has to be true; without a status function in it, that includes success()."""
    success = Call("success", ())
    if written is None:
        return success
    text = to_string(written).strip()
    if text.startswith("${{") and text.endswith("}}") and text.count("${{") == 1:
        text = text[3:-2]
    elif "${{" in text:
        raise WorkflowError(
            f"`if: {text}` is always true on GitHub: put all of it inside ${{{{ }}}}, or none of it"
        )
    node = parse(text)
    asks_status = any(isinstance(part, Call) and part.name in STATUS_FUNCTIONS for part in walk(node))
    return node if asks_status else Call("&&", (success, node))


def _check_keys(body: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(map(str, body)) - known):
        raise WorkflowError(f"{where}: this harness does not know {', '.join(unknown)}")


def _check_expressions(value: object, place: str, where: str) -> None:
    """Refuse an expression that cannot be read, or that uses what GitHub does not offer in this place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_expressions(inner, place, f"{where}.{key}")
        return
    if isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            _check_expressions(inner, place, where)
        return
    if value is None:
        return
    try:
        nodes = [_condition(value)] if place in _CONDITIONS else split_template(to_string(value))
    except (ExpressionError, WorkflowError) as error:
        raise WorkflowError(f"{where}: {error}") from error
    functions = KNOWN_FUNCTIONS if place in _CONDITIONS else KNOWN_FUNCTIONS - STATUS_FUNCTIONS
    for part in (part for node in nodes if not isinstance(node, str) for part in walk(node)):
        if isinstance(part, Context) and part.name not in CONTEXTS[place]:
            raise WorkflowError(f"{where}: the context {part.name!r} cannot be used there")
        if isinstance(part, Call) and part.name not in functions:
            raise WorkflowError(f"{where}: the function {part.name}() cannot be used there")


def _defaults(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    defaults = body.get("defaults", {})
    _check_keys(defaults, {"run"}, "defaults")
    run = defaults.get("run", {})
    _check_keys(run, {"shell", "working-directory"}, "defaults.run")
    return run.get("shell"), run.get("working-directory")


def _permissions(written: object, where: str) -> Mapping[str, str]:
    """Return what the job's token may do; what is not listed is "none" as soon as anything is."""
    if written is None:
        # What is not written depends on the organisation's settings; least permissions have to be written.
        raise WorkflowError(f"{where}: no permissions are written, neither here nor for the workflow")
    if not isinstance(written, Mapping):
        raise WorkflowError(f"{where}: permissions: {written} grants more than is listed")
    return _strings(written)


def _strings(written: object) -> Mapping[str, str]:
    if written is None:
        return {}
    if not isinstance(written, Mapping):
        raise WorkflowError(f"expected a mapping, found {written!r}")
    return {str(key): to_string(value) for key, value in written.items()}


def _triggers(written: object) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(written, str):
        return {written: {}}
    if isinstance(written, list):
        return {str(name): {} for name in written}
    if isinstance(written, Mapping):
        return {str(name): body or {} for name, body in written.items()}
    raise WorkflowError("`on` is missing")


def _in_order(jobs: Mapping[str, Job]) -> tuple[Job, ...]:
    ordered: dict[str, Job] = {}
    while len(ordered) < len(jobs):
        ready = [job for job in jobs.values() if job.id not in ordered and set(job.needs) <= set(ordered)]
        if not ready:
            left = sorted(set(jobs) - set(ordered))
            raise WorkflowError(
                f"jobs {', '.join(left)}: `needs` names a job that does not exist, or goes in a circle"
            )
        ordered |= {job.id: job for job in ready}
    return tuple(ordered.values())
