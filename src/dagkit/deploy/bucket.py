"""The DAGs bucket: reading it, and carrying out the plan of `dags.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dagkit.dagrepo import Environment
from dagkit.deploy import manifest
from dagkit.deploy.aws import each, told
from dagkit.deploy.dags import DagPlan, DagStep
from dagkit.deploy.manifest import Manifest
from dagkit.deploy.steps import CHANGES, Action

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

DELETE_LIMIT = 1000


def read(
    s3: S3Client, settings: Environment, repository: str, environment: str
) -> tuple[Manifest, dict[str, str]]:
    """The bucket's manifest, and the ETag of every key under `<prefix>dags/`: one call for 1,000 keys."""
    where = f"s3://{settings.dags_bucket}/{settings.dags_prefix}dags/"
    with told("read the DAGs bucket", where):
        found = manifest.read(s3, settings.dags_bucket, _manifest_key(settings), repository, environment)
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=settings.dags_bucket, Prefix=f"{settings.dags_prefix}dags/"
        )
        listed = {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}
    return found, listed


def carry_out(
    s3: S3Client,
    settings: Environment,
    plan: DagPlan,
    on_step: Callable[[DagStep], None],
    *,
    jobs: int | None = None,
) -> tuple[DagStep, ...]:
    """Do what the plan says: claim the keys, upload wave by wave, remove, tell which commit is live.

    A plan with a refused step is not begun, and a failure ends the work after its wave: what comes later may
    rely on what is missing.

    Args:
        s3: S3 client.
        settings: The environment.
        plan: The plan.
        on_step: Called after each change, with the step as it ended.
        jobs: Uploads at a time; as many as `aws.JOBS` when not given.

    Returns:
        The plan as it ended; the commit is live where no step is `refused`.
    """
    if plan.of(Action.REFUSED):
        return _left(plan, {})
    bucket, key = settings.dags_bucket, _manifest_key(settings)
    ended: dict[str, DagStep] = {}
    etags: dict[str, str] = {}

    def put(step: DagStep) -> None:
        if step.file:
            answer = s3.put_object(
                Bucket=bucket, Key=step.name, Body=step.file.body, ContentType="text/x-python; charset=utf-8"
            )
            etags[step.name] = answer["ETag"].strip('"')

    def done(step: DagStep, problem: str | None) -> None:
        ended[step.name] = replace(step, action=Action.REFUSED, problem=problem) if problem else step
        on_step(ended[step.name])

    def failed() -> bool:
        return any(step.action is Action.REFUSED for step in ended.values())

    held = plan.claim if plan.of(*CHANGES) else plan.before
    if held != plan.before:
        _write_manifest(s3, bucket, key, held)
    for wave in plan.waves:
        each(wave, put, done, jobs=jobs)
        if failed():
            return _left(plan, ended)
    for group in plan.removals:
        with told("delete from the DAGs bucket", f"s3://{bucket}"):
            _remove(s3, bucket, group, done)
        if failed():
            return _left(plan, ended)
    after = plan.done(etags)
    if after != held:
        _write_manifest(s3, bucket, key, after)
    return plan.steps


def _left(plan: DagPlan, ended: Mapping[str, DagStep]) -> tuple[DagStep, ...]:
    """The plan as it ended, with what was not tried marked so."""

    def end(step: DagStep) -> DagStep:
        if step.action not in CHANGES or step.name in ended:
            return ended.get(step.name, step)
        problem = "not tried, because of the failures; run it again once they are put right"
        return replace(step, action=Action.REFUSED, problem=problem)

    return tuple(end(step) for step in plan.steps)


def _remove(
    s3: S3Client, bucket: str, group: Sequence[DagStep], done: Callable[[DagStep, str | None], None]
) -> None:
    for start in range(0, len(group), DELETE_LIMIT):
        chunk = group[start : start + DELETE_LIMIT]
        keys: list[ObjectIdentifierTypeDef] = [{"Key": step.name} for step in chunk]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        refused = {e["Key"]: f"{e.get('Code')}: {e.get('Message')}" for e in answer.get("Errors", [])}
        for step in chunk:
            done(step, refused.get(step.name))


def _write_manifest(s3: S3Client, bucket: str, key: str, content: Manifest) -> None:
    with told("write the bucket's manifest", f"s3://{bucket}/{key}"):
        manifest.write(s3, bucket, key, content)


def _manifest_key(settings: Environment) -> str:
    return f"{settings.dags_prefix}{manifest.NAME}"
