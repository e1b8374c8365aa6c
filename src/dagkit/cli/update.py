"""`dagkit update`: the template's next version, merged with what is the analyst's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.update import Outcome, Plan
    from dagkit.update.state import State

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def update(
    path: Annotated[Path, typer.Argument(help="The repository, or a folder in it.")] = Path(),
    version: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="A version of the template. Otherwise the newest release."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", metavar="KEY=VALUE", help="Another answer; may be given again."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", "-l", help="Ask nothing: new questions get their defaults.")
    ] = False,
    stash: Annotated[
        bool, typer.Option("--stash", help="Put uncommitted work aside meanwhile, with git stash.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Afterwards see that build, tests and rules still pass.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Conflicts are settled: finish the update.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Go back to before the update.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Bring in the template's next version, on a branch of its own; what you changed stays.

    It says what changed, and shows both sides of what needs a decision. Nothing is lost: there is a way back.
    """
    if go_on or abort:
        others = {"--version": version, "--data": data, "--stash": stash, "--dry-run": dry_run}
        if go_on and abort:
            raise UsageError("--continue and --abort are opposites", fix="Give one of them.")
        if given := [name for name, value in others.items() if value]:
            word = "--continue" if go_on else "--abort"
            raise UsageError(f"{word} does not go with {', '.join(given)}", fix=f"dagkit update {word}")
        return _continue(path, check=check, as_json=as_json) if go_on else _abort(path, as_json=as_json)
    from dagkit import update as updates
    from dagkit.cli.new import given as answers

    can_ask = terminal.can_ask() and not as_json
    if not dry_run:
        stash = _ready(path, stash=stash, can_ask=can_ask)
    ask = can_ask and not (defaults or dry_run)
    with updates.planned(path, version=version, data=answers(data or []), ask=ask) as plan:
        if plan.nothing:
            return _nothing(plan, as_json=as_json)
        if not as_json:
            terminal.say(terminal.styled(f"{plan.title}.", "bold"))
        if dry_run:
            _tell(plan, None, as_json=as_json)
            return 1 if plan.conflicts else 0
        outcome = updates.apply(plan, stash=stash, begun=_told_on_error if as_json else _told)
        checked = _check(plan.root) if check and outcome.commit else None
        _tell(plan, outcome, as_json=as_json, checked=checked, asked=check)
    return 1 if outcome.conflicts or _failed(checked) else 0


def _ready(path: Path, *, stash: bool, can_ask: bool) -> bool:
    """See that an update may begin, before anybody waits; return whether to put work aside."""
    from dagkit.update.apply import check_committed
    from dagkit.update.plan import repository
    from dagkit.update.recorded import Recorded
    from dagkit.update.state import check_ready

    top = repository(Recorded.load(path).root)
    check_ready(top)
    if stash:
        return True
    try:
        check_committed(top)
    except UsageError as error:
        if not can_ask:
            raise
        terminal.say(error.what)
        if not typer.confirm("Put it aside meanwhile, with git stash?"):
            raise
        return True
    return False


def _told(state: State) -> None:
    terminal.say(_way_back(state))


def _told_on_error(state: State) -> None:
    """Beside the JSON, which comes when all is done."""
    terminal.note(_way_back(state))


def _way_back(state: State) -> str:
    from dagkit.update.state import BACK

    # not where work is put aside: until it is, that command would throw it away
    other = "" if state.stash else f" (without dagkit: git checkout --force {state.origin})"
    return f"To go back, at any time: {BACK}{other}"


def _nothing(plan: Plan, *, as_json: bool) -> int:
    if as_json:
        _print(plan, "nothing")
    else:
        terminal.say(
            f"Nothing to update: it is at {plan.after} of the template ({plan.src}), as it should be."
        )
    return 0


def _tell(
    plan: Plan,
    outcome: Outcome | None,
    *,
    as_json: bool,
    checked: dict[str, bool | None] | None = None,
    asked: bool = False,
) -> None:
    """Say what an update did; or, without an outcome, what it would do."""
    from dagkit.update import words

    if as_json:
        state = "planned" if outcome is None else "conflicts" if outcome.conflicts else "updated"
        _print(plan, state, outcome, checked)
        return
    for section in words.sections(plan, done=outcome is not None, width=terminal.width()):
        _section(section.title, section.lines)
    if outcome is None:
        terminal.say("\nNothing was changed (--dry-run).")
    elif outcome.conflicts:
        _section("How to settle it", words.how_to_settle(outcome.conflicts))
        if asked:
            terminal.say("\nNot checked yet: dagkit update --continue --check")
    else:
        _finished(outcome, checked)


def _finished(outcome: Outcome, checked: dict[str, bool | None] | None) -> None:
    from dagkit.update.state import BACK

    if checked is not None:
        words = {True: "pass", False: "FAIL", None: "not checked: there is no Docker engine here"}
        _section("Checks", tuple(f"{name:<16} {words[passed]}" for name, passed in checked.items()))
    push = f"git push --set-upstream origin {outcome.branch}, and open a pull request"
    terminal.say(f"\nThe update is a commit on the branch {terminal.styled(outcome.branch, 'bold')}.")
    terminal.say("  look at it:  git show")
    terminal.say(f"  publish it:  {push}")
    terminal.say(f"  or merge it: git switch {outcome.origin} && git merge {outcome.branch}")
    terminal.say(f"  go back:     {BACK}")
    if outcome.stashed:
        terminal.say("  your uncommitted work was put aside; when you want it back: git stash pop")


def _section(title: str, lines: tuple[str, ...]) -> None:
    terminal.say(f"\n{terminal.styled(title, 'bold')}")
    for line in lines:
        terminal.say(f"  {line}".rstrip())


def _print(
    plan: Plan, state: str, outcome: Outcome | None = None, checked: dict[str, bool | None] | None = None
) -> None:
    from dataclasses import asdict

    from dagkit.update.state import BACK

    said: dict[str, Any] = {"state": state, "template": plan.src, "from": plan.before, "to": plan.after}
    for name in ("changes", "conflicts", "kept", "answers", "news"):
        said[name] = [asdict(each) for each in getattr(plan, name)]
    if outcome is not None:
        said |= {"branch": outcome.branch, "commit": outcome.commit, "stashed": outcome.stashed, "back": BACK}
    if checked is not None:
        said["checks"] = checked
    terminal.print_json(said)


def _continue(path: Path, *, check: bool, as_json: bool) -> int:
    from dataclasses import asdict

    from dagkit import update as updates

    outcome = updates.resume(path)
    checked = _check(updates.Recorded.load(path).root) if check else None
    if as_json:
        terminal.print_json({"state": "updated", **asdict(outcome), "checks": checked})
    else:
        _finished(outcome, checked)
    return 1 if _failed(checked) else 0


def _abort(path: Path, *, as_json: bool) -> int:
    from dagkit import update as updates

    ended, saved = updates.abort(path)
    if as_json:
        terminal.print_json(
            {"state": "aborted", "branch": ended.origin, "commit": ended.head, "saved": saved}
        )
    else:
        terminal.say(f"As it was before the update: the branch {ended.origin}, at {ended.head[:10]}.")
        if saved:
            terminal.say(f"The files as they were until now are kept: git show {saved}")
    return 0


def _failed(checked: dict[str, bool | None] | None) -> bool:
    return checked is not None and False in checked.values()


def _check(root: Path) -> dict[str, bool | None]:
    """Whether build, tests and rules pass; None for what this machine cannot check."""
    from dagkit.image import engine_available
    from dagkit.update.recorded import Recorded

    passed: dict[str, bool | None] = {}
    verbs = [["validate", str(root)]]
    if Recorded.load(root).kind == "image":
        verbs = [["build", str(root)], ["test", "--path", str(root)], *verbs]
    for verb in verbs:
        name = f"dagkit {verb[0]}"
        if verb[0] == "build" and not engine_available():
            passed[name] = None
            continue
        terminal.note(f"\n{terminal.styled(name, 'bold')}")
        # what they print is for people: the result, which a program may read, is not between
        done = subprocess.run([sys.executable, "-m", "dagkit", *verb], check=False, stdout=sys.stderr)
        passed[name] = done.returncode == 0
    return passed
