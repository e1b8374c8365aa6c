"""`dagkit deploy roles` and `dagkit deploy dags`: from the DAG repository to AWS, a plan first."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagkit import names
from dagkit.dagrepo import DagRepository
from dagkit.errors import DagkitError, UsageError

if TYPE_CHECKING:
    from dagkit.deploy.steps import Step

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Bring the roles and DAGs of one environment from the DAG repository to AWS.",
)

PathArgument = Annotated[Path, typer.Argument(help="The DAG repository, or a folder in it.")]
EnvironmentOption = Annotated[str, typer.Option("--environment", "-e", help="The environment, as in dev.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; change nothing.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what is ours and has no file any more.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repository",
        help="ORGANISATION/NAME that marks what is ours. Default: GITHUB_REPOSITORY, else the remote origin.",
    ),
]


@app.command()
def roles(
    environment: EnvironmentOption,
    path: PathArgument = Path(),
    dry_run: DryRun = False,
    prune: Prune = False,
    manifests: Annotated[
        str | None,
        typer.Option(
            "--manifests",
            metavar="FOLDER",
            help="Write the Kubernetes service accounts there, for kubectl apply; - prints them.",
        ),
    ] = None,
    repository: Repository = None,
    as_json: Json = False,
) -> int:
    """Create or update the IAM roles of an environment: trust policy, inline policy, tags."""
    if manifests == "-" and as_json:
        raise UsageError("--manifests - and --json both want the output", fix="Give --manifests a folder.")
    from dagkit.deploy import iam
    from dagkit.deploy import roles as planning
    from dagkit.deploy.aws import connect
    from dagkit.deploy.steps import Action

    ours, slug = _load(path, environment, repository)
    settings = ours.settings.environments[environment]
    owner = planning.Owner(slug, environment)
    wanted, refused = planning.wanted(ours, owner)
    aws = connect(settings.account, settings.region, environment)
    steps = planning.plan(wanted, iam.read_all(aws.iam), owner, prune=prune)
    steps = planning.keep_refused(steps, refused)
    quiet = as_json or manifests == "-"
    _show_plan(steps, dry_run=dry_run, quiet=quiet)
    if not dry_run:
        steps = iam.carry_out(aws.iam, steps, owner, lambda step: _show(step, quiet=quiet))
    if manifests is not None:
        live = [step.wanted for step in steps if step.wanted and step.action is not Action.REFUSED]
        accounts = [planning.service_account(role, settings.account, settings.namespace) for role in live]
        if settings.pod_identity != "irsa":
            sys.stderr.write("no service accounts: pods get their role from the node (kube2iam)\n")
        elif manifests == "-":
            sys.stdout.write(_yaml(accounts))
        elif not dry_run:
            _write(Path(manifests) / f"{environment}-service-accounts.yaml", _yaml(accounts))
    facts = {"environment": environment, "account": settings.account, "dry_run": dry_run}
    return _finish(steps, f"{environment}: roles", facts, as_json=as_json, quiet=quiet)


@app.command()
def dags(
    environment: EnvironmentOption,
    path: PathArgument = Path(),
    dry_run: DryRun = False,
    prune: Prune = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over keys in the bucket that somebody else put there.")
    ] = False,
    repository: Repository = None,
    as_json: Json = False,
) -> int:
    """Upload the DAGs and imports of an environment that changed: imports before DAGs, removals last."""
    from dagkit.deploy import bucket
    from dagkit.deploy import dags as planning
    from dagkit.deploy.aws import connect
    from dagkit.deploy.git import commit, require_committed
    from dagkit.deploy.steps import Action

    ours, slug = _load(path, environment, repository)
    settings = ours.settings.environments[environment]
    head = commit(ours.root)
    if not dry_run:
        require_committed(ours.root, f"environments/{environment}/dags", "imports")
    aws = connect(settings.account, settings.region, environment)
    before, listed = bucket.read(aws.s3, settings, slug, environment)
    files = planning.files(ours, environment)
    plan = planning.plan(files, listed, before, head, prune=prune, adopt=adopt)
    steps: tuple[planning.DagStep, ...] = plan.steps
    _show_plan(steps, dry_run=dry_run, quiet=as_json)
    live = before.commit
    if not dry_run:
        steps = bucket.carry_out(aws.s3, settings, plan, lambda step: _show(step, quiet=as_json))
        if all(step.action is not Action.REFUSED for step in steps):
            live = head
    facts = {
        "environment": environment,
        "bucket": settings.dags_bucket,
        "dry_run": dry_run,
        "live": live or None,
        "before": before.commit or None,
        "cut_off": before.deploying or None,
    }
    exit_code = _finish(steps, f"{environment}: DAGs", facts, as_json=as_json, quiet=as_json)
    if not as_json:
        was = f" (before: {before.commit[:12]})" if before.commit not in ("", live) else ""
        sys.stdout.write(f"live in s3://{settings.dags_bucket}: {live[:12] or 'nothing yet'}{was}\n")
    return exit_code


def _load(path: Path, environment: str, repository: str | None) -> tuple[DagRepository, str]:
    from dagkit.deploy.git import slug

    found = DagRepository.load(path)
    if environment not in found.environments:
        raise UsageError(
            f"There is no environment '{environment}'{names.closest(environment, found.environments)}",
            where=str(found.root / "dagkit.toml"),
            fix=f"Environments: {', '.join(found.environments)}",
        )
    name = repository or slug(found.root)
    if name is None:
        raise UsageError(
            "Nothing says what this repository is called on GitHub; its roles and DAGs are marked with it",
            where=str(found.root),
            fix="Add --repository ORGANISATION/NAME, or a git remote called origin.",
        )
    return found, name


def _show_plan(steps: Sequence[Step], *, dry_run: bool, quiet: bool) -> None:
    """Print what will not happen, and of a dry run what would."""
    from dagkit.deploy.steps import CHANGES, Action

    shown = {Action.REFUSED, Action.KEPT, *(CHANGES if dry_run else ())}
    for step in steps:
        if step.action in shown:
            _show(step, quiet=quiet)


def _show(step: Step, *, quiet: bool) -> None:
    from dagkit.deploy.steps import line

    if not quiet:
        sys.stdout.write(line(step) + "\n")
        sys.stdout.flush()


def _finish(steps: Sequence[Step], title: str, facts: dict[str, Any], *, as_json: bool, quiet: bool) -> int:
    """Print how it ended; 1 where something was refused."""
    from dagkit.deploy.steps import Action, as_data, summary

    if as_json:
        sys.stdout.write(json.dumps({**facts, "steps": as_data(steps)}, indent=1) + "\n")
    elif not quiet:
        dry = " (a dry run: nothing was changed)" if facts["dry_run"] else ""
        sys.stdout.write(f"{title}: {summary(steps)}{dry}\n")
    refused = [step for step in steps if step.action is Action.REFUSED]
    if refused:
        listed = "".join(f"\n  {step.name}: {step.problem}" for step in refused)
        sys.stdout.flush()
        sys.stderr.write(f"error: {len(refused)} could not be done:{listed}\n")
    return 1 if refused else 0


def _yaml(documents: list[dict[str, Any]]) -> str:
    import yaml

    return yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True) if documents else ""


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise DagkitError(f"The service accounts could not be written: {error}", where=str(file)) from error
