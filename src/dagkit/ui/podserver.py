"""Runs the pods of Airflow's tasks: each on an engine of its own, which ends when the task does."""

from __future__ import annotations

import contextlib
import itertools
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit.errors import DagkitError
from dagkit.local import podaws, podhook, pods
from dagkit.local.aftermath import refused
from dagkit.local.engines import Engine, Ground, Outcome, open_engine
from dagkit.pipeline import RoleFile
from dagkit.ui.subject import Subject

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS

STOPPED = "dagkit ui was stopped"


@dataclass(frozen=True)
class PodEvent:
    """A pod that has started or ended.

    Attributes:
        dag_id: Its DAG.
        task: Its task, with the index where it is mapped.
        attempt: Which try, from 1.
        outcome: How it ended; None: it starts.
        problem: Why it could not run at all; None where it could.
    """

    dag_id: str
    task: str
    attempt: int
    outcome: Outcome | None = None
    problem: DagkitError | None = None


class Roles:
    """The roles as their files say now: a person changes one, and tries the task again."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._lock = threading.Lock()
        self._stamp: object = None
        self._roles: dict[str, RoleFile] = {}

    def current(self) -> dict[str, RoleFile]:
        """Every role by its name.

        Raises:
            DagkitError: A file is not what it should be.
        """
        with self._lock:
            stamp = [(path, path.stat().st_mtime_ns) for path in self._subject.role_files()]
            if stamp != self._stamp:
                self._roles = {role.name: role for role in self._subject.roles()}
                self._stamp = stamp
            return self._roles


class PodServer:
    """Listens for the tasks of Airflow, on a socket.

    Args:
        control: Where the socket is made.
        subject: Whose DAGs they are.
        engine: The engine's name.
        ground: What engines stand on; each gets a run_id and a folder of its own.
        on_dag: Told of each DAG that Airflow has parsed: its dag_id, its file, and its images by task.
        on_pod: Told of pods that start and end.
    """

    def __init__(
        self,
        control: Path,
        subject: Subject,
        engine: str,
        ground: Ground,
        on_dag: Callable[[str, str, dict[str, str]], None],
        on_pod: Callable[[PodEvent], None],
    ) -> None:
        self._subject = subject
        self._engine = engine
        self._ground = ground
        self._on_dag = on_dag
        self._on_pod = on_pod
        self._roles = Roles(subject)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._running: set[Engine] = set()
        self._aws: LocalAWS | None = None
        self._endpoint = ""
        self._ready = threading.Event()
        self._stopping = False
        self._server = _Server(str(control), self._serve)
        threading.Thread(target=self._server.serve_forever, daemon=True, name="dagkit-pods").start()

    def open(self, aws: LocalAWS, endpoint: str) -> None:
        """Let pods run: local AWS, the image and what else they need are there. Before, tasks wait."""
        self._aws, self._endpoint = aws, endpoint
        self._ready.set()

    def close(self) -> None:
        """End every pod, and start no more."""
        self._stopping = True
        self._ready.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            running = list(self._running)
        for engine in running:
            with contextlib.suppress(Exception):  # an engine that is gone has nothing left to stop
                engine.stop()

    def _serve(self, request: dict[str, Any], answer: Callable[..., None], gone: threading.Event) -> None:
        if request["kind"] == "dag":
            self._on_dag(request["dag_id"], request["file"], request["images"])
            return
        event = PodEvent(request["dag_id"], request["task"], request["attempt"])
        self._on_pod(event)
        try:
            outcome = self._run(request, answer, gone)
        except DagkitError as error:
            self._on_pod(replace(event, problem=error))
            answer("problem", what=error.what, where=error.where, fix=error.fix)
            return
        self._on_pod(replace(event, outcome=outcome))
        answer("ended", outcome=asdict(outcome))

    def _run(self, request: dict[str, Any], answer: Callable[..., None], gone: threading.Event) -> Outcome:
        def log(line: str) -> None:
            answer("log", line=line)

        def note(line: str) -> None:
            answer("note", line=line)

        if not self._ready.is_set():
            note("waits until the image and local AWS are ready")
            self._ready.wait()
        pod = pods.read(request["manifest"], request["task"])
        for sentence in pod.not_reproduced:
            note(sentence)
        role = self._role(pod, note)
        number = next(self._numbers)
        session = f"{request['task']}-{request['attempt']}-{number}"
        assert self._aws is not None or self._stopping  # noqa: S101
        with self._engine_of(request["dag_id"], number, gone) as engine:
            if self._aws is None or self._stopping:
                return Outcome(143, STOPPED)
            if self._ground.has_image:  # a lock file may have changed, an image may have been removed
                engine.prepare(note, build=False)
            given = podaws.environment(
                self._aws, pod.env, role.name if role else None, session, self._endpoint
            )
            outcome = engine.run(pod, {**pod.env, **given}, log, note)
            for line in self._hints(session, role):
                answer("hint", line=line)
        return replace(outcome, reason=STOPPED) if self._stopping else outcome

    def _role(self, pod: pods.PodRun, note: Callable[[str], None]) -> RoleFile | None:
        """The pod's role, in local AWS as its file says now."""
        roles = self._roles.current()
        name = podhook.role_of(pod, roles.keys(), self._subject.environment)
        if name is None:
            note(podaws.NO_ROLE)
            return None
        role = roles[name]
        if self._aws is not None:
            podaws.fill(self._aws, [role], ())
            podaws.give_role(self._aws, role, role.policy())
        return role

    @contextlib.contextmanager
    def _engine_of(self, dag_id: str, number: int, gone: threading.Event) -> Iterator[Engine]:
        """An engine for one pod, which is stopped when its task goes: marked as failed, timed out, killed."""
        folder = Path(self._ground.scratch) / "pods" / str(number)
        folder.mkdir(parents=True)
        ground = replace(
            self._ground, dag_id=dag_id, run_id=f"{self._ground.run_id}.{number}", scratch=str(folder)
        )
        engine = open_engine(self._engine, ground)
        done = threading.Event()

        def watch() -> None:
            gone.wait()
            if not done.is_set():
                with contextlib.suppress(Exception):
                    engine.stop()

        threading.Thread(target=watch, daemon=True, name=f"dagkit-pod-{number}").start()
        with self._lock:
            self._running.add(engine)
        try:
            yield engine
        finally:
            done.set()
            with self._lock:
                self._running.discard(engine)

    def _hints(self, session: str, role: RoleFile | None) -> Iterator[str]:
        """What the role refused, and the lines of its file that would allow it."""
        if self._aws is None or role is None:
            return
        calls = [call for call in self._aws.ledger if call.session == session]
        found = refused(calls, role)
        file = role.path.relative_to(self._subject.root)
        for each in found:
            often = f" ({each.times} times)" if each.times > 1 else ""
            yield f"AccessDenied: {role.name} may not do {each.action} on {each.resource}{often}"
            if each.lines and [other for other in found if other.lines == each.lines][-1] is each:
                yield f"{file} would allow it with:"
                yield from (f"  {line}" for line in each.lines.splitlines())
            elif not each.lines:
                yield each.advice or each.reason
        if any(each.lines for each in found):
            yield "if the pipeline should do that, put it into the file and clear this task: it runs again"


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """One thread a connection; each answers one request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, serve: Callable[[dict[str, Any], Callable[..., None], Any], None]) -> None:
        self.serve = serve
        super().__init__(path, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends early is no error: its task has been ended."""


class _Connection(socketserver.StreamRequestHandler):
    """One task, while its pod runs."""

    def handle(self) -> None:
        line = self.rfile.readline()
        if not line:
            return
        gone = threading.Event()
        lock = threading.Lock()

        def answer(kind: str, **fields: Any) -> None:
            with lock, contextlib.suppress(OSError):
                self.wfile.write(json.dumps({"kind": kind, **fields}).encode() + b"\n")

        def wait_for_end() -> None:
            with contextlib.suppress(OSError, ValueError):
                self.rfile.read()
            gone.set()

        threading.Thread(target=wait_for_end, daemon=True).start()
        try:
            self.server.serve(json.loads(line), answer, gone)  # type: ignore[attr-defined]
        except Exception as error:  # the task has to know; it is our fault
            answer("problem", what=f"dagkit ui failed: {error!r}", where=None, fix="Please report it.")
            raise
