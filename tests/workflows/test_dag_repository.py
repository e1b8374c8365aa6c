"""The workflows of the generated DAG repository, run: what people see, and what lies in AWS afterwards."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from uv import find_uv_bin

import dagkit
from tests.deploy.slack import TOKEN, Slack, running_slack
from tests.harness.events import is_triggered, pull_request, push
from tests.harness.generate import REPOSITORY, commit_all, generate
from tests.harness.github_api import GitHub, running_github
from tests.harness.outcome import WorkflowRun
from tests.harness.stand_ins import StandIns
from tests.harness.workflow_file import load_workflow
from tests.workflows.dag_repository import DagRepository, account

PULL_REQUEST = "moj-analytical-services/my-pipeline#7"
GITHUB_TOKEN = "a-token-that-only-a-job-that-asks-for-it-may-have"
SECRETS = {"GITHUB_TOKEN": GITHUB_TOKEN, "SLACK_BOT_TOKEN": TOKEN}
DAG = "environments/dev/dags/example/write_and_copy.py"
ROLE = "environments/dev/roles/airflow_dev_example_write_and_copy.yaml"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dagkit's wheel: no index has this version yet."""
    folder = tmp_path_factory.mktemp("wheels")
    words = ["build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder)]
    done = subprocess.run([find_uv_bin(), *words, str(REPOSITORY)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAG repository as the template makes it, in git."""
    made = generate(tmp_path_factory.mktemp("generated") / "airflow", kind="airflow", owner="octocat")
    commit_all(made)
    return made


@pytest.fixture
def repository(generated: Path, wheels: Path, tmp_path: Path) -> DagRepository:
    """The DAG repository, and a machine on which uv finds dagkit's wheel, and packages as locked here."""
    cache = subprocess.run([find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True)
    machine = {
        "UV_FIND_LINKS": str(wheels),
        "UV_CONSTRAINT": str(REPOSITORY / "requirements" / "dev.txt"),
        "UV_CACHE_DIR": cache.stdout.strip(),
    }
    shutil.copytree(generated, tmp_path / "airflow")
    return DagRepository(tmp_path / "airflow", tmp_path / "runs", machine)


@pytest.fixture
def github() -> Iterator[GitHub]:
    with running_github(GITHUB_TOKEN) as running:
        yield running


@pytest.fixture
def slack() -> Iterator[Slack]:
    with running_slack() as running:
        yield running


def secrets_in(run: WorkflowRun, job: str) -> list[str]:
    """Every variable of a job's steps that holds a secret."""
    return [
        f"{step.label}: {name}"
        for step in run.jobs[job].steps
        for name, value in step.env.items()
        if any(secret in value for secret in SECRETS.values())
    ]


def test_a_broken_rule_is_shown_on_its_line_and_the_review_is_one_comment(
    repository: DagRepository, github: GitHub, tmp_path: Path
) -> None:
    for number in range(130):  # more than one page
        github.comment(PULL_REQUEST, f"<!-- dagkit review -->\nsomebody's quote {number}", "User")
    seen = tmp_path / "seen.json"
    dag = (repository.root / DAG).read_text()
    spying = (
        f"import json, os, pathlib\npathlib.Path({str(seen)!r}).write_text(json.dumps(dict(os.environ)))\n"
    )
    bad = dag.replace("\nwith DAG(", f"\n{spying}\nwith DAG(", 1)
    role = (repository.root / ROLE).read_text()
    opened = repository.proposed(
        {
            DAG: bad,
            ROLE: role.replace("octocat/write_and_copy/dev/*", "*"),
            "uv.toml": 'index-url = "http://127.0.0.1:1/"\n',
        },
        api_url=github.url,
    )
    run = repository.run("validate.yml", opened, StandIns(), SECRETS)

    assert {name: job.conclusion for name, job in run.jobs.items()} == {
        "rules": "failure",
        "comment": "success",
    }, run
    rules = run.jobs["rules"]
    assert rules.step("Check the rules").outcome == "failure"
    line = 1 + bad[: bad.index("pathlib.Path(")].count("\n")
    found = re.findall(r"^::(\w+) file=([^,]+),line=(\d+)", rules.step("Check the rules").log, re.MULTILINE)
    assert ("error", DAG, str(line)) in found, rules.step("Check the rules").log
    [comment] = github.bots(PULL_REQUEST)
    assert comment == rules.summary
    assert comment.count("<!-- dagkit review -->") == 1
    assert "alpha-everyone/airflow-example/*" in comment
    assert "@moj-analytical-services/data-engineering" in comment

    assert load_workflow(repository.root / ".github/workflows/validate.yml").jobs[0].permissions == {
        "contents": "read"
    }
    assert secrets_in(run, "rules") == []
    assert secrets_in(run, "comment") == [
        "Write it into one comment, the same one every time: GITHUB_TOKEN"
    ], "the token is known to the test, so it would have been found"
    # and the pull request's code, which did run, saw next to nothing
    given = json.loads(seen.read_text())
    assert not [name for name in given if name.startswith(("GITHUB_", "ACTIONS_", "RUNNER_", "SLACK"))]

    again = repository.proposed({DAG: dag}, action="synchronize", api_url=github.url)
    (repository.root / "uv.toml").unlink(missing_ok=True)
    run = repository.run("validate.yml", again, StandIns(), SECRETS)
    [updated] = github.bots(PULL_REQUEST)
    assert updated == run.jobs["rules"].summary != comment
    assert "DAGs" not in updated


def test_for_a_pull_request_from_a_fork_nothing_is_written(repository: DagRepository, github: GitHub) -> None:
    opened = repository.proposed({"README.md": "# Changed\n"})
    forked = pull_request(7, "change", opened.sha, fork=True, api_url=github.url)
    run = repository.run("validate.yml", forked, StandIns(), SECRETS)
    assert {name: job.conclusion for name, job in run.jobs.items()} == {
        "rules": "success",
        "comment": "skipped",
    }, run
    assert repository.run("notify.yml", forked, StandIns(), SECRETS).jobs["notify"].conclusion == "skipped"
    assert github.called == []


def test_without_a_review_there_is_one_failure_and_not_two(repository: DagRepository, github: GitHub) -> None:
    repository.machine["UV_FIND_LINKS"] = ""  # there is no dagkit to install
    opened = repository.proposed({"README.md": "# Changed\n"}, api_url=github.url)
    run = repository.run("validate.yml", opened, StandIns(), SECRETS)
    assert run.jobs["rules"].step("Install dagkit").outcome == "failure"
    assert {name: job.conclusion for name, job in run.jobs.items()} == {
        "rules": "failure",
        "comment": "skipped",
    }
    assert github.called == []


def test_slack_is_told_once_and_its_message_is_kept_up_to_date(
    repository: DagRepository, slack: Slack
) -> None:
    repository.machine["DAGKIT_SLACK_URL"] = slack.url
    role = (repository.root / ROLE).read_text()
    opened = repository.proposed({ROLE: role.replace("octocat/write_and_copy/dev/*", "*")})
    run = repository.run("notify.yml", opened, StandIns(), SECRETS)
    assert run.conclusion == "success", run
    [message] = slack.said
    assert message["text"].startswith("Needs approval: moj-analytical-services/my-pipeline #7")
    assert "alpha-everyone/airflow-example/*" in json.dumps(message)

    merged = repository.proposed({ROLE: role.replace("octocat/write_and_copy/dev/*", "o/*")}, action="closed")
    run = repository.run("notify.yml", merged, StandIns(), SECRETS)
    assert run.conclusion == "success", run
    [message] = slack.said
    assert message["text"].startswith("Merged:")
    install = run.jobs["notify"].step("Install dagkit")
    assert TOKEN not in install.env.values()


def test_slack_being_down_fails_nothing_and_is_said(repository: DagRepository, slack: Slack) -> None:
    repository.machine["DAGKIT_SLACK_URL"] = slack.url
    slack.broken["*"] = "500"
    role = (repository.root / ROLE).read_text()
    opened = repository.proposed({ROLE: role.replace("octocat/write_and_copy/dev/*", "*")})
    run = repository.run("notify.yml", opened, StandIns(), SECRETS)
    assert run.conclusion == "success", run
    assert "::warning title=Slack::Nobody was told on Slack" in run.log
    assert slack.said == []


def test_a_merge_brings_roles_and_dags_to_dev_and_then_prod_and_a_second_time_changes_nothing(
    repository: DagRepository, moto_server: str
) -> None:
    aws = account(moto_server)
    repository.machine["AWS_ENDPOINT_URL"] = moto_server
    prod = {
        path.replace("dev", "prod"): (repository.root / path).read_text().replace("dev", "prod")
        for path in (DAG, ROLE, "environments/dev/dags/example/README.md")
    }
    merged = repository.merged(prod)
    stand_ins = StandIns()
    run = repository.run("deploy.yml", merged, stand_ins)
    assert run.conclusion == "success", run

    assert list(run.jobs) == ["dev", "prod"]
    assert [
        call.inputs["role-to-assume"] for call in stand_ins.called("aws-actions/configure-aws-credentials")
    ] == [f"arn:aws:iam::593291632749:role/airflow-deploy-{name}" for name in ("dev", "prod")]
    assert aws.roles() == {f"airflow_{name}_example_write_and_copy" for name in ("dev", "prod")}
    before = {name: aws.objects(f"airflow-dags-{name}") for name in ("dev", "prod")}
    for environment, objects in before.items():
        file = repository.root / f"environments/{environment}/dags/example/write_and_copy.py"
        assert objects["dags/example/write_and_copy.py"][1] == file.read_bytes()
        assert "dags/imports/pipeline_pod.py" in objects
        [accounts] = stand_ins.artifacts[f"service-accounts-{environment}"].values()
        assert yaml.safe_load(accounts)["metadata"]["name"] == f"airflow-{environment}-example-write-and-copy"

    again = repository.run("deploy.yml", merged, StandIns())
    assert again.conclusion == "success", again
    assert {name: aws.objects(f"airflow-dags-{name}") for name in ("dev", "prod")} == before
    for environment in ("dev", "prod"):
        job = again.jobs[environment]
        for step in ("Create or update the roles", "Bring DAGs and imports to Airflow"):
            assert re.search(r": \d+ unchanged$", job.step(step).log, re.MULTILINE), job.step(step).log


def test_prod_is_left_alone_where_dev_could_not_be_deployed(
    repository: DagRepository, moto_server: str
) -> None:
    aws = account(moto_server)
    aws.s3.delete_bucket(Bucket="airflow-dags-dev")
    repository.machine["AWS_ENDPOINT_URL"] = moto_server
    run = repository.run("deploy.yml", repository.merged({"imports/example_more.py": "X = 1\n"}), StandIns())
    assert {name: job.conclusion for name, job in run.jobs.items()} == {"dev": "failure", "prod": "skipped"}
    assert "Correct dags_bucket in dagkit.toml" in run.log
    assert aws.objects("airflow-dags-prod") == {}


def test_two_merges_never_interleave_and_prod_waits_for_dev(generated: Path) -> None:
    file = generated / ".github/workflows/deploy.yml"
    written = yaml.safe_load(file.read_text())
    assert written["concurrency"] == {"group": "deploy", "cancel-in-progress": False}
    assert {job.id: job.needs for job in load_workflow(file).jobs} == {"dev": (), "prod": ("dev",)}
    assert {name: job["environment"] for name, job in written["jobs"].items()} == {
        "dev": "dev",
        "prod": "prod",
    }


@pytest.mark.parametrize(
    ("path", "starts"),
    [
        (DAG, True),
        ("imports/pipeline_pod.py", True),
        ("dagkit.toml", True),
        ("requirements.txt", True),
        ("README.md", False),
        (".github/workflows/validate.yml", False),
    ],
)
def test_a_push_to_main_deploys_what_concerns_aws(generated: Path, path: str, starts: bool) -> None:
    triggers = load_workflow(generated / ".github/workflows/deploy.yml").triggers
    assert is_triggered(triggers, push("main", "a", path)) is starts
    assert not is_triggered(triggers, push("a-branch", "a", path))


def test_the_workflows_run_the_release_of_dagkit_that_the_template_belongs_to(generated: Path) -> None:
    written = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    assert written["dagkit_version"]["default"] == dagkit.__version__
    [required] = [
        line for line in (generated / "requirements.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert required == f"dagkit[local,deploy]=={dagkit.__version__}"
