"""One session of `dagkit ui`: everything is started side by side, watched until Ctrl-C, and ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dagkit.errors import DagkitError
from dagkit.local import airflow_home, lifetime, podaws
from dagkit.local.engines import Engine, Ground, open_engine
from dagkit.ui import airflow as ui_airflow
from dagkit.ui import home as ui_home
from dagkit.ui import plan as planning
from dagkit.ui import record as records
from dagkit.ui import sweep
from dagkit.ui.airflow import TRIGGERER, WEB, Address, Secrets
from dagkit.ui.dagwatch import DagWatch
from dagkit.ui.parts import Parts, gave_up
from dagkit.ui.plan import Plan
from dagkit.ui.podserver import PodEvent, PodServer
from dagkit.ui.policy import CONTROL
from dagkit.ui.record import Record
from dagkit.ui.rest import Api

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS

START_PATIENCE = 300.0
"""Seconds that Airflow has to start."""

_TICK = 0.25
_TRIGGERER_TICK = 2.0


class Face(Protocol):
    """Told what happens, as it happens; from several threads."""

    def head(self, plan: Plan) -> None:
        """What is started."""

    def say(self, text: str) -> None:
        """A step of the start, or a sentence about what has happened."""

    def note(self, text: str) -> None:
        """What is different here from the platform, or wrong with a DAG."""

    def pod(self, event: PodEvent) -> None:
        """A pod has started or ended."""

    def ready(self, record: Record, password: str) -> None:
        """The page can be opened."""


def run(plan: Plan, face: Face) -> None:
    """Start everything, and return when it has been stopped. Nothing of it is left running.

    Raises:
        DagkitError: It could not start, one runs already, or a part does not stay alive.
        KeyboardInterrupt: It was stopped, by Ctrl-C or a signal, before or after the page was ready.
    """
    folder = records.folder_of(plan.subject.root)
    with ExitStack() as stack, lifetime.signals_interrupt(stack):
        stack.enter_context(records.only_one(folder))
        face.head(plan)
        last = records.read(folder)
        if last is not None:
            _clear_after(last, face)
        _Session(plan, face, folder, last, stack).go()


def _clear_after(last: Record, face: Face) -> None:
    """End what a session has left that could not clear up itself."""
    killed, removed = sweep.clear(asdict(last))
    if killed or removed:
        face.say(f"cleared up after the last start: {killed} processes, {removed} containers")


class _Session:
    """One session, under way."""

    def __init__(self, plan: Plan, face: Face, folder: Path, last: Record | None, stack: ExitStack) -> None:
        self._plan = plan
        self._face = face
        self._folder = folder
        self._stack = stack
        self._began = time.monotonic()
        self._address: Address = planning.address(plan.options, last.port if last else 0, os.environ)
        self._home = folder / f"{plan.options.environment}-airflow-{plan.airflow.version}"
        scratch = lifetime.scratch_folder(stack)
        self._record = Record(
            session=f"ui-{secrets.token_hex(8)}",
            pid=os.getpid(),
            state=records.STARTING,
            environment=plan.options.environment,
            engine=plan.engine,
            version=plan.airflow.version,
            url=f"{self._address.public or self._address.local}/",
            local=self._address.local,
            port=self._address.port,
            home=str(self._home),
            scratch=str(scratch),
        )
        self._scratch = scratch
        self._ground = self._make_ground()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pods: PodServer | None = None
        self._parts: Parts | None = None
        self._aws: LocalAWS | None = None
        self._next_look = 0.0

    def go(self) -> None:
        """From the first check to the end."""
        plan, face = self._plan, self._face
        engine = open_engine(plan.engine, self._ground)
        reach = engine.reach()
        if plan.engine_reason:
            face.note(plan.engine_reason)
        records.write(self._folder, self._record)
        self._stack.callback(self._end)
        self._start_keeper()
        if not plan.options.build:  # no more than a look at what is there
            self._prepare(engine)
        secret = ui_home.open_home(self._home, plan.airflow, plan.subject, face.say)
        self._api = Api(self._address.local, secret.password, airflow_2=plan.airflow.is_2)
        self._watch = DagWatch(plan.subject, self._home, self._api, face.say, face.note, self._lacking)
        self._watch.sync()
        face.say(f"starting Airflow {plan.airflow.version} and local AWS")
        control = self._scratch / lifetime.CONTROL
        self._pods = PodServer(control, plan.subject, plan.engine, self._ground, self._watch.parsed, face.pod)
        parts = self._parts = self._start_airflow(secret)
        aws = self._aws = self._start_aws(reach.bind)
        if plan.options.build:
            self._prepare(engine)
        self._pods.open(aws, aws.endpoint(reach.host))
        self._wait_until_ready(parts)
        self._record = replace(self._record, state=records.RUNNING)
        records.write(self._folder, self._record)
        if self._address.path and not self._address.public:
            face.note(f"behind a proxy the page is at {self._address.path}/ below JupyterLab's own address")
        face.ready(self._record, secret.password)
        while True:
            self._look(parts)
            time.sleep(_TICK)

    def _end(self) -> None:
        """End everything: the pods first, so that their tasks can still say that they were stopped."""
        if self._pods is not None:
            self._pods.close()
        if self._parts is not None:
            self._parts.end()
        if self._aws is not None:
            self._aws.stop()
        if self._keeper is not None:  # nothing is left: it may go
            self._end_keeper(self._keeper)

    def _make_ground(self) -> Ground:
        pipeline = getattr(self._plan.subject, "pipeline", None)
        return Ground(
            run_id=self._record.session,
            dag_id=self._plan.subject.title,
            root=str(self._plan.subject.root),
            repository=pipeline.image if pipeline else "",
            language=pipeline.language if pipeline else "",
            registry=pipeline.platform.registry if pipeline else "",
            scratch=self._record.scratch,
            base_image=self._plan.options.base_image or "",
            has_image=self._plan.subject.has_image,
            context=os.path.relpath(pipeline.context, pipeline.root) if pipeline else ".",
            dockerfile=os.path.relpath(pipeline.dockerfile, pipeline.root) if pipeline else "Dockerfile",
            target=pipeline.target if pipeline else "final",
        )

    def _prepare(self, engine: Engine) -> None:
        for text in engine.prepare(self._say_unless_ended, self._plan.options.build):
            self._face.note(text)

    def _say_unless_ended(self, text: str) -> None:
        if self._parts is not None:  # an Airflow that does not start ends it at once, not after a build
            self._check_parts(self._parts, starting=True)
        self._face.say(text)

    def _start_keeper(self) -> None:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "dagkit.ui.keeper", str(self._folder / "session.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _end_keeper(self, keeper: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            if keeper.stdin is not None:
                keeper.stdin.write(b"all is cleared up\n")
                keeper.stdin.close()
        try:
            keeper.wait(5)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()

    def _start_airflow(self, secret: Secrets) -> Parts:
        plan = self._plan
        title = f"{plan.subject.title} · {plan.options.environment} · on this machine"
        environment = {
            **airflow_home.kept_environment(os.environ),
            **ui_airflow.settings(plan.airflow, self._home, self._address, secret, title),
            CONTROL: str(self._scratch / lifetime.CONTROL),
        }
        logs = self._home / "parts"
        self._parts = Parts(plan.airflow, self._record.session, environment, self._scratch, logs)
        for name, words in plan.airflow.parts.items():
            self._parts.start(name, words)
        return self._parts

    def _start_aws(self, bind: tuple[str, ...]) -> LocalAWS:
        from dagkit.local.aws import LocalAWS

        subject = self._plan.subject
        aws = self._aws = LocalAWS(account=subject.account, region=subject.region, bind=bind)
        aws.start()
        # of a DAG repository, with its hundreds of roles, only those of the pods that run
        podaws.fill(aws, subject.roles() if subject.has_image else (), subject.fixtures())
        return aws

    def _wait_until_ready(self, parts: Parts) -> None:
        answers = False
        until = time.monotonic() + START_PATIENCE
        while True:
            self._check_parts(parts, starting=True)
            self._watch.sync()
            if not answers and self._api.health() is not None:
                answers = True
                self._face.say(f"the page answers after {time.monotonic() - self._began:.1f} s")
            if answers and self._api.is_ready() and self._watch.is_complete():
                return
            if time.monotonic() > until:
                raise DagkitError(
                    f"Airflow has not started after {START_PATIENCE:.0f} seconds",
                    where=str(self._home / "parts"),
                    fix="Look at the logs there. Remove the folder .dagkit/ui, and start again.",
                )
            time.sleep(_TICK)

    def _look(self, parts: Parts) -> None:
        """Keep everything alive and up to date."""
        self._check_parts(parts, starting=False)
        self._watch.sync()
        self._watch.report()
        if self._keeper is not None and self._keeper.poll() is not None:
            self._start_keeper()
        if time.monotonic() > self._next_look and not parts.has(TRIGGERER):
            self._next_look = time.monotonic() + _TRIGGERER_TICK
            if ui_home.waits_for_triggerer(self._home):
                parts.start(TRIGGERER, self._plan.airflow.triggerer)
                self._face.say("a task waits without a process of its own: started Airflow's triggerer")

    def _check_parts(self, parts: Parts, *, starting: bool) -> None:
        for part in parts.ended():
            if starting:
                raise gave_up(part)
            code = part.process.returncode if part.process is not None else None
            parts.revive(part)
            what = "the web page" if part.name == WEB else f"Airflow's {part.name}"
            self._face.say(f"{what} ended (exit code {code}), and has been started again")

    def _lacking(self, images: dict[str, str]) -> dict[str, str]:
        """Those images, by task, that are not on this machine."""
        if self._plan.engine != "docker" or self._plan.subject.has_image:
            return {}
        from dagkit.containers import docker_client

        client = docker_client()
        try:
            here = {tag for image in client.images.list() for tag in image.tags}
        finally:
            client.close()
        return {task: image for task, image in images.items() if image not in here}
