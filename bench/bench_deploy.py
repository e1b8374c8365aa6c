"""Deployment of many unchanged roles and DAGs: AWS calls and seconds, against reading them one by one.

Run by `make bench`, or alone: `python -m bench.bench_deploy [NUMBER]`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagkit.dagrepo import DagRepository
from dagkit.deploy import bucket, dags, iam, roles
from dagkit.deploy.aws import Aws, connect
from dagkit.deploy.steps import Action
from tests.harness.services import running_moto

ACCOUNT = "123456789012"
BUCKET = "example-airflow-dev"
SETTINGS = f"""\
[registry]
account = "189157455002"

[environments.dev]
account = "{ACCOUNT}"
dags_bucket = "{BUCKET}"
cluster = "test"
oidc_provider = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
"""


def make(root: Path, number: int) -> DagRepository:
    """A DAG repository of so many DAGs and roles, five to a project."""
    (root / "dagkit.toml").write_text(SETTINGS)
    for index in range(number):
        name = f"airflow_dev_p{index // 5}_d{index}"
        dag = root / f"environments/dev/dags/p{index // 5}/d{index}.py"
        role = root / f"environments/dev/roles/{name}.yaml"
        for file in (dag, role):
            file.parent.mkdir(parents=True, exist_ok=True)
        dag.write_text(f'RELEASE = "v0.0.{index}"\n' * 40)
        role.write_text(f"iam_role_name: {name}\ns3:\n  read_write:\n    - alpha-data/d{index}/*\n")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    return DagRepository.load(root)


class Calls:
    """Counts the calls of a client."""

    def __init__(self, *clients: Any) -> None:
        self.number = 0
        for client in clients:
            client.meta.events.register("before-call.*", self._count)

    def _count(self, **_: Any) -> None:
        self.number += 1

    def during(self, work: Callable[[], None]) -> tuple[int, float]:
        """Calls and seconds of some work."""
        before, began = self.number, time.perf_counter()
        work()
        return self.number - before, time.perf_counter() - began


def measure(repository: DagRepository, aws: Aws) -> None:
    """Deploy everything, then compare the two ways of finding that nothing changed."""
    owner = roles.Owner("example/airflow", "dev")
    settings = repository.settings.environments["dev"]
    calls = Calls(aws.iam, aws.s3)

    def deploy_roles() -> tuple[roles.RoleStep, ...]:
        wanted, _ = roles.wanted(repository, owner)
        steps = roles.plan(wanted, iam.read_all(aws.iam), owner, prune=False)
        # one at a time: moto's IAM fails now and then when it is changed from several threads
        return iam.carry_out(aws.iam, steps, owner, lambda _: None, jobs=1)

    def deploy_dags() -> tuple[dags.DagStep, ...]:
        before, listed = bucket.read(aws.s3, settings, owner.repository, "dev")
        plan = dags.plan(dags.files(repository, "dev"), listed, before, "c" * 40, prune=False, adopt=False)
        return bucket.carry_out(aws.s3, settings, plan, lambda _: None)

    def unchanged(deploy: Callable[[], Any]) -> Callable[[], None]:
        def again() -> None:
            if {step.action for step in deploy()} != {Action.UNCHANGED}:
                raise SystemExit("a second deployment changed something")

        return again

    def roles_one_by_one() -> None:
        wanted, _ = roles.wanted(repository, owner)
        for name, role in wanted.items():
            roles.step(role, iam.read_one(aws.iam, name), owner)

    def dags_one_by_one() -> None:
        for file in dags.files(repository, "dev"):
            aws.s3.head_object(Bucket=BUCKET, Key=file.key)

    for name, deploy, one_by_one in (
        ("roles", deploy_roles, roles_one_by_one),
        ("DAGs", deploy_dags, dags_one_by_one),
    ):
        first = calls.during(lambda deploy=deploy: deploy() and None)  # type: ignore[misc]
        ours, theirs = calls.during(unchanged(deploy)), calls.during(one_by_one)
        print(f"deploy {name}, first time: {first[0]} calls, {first[1]:.2f} s")
        print(
            f"deploy {name}, unchanged: {ours[0]} calls, {ours[1]:.2f} s; one by one: {theirs[0]} calls,"
            f" {theirs[1]:.2f} s; ratio {ours[1] / theirs[1]:.3f} (calls {ours[0] / theirs[0]:.4f})"
        )


def main(number: int = 1000) -> None:
    """Measure with so many roles and DAGs."""
    with tempfile.TemporaryDirectory() as folder:
        home, root = Path(folder) / "moto", Path(folder) / "airflow"
        home.mkdir()
        root.mkdir()
        with running_moto(home) as url:
            os.environ |= {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            }
            aws = connect(ACCOUNT, "eu-west-1", "dev")
            aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            print(f"{number} roles, {number} DAGs; AWS is moto on this machine, so its calls are cheap")
            measure(make(root, number), aws)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
