"""`dagkit deploy dags`: the bucket holds what a commit says, however the deployment went."""

from __future__ import annotations

import json

import pytest

from dagkit.dagrepo import DagRepository
from dagkit.deploy import aws, dags
from dagkit.deploy.manifest import Manifest
from dagkit.deploy.steps import Action
from tests.deploy.conftest import BUCKET, DAG, HELLO, Account, Calls, KilledError, Repository, deploy

MANIFEST = "dagkit-manifest.json"
FIRST = {
    "dags/example/hello.py",
    "dags/imports/__init__.py",
    "dags/imports/pipeline_pod.py",
    "dags/imports/platform_settings.py",
}


def dag(name: str) -> str:
    return DAG.replace("example.hello", f"example.{name}")


def test_the_bucket_holds_dags_imports_and_the_commit_that_is_live(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    head = repository.git("rev-parse", "HEAD")
    assert deploy("dags", "--environment", "dev") == 0
    held = account.objects()
    assert set(held) == {*FIRST, MANIFEST}
    assert held["dags/example/hello.py"] == DAG
    manifest = json.loads(held[MANIFEST])
    assert (manifest["commit"], manifest["deploying"]) == (head, "")
    assert set(manifest["files"]) == FIRST
    assert f"live in s3://{BUCKET}: {head[:12]}" in capsys.readouterr().out


def test_a_second_run_writes_nothing_and_lists_once(
    repository: Repository, account: Account, calls: Calls
) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    calls.reset()
    assert deploy("dags", "--environment", "dev") == 0
    assert calls.made == ["GetCallerIdentity", "GetObject", "ListObjectsV2"]


def test_only_what_changed_is_uploaded(repository: Repository, account: Account, calls: Calls) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    head = repository.commit({"environments/dev/dags/example/later.py": dag("later")})
    calls.reset()
    assert deploy("dags", "--environment", "dev") == 0
    assert calls.writes == ["PutObject"] * 3  # the claim, the DAG, what is live
    assert json.loads(account.objects()[MANIFEST])["commit"] == head


def test_a_commit_without_a_change_to_dags_only_moves_what_is_live(
    repository: Repository, account: Account, calls: Calls
) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    head = repository.commit({"README.md": "# DAGs\n"})
    calls.reset()
    assert deploy("dags", "--environment", "dev") == 0
    assert calls.writes == ["PutObject"]
    assert json.loads(account.objects()[MANIFEST])["commit"] == head


def test_a_bucket_encrypted_with_kms_is_compared_by_what_s3_answered(repository: Repository) -> None:
    files = dags.files(DagRepository.load(repository.root), "dev")
    empty = Manifest(repository="example/airflow", environment="dev")
    first = dags.plan(files, {}, empty, "a" * 40, prune=False, adopt=False)
    etags = {step.name: f"not-the-md5-of-{step.name}" for step in first.steps}
    again = dags.plan(files, etags, first.done(etags), "a" * 40, prune=False, adopt=False)
    assert {step.action for step in again.steps} == {Action.UNCHANGED}
    tampered = etags | {"dags/example/hello.py": "something-else"}
    third = dags.plan(files, tampered, first.done(etags), "a" * 40, prune=False, adopt=False)
    assert [step.name for step in third.of(Action.UPDATE)] == ["dags/example/hello.py"]


def test_an_import_comes_after_what_it_imports_and_before_every_dag(repository: Repository) -> None:
    repository.write(
        {
            "imports/example_a.py": "from imports import example_b\n",
            "imports/example_b.py": "import imports.example_c\n",
            "imports/example_c.py": "X = 1\n",
            "imports/example_d.py": "from .example_a import example_b\n",
        }
    )
    files = dags.files(DagRepository.load(repository.root), "dev")
    wave = {file.path: file.wave for file in files}
    order = ["__init__", "example_c", "example_b", "example_a", "example_d"]
    waves = [wave[f"imports/{name}.py"] for name in order]
    assert waves == sorted(set(waves))
    assert wave["imports/platform_settings.py"] < wave["imports/pipeline_pod.py"]
    assert wave[HELLO] > max(wave[file.path] for file in files if file.path.startswith("imports/"))


def test_imports_that_import_each_other_are_still_before_dags(repository: Repository) -> None:
    repository.write(
        {
            "imports/example_a.py": "import imports.example_b",
            "imports/example_b.py": "from . import example_a",
        }
    )
    files = dags.files(DagRepository.load(repository.root), "dev")
    assert {file.path for file in files if file.wave == 0} >= {"imports/example_a.py", "imports/example_b.py"}
    assert next(file.wave for file in files if file.path == HELLO) == 1


def test_removals_come_last_dags_before_imports_and_only_when_asked(
    repository: Repository,
    account: Account,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = {"environments/dev/dags/example/gone.py": dag("gone"), "imports/example_gone.py": "X = 1\n"}
    repository.commit(dict(gone))
    assert deploy("dags", "--environment", "dev") == 0
    repository.commit(dict.fromkeys(gone))
    capsys.readouterr()
    assert deploy("dags", "--environment", "dev") == 0
    assert "· dags/example/gone.py  no file asks for it any more" in capsys.readouterr().out
    assert "dags/example/gone.py" in account.objects()
    repository.commit({"environments/dev/dags/example/later.py": dag("later")})
    assert deploy("dags", "--environment", "dev", "--prune") == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [
        ["+", "dags/example/later.py"],
        ["-", "dags/example/gone.py"],
        ["-", "dags/imports/example_gone.py"],
    ]
    assert set(account.objects()) == {*FIRST, "dags/example/later.py", MANIFEST}


def test_keys_of_others_are_never_touched(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = account.client("s3")
    for key in ("dags/other/theirs.py", "dags/example/hello.py", "requirements.txt"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    before = account.objects()
    assert deploy("dags", "--environment", "dev", "--prune") == 1
    assert account.objects() == before
    assert "dags/example/hello.py: somebody else put an object there" in capsys.readouterr().err
    assert deploy("dags", "--environment", "dev", "--prune", "--adopt") == 0
    held = account.objects()
    assert held["dags/example/hello.py"] == DAG
    assert held["dags/other/theirs.py"] == held["requirements.txt"] == "theirs"


def test_a_dry_run_tells_the_plan_and_changes_nothing(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("dags", "--environment", "dev", "--dry-run") == 0
    assert account.objects() == {}
    said = capsys.readouterr().out
    assert "+ dags/example/hello.py  environments/dev/dags/example/hello.py" in said
    assert f"live in s3://{BUCKET}: nothing yet" in said


def test_what_was_changed_in_the_bucket_by_hand_is_put_right(
    repository: Repository, account: Account
) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    right = account.objects()
    account.client("s3").put_object(Bucket=BUCKET, Key="dags/example/hello.py", Body=b"by hand")
    account.client("s3").delete_object(Bucket=BUCKET, Key="dags/imports/pipeline_pod.py")
    assert deploy("dags", "--environment", "dev") == 0
    assert account.objects() == right


@pytest.mark.parametrize("jobs", [1, 8])
def test_many_files_arrive_whole(
    repository: Repository, account: Account, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(aws, "JOBS", jobs)
    many = {f"environments/dev/dags/example/d{number}.py": dag(f"d{number}") for number in range(40)}
    repository.commit(dict(many))
    assert deploy("dags", "--environment", "dev") == 0
    held = account.objects()
    assert {held[f"dags/example/d{number}.py"] for number in range(40)} == set(many.values())
    assert set(json.loads(held[MANIFEST])["files"]) == held.keys() - {MANIFEST}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_cut_off_at_any_call_the_next_run_finishes(
    repository: Repository, account: Account, calls: Calls, before: bool
) -> None:
    first = repository.commit(
        {
            "environments/dev/dags/example/gone.py": dag("gone"),
            "imports/example_gone.py": "X = 1\n",
        }
    )
    second = repository.commit(
        {
            "environments/dev/dags/example/gone.py": None,
            "imports/example_gone.py": None,
            "environments/dev/dags/example/new.py": dag("new") + "\nimport imports.example_new\n",
            "imports/example_new.py": "X = 2\n",
            HELLO: DAG.replace("v0.0.1", "v0.0.2"),
        }
    )
    s3 = account.client("s3")

    def start() -> None:
        for key in account.objects():
            s3.delete_object(Bucket=BUCKET, Key=key)
        s3.put_object(Bucket=BUCKET, Key="dags/other/theirs.py", Body=b"theirs")
        repository.git("checkout", "--quiet", first)
        assert deploy("dags", "--environment", "dev") == 0
        repository.git("checkout", "--quiet", second)

    start()
    calls.reset()
    assert deploy("dags", "--environment", "dev", "--prune") == 0
    total, right = len(calls.made), account.objects()
    for number in range(1, total + 1):
        calls.reset()
        start()
        calls.reset(number, before=before)
        with pytest.raises(KilledError):
            deploy("dags", "--environment", "dev", "--prune")
        calls.reset()
        held = account.objects()
        assert held["dags/other/theirs.py"] == "theirs"
        if "dags/example/new.py" in held:
            assert "dags/imports/example_new.py" in held
        if "dags/imports/example_gone.py" not in held:
            assert "dags/example/gone.py" not in held
        assert deploy("dags", "--environment", "dev", "--prune") == 0
        assert account.objects() == right, f"cut off at call {number}"
        calls.reset()
        assert deploy("dags", "--environment", "dev", "--prune") == 0
        assert calls.writes == []


def test_a_new_dag_withdrawn_after_a_cut_off_leaves_nothing_behind(
    repository: Repository, account: Account, calls: Calls
) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    repository.commit({"environments/dev/dags/example/new.py": dag("new")})
    calls.reset(5, before=False)  # identity, manifest, list, claim, the upload
    with pytest.raises(KilledError):
        deploy("dags", "--environment", "dev")
    calls.reset()
    assert "dags/example/new.py" in account.objects()
    head = repository.commit({"environments/dev/dags/example/new.py": None})
    assert deploy("dags", "--environment", "dev", "--prune") == 0
    held = account.objects()
    assert set(held) == {*FIRST, MANIFEST}
    assert json.loads(held[MANIFEST])["commit"] == head


def test_an_import_that_cannot_be_uploaded_keeps_the_dags_back(
    repository: Repository,
    account: Account,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import botocore.client
    from botocore.exceptions import ClientError

    real = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(client: object, operation: str, parameters: dict[str, str]) -> object:
        if operation == "PutObject" and parameters["Key"].endswith("pipeline_pod.py"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return real(client, operation, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        assert deploy("dags", "--environment", "dev") == 1
    said = capsys.readouterr().err
    assert "dags/imports/pipeline_pod.py: AccessDenied at PutObject: no" in said
    assert "dags/example/hello.py: not tried" in said
    assert "dags/example/hello.py" not in account.objects()
    assert deploy("dags", "--environment", "dev") == 0
    assert set(account.objects()) == {*FIRST, MANIFEST}


def test_json_says_what_is_live(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    head = repository.git("rev-parse", "HEAD")
    assert deploy("dags", "--environment", "dev", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["live"], said["before"]) == (head, None)
    assert {step["name"] for step in said["steps"]} == FIRST
