"""What a deployment answers to a wrong call: one clear error, and nothing changed."""

from __future__ import annotations

import http.server
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.config import Config

from dagkit.deploy import aws
from tests.deploy.conftest import DAG, HELLO, SETTINGS, Account, Calls, Repository, deploy

KINDS = pytest.mark.parametrize("kind", ["roles", "dags"])


@KINDS
def test_an_environment_that_is_not_there(
    repository: Repository, account: Account, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(kind, "--environment", "pord") == 2
    assert "There is no environment 'pord' (did you mean 'prod'?)" in capsys.readouterr().err


@KINDS
def test_no_credentials(
    repository: Repository,
    account: Account,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert deploy(kind, "--environment", "dev") == 1
    assert "there are no AWS credentials" in capsys.readouterr().err


@KINDS
def test_another_account_is_refused(
    repository: Repository,
    account: Account,
    calls: Calls,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.commit({"dagkit.toml": SETTINGS.replace('"123456789012"', '"593291632749"')})
    assert deploy(kind, "--environment", "dev") == 1
    assert "signed in to AWS account 123456789012, but 'dev' is 593291632749" in capsys.readouterr().err
    assert calls.made == ["GetCallerIdentity"]


def test_a_bucket_that_is_not_there(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.commit({"dagkit.toml": SETTINGS.replace("example-airflow-dev", "no-such-bucket")})
    assert deploy("dags", "--environment", "dev") == 1
    said = capsys.readouterr().err
    assert "NoSuchBucket" in said
    assert "dags_bucket in dagkit.toml" in said


def test_aws_that_does_not_answer(
    repository: Repository,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(aws, "RETRIES", Config(retries={"total_max_attempts": 1}))
    assert deploy("dags", "--environment", "dev") == 1
    assert "AWS does not answer" in capsys.readouterr().err


def test_dags_that_no_commit_has(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write({HELLO: DAG + "# not committed\n"})
    assert deploy("dags", "--environment", "dev") == 2
    assert f"Not what the commit says: {HELLO}" in capsys.readouterr().err
    assert account.objects() == {}


def test_a_bucket_of_another_environment(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("dags", "--environment", "dev") == 0
    before = account.objects()
    repository.commit({"dagkit.toml": SETTINGS.replace("example-airflow-prod", "example-airflow-dev")})
    assert deploy("dags", "--environment", "prod", "--prune") == 1
    assert "The bucket holds 'dev' of example/airflow" in capsys.readouterr().err
    assert account.objects() == before


def test_a_manifest_that_cannot_be_read(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.client("s3").put_object(Bucket="example-airflow-dev", Key="dagkit-manifest.json", Body=b"{]")
    assert deploy("dags", "--environment", "dev") == 1
    assert "manifest cannot be read" in capsys.readouterr().err


def test_a_folder_that_is_not_under_git(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.root / ".git").rename(repository.root / "not-git")
    assert deploy("dags", "--environment", "dev", "--repository", "example/airflow") == 2
    assert "is not a git repository" in capsys.readouterr().err


def test_a_repository_without_a_name(
    repository: Repository, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("remote", "remove", "origin")
    assert deploy("roles", "--environment", "dev") == 2
    assert "--repository ORGANISATION/NAME" in capsys.readouterr().err


THROTTLED = b"""<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>\
<Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>"""


@pytest.fixture
def throttling(account: Account) -> Iterator[tuple[str, list[str]]]:
    """AWS behind a server that answers every third request with Throttling; its URL and what it refused."""
    refused: list[str] = []
    lock = threading.Lock()
    count = 0

    class Handler(http.server.BaseHTTPRequestHandler):
        def forward(self) -> None:
            nonlocal count
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                count += 1
                throttle = count % 3 == 0
            if throttle:
                refused.append(self.path)
                status, answer, headers = 400, THROTTLED, {"Content-Type": "text/xml"}
            else:
                skip = {"host", "content-length", "connection", "expect", "transfer-encoding"}
                sent = {k: v for k, v in self.headers.items() if k.lower() not in skip}
                sent["Host"] = self.headers["Host"]
                request = urllib.request.Request(  # noqa: S310 - our own loopback URL
                    account.url + self.path, data=body or None, headers=sent, method=self.command
                )
                try:
                    with urllib.request.urlopen(request, timeout=30) as got:  # noqa: S310
                        status, answer, headers = got.status, got.read(), dict(got.headers)
                except urllib.error.HTTPError as error:
                    status, answer, headers = error.code, error.read(), dict(error.headers)
            self.send_response(status)
            for key, value in headers.items():
                if key.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET = do_PUT = forward  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", refused
    server.shutdown()
    thread.join()
    server.server_close()


def test_throttling_is_retried(
    repository: Repository,
    account: Account,
    throttling: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, refused = throttling
    repository.commit(
        {
            f"environments/dev/roles/airflow_dev_r{number}.yaml": "s3: {read_only: [alpha-data/in/*]}\n"
            for number in range(3)
        }
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert deploy("roles", "--environment", "dev") == 0
    assert len(refused) >= 3
    assert len(account.roles) == 4
    assert all(role["inline"] for role in account.roles.values())
