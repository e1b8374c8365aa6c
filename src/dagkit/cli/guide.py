"""`dagkit guide [FOLDER]`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.guide.copies import Placing

FOLDER = "dagkit-guide"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def guide(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help=f"Where to put the notebooks; otherwise in {FOLDER} here, or beside the pipeline you are in."
        ),
    ] = None,
    start: Annotated[
        bool, typer.Option("--open/--no-open", help="Open JupyterLab, where there is one and a display.")
    ] = True,
) -> None:
    """Put the guide's notebooks beside your work, never over what you changed in them, and open them."""
    from dagkit.guide import copies
    from dagkit.guide.progress import Progress
    from dagkit.pipeline import Pipeline

    try:
        pipeline = Pipeline.load(Path()).root
    except UsageError:
        pipeline = None
    folder = folder or (pipeline.parent if pipeline else Path()) / FOLDER
    placings = copies.plan(folder)
    copies.put(folder, placings)
    progress = Progress(folder)
    if pipeline is not None and progress.pipeline is None:
        progress.remember(pipeline)
    _say(folder, placings)
    first = folder / placings[0].target.name
    lab = jupyterlab(os.environ)
    if start and lab and display(os.environ):
        terminal.say("Opening JupyterLab; press Control and C twice to end it.")
        # the folder above, so that the pipeline beside the notebooks is seen, too
        root = folder.resolve().parent
        lab += ("--allow-root",) if os.geteuid() == 0 else ()
        os.execv(lab[0], [*lab, str(first.resolve()), f"--ServerApp.root_dir={root}"])  # noqa: S606
    if lab or in_jupyter(os.environ):
        terminal.say(f"  open:  {terminal.shell_path(first)}   in JupyterLab")
        if lab and not in_jupyter(os.environ):
            # what is on PATH may be another Python's, which does not see dagkit
            on_path = shutil.which("jupyter-lab") in (lab[0], str(Path(lab[0]).parent / "jupyter-lab"))
            start_it = "jupyter lab" if on_path else f"{terminal.shell_path(Path(lab[0]))} -m jupyterlab"
            terminal.say(f"  start: {start_it} {terminal.shell_path(first)}")
    else:
        terminal.say(
            f"  JupyterLab is not installed here: pip install 'dagkit[local,guide]', then"
            f" jupyter lab {terminal.shell_path(first)}"
        )


def jupyterlab(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The command that starts JupyterLab: this Python's own, which sees dagkit, or another on PATH."""
    if find_spec("jupyterlab") is not None:
        return sys.executable, "-m", "jupyterlab"
    program = shutil.which("jupyter-lab", path=environment.get("PATH"))
    return (program,) if program else None


def in_jupyter(environment: Mapping[str, str]) -> bool:
    """Whether this is a terminal of JupyterLab, or of a JupyterHub: then it is open already."""
    return any(name.startswith(("JPY_", "JUPYTERHUB_", "JUPYTER_SERVER_")) for name in environment)


def display(environment: Mapping[str, str]) -> bool:
    """Whether a browser would come up in front of the reader."""
    if not terminal.is_terminal() or in_jupyter(environment) or "SSH_CONNECTION" in environment:
        return False
    return sys.platform == "darwin" or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _say(folder: Path, placings: tuple[Placing, ...]) -> None:
    notebooks = [placing for placing in placings if placing.source.suffix == ".ipynb"]
    shown = terminal.styled(terminal.shell_path(folder), "bold")
    written = sum(placing.written for placing in notebooks)
    state = f"{written} of {len(notebooks)} are new" if written else "all of it was there"
    terminal.say(f"The guide is in {shown}: {len(notebooks)} notebooks, {state}.")
    for placing in placings:
        if placing.what == "beside":
            terminal.say(
                f"  newer: {placing.target.name} lies beside {placing.source.name}, which you have changed"
            )
        elif placing.what == "yours":
            terminal.say(f"  kept:  {placing.target.name}, with your changes")
        elif placing.what == "renewed":
            terminal.say(f"  newer: {placing.target.name} replaces an older one, which you had not changed")
