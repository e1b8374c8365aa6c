"""`dagkit build`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.cli import terminal
from dagkit.text import human_size, human_time, shorten

if TYPE_CHECKING:
    from dagkit.image import BuiltImage
    from dagkit.image_checks import Check

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def build(
    path: Annotated[Path, typer.Argument(help="The image repository.")] = Path(),
    base_image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Build on another image; DAGKIT_BASE_IMAGE does the same."),
    ] = None,
    target: Annotated[str, typer.Option(metavar="STAGE", help="The stage of the Dockerfile.")] = "final",
    checks: Annotated[
        bool, typer.Option("--checks/--no-checks", help="Start the image as the cluster would.")
    ] = True,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every step again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Build the image, and check that it will run on the cluster."""
    from dagkit import image
    from dagkit.cli.progress import build_progress
    from dagkit.image_checks import check_image
    from dagkit.names import dag_id
    from dagkit.pipeline import Pipeline

    pipeline = Pipeline.load(path)
    pipeline.require_image("no image to build")
    if as_json:
        built = image.build(pipeline, target=target, base_image=base_image, no_cache=no_cache)
    else:
        with build_progress() as on_event:
            built = image.build(
                pipeline, target=target, base_image=base_image, no_cache=no_cache, on_event=on_event
            )
        terminal.say(f"Built {terminal.styled(built.tag, 'bold')} in {human_time(built.seconds)}")
    checked: tuple[Check, ...] = ()
    if checks and target == "final":
        checked = check_image(built.tag, pipeline=dag_id(pipeline.project, pipeline.name))
    if as_json:
        terminal.print_json({"image": asdict(built), "checks": [asdict(check) for check in checked]})
    else:
        _show_size(built)
        _show_checks(checked)
    return 0 if all(check.passed is not False for check in checked) else 1


def _show_size(built: BuiltImage) -> None:
    """The layers, those of the base image as one."""
    base = sum(layer.size for layer in built.layers if layer.base)
    rows = [(base, "the base image")] if base else []
    rows += [(layer.size, layer.instruction) for layer in built.layers if not layer.base]
    terminal.say(f"\n{terminal.styled('Size by layer', 'bold')}")
    for size, instruction in (*rows, (built.size, "altogether")):
        terminal.say(f"  {human_size(size):>8}  {shorten(instruction, terminal.width() - 12)}")


def _show_checks(checks: Sequence[Check]) -> None:
    if not checks:
        return
    terminal.say(f"\n{terminal.styled('On the cluster', 'bold')}")
    longest = max(len(check.name) for check in checks)
    for check in checks:
        word, *style = {True: ("pass", "green"), False: ("FAIL", "red", "bold"), None: ("  - ", "dim")}[
            check.passed
        ]
        terminal.say(f"  {terminal.styled(word, *style)}  {check.name:<{longest}}  {check.seen}")
        if check.fix:
            terminal.say(f"        what to do: {check.fix}")
    failed = sum(check.passed is False for check in checks)
    if failed:
        terminal.say(
            f"\n{failed} of {len(checks)} checks failed: the cluster would not run this image as it is."
        )
