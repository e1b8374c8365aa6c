"""`dagkit doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dagkit.cli import terminal

app = typer.Typer(add_completion=False, rich_markup_mode=None)

WORDS = {"ok": (" ok ", "green"), "note": ("note", "yellow"), "lack": ("LACK", "red", "bold")}


@app.command()
def doctor(
    path: Annotated[Path, typer.Argument(help="The folder of a pipeline, or any other.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """See what this machine can do, and what to do about what it cannot."""
    from dagkit.doctor import examine

    found = examine(path)
    if as_json:
        terminal.print_json(found)
        return 0 if found.ready else 1
    longest = max(len(finding.name) for finding in found.findings)
    margin = " " * (longest + 10)
    terminal.say(terminal.styled(found.machine, "bold"))
    for finding in found.findings:
        word, *style = WORDS[finding.state]
        terminal.say(f"  {terminal.styled(word, *style)}  {finding.name:<{longest}}  {finding.seen}")
        if finding.means:
            terminal.say(f"{margin}{finding.means}")
        if finding.fix:
            terminal.say(f"{margin}what to do: {terminal.styled(finding.fix, 'bold')}")
    if found.engine:
        terminal.say(f"\ndagkit run uses the engine {terminal.styled(found.engine, 'bold')}: {found.why}.")
    else:
        terminal.say(f"\ndagkit run has no engine here: {found.why}.")
    if not found.ready:
        terminal.say("Not everything that dagkit run needs is there.")
    return 0 if found.ready else 1
