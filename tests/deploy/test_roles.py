"""`dagkit deploy roles`: IAM holds what the role files say, however the deployment went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagkit.dagrepo import DagRepository
from dagkit.deploy import policies
from dagkit.deploy.roles import LiveRole, Owner, plan, wanted
from dagkit.deploy.steps import Action
from dagkit.local.authority import Request, decide
from dagkit.local.conditions import Context
from tests.deploy.conftest import (
    ACCOUNT,
    HELLO_ROLE,
    OIDC,
    ROLE,
    Account,
    Calls,
    KilledError,
    Repository,
    deploy,
)

NAME = "airflow_dev_example_hello"
OURS = {"managed-by": "dagkit", "repository": "example/airflow", "environment": "dev"}
ANYONE = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
)


def role_file(name: str, *paths: str) -> dict[str, str | None]:
    config = {"iam_role_name": name, "s3": {"read_only": list(paths) or ["alpha-data/in/*"]}}
    return {f"environments/dev/roles/{name}.yaml": yaml.safe_dump(config)}


def make_role(account: Account, name: str, tags: dict[str, str]) -> None:
    account.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument=ANYONE,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )


def test_a_role_trusts_the_service_account_of_its_pod_and_no_other(
    repository: Repository, account: Account
) -> None:
    assert deploy("roles", "--environment", "dev") == 0
    role = account.roles[NAME]
    statement = role["trust"]["Statement"][0]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{OIDC}"}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"]["StringEquals"] == {
        f"{OIDC}:aud": "sts.amazonaws.com",
        f"{OIDC}:sub": "system:serviceaccount:airflow:airflow-dev-example-hello",
    }
    assert role["tags"] == {**OURS, "file": HELLO_ROLE}


def test_a_role_of_kube2iam_trusts_the_nodes(repository: Repository, account: Account) -> None:
    name = "airflow_prod_example_hello"
    repository.commit({f"environments/prod/roles/{name}.yaml": ROLE.replace("_dev_", "_prod_")})
    assert deploy("roles", "--environment", "prod") == 0
    statement = account.roles[name]["trust"]["Statement"][0]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:role/airflow-nodes"}
    assert statement["Action"] == "sts:AssumeRole"


@pytest.mark.parametrize(
    ("action", "key", "may"),
    [
        ("s3:GetObject", "in/x.csv", True),
        ("s3:PutObject", "in/x.csv", False),
        ("s3:PutObject", "out/x.csv", True),
        ("s3:DeleteObject", "out/x.csv", True),
        ("s3:GetObject", "elsewhere/x.csv", False),
        ("s3:GetBucketPolicy", "out/x.csv", False),
    ],
)
def test_a_role_allows_exactly_what_its_file_says(
    repository: Repository, account: Account, action: str, key: str, may: bool
) -> None:
    assert deploy("roles", "--environment", "dev") == 0
    granted = list(account.roles[NAME]["inline"].values())
    decision = decide(granted, Request(action, f"arn:aws:s3:::alpha-data/{key}", Context()))
    assert decision.allowed is may


def test_a_second_run_changes_nothing_and_reads_all_roles_in_one_call(
    repository: Repository, account: Account, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit(role_file("airflow_dev_a") | role_file("airflow_dev_b"))
    assert deploy("roles", "--environment", "dev") == 0
    before = account.roles
    calls.reset()
    assert deploy("roles", "--environment", "dev") == 0
    assert calls.made == ["GetCallerIdentity", "GetAccountAuthorizationDetails"]
    assert account.roles == before
    assert "dev: roles: 3 unchanged" in capsys.readouterr().out


def test_a_dry_run_tells_the_plan_and_changes_nothing(
    repository: Repository, account: Account, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.reset()
    assert deploy("roles", "--environment", "dev", "--dry-run") == 0
    assert calls.writes == []
    said = capsys.readouterr().out
    assert f"+ {NAME}" in said
    assert "1 create (a dry run: nothing was changed)" in said


def test_what_somebody_changed_by_hand_is_put_right(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("roles", "--environment", "dev") == 0
    right = account.roles
    iam = account.client("iam")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_role_policy(RoleName=NAME, PolicyName="quick-fix", PolicyDocument=json.dumps(everything))
    iam.update_assume_role_policy(RoleName=NAME, PolicyDocument=ANYONE)
    managed = iam.create_policy(PolicyName="broad", PolicyDocument=json.dumps(everything))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=NAME, PolicyArn=managed)
    capsys.readouterr()
    assert deploy("roles", "--environment", "dev") == 0
    assert account.roles == right
    said = capsys.readouterr().out
    assert "trust policy" in said
    assert "quick-fix" in said
    assert managed in said


def test_tags_that_others_added_stay(repository: Repository, account: Account) -> None:
    assert deploy("roles", "--environment", "dev") == 0
    account.client("iam").tag_role(RoleName=NAME, Tags=[{"Key": "cost-centre", "Value": "42"}])
    repository.commit({HELLO_ROLE: ROLE.replace("in/*", "input/*")})
    assert deploy("roles", "--environment", "dev") == 0
    assert account.roles[NAME]["tags"]["cost-centre"] == "42"


@pytest.mark.parametrize(
    "tags", [{}, {**OURS, "repository": "example/other"}, {**OURS, "environment": "prod"}], ids=str
)
def test_a_role_without_our_tags_is_never_changed(
    repository: Repository, account: Account, tags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_role(account, NAME, tags)
    before = account.roles
    assert deploy("roles", "--environment", "dev", "--prune") == 1
    assert account.roles == before
    assert f"aws iam tag-role --role-name {NAME}" in capsys.readouterr().err


def test_pruning_deletes_what_is_ours_and_nothing_else(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit(role_file("airflow_dev_gone"))
    assert deploy("roles", "--environment", "dev") == 0
    make_role(account, "airflow_dev_theirs", {"managed-by": "terraform"})
    make_role(account, "airflow_prod_ours", {**OURS, "environment": "prod"})
    repository.commit({"environments/dev/roles/airflow_dev_gone.yaml": None})
    assert deploy("roles", "--environment", "dev") == 0
    assert "airflow_dev_gone" in account.roles
    assert "--prune deletes it" in capsys.readouterr().out
    assert deploy("roles", "--environment", "dev", "--prune") == 0
    assert set(account.roles) == {NAME, "airflow_dev_theirs", "airflow_prod_ours"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("s3: [oops]\n", "iam-builder"),
        ("a: [b\n", "not valid YAML"),
        (
            "iam_role_name: airflow_dev_other\ns3: {read_only: [a/*]}\n",
            "iam_role_name is 'airflow_dev_other'",
        ),
    ],
)
def test_a_file_that_is_wrong_fails_alone_and_its_role_is_not_pruned(
    repository: Repository,
    account: Account,
    text: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.commit(role_file("airflow_dev_bad"))
    assert deploy("roles", "--environment", "dev") == 0
    repository.commit(
        role_file("airflow_dev_good", "alpha-new/*") | {"environments/dev/roles/airflow_dev_bad.yaml": text}
    )
    assert deploy("roles", "--environment", "dev", "--prune") == 1
    said = capsys.readouterr().err
    assert "1 could not be done" in said
    assert reason in said
    assert "environments/dev/roles/airflow_dev_bad.yaml" in said
    assert {"airflow_dev_bad", "airflow_dev_good"} <= account.roles.keys()


def test_a_role_too_large_for_iam_is_told_before_anything_is_sent(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [f"alpha-data/some/long/folder/number-{number:04}/*" for number in range(300)]
    repository.commit(role_file("airflow_dev_big", *many))
    assert deploy("roles", "--environment", "dev") == 1
    assert "IAM takes 10,240" in capsys.readouterr().err
    assert set(account.roles) == {NAME}


def test_a_role_of_another_environment_is_refused(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit(role_file("airflow_prod_sneaky"))
    assert deploy("roles", "--environment", "dev") == 1
    assert "is called airflow_dev_" in capsys.readouterr().err
    assert "airflow_prod_sneaky" not in account.roles


def test_a_role_that_aws_refuses_does_not_stop_the_others(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit(role_file("airflow_dev_gone") | role_file("airflow_dev_z"))
    assert deploy("roles", "--environment", "dev") == 0
    iam = account.client("iam")
    # IAM does not delete a role that a machine still has
    iam.create_instance_profile(InstanceProfileName="machine")
    iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="airflow_dev_gone")
    repository.commit(
        role_file("airflow_dev_z", "alpha-new/*") | {"environments/dev/roles/airflow_dev_gone.yaml": None}
    )
    assert deploy("roles", "--environment", "dev", "--prune") == 1
    assert "airflow_dev_gone: DeleteConflict at DeleteRole" in capsys.readouterr().err
    assert "alpha-new" in json.dumps(account.roles["airflow_dev_z"])


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_cut_off_at_any_call_the_next_run_finishes(
    repository: Repository, account: Account, calls: Calls, before: bool
) -> None:
    iam = account.client("iam")

    new = role_file("airflow_dev_new")

    def start() -> None:
        for name in account.roles:
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            iam.delete_role(RoleName=name)
        repository.remove(*new)
        repository.commit(role_file("airflow_dev_gone") | role_file("airflow_dev_b") | {HELLO_ROLE: ROLE})
        assert deploy("roles", "--environment", "dev") == 0
        repository.commit(
            {
                "environments/dev/roles/airflow_dev_gone.yaml": None,
                HELLO_ROLE: ROLE.replace("out/", "output/"),
            }
            | new
        )
        iam.update_assume_role_policy(RoleName="airflow_dev_b", PolicyDocument=ANYONE)

    start()
    calls.reset()
    assert deploy("roles", "--environment", "dev", "--prune") == 0
    total, right = len(calls.made), account.roles
    assert len(calls.writes) >= 6
    for number in range(1, total + 1):
        calls.reset()
        start()
        calls.reset(number, before=before)
        with pytest.raises(KilledError):
            deploy("roles", "--environment", "dev", "--prune")
        calls.reset()
        assert deploy("roles", "--environment", "dev", "--prune") == 0
        assert account.roles == right, f"cut off at call {number}"
        calls.reset()
        assert deploy("roles", "--environment", "dev", "--prune") == 0
        assert calls.writes == []


def test_a_role_that_iam_does_not_list_yet_is_brought_up_to_date(
    repository: Repository, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploy("roles", "--environment", "dev") == 0
    repository.commit({HELLO_ROLE: ROLE.replace("out/", "output/")})
    monkeypatch.setattr("dagkit.deploy.iam.read_all", lambda _iam: {})
    assert deploy("roles", "--environment", "dev") == 0
    assert "output" in json.dumps(account.roles[NAME]["inline"])


def test_service_accounts_are_ready_for_kubectl(
    repository: Repository, account: Account, tmp_path: Path
) -> None:
    assert deploy("roles", "--environment", "dev", "--manifests", str(tmp_path / "out")) == 0
    text = (tmp_path / "out" / "dev-service-accounts.yaml").read_text()
    (made,) = yaml.safe_load_all(text)
    assert made["kind"] == "ServiceAccount"
    assert made["metadata"]["name"] == "airflow-dev-example-hello"
    assert made["metadata"]["namespace"] == "airflow"
    arn = made["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert arn == account.client("iam").get_role(RoleName=NAME)["Role"]["Arn"]


def test_json_is_the_plan_for_a_program(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("roles", "--environment", "dev", "--dry-run", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["dry_run"] is True
    assert said["steps"] == [{"name": NAME, "action": "create", "detail": "", "problem": None}]


def test_order_single_values_and_sids_do_not_make_two_policies_differ() -> None:
    one: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "a", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["x"]},
            {"Effect": "Deny", "Action": "s3:*", "Resource": "y"},
        ],
    }
    other: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["y"]},
            {"Sid": "b", "Effect": "Allow", "Action": ["s3:putobject", "s3:GetObject"], "Resource": "x"},
        ],
    }
    assert policies.same(one, other)
    other["Statement"][0]["Resource"] = ["z"]
    assert not policies.same(one, other)


def test_a_role_that_grants_nothing_has_no_policy(repository: Repository, account: Account) -> None:
    repository.commit({"environments/dev/roles/airflow_dev_idle.yaml": "iam_role_name: airflow_dev_idle\n"})
    assert deploy("roles", "--environment", "dev") == 0
    assert account.roles["airflow_dev_idle"]["inline"] == {}


def test_the_plan_needs_no_aws(repository: Repository) -> None:
    owner = Owner("example/airflow", "dev")
    asked, refused = wanted(DagRepository.load(repository.root), owner)
    assert refused == ()
    foreign = LiveRole("airflow_dev_x", {}, {}, (), {})
    (step,) = plan(asked, {"airflow_dev_x": foreign}, owner, prune=True)
    assert (step.name, step.action) == (NAME, Action.CREATE)
