"""`dagkit fleet status` and `dagkit fleet update`: every repository that was made from the template."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.fleet.conductor import Standing, Wish

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Every repository of an organisation that was made from the template.",
)

Scope = Annotated[
    str,
    typer.Argument(
        metavar="ORG-OR-LIST",
        help="An organisation on GitHub, or a file with one repository a line.",
    ),
]
Template = Annotated[
    str | None, typer.Option(metavar="SRC", help="The template's address, where it is not dagkit's own.")
]
Version = Annotated[
    str | None, typer.Option(metavar="TAG", help="The version to go to. Otherwise the newest.")
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="How many at a time; 0 is one for each core.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def status(
    scope: Scope,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only versions: clone nothing, so not what would conflict.")
    ] = False,
    template: Template = None,
    version: Version = None,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> int:
    """Where each stands: version, how far behind, what would conflict."""
    from dagkit.fleet.conductor import Wish

    return _run(
        Wish(scope, template, version, everyone=True, look=not quick, jobs=jobs), 0.0, as_json=as_json
    )


@app.command()
def update(
    scope: Scope,
    everyone: Annotated[bool, typer.Option("--all", help="Those that do not ask for it, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    pace: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Between two changes on GitHub.")
    ] = 1.0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not go on with a run that was cut off.")
    ] = False,
    template: Template = None,
    version: Version = None,
    jobs: Jobs = 0,
    as_json: Json = False,
) -> int:
    """One pull request for each that asks: opened, or renewed."""
    from dagkit.fleet.conductor import Wish

    wish = Wish(scope, template, version, everyone=everyone, change=not dry_run, jobs=jobs, restart=restart)
    return _run(wish, pace, as_json=as_json)


def _run(wish: Wish, pace: float, *, as_json: bool) -> int:
    from dagkit.fleet.conductor import survey
    from dagkit.fleet.github import GitHub, Pace

    github = GitHub.from_environment(Pace(pace), terminal.note)
    if not github.server.startswith(("http://", "https://")) or not github.api.startswith(
        ("http://", "https://")
    ):
        raise UsageError("GITHUB_API_URL and GITHUB_SERVER_URL take addresses that begin with https://")

    def begun(number: int, done: int) -> None:
        terminal.note(f"{number} {'repository' if number == 1 else 'repositories'}")
        if done:
            terminal.note(f"{done} of them are done, by a run that was cut off (--restart begins anew)")

    def told(standing: Standing) -> None:
        if wish.change and not as_json and (standing.uses or standing.problem):
            terminal.say(_line(standing))

    found = survey(wish, github, begun=begun, told=told)
    if as_json:
        terminal.print_json([asdict(standing) for standing in found])
    else:
        if not wish.change:
            _table(found, looked=wish.look)
        _summary(wish, found)
    return int(any(standing.problem for standing in found))


def _line(standing: Standing) -> str:
    """What was done with a repository."""
    if standing.problem:
        return f"{terminal.styled('✗', 'red')} {standing.name}: {standing.problem.splitlines()[0]}"
    if standing.did:
        page = f"  {standing.pull_request}" if standing.pull_request else ""
        clash = f", a draft: {len(standing.conflicts)} to settle" if standing.conflicts else ""
        way = f"{standing.version} → {standing.newest}"
        return f"{terminal.styled('✓', 'green')} {standing.name}  {way}  {standing.did}{clash}{page}"
    return (
        f"{terminal.styled('·', 'dim')} {standing.name}  {standing.version}  {standing.why or 'up to date'}"
    )


def _table(found: tuple[Standing, ...], *, looked: bool) -> None:
    rows = [("repository", "kind", "version", "behind", "update")]
    rows += [
        (
            standing.name,
            standing.kind or "",
            standing.version or "",
            "" if standing.behind is None else str(standing.behind),
            _prospect(standing, looked=looked),
        )
        for standing in found
        if standing.uses or standing.problem
    ]
    if len(rows) == 1:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[4]]).rstrip()
        terminal.say(terminal.styled(line, "bold") if number == 0 else line)


def _prospect(standing: Standing, *, looked: bool) -> str:
    if standing.problem:
        return f"✗ {standing.problem.splitlines()[0]}"
    if standing.newest == standing.version or standing.files is None:
        nothing = "up to date" if standing.behind == 0 else f"to {standing.newest}"
        return standing.why or nothing
    asks = "" if standing.asks else "; does not ask for it"
    if standing.conflicts:
        return f"to {standing.newest}, conflicts in {', '.join(standing.conflicts)}{asks}"
    return f"to {standing.newest}, {standing.files} files, no conflict{asks}" if looked else ""


def _summary(wish: Wish, found: tuple[Standing, ...]) -> None:
    users = [standing for standing in found if standing.uses]
    behind = sum(bool(standing.newest and standing.behind) for standing in users)
    clash = sum(bool(standing.conflicts) for standing in users)
    words = [f"{len(users)} of {len(found)} use the template", f"{behind} behind"]
    words += [f"{clash} with conflicts"] if clash else []
    if wish.change:
        did = Counter(standing.did for standing in users if standing.did)
        words += [f"{what}: {number}" for what, number in sorted(did.items())]
    terminal.say(f"\n{', '.join(words)}")
    others = Counter((s.why or "").partition(":")[0] for s in found if not s.uses and not s.problem)
    for why, number in sorted(others.items()):
        terminal.say(f"  not looked at: {number}, as {why}")
    problems = [standing for standing in found if standing.problem]
    if problems:
        terminal.say(terminal.styled(f"\n{len(problems)} could not be done:", "red"))
    for standing in problems:
        first, *rest = (standing.problem or "").splitlines()
        terminal.say(f"  {standing.name}: {first}")
        for line in rest:
            terminal.say(f"  {line}")
