"""A local AWS starts where it is told, on nothing else, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dagkit.errors import DagkitError
from dagkit.local.aws import LocalAWS
from tests.local_aws.conftest import client_of

ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


def answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def test_interrupted_while_it_starts_it_leaves_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    aws = LocalAWS()
    with monkeypatch.context() as patch:
        patch.setattr("dagkit.local.server.moto_application", interrupted)
        # its frames are kept alive here, as a notebook keeps those of the last error
        with pytest.raises(KeyboardInterrupt) as kept:
            aws.start()
    assert not answers("127.0.0.1", aws.port)
    assert kept.traceback
    with aws:
        assert answers("127.0.0.1", aws.port)


def test_it_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    with LocalAWS() as aws:
        aws.add_bucket("some-bucket")
        port = aws.port
        idle = socket.create_connection(("127.0.0.1", port))  # a client that never says anything
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port)
    assert set(threading.enumerate()) <= before
    with contextlib.suppress(ConnectionResetError), idle:
        assert idle.recv(1) == b""


def test_what_one_held_the_next_does_not_have() -> None:
    with LocalAWS() as aws:
        aws.add_bucket("some-bucket")
        assert not aws.objects("some-bucket")
    with LocalAWS() as aws, pytest.raises(DagkitError, match="could not be listed"):
        aws.objects("some-bucket")


def test_it_listens_on_the_addresses_given_with_one_port_and_on_no_other() -> None:
    # Every address of 127.0.0.0/8 is this machine's on Linux; they stand in for the Docker bridge's.
    with LocalAWS(bind=("127.0.0.2", "127.0.0.3")) as aws:
        assert all(answers(address, aws.port) for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"))
        assert not answers("127.0.0.4", aws.port)
        assert aws.endpoint("host.docker.internal") == f"http://host.docker.internal:{aws.port}"


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(DagkitError, match=f"port {port} on 127.0.0.1 is taken"):
            LocalAWS(port=port).start()
    with LocalAWS(port=port) as aws:  # and the failure left nothing behind
        assert aws.port == port


def test_an_address_of_another_machine_is_said_to_be() -> None:
    with pytest.raises(DagkitError, match=r"203\.0\.113\.1 is not an address of this machine"):
        LocalAWS(bind=("203.0.113.1",)).start()


def test_a_wrong_account_is_said_to_be() -> None:
    with pytest.raises(DagkitError, match="not an AWS account id"):
        LocalAWS(account="12")


def test_another_account_in_moto_s_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111111111111")
    with pytest.raises(DagkitError, match="MOTO_ACCOUNT_ID names another account"):
        LocalAWS().start()


def test_two_in_one_process_are_refused() -> None:
    with LocalAWS(), pytest.raises(DagkitError, match="already runs in this process"):
        LocalAWS().start()


def test_nothing_can_be_asked_before_it_starts() -> None:
    with pytest.raises(DagkitError, match="does not run"):
        LocalAWS().add_bucket("some-bucket")


def test_what_cannot_be_made_is_one_clear_error(aws: LocalAWS, tmp_path: Path) -> None:
    with pytest.raises(DagkitError, match="the bucket 'NO' could not be made"):
        aws.add_bucket("NO")
    with pytest.raises(DagkitError, match="there is no such file"):
        aws.put_object("alpha-data", "k", tmp_path / "missing")
    with pytest.raises(DagkitError, match="could not be written"):
        aws.put_object("no-such-bucket", "k", b"")
    with pytest.raises(DagkitError, match="the role 'r' could not be made"):
        aws.add_role("r", {"Version": "2012-10-17", "Statement": [{"Effect": "Sometimes"}]})


def test_a_role_without_any_statement_may_do_nothing(aws: LocalAWS) -> None:
    arn = aws.add_role("empty", ALLOW_ALL)
    assert arn == "arn:aws:iam::593291632749:role/empty"
    aws.add_role("empty", {"Version": "2012-10-17", "Statement": []})
    s3 = client_of(aws, aws.credentials("empty", "t1"), "s3")
    with pytest.raises(s3.exceptions.ClientError, match="no identity-based policy allows"):
        s3.list_buckets()


def test_a_role_can_be_given_another_policy_while_it_is_used(aws: LocalAWS) -> None:
    aws.add_role("changing", {"Version": "2012-10-17", "Statement": []})
    s3 = client_of(aws, aws.credentials("changing", "t1"), "s3")
    aws.add_role("changing", ALLOW_ALL)
    assert s3.list_objects_v2(Bucket="alpha-data")["KeyCount"] > 0


@pytest.mark.parametrize("task", ["a", "extract.data", "a/b c", "x" * 100, "größe"])
def test_any_task_id_makes_a_session_and_is_in_the_ledger_as_it_is(aws: LocalAWS, task: str) -> None:
    aws.add_role("tasks", ALLOW_ALL)
    client_of(aws, aws.credentials("tasks", task), "s3").list_objects_v2(Bucket="alpha-data")
    assert aws.ledger[-1].session == task


def test_the_user_s_own_aws_settings_change_nothing_and_nothing_is_printed(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = mars\nendpoint_url = http://127.0.0.1:1\n[broken")
    program = """
from dagkit.local.aws import LocalAWS
with LocalAWS() as aws:
    aws.add_bucket("some-bucket")
    aws.put_object("some-bucket", "k", b"x")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    aws.add_role("r", {"Version": "2012-10-17", "Statement": [statement]})
    aws.credentials("r", "t")
    import boto3, os
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    key = {"aws_access_key_id": "A", "aws_secret_access_key": "s"}
    client = boto3.client("bedrock", endpoint_url=aws.endpoint(), region_name="eu-west-1", **key)
    try:
        client.list_foundation_models()
    except Exception:
        pass
    assert [each.size for each in aws.objects("some-bucket")] == [1]
"""
    hostile = {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "AKIAWRONG",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "INITIAL_NO_AUTH_ACTION_COUNT": "0",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **hostile}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_two_processes_do_not_disturb_each_other(aws: LocalAWS) -> None:
    program = (
        "from dagkit.local.aws import LocalAWS\n"
        "with LocalAWS() as aws:\n"
        "    aws.add_bucket('alpha-data')\n"
        "    print(len(aws.objects('alpha-data')))\n"
    )
    held = len(aws.objects("alpha-data"))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "0\n")
    assert len(aws.objects("alpha-data")) == held > 0


def test_many_at_once_are_all_served_and_noted(aws: LocalAWS) -> None:
    aws.add_role("many", ALLOW_ALL)
    credentials = aws.credentials("many", "many")
    clients = [client_of(aws, credentials, "s3") for _ in range(4)]
    before = len(aws.ledger)

    def put(client: object, name: int) -> None:
        for number in range(10):
            client.put_object(Bucket="alpha-data", Key=f"many/{name}-{number}", Body=b"x")  # type: ignore[attr-defined]

    threads = [threading.Thread(target=put, args=(client, name)) for name, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(aws.ledger) == before + 40
    assert len([each for each in aws.objects("alpha-data") if each.key.startswith("many/")]) == 40
