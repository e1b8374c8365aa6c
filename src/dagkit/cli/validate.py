"""`dagkit validate`: the rules, on a DAG repository or an image repository."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="A repository, or files and folders of one; this folder if none."),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Look at the files alone: quick, for pre-commit.")
    ] = False,
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since", metavar="REF", help="Check what has changed since, and what depends on it."
        ),
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Put right what can safely be.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask Amazon ECR whether the images are there.")
    ] = False,
    format_: Annotated[str, typer.Option("--format", help="text, github, sarif or json.")] = "text",
) -> int:
    """Check the rules that a pull request to the DAG repository has to keep."""
    from dagkit.errors import UsageError
    from dagkit.names import closest
    from dagkit.rules import changes, fixes, load, runner, subject
    from dagkit.rules.output import FORMATS

    if format_ not in FORMATS:
        raise UsageError(
            f"There is no format '{format_}'{closest(format_, FORMATS)}", fix=f"Formats: {', '.join(FORMATS)}"
        )
    where = paths or [Path()]
    found = subject.find_all(where)
    if changed_since is not None and paths and changes.within(found, where) is not None:
        raise UsageError(
            "--changed-since checks a whole repository", fix="Leave out the paths, or the option."
        )

    def check(loader: load.Loader | None) -> runner.Report:
        fresh = subject.find_all(where)
        touched = (
            changes.within(fresh, where) if changed_since is None else changes.since(fresh, changed_since)
        )
        ecr = None
        if online:
            from dagkit.rules.ecr import Ecr

            ecr = Ecr(fresh.registry)
        progress = _progress(format_)
        return runner.validate(
            fresh, touched=touched, static=static, ecr=ecr, loader=loader, on_progress=progress
        )

    with ExitStack() as stack:
        # importing Airflow takes seconds, in which everything else is read
        wanted = not static and load.airflow_is_here()
        loader = stack.enter_context(load.Loader()) if wanted else None
        report = check(loader)
        if fix and (fixed := fixes.apply(report.root, report.findings)):
            report = check(loader)
            sys.stderr.write(f"{fixed} put right\n")
    sys.stdout.write(FORMATS[format_](report))
    return 1 if report.errors else 0


def _progress(format_: str) -> Callable[[int, int], None] | None:
    if format_ != "text" or not sys.stderr.isatty():
        return None

    def show(done: int, of: int) -> None:
        end = "\r" if done < of else "\r" + " " * 40 + "\r"
        sys.stderr.write(f"\r{done} of {of} DAG files{end}")
        sys.stderr.flush()

    return show
