"""`dagkit notify`: tell Slack which pull request needs approval."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dagkit.dagrepo import DagRepository
from dagkit.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

TOKEN = "SLACK_BOT_TOKEN"  # noqa: S105 - the variable's name


@app.command()
def notify(
    path: Annotated[Path, typer.Argument(help="A clone of the DAG repository, or a folder in it.")] = Path(),
    event: Annotated[
        Path | None,
        typer.Option("--event", envvar="GITHUB_EVENT_PATH", help="The event file that GitHub writes."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="What the pull request goes into. Default: as in the event.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="The pull request's commit. Default: as in the event.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="#name or id. Default: as in dagkit.toml.")
    ] = None,
    slack_url: Annotated[str | None, typer.Option(envvar="DAGKIT_SLACK_URL", hidden=True)] = None,
) -> int:
    """Say in one Slack message who wants what approved; on later calls, bring that message up to date.

    Nothing of the pull request is run. Slack not answering, or no SLACK_BOT_TOKEN, is reported and is no
    failure: nobody should wait for a merge because of it.
    """
    if event is None:
        raise UsageError(
            "Nothing says which pull request this is about",
            fix="Run this in a GitHub workflow, or name its event file with --event.",
        )
    from dagkit.deploy import event as events
    from dagkit.deploy.git import top
    from dagkit.deploy.review import review
    from dagkit.deploy.trees import extracted

    pull = events.read(event)
    settings = DagRepository.load(path).settings
    place = channel or (settings.slack.channel if settings.slack else None)
    with extracted(top(path), base or pull.base.sha, head or pull.head.sha) as trees:
        found = review(trees, None, load=False)
    token = os.environ.get(TOKEN)
    if place is None:
        return _untold('dagkit.toml names no channel: add [slack] with channel = "#…"')
    if not token:
        return _untold(f"{TOKEN} is not set")
    from dagkit.deploy import notify as slack

    try:
        done = slack.send(
            slack.compose(pull, found), place, pull.created_at.timestamp(), token, slack_url or slack.SLACK
        )
    except slack.UNREACHABLE as error:
        return _untold(f"Slack says: {slack.words(error)}")
    sys.stdout.write(f"{done}\n")
    return 0


def _untold(why: str) -> int:
    sys.stderr.write(f"warning: nobody was told on Slack: {why}\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        # GitHub shows this on the workflow's page
        shown = why.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        sys.stdout.write(f"::warning title=Slack::Nobody was told on Slack: {shown}\n")
    return 0
