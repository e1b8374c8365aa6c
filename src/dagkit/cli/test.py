"""`dagkit test [-- ARGUMENTS OF PYTEST]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError
from dagkit.text import human_time

ENGINES = ("docker", "process")

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def test(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGUMENTS", help="After --, passed on to the test runner: -- -k copy"),
    ] = None,
    path: Annotated[Path, typer.Option(help="The image repository.")] = Path(),
    engine: Annotated[
        str | None,
        typer.Option(metavar="ENGINE", help="docker or process; otherwise what this machine has."),
    ] = None,
    base_image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Build on another image; DAGKIT_BASE_IMAGE does the same."),
    ] = None,
) -> int:
    """Run the repository's own tests: in its image; without Docker, in an environment of its lock files."""
    from dagkit import image, image_tests
    from dagkit.cli.progress import build_progress
    from dagkit.names import closest
    from dagkit.pipeline import Pipeline

    pipeline = Pipeline.load(path)
    pipeline.require_image("no code to test")
    if engine is None:
        engine = "docker" if image.engine_available() else "process"
    if engine not in ENGINES:
        raise UsageError(
            f"There is no engine '{engine}'{closest(engine, ENGINES)}", fix=f"Engines: {', '.join(ENGINES)}"
        )
    if engine == "process":
        return image_tests.run_in_environment(pipeline, arguments or (), terminal.note)
    with build_progress(cached=False) as on_event:
        built = image.build(
            pipeline, target=image_tests.stage(pipeline), base_image=base_image, on_event=on_event
        )
    terminal.say(f"Built {terminal.styled(built.tag, 'bold')} in {human_time(built.seconds)}; its tests:")
    return image_tests.run_in_image(
        pipeline, built.tag, arguments or (), _write, colour=terminal.is_terminal()
    )


def _write(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.flush()
