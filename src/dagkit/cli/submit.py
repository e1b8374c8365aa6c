"""`dagkit submit`: DAG and role into a branch of the DAG repository, as a pull request."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dagkit.errors import UsageError

if TYPE_CHECKING:
    from dagkit.pipeline import Pipeline
    from dagkit.rules.runner import Report
    from dagkit.submit.plan import Change, Submission
    from dagkit.submit.remote import Clone

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
    from dagkit.submit import plan
    from dagkit.submit import release as releases
    from dagkit.submit.remote import cloned

    if not (yes or dry_run or sys.stdin.isatty()):
        raise UsageError("There is no terminal to ask in", fix="Say yes beforehand: dagkit submit --yes")
    pipeline = Pipeline.load(path)
    pipeline.role(environment)
    releases.require_committed(pipeline.root)
    submission = plan.Submission(pipeline, environment, _release(pipeline, release))
    address = to or f"https://github.com/{pipeline.platform.dag_repository}.git"
    print(f"{submission.title}, to {address}")
    with cloned(address, submission.branch) as clone:
        folder = f"environments/{environment}"
        there = clone.files("HEAD", folder)
        on_branch = clone.files(clone.tip, folder) if clone.tip else None
        changes = plan.changes(submission, there, on_branch, take_over=take_over)
        if not changes:
            print(f"nothing to submit: the DAG repository has {submission.title} already")
            return 0
        author = _author(pipeline.root)
        clone.write(changes)
        clone.commit(_message(submission), author)
        _show(changes)
        report = _validate(clone, online=online, static=static)
        if report.errors:
            print("\nnothing was submitted: the DAG repository would not accept this", file=sys.stderr)
            return 1
        if dry_run:
            print("\nnothing was submitted (--dry-run)")
            return 0
        if clone.same_as_branch():
            print(f"the branch {clone.branch} has this already")
        else:
            if not (yes or typer.confirm(f"\nPut this on the branch {clone.branch}?")):
                print("nothing was submitted")
                return 1
            clone.push()
            print(f"pushed to the branch {clone.branch}")
        _pull_request(submission, clone)
    return 0


def _release(pipeline: Pipeline, wanted: str | None) -> str:
    """The release to submit; for a repository without an image, the one that its DAG says."""
    from dagkit import dagfile, names
    from dagkit.submit import release as releases

    if not pipeline.has_image:
        dag = pipeline.dag()
        said = wanted or dagfile.settings(dagfile.read(dag), dag).get(dagfile.RELEASE, "")
        if not names.matches(names.RELEASE, said):
            raise UsageError(
                f"'{said}' is not the tag of a release",
                where=None if wanted else str(dag),
                fix="Name one that is in Amazon ECR, such as v1.2.3: as RELEASE, or with --release.",
            )
        return said
    release = releases.chosen(pipeline.root, wanted)
    if ahead := releases.since(pipeline.root, release):
        print(
            f"note: the image of {release} does not have your last {ahead} commit{'s' if ahead > 1 else ''}"
        )
    return release


def _author(root: Path) -> dict[str, str]:
    """Who commits: whoever commits in the pipeline's repository."""
    from dagkit.errors import DagkitError
    from dagkit.git import git

    try:
        name, email = (git(root, "config", f"user.{key}").strip() for key in ("name", "email"))
    except DagkitError as error:
        raise UsageError(
            "git does not know who you are",
            fix='git config --global user.name "Your Name" && git config --global user.email you@example.com',
        ) from error
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in
            (("NAME", name), ("EMAIL", email))}  # fmt: skip


def _message(submission: Submission) -> str:
    return f"{submission.title}\n\nSubmitted from {submission.source} {submission.release}.\n"


def _show(changes: tuple[Change, ...]) -> None:
    for change in changes:
        print()
        print("\n".join(change.diff()))
    print()


def _validate(clone: Clone, *, online: bool, static: bool) -> Report:
    """The rules, in the clone, on what the submission changes."""
    from contextlib import ExitStack

    from dagkit.rules import changes, load, runner, subject
    from dagkit.rules.output import FORMATS

    found = subject.find(clone.root)
    ecr = None
    if online:
        from dagkit.rules.ecr import Ecr

        ecr = Ecr(found.registry)
    with ExitStack() as stack:
        wanted = not static and load.airflow_is_here()
        loader = stack.enter_context(load.Loader()) if wanted else None
        touched = changes.since(found, "HEAD~1")
        report = runner.validate(found, touched=touched, static=static, ecr=ecr, loader=loader)
    sys.stdout.write(FORMATS["text"](report))
    return report


def _pull_request(submission: Submission, clone: Clone) -> None:
    from dagkit.submit.pull_request import ensure

    body = f"Submitted with `dagkit submit` from {submission.source} {submission.release}."
    made = ensure(clone.url, clone.branch, clone.default, submission.title, body)
    if made.url is None:
        print(f"open the pull request from {clone.branch} into {clone.default}")
    else:
        print(f"{'pull request' if made.open else 'open the pull request here'}: {made.url}")
