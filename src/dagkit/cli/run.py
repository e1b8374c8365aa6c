"""`dagkit run`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagkit.cli import terminal
from dagkit.text import human_time

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS
    from dagkit.local.plan import Plan
    from dagkit.local.record import Attempt, RunRecord

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(
    path: Annotated[Path, typer.Argument(help="The image repository.")] = Path(),
    environment: Annotated[
        str, typer.Option("--environment", "-e", metavar="ENV", help="Whose role is used: dev or prod.")
    ] = "dev",
    engine: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="docker or process; otherwise what this machine has."),
    ] = None,
    dag: Annotated[str | None, typer.Option(metavar="NAME", help="The DAG, where there are several.")] = None,
    task: Annotated[str | None, typer.Option(metavar="NAME", help="Run this task and no other.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the DAG; may be repeated.")
    ] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DATE", help="The logical date: 2026-01-31. Otherwise now.")
    ] = None,
    build: Annotated[bool, typer.Option("--build/--no-build", help="Build the image first.")] = True,
    base_image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Build on another image; DAGKIT_BASE_IMAGE does the same."),
    ] = None,
    suggest_role: Annotated[
        bool,
        typer.Option("--suggest-role", help="Allow everything, then print the smallest role that would do."),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave local AWS running until Ctrl-C, to look into it.")
    ] = False,
    port: Annotated[int, typer.Option(help="The port of local AWS; 0: any free one.", min=0, max=65535)] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Airflow's own log, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Run the DAG here: the real Airflow, local AWS, and the role enforced."""
    from dagkit.local import conductor
    from dagkit.local import plan as planning

    plan = planning.plan(
        planning.Options(
            path=path,
            environment=environment,
            engine=engine,
            dag=dag,
            task=task,
            params=tuple(param or ()),
            date=date,
            build=build,
            base_image=base_image,
            enforce=not suggest_role,
            port=port,
            verbose=verbose,
        )
    )
    # what a program reads goes to standard output alone
    face = Face(terminal.note if as_json or suggest_role else terminal.say)
    face.head(plan)

    def after(record: RunRecord, aws: LocalAWS) -> None:
        face.report(record)
        role = suggest_role_of(plan, aws) if suggest_role else None
        if as_json:
            terminal.print_json({**record.as_json(), **({"suggested_role": role} if role else {})})
        elif role:
            _print_role(plan, record, role)
        sys.stdout.flush()
        if keep:
            _keep(record, aws, face)

    with face.waiting():
        record = conductor.run(plan, face, after)
    return 0 if record.passed else 1


class Face:
    """Shows a run as it goes on: a line an event, and in a terminal a clock while nothing happens.

    Args:
        out: Prints one line.
    """

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out
        self._width = 0
        self._status: Any = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show a clock while nothing else is shown."""
        if self._out is not terminal.say or not terminal.is_terminal():
            yield
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(highlight=False),
            transient=True,
        ) as progress:
            self._status = progress
            self._clock = progress.add_task("getting ready")
            try:
                yield
            finally:
                self._status = None

    def head(self, plan: Plan) -> None:
        """What is going to run."""
        learning = "" if plan.options.enforce else ", not enforced: everything is allowed"
        self._out(
            f"{terminal.styled(plan.dag_id, 'bold')} in {plan.options.environment},"
            f" on the engine {plan.engine}, as {plan.role.name}{learning}"
        )

    def say(self, text: str) -> None:
        """Progress."""
        self._out(terminal.styled(text, "dim"))

    def note(self, task: str | None, text: str) -> None:
        """Something is different here."""
        self._out(terminal.styled(f"{self._name(task)}note: {text}" if task else f"note: {text}", "yellow"))

    def loaded(self, tasks: Sequence[str]) -> None:
        """The DAG has been loaded."""
        self._width = max(map(len, tasks))

    def started(self, task: str, attempt: int) -> None:
        """A task starts."""
        again = f" (try {attempt})" if attempt > 1 else ""
        self._doing(f"running {task}{again}")
        self._out(f"{self._name(task)}{terminal.styled(f'started{again}', 'dim')}")

    def log(self, task: str, line: str) -> None:
        """A task wrote a line."""
        self._out(f"{self._name(task)}{line}")

    def finished(self, task: str, attempt: Attempt) -> None:
        """A try has ended."""
        from dagkit.local.report import mark
        from dagkit.local.words import state_word

        why = [f"exit code {attempt.exit_code}"] if attempt.exit_code else []
        why += [attempt.reason] if attempt.reason else []
        self._doing("Airflow decides what is next")
        words = f"{state_word(attempt.state)} after {human_time(attempt.seconds)}"
        words = ": ".join([words, ", ".join(why)] if why else [words])
        words += "; it is tried again at once" if attempt.state == "up_for_retry" else ""
        self._out(f"{self._name(task)}{mark(attempt.state, terminal.styled)} {words}")

    def report(self, record: RunRecord) -> None:
        """What happened."""
        from dagkit.local.report import lines

        self._end_clock()
        for line in lines(record, terminal.styled, Path.cwd()):
            self._out(line)

    def airflow(self, line: str) -> None:
        """A line of Airflow's own log."""
        self._out(terminal.styled(f"airflow | {line}", "dim"))

    def keeping(self, text: str) -> None:
        """What to do while local AWS is kept."""
        self._out(text)

    def _name(self, task: str | None) -> str:
        self._width = max(self._width, len(task or ""))
        return f"{terminal.styled((task or '').ljust(self._width), 'bold')} | "

    def _doing(self, text: str) -> None:
        if self._status is not None:
            self._status.update(self._clock, description=text)

    def _end_clock(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def suggest_role_of(plan: Plan, aws: LocalAWS) -> dict[str, Any]:
    """The smallest role that would have been enough for the calls of a run."""
    from dagkit.local.suggest import suggest_role

    return suggest_role(plan.role.config, aws.ledger)


def _print_role(plan: Plan, record: RunRecord, role: dict[str, Any]) -> None:
    import yaml

    place = terminal.shell_path(plan.role.path)
    if not record.passed:
        terminal.note("\nThe run failed, so the role below lacks what the tasks would have done after that.")
    terminal.note(f"\nThe smallest role that is enough for this run; it goes into {place}:")
    terminal.say(yaml.safe_dump(role, sort_keys=False).rstrip())


def _keep(record: RunRecord, aws: LocalAWS, face: Face) -> None:
    import time

    face.keeping("\nLocal AWS keeps running until Ctrl-C. To look into it, in another terminal:\n")
    for name, value in aws.admin_environment().items():
        face.keeping(f"  export {name}={shlex.quote(value)}")
    buckets = sorted({each.path.split("/")[2] for each in record.written})
    for bucket in buckets or [""]:
        face.keeping(f"  aws s3 ls --recursive s3://{bucket}" if bucket else "  aws s3 ls")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        face.keeping("stopped")
