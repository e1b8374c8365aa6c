"""`dagkit review`: what a pull request changes, for the person who approves it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from dagkit.errors import UsageError
from dagkit.names import closest

app = typer.Typer(add_completion=False, rich_markup_mode=None)

FORMATS = ("markdown", "json")


@app.command()
def review(
    base: Annotated[str, typer.Option("--base", help="What the pull request goes into, as in origin/main.")],
    path: Annotated[Path, typer.Argument(help="A clone of the DAG repository, or a folder in it.")] = Path(),
    head: Annotated[str, typer.Option("--head", help="The pull request.")] = "HEAD",
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Only this environment.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="markdown or json.")] = "markdown",
    static: Annotated[
        bool, typer.Option("--static", help="Read files only: run none of the pull request's code.")
    ] = False,
) -> int:
    """Say what a pull request changes: permissions before and after, DAGs, and whose approval it needs.

    Only commits count. Nothing of the pull request is run, except by Airflow loading those DAGs whose files
    alone do not say enough, in a process without secrets.
    """
    if form not in FORMATS:
        raise UsageError(
            f"There is no format '{form}'{closest(form, FORMATS)}", fix=f"Formats: {', '.join(FORMATS)}"
        )
    from dagkit.deploy import markdown
    from dagkit.deploy.git import top
    from dagkit.deploy.review import as_data
    from dagkit.deploy.review import review as compare
    from dagkit.deploy.trees import extracted

    with extracted(top(path), base, head) as trees:
        found = compare(trees, environment, load=not static)
    if form == "json":
        sys.stdout.write(json.dumps(as_data(found), indent=1) + "\n")
    else:
        again = f"dagkit review --base {found.base} --head {found.head} --format json"
        sys.stdout.write(markdown.render(found, again))
    return 0
