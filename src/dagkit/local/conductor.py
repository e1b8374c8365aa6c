"""The conductor of a run: checks first, then local AWS and Airflow side by side, then the tasks."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagkit.errors import DagkitError, UsageError
from dagkit.local import airflow_home, lifetime, platform_imports, podaws
from dagkit.local.dagrun import Order
from dagkit.local.engines import Engine, Ground, open_engine
from dagkit.local.lifetime import CONTROL
from dagkit.local.link import Exchange, Message
from dagkit.local.plan import Plan
from dagkit.local.podhook import Settings
from dagkit.local.record import RunRecord
from dagkit.local.tally import Tally, Watcher
from dagkit.local.words import plain

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS

PATIENCE = 20.0
"""Seconds that Airflow's process has to end its pods and itself."""

_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def run(plan: Plan, watch: Watcher, after: Callable[[RunRecord, LocalAWS], None] | None = None) -> RunRecord:
    """Run a plan to its end, and write the report.

    Args:
        plan: What `plan` gave.
        watch: Told what happens, as it happens.
        after: Called at the end, while local AWS still runs.

    Raises:
        DagkitError: The run could not start, or Airflow ended early.
        KeyboardInterrupt: It was stopped, by Ctrl-C or a signal. Nothing of it is left running.
    """
    from dagkit.local import files

    started = datetime.now(UTC)
    folder = files.make_run_folder(plan.pipeline.state, started)
    try:
        with ExitStack() as stack, lifetime.signals_interrupt(stack):
            one = _Run(plan, watch, folder, started, stack)
            record = one.go()
            files.write(record, folder)
            if after is not None:
                after(record, one.aws)
            return record
    except AirflowEndedError:
        raise
    except BaseException:
        files.discard_unless_useful(folder)
        raise


class AirflowEndedError(DagkitError):
    """Airflow's process ended before its DAG did; its log is kept."""


class _Run:
    """One run, under way."""

    def __init__(self, plan: Plan, watch: Watcher, folder: Path, started: datetime, stack: ExitStack) -> None:
        self._plan = plan
        self._watch = watch
        self._folder = folder
        self._stack = stack
        self._clock = time.monotonic()
        self._scratch = lifetime.scratch_folder(stack)
        run_id = f"{folder.name}-{secrets.token_hex(3)}"
        self._ground = Ground(
            run_id=run_id,
            dag_id=plan.dag_id,
            root=str(plan.pipeline.root),
            repository=plan.pipeline.image,
            language=plan.pipeline.language,
            registry=plan.pipeline.platform.registry,
            scratch=str(self._scratch),
            base_image=plan.options.base_image or "",
            has_image=plan.pipeline.has_image,
            context=os.path.relpath(plan.pipeline.context, plan.pipeline.root),
            dockerfile=os.path.relpath(plan.pipeline.dockerfile, plan.pipeline.root),
            target=plan.pipeline.target,
        )
        self._tally = Tally(watch, folder, started)
        self.aws: LocalAWS

    def go(self) -> RunRecord:
        """From the first check to the record."""
        plan = self._plan
        engine = open_engine(plan.engine, self._ground)
        reach = engine.reach()
        if plan.engine_reason:
            self._tally.note(None, plan.engine_reason)
        if not plan.options.build:  # no more than a look at what is there
            self._prepare(engine, self._watch.say)
        database = airflow_home.migrated_database(self._watch.say)
        self._watch.say("starting Airflow and local AWS")
        exchange = self._start_airflow(database, engine)
        self.aws = self._start_aws(reach.bind)

        def say(text: str) -> None:
            # a DAG that does not load ends the run at once, not after the image is built
            if refused := exchange.find("refused"):
                raise _refusal(refused)
            self._watch.say(text)

        if plan.options.build:
            self._prepare(engine, say)
        self._follow(exchange, self.aws.endpoint(reach.host))
        return self._tally.record(plan, self.aws, self._folder, time.monotonic() - self._clock)

    def _prepare(self, engine: Engine, say: Callable[[str], None]) -> None:
        for text in engine.prepare(say, self._plan.options.build):
            self._tally.note(None, text)

    def _start_airflow(self, database: Path, engine: Engine) -> Exchange:
        plan = self._plan
        home = self._scratch / "airflow"
        airflow_home.make_home(home, database)
        platform_imports.write(plan.pipeline.platform, home / airflow_home.IMPORTS)
        staged = home / airflow_home.DAGS / plan.pipeline.project / plan.dag_file.name
        staged.parent.mkdir()
        staged.write_text(plan.source, encoding="utf-8")
        control = self._scratch / CONTROL
        order = Order(
            settings=Settings(
                ground=self._ground,
                engine=plan.engine,
                home=str(home),
                control=str(control),
                role=plan.role.name,
                environment=plan.options.environment,
            ),
            staged=str(staged),
            original=str(plan.dag_file),
            dag_id=plan.dag_id,
            logical_date=plan.options.date,
            params=dict(plan.params),
            task=plan.options.task,
        )
        order_file = self._scratch / "order.json"
        order_file.write_text(order.to_json(), encoding="utf-8")
        exchange = Exchange(control)
        with (self._folder / "logs" / "airflow.log").open("wb") as log:
            airflow = subprocess.Popen(
                [sys.executable, "-P", "-m", "dagkit.local.dagrun", str(order_file)],
                cwd=self._scratch,
                env={**airflow_home.kept_environment(os.environ), **airflow_home.settings(home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the conductor's to handle
            )
        self._stack.callback(_end, airflow, exchange, engine)

        def wait() -> None:
            code = airflow.wait()
            exchange.drain()
            exchange.put("exited", code=code)

        threading.Thread(target=wait, daemon=True, name="dagkit-airflow").start()
        if plan.options.verbose:
            path = self._folder / "logs" / "airflow.log"
            threading.Thread(target=_show_log, args=(path, airflow, exchange), daemon=True).start()
        return exchange

    def _start_aws(self, bind: Sequence[str]) -> LocalAWS:
        from dagkit.local.aws import LocalAWS

        plan = self._plan
        platform = plan.pipeline.platform
        aws = self._stack.enter_context(
            LocalAWS(
                account=platform.data_account,
                region=platform.ecr_region,
                bind=bind,
                port=plan.options.port,
            )
        )
        podaws.fill(aws, [plan.role], plan.pipeline.fixtures())
        podaws.give_role(aws, plan.role, plan.policy if plan.options.enforce else _EVERYTHING)
        return aws

    def _follow(self, exchange: Exchange, endpoint: str) -> None:
        """Answer Airflow's process until its DAG has ended."""
        while True:
            message, answer = exchange.next()
            kind = message.pop("kind")
            if kind == "refused":
                raise _refusal(message)
            if kind == "exited":
                raise self._crashed(message["code"])
            if kind == "loaded":
                self._tally.loaded(message)
            elif kind == "ready":
                answer({})
            elif kind == "pod":
                answer({"environment": self._pod_environment(message, endpoint)})
            elif kind == "ended":
                self._tally.ended(message)
                return
            elif kind == "airflow":
                self._watch.airflow(plain(message["line"]))
            elif kind != "loading":
                self._tally.take(kind, message)

    def _pod_environment(self, pod: Message, endpoint: str) -> dict[str, str]:
        """The variables that a pod gets on top of its own: its role's credentials, and where AWS is."""
        if pod["role"] is None:
            self._tally.note(pod["task"], podaws.NO_ROLE)
        return podaws.environment(self.aws, pod["env"], pod["role"], pod["task"], endpoint)

    def _crashed(self, code: int) -> AirflowEndedError:
        log = self._folder / "logs" / "airflow.log"
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-5:]
        shown = "\n".join(f"  {line[:200]}" for line in last)
        return AirflowEndedError(
            f"Airflow ended before the DAG did, with exit code {code}\n{shown}",
            where=str(log),
            fix="Look at the log; if it is not the DAG's doing, run again with --verbose and report it.",
        )


def _show_log(path: Path, airflow: subprocess.Popen[bytes], exchange: Exchange) -> None:
    """Put the lines of Airflow's log among the messages, as they come."""
    with path.open(encoding="utf-8", errors="replace") as log:
        ended = False
        while not ended:
            ended = airflow.poll() is not None
            for line in log:
                exchange.put("airflow", line=line.rstrip("\n"))
            time.sleep(0.1)


def _end(airflow: subprocess.Popen[bytes], exchange: Exchange, engine: Engine) -> None:
    """Leave no pod, no process and no socket, whatever state the run is in."""
    exchange.close()
    try:
        airflow.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(airflow.pid, signal.SIGKILL)
        airflow.wait()
    with contextlib.suppress(Exception):  # an engine that is gone has nothing left to stop
        engine.stop()


def _refusal(message: Message) -> DagkitError:
    kind = UsageError if message.get("usage") else DagkitError
    return kind(message["what"], where=message.get("where"), fix=message.get("fix"))
