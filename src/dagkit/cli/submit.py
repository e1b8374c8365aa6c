"""`dagkit submit`: DAG and role into a branch of the DAG repository, as a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.pipeline import Pipeline
    from dagkit.submit.plan import Change
    from dagkit.submit.proposal import Proposal

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def submit(
    path: Annotated[Path, typer.Argument(help="The pipeline's repository, or a folder in it.")] = Path(),
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="dev, or prod to promote it.")
    ] = "dev",
    release: Annotated[
        str | None, typer.Option("--release", metavar="TAG", help="The release to run. Default: the newest.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="ADDRESS",
            envvar="DAGKIT_DAG_REPOSITORY",
            help="The DAG repository, as git clone takes it. Default: as the answers say, on GitHub.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask Amazon ECR whether the image is there.")
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Check the rules on the files alone: quicker, and less sure.")
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Replace what others put there in this pipeline's place, or edited."
        ),
    ] = False,
) -> int:
    """Set ENVIRONMENT and RELEASE, check the rules in the DAG repository, and open the pull request.

    Nothing is written before you have seen it and said yes. Calling it again updates the same branch.
    """
    from dagkit.pipeline import Pipeline
    from dagkit.rules.output import FORMATS
    from dagkit.submit import proposal
    from dagkit.submit import release as releases
    from dagkit.submit.plan import Submission

    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError("There is no terminal to ask in", fix="Say yes beforehand: dagkit submit --yes")
    pipeline = Pipeline.load(path)
    pipeline.role(environment)
    releases.require_committed(pipeline.root)
    submission = Submission(pipeline, environment, _release(pipeline, release))
    address = to or proposal.address_of(pipeline)
    print(f"{submission.title}, to {address}")
    with proposal.proposed(submission, address, take_over=take_over) as proposed:
        if not proposed.changes:
            print(f"nothing to submit: the DAG repository has {submission.title} already")
            return 0
        _show(proposed.changes)
        report = proposed.check(online=online, static=static)
        sys.stdout.write(FORMATS["text"](report))
        if report.errors:
            print("\nnothing was submitted: the DAG repository would not accept this", file=sys.stderr)
            return 1
        if dry_run:
            print("\nnothing was submitted (--dry-run)")
            return 0
        branch = submission.branch
        if proposed.clone.same_as_branch():
            print(f"the branch {branch} has this already")
        else:
            if not (yes or typer.confirm(f"\nPut this on the branch {branch}?")):
                print("nothing was submitted")
                return 1
            proposed.push()
            print(f"pushed to the branch {branch}")
        _pull_request(proposed)
    return 0


def _release(pipeline: Pipeline, wanted: str | None) -> str:
    """The release to submit."""
    from dagkit.submit import proposal
    from dagkit.submit import release as releases

    release = proposal.chosen_release(pipeline, wanted)
    if pipeline.has_image and (ahead := releases.since(pipeline.root, release)):
        print(
            f"note: the image of {release} does not have your last {ahead} commit{'s' if ahead > 1 else ''}"
        )
    return release


def _show(changes: tuple[Change, ...]) -> None:
    for change in changes:
        print()
        print("\n".join(change.diff()))
    print()


def _pull_request(proposed: Proposal) -> None:
    made = proposed.pull_request()
    clone = proposed.clone
    if made.url is None:
        print(f"open the pull request from {clone.branch} into {clone.default}")
    else:
        print(f"{'pull request' if made.open else 'open the pull request here'}: {made.url}")
