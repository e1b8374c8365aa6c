"""Hands every pod that KubernetesPodOperator would create to an engine.

Lives in a process of Airflow's. All it needs is in a `Settings`, which is plain JSON: a plugin can install it
in any process that runs tasks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit import names
from dagkit.errors import DagkitError
from dagkit.local import pods
from dagkit.local.airflow_home import KUBECONFIG
from dagkit.local.engines import Engine, Ground, Outcome, open_engine
from dagkit.local.link import Link

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator


@dataclass(frozen=True)
class Settings:
    """What a process that runs tasks has to know.

    Attributes:
        ground: What the engine stands on.
        engine: The engine's name.
        home: Airflow's home folder of this run.
        control: The socket of the conductor.
        role: The IAM role of the pipeline in this environment.
        environment: ``dev`` or ``prod``.
    """

    ground: Ground
    engine: str
    home: str
    control: str
    role: str
    environment: str

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "ground": Ground(**values["ground"])})


class Hook:
    """The connection of one process to the conductor, and its engine.

    Args:
        settings: The run's settings.
        on_end: Called once the run is being stopped and this process's pods have ended.
    """

    def __init__(self, settings: Settings, on_end: Callable[[], None]) -> None:
        self.settings = settings
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._on_end = on_end
        self.ending = False
        self.link = Link(Path(settings.control), self.end)
        self.outcomes: dict[tuple[str, int], Outcome] = {}

    @property
    def engine(self) -> Engine:
        """The engine, opened when it is first needed."""
        with self._engine_lock:
            if self._engine is None:
                self._engine = open_engine(self.settings.engine, self.settings.ground)
            return self._engine

    def end(self) -> None:
        """End the pods, because the conductor wants it or has gone."""
        self.ending = True
        try:
            if self._engine is not None:
                self._engine.stop()
        finally:
            self._on_end()

    def execute(self, operator: KubernetesPodOperator, context: Any) -> Any:
        """Run the pod of a task; what KubernetesPodOperator.execute is replaced by.

        Raises:
            AirflowException: The pod failed.
            AirflowSkipException: It ended with an exit code that means skip.
            AirflowFailException: It could not run at all, so that trying again is no use.
        """
        exceptions = airflow_exceptions()
        instance = context["ti"]
        task = task_name(instance.task_id, getattr(instance, "map_index", -1))
        try:
            outcome = self._run(task, manifest_of(operator, context, self.settings.home))
        except DagkitError as error:
            self.link.tell("problem", task=task, what=error.what, where=error.where, fix=error.fix)
            raise exceptions.AirflowFailException(error.what) from error
        self.outcomes[task, instance.try_number] = outcome
        return result(operator, outcome)

    def _run(self, task: str, manifest: pods.Manifest) -> Outcome:
        pod = pods.read(manifest, task)

        def note(text: str) -> None:
            self.link.tell("note", task=task, text=text)

        for sentence in pod.not_reproduced:
            note(sentence)
        answer = self.link.ask("pod", task=task, image=pod.image, role=self._role(pod), env=dict(pod.env))
        environment = {**pod.env, **answer["environment"]}
        return self.engine.run(
            pod, environment, lambda line: self.link.tell("log", task=task, line=line), note
        )

    def _role(self, pod: pods.PodRun) -> str | None:
        """The role that the pod would get on the platform: None, or that of the pipeline."""
        return role_of(pod, (self.settings.role,), self.settings.environment)


def install(hook: Hook) -> None:
    """Replace `KubernetesPodOperator.execute` in this process; its subclasses follow.

    A plugin needs no more than ``install(Hook(Settings.from_json(text), on_end))``.
    """
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    def execute(self: KubernetesPodOperator, context: Any) -> Any:
        return hook.execute(self, context)

    KubernetesPodOperator.execute = execute


def task_name(task_id: str, map_index: int | None) -> str:
    """What people call a task: its task_id, with the index where it is mapped."""
    return task_id if map_index is None or map_index < 0 else f"{task_id}[{map_index}]"


def skip_codes(operator: Any) -> tuple[int, ...]:
    """The exit codes with which a pod says that its task is to be skipped."""
    codes = getattr(operator, "skip_on_exit_code", None) or ()
    return (codes,) if isinstance(codes, int) else tuple(codes)


def manifest_of(operator: KubernetesPodOperator, context: Any, home: str) -> pods.Manifest:
    """The pod that an operator would create, as Kubernetes' API takes it; ``home`` is Airflow's."""
    from kubernetes.client import ApiClient

    # the cluster's own is not on this machine, and is not asked for anything
    operator.config_file = str(Path(home) / KUBECONFIG)
    operator.cluster_context = None
    operator.in_cluster = False
    pod = operator.build_pod_request_obj(context)
    manifest: pods.Manifest = ApiClient().sanitize_for_serialization(pod)
    return manifest


def role_of(pod: pods.PodRun, known: Collection[str], environment: str) -> str | None:
    """The role that a pod would get on the platform; None: without one.

    Args:
        pod: The pod.
        known: The names of the roles that there are.
        environment: Whose roles they are, for the error.

    Raises:
        DagkitError: It names another.
    """
    if pod.role is None and pod.service_account in (None, "default"):
        return None
    if pod.role is not None:
        named, kind, names_of = pod.role, "IAM role", {role: role for role in known}
    else:
        named, kind = str(pod.service_account), "service account"
        names_of = {names.service_account(role): role for role in known}
    if named in names_of:
        return names_of[named]
    if len(known) == 1:
        (only,) = known
        is_known = f"the pipeline's in {environment} is '{next(iter(names_of))}'"
        fix = f"Give the task role='{only}', or give the role's file iam_role_name: that of the task."
    else:
        is_known = f"no role of {environment} has that name{names.closest(named, names_of)}"
        fix = "Correct the task's role, or add a file for it beside the other roles."
    raise DagkitError(
        f"The task {pod.task} uses an unknown role: its pod has the {kind} '{named}', and {is_known}",
        where=f"task {pod.task}",
        fix=fix,
    )


def result(operator: KubernetesPodOperator, outcome: Outcome) -> Any:
    """What the task returns.

    Raises:
        AirflowException: The pod failed.
        AirflowSkipException: It ended with an exit code that means skip.
    """
    exceptions = airflow_exceptions()
    if outcome.exit_code in skip_codes(operator):
        raise exceptions.AirflowSkipException(f"exit code {outcome.exit_code} means skip")
    if outcome.exit_code != 0:
        reason = f": {outcome.reason}" if outcome.reason else ""
        raise exceptions.AirflowException(f"exit code {outcome.exit_code}{reason}")
    if outcome.result is None:
        return None
    try:
        return json.loads(outcome.result)
    except ValueError:
        raise exceptions.AirflowException("/airflow/xcom/return.json is not JSON") from None


def airflow_exceptions() -> Any:
    """The module with AirflowException, AirflowFailException and what else tasks raise."""
    try:
        from airflow.sdk import exceptions
    except ImportError:  # Airflow 2
        from airflow import exceptions
    else:
        if not hasattr(exceptions, "ParamValidationError"):  # Airflow 3.1
            from airflow import exceptions
    return exceptions
