"""`dagkit adopt [PATH]`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.adopt import Plan, Survey
    from dagkit.adopt.bring import Brought
    from dagkit.adopt.tree import Fact

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SHOWN = 6
"""Lines of a list that are shown before the rest is only counted; --json has all."""


@app.command()
def adopt(
    path: Annotated[
        Path, typer.Argument(help="The repository; or the folder in it that the image is made of.")
    ] = Path(),
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", metavar="KEY=VALUE", help="An answer; may be given again."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="workflow", help="Only the workflow that pushes the image.")
    ] = None,
    defaults: Annotated[
        bool,
        typer.Option("--defaults", "-l", help="Ask nothing: the template's defaults for what is not found."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what was found and would change; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; ask nothing.")] = False,
    template: Annotated[
        str | None, typer.Option(metavar="SRC", help="Another template: a folder or a git address.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="TAG", help="A version of the template. Otherwise the newest.")
    ] = None,
) -> int:
    """Bring a repository that exists under the template: its code and Dockerfile stay as they are.

    It finds out what it can and asks for the rest. Workflows, DAG, roles and answers come on a branch of
    their own, dagkit/adopt.
    """
    from dagkit import adopt as adopting
    from dagkit import scaffold
    from dagkit.adopt.bring import check, way_back
    from dagkit.adopt.survey import EVERYTHING, WORKFLOW
    from dagkit.cli import new

    if only not in (None, WORKFLOW):
        raise UsageError(f"--only takes workflow, and got '{only}'", fix="dagkit adopt --only workflow")
    kind = WORKFLOW if only else EVERYTHING
    given = {key: str(value) for key, value in new.given(data or []).items()}
    ask = terminal.can_ask() and not (defaults or as_json)
    found = adopting.survey(path, kind=kind, given=given)
    if not dry_run:
        check(found.root)  # before anybody answers questions in vain
    if not as_json:
        _show_found(found, given)
    if ask and "dockerfile" in found.missing(given) and found.image.candidates:
        given["dockerfile"] = _which(found.image.candidates)
        found = adopting.survey(path, kind=kind, given=given)
    plan = adopting.plan(found, scaffold.source(template, version), given=given, ask=ask, defaults=defaults)
    for remark in plan.notes:
        terminal.note(f"note: {remark}")
    if not as_json:
        _show_plan(plan, dry_run=dry_run)
    brought = None
    if not dry_run:
        brought = adopting.bring(
            plan,
            begun=lambda origin: terminal.note(f"should this be cut off, go back with: {way_back(origin)}"),
        )
    if as_json:
        terminal.print_json(_as_json(plan, brought))
        return 0
    _show_obstacles(plan)
    _show_end(plan, brought)
    return 0


def _which(candidates: tuple[str, ...]) -> str:
    """Which of several Dockerfiles is the image's."""
    terminal.say("\nWhich Dockerfile is the image made with?")
    for number, path in enumerate(candidates, start=1):
        terminal.say(f"  {number}  {path}")
    while True:
        number = int(typer.prompt("Number", type=int))
        if 1 <= number <= len(candidates):
            return candidates[number - 1]
        terminal.say(f"A number from 1 to {len(candidates)}, please.")


def _show_found(found: Survey, given: dict[str, str]) -> None:
    terminal.say(terminal.styled(f"Found in {terminal.shell_path(found.root)}", "bold"))
    rows = [(fact.question, fact.value, fact.where) for fact in found.facts if _worth_showing(fact)]
    rows = [row for row in rows if row[0] not in given]
    rows += [(sight.what, sight.text, sight.where) for sight in found.sights]
    if found.pushes:
        rows.append(("the workflow to ECR", "replaced by image-release.yml", found.pushes.path))
        rows += [
            ("retired runner", f"{runner.value}, goes with it", f"{found.pushes.path}:{runner.line}")
            for runner in found.pushes.retired
        ]
    _table(rows)
    for fact in found.also:
        if fact.question not in given and _worth_showing(fact):
            terminal.say(f"  (also {fact.question} {fact.value}: {fact.where})")


def _worth_showing(fact: Fact) -> bool:
    usual = {"context": ".", "target": "", "test_stage": "", "command": ""}
    return usual.get(fact.question) != fact.value


def _table(rows: Iterable[tuple[str, str, str]]) -> None:
    rows = list(rows)
    if not rows:
        terminal.say("  nothing that answers a question")
        return
    first, second = (max(len(row[n]) for row in rows) for n in (0, 1))
    second = min(second, 44)
    for what, value, where in rows:
        terminal.say(f"  {what:<{first}}  {value:<{second}}  {terminal.styled(where, 'dim')}")


def _show_plan(plan: Plan, *, dry_run: bool) -> None:
    terminal.say(terminal.styled("\nWould bring in" if dry_run else "\nBrings in", "bold"))
    for file in plan.files:
        terminal.say(f"  {'replaced' if file.replaces else 'new':<9} {file.path}")
    for path in plan.removed:
        terminal.say(f"  {'removed':<9} {path}  (git keeps it: git show HEAD~:{path})")
    for before, after in plan.moved:
        terminal.say(f"  {'moved':<9} {before} to {after}  (its template: copier update -a {after})")
    if plan.kept:
        terminal.say(terminal.styled("\nStays as it is; the template's has besides", "bold"))
    for kept in plan.kept:
        lines = kept.lacks[:SHOWN]
        more = f"; and {len(kept.lacks) - SHOWN} more" if len(kept.lacks) > SHOWN else ""
        terminal.say(f"  {kept.path}: {'; '.join(line.strip() for line in lines)}{more}")


def _show_obstacles(plan: Plan) -> None:
    obstacles = plan.survey.obstacles
    if not obstacles:
        return
    terminal.say(terminal.styled("\nStands in the way, most important first", "bold"))
    for number, obstacle in enumerate(obstacles, start=1):
        terminal.say(f"  {number}. {terminal.styled(obstacle.where, 'bold')}  {obstacle.what}")
        terminal.say(f"     what to do: {obstacle.fix}")


def _show_end(plan: Plan, brought: Brought | None) -> None:
    if brought is None:
        terminal.say("\nnothing was changed (--dry-run)")
        return
    from_version = f", from version {plan.version} of the template" if plan.version else ""
    branch = terminal.styled(brought.branch, "bold")
    terminal.say(f"\nAdopted on the branch {branch}{from_version}; {brought.origin} is as it was.")
    terminal.say("  see it:    git show")
    if plan.survey.kind == "adopted":
        pipeline = plan.answers["pipeline"]
        terminal.say(f"  edit it:   the variables in airflow/dags/{pipeline}.py, the paths in airflow/roles/")
        terminal.say("  try it:    dagkit build, then dagkit run")
    terminal.say(f"  share it:  git push --set-upstream origin {brought.branch}, and open a pull request")
    terminal.say(f"  undo it:   git switch {brought.origin} && git branch -D {brought.branch}")


def _as_json(plan: Plan, brought: Brought | None) -> dict[str, Any]:
    from dataclasses import asdict

    from dagkit.adopt.bring import way_back
    from dagkit.adopt.plan import BRANCH

    survey = plan.survey
    return {
        "root": str(survey.root),
        "kind": survey.kind,
        "version": plan.version,
        "found": [asdict(fact) for fact in survey.facts],
        "also": [asdict(fact) for fact in survey.also],
        "seen": [asdict(sight) for sight in survey.sights],
        "answers": dict(plan.answers),
        "files": [{"path": file.path, "replaces": file.replaces} for file in plan.files],
        "removed": list(plan.removed),
        "moved": [{"from": before, "to": after} for before, after in plan.moved],
        "kept": [asdict(kept) for kept in plan.kept],
        "obstacles": [asdict(obstacle) for obstacle in survey.obstacles],
        "branch": BRANCH,
        "commit": brought.commit if brought else None,
        "back": way_back(brought.origin) if brought else None,
    }
