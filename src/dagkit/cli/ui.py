"""`dagkit ui`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.cli import terminal

if TYPE_CHECKING:
    from dagkit.ui.plan import Plan
    from dagkit.ui.podserver import PodEvent
    from dagkit.ui.record import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def ui(
    path: Annotated[Path, typer.Argument(help="The image repository, or the DAG repository.")] = Path(),
    environment: Annotated[
        str, typer.Option("--environment", "-e", metavar="ENV", help="Whose roles are used: dev or prod.")
    ] = "dev",
    engine: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="docker or process; otherwise what this machine has."),
    ] = None,
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build the image first.")] = True,
    base_image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Build on another image; DAGKIT_BASE_IMAGE does the same."),
    ] = None,
    port: Annotated[int, typer.Option(help="The port of the page; 0: any free one.", min=0, max=65535)] = 0,
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where a proxy shows the page: a URL or a path; {port} stands for the port."
            " On a JupyterHub that is known.",
        ),
    ] = None,
    airflow: Annotated[
        str | None,
        typer.Option(
            metavar="PYTHON", help="Another environment's Airflow, such as 2.11: its Python, or its folder."
        ),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that runs for this repository.")] = False,
    until_input_ends: Annotated[bool, typer.Option("--until-input-ends", hidden=True)] = False,
) -> int:
    """Start the real Airflow here: scheduler and web page, local AWS, and the roles enforced."""
    from dagkit.ui import plan as planning

    if stop:
        return _stop(path, environment)
    from dagkit.ui import session

    plan = planning.plan(
        planning.Options(
            path=path,
            environment=environment,
            engine=engine,
            build=build,
            base_image=base_image,
            port=port,
            base_url=base_url,
            airflow=airflow,
        )
    )
    if until_input_ends:
        _end_with_input()
    face = Face()
    try:
        session.run(plan, face)
    except KeyboardInterrupt:
        if not face.is_ready:
            raise
        terminal.say("\nstopped: Airflow, its tasks and local AWS have ended")
    return 0


class Face:
    """Prints what happens, a line an event."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.is_ready = False

    def head(self, plan: Plan) -> None:
        """What is started."""
        words = [plan.subject.title, plan.options.environment, f"engine {plan.engine}"]
        terminal.say(terminal.styled(", ".join(words), "bold"))

    def say(self, text: str) -> None:
        """A step of the start, or a sentence about what has happened."""
        with self._lock:
            terminal.say(f"{self._clock()}{terminal.styled(text, 'dim')}")

    def note(self, text: str) -> None:
        """What is different here from the platform, or wrong with a DAG."""
        with self._lock:
            terminal.say(f"{self._clock()}{terminal.styled('note', 'yellow')}: {text}")

    def pod(self, event: PodEvent) -> None:
        """A pod has started or ended."""
        words = terminal.styled(f"{event.dag_id} {event.task}", "bold") + f", try {event.attempt}: "
        if event.problem is not None:
            words += terminal.styled(f"✗ {event.problem.what.splitlines()[0]}", "red")
        elif event.outcome is None:
            words += "its pod starts"
        elif event.outcome.exit_code == 0:
            words += terminal.styled("✓", "green") + " its pod succeeded"
        else:
            reason = f": {event.outcome.reason}" if event.outcome.reason else ""
            words += terminal.styled("✗", "red") + f" exit code {event.outcome.exit_code}{reason}"
        with self._lock:
            terminal.say(f"{self._clock()}{words}")

    def ready(self, record: Record, password: str) -> None:
        """The page can be opened."""
        from dagkit.ui.airflow import USER

        self.is_ready = True
        with self._lock:
            login = f"user {USER}, password {password}"
            words = f"Airflow {record.version}: {record.url} ({login}); Ctrl-C ends it"
            terminal.say(terminal.styled(words, "bold"))

    def _clock(self) -> str:
        if not self.is_ready:
            return f"{time.monotonic() - self._began:5.1f} s  "
        return time.strftime("%H:%M:%S  ")


def _end_with_input() -> None:
    """End as with Ctrl-C when whoever started this has gone, and its pipe with it."""
    import os
    import signal
    import sys

    def wait() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True, name="dagkit-input").start()


def _stop(path: Path, environment: str) -> int:
    from dagkit.ui import record, subject

    folder = record.folder_of(subject.find(path, environment).root)
    ended = record.stop(folder)
    terminal.say(f"ended: {ended.url}" if ended else "no Airflow runs for this repository")
    return 0
