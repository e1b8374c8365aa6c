"""The gate itself, asked over plain HTTP: who is let in, what is read, what S3's addresses mean."""

from __future__ import annotations

import http.client
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from dagkit.local.aws import Credentials, LocalAWS
from dagkit.local.backend import MotoBackend
from dagkit.local.calls import HttpRequest
from dagkit.local.guard import Guard
from dagkit.local.ledger import Ledger
from dagkit.local.signatures import signature
from tests.local_aws.conftest import ROLE, Clients


def send(
    aws: LocalAWS,
    method: str,
    target: str,
    *,
    by: Credentials | None = None,
    service: str = "s3",
    headers: dict[str, str] | None = None,
    body: Any = None,
    host: str = "",
) -> tuple[int, dict[str, str], bytes]:
    """Sends one request as it is written, signed by somebody or by nobody."""
    sent = {"Host": host or f"127.0.0.1:{aws.port}", **(headers or {})}
    if by:
        request = AWSRequest(method, aws.endpoint() + target, headers=dict(sent), data=b"")
        keys = Keys(by.access_key_id, by.secret_access_key, by.session_token or None)
        SigV4Auth(keys, service, aws.region).add_auth(request)
        sent |= dict(request.headers.items())
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=60)
    connection.request(method, target, body=body, headers=sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


JSON = {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
QUERY = b"Action=GetCallerIdentity&Version=2011-06-15"


def test_nobody_is_answered_as_aws_answers_nobody(aws: LocalAWS) -> None:
    status, _, body = send(aws, "GET", "/alpha-data/in/x")
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)
    assert aws.ledger[-1].session == ""
    assert send(aws, "HEAD", "/alpha-data/in/x")[::2] == (403, b"")


@pytest.mark.parametrize(
    ("service", "request_", "status", "says"),
    [
        ("s3", ("GET", "/alpha-data/k", {}, None), 403, b"<Code>InvalidAccessKeyId</Code>"),
        ("secretsmanager", ("POST", "/", JSON, b"{}"), 400, b"UnrecognizedClientException"),
        ("sts", ("POST", "/", FORM, QUERY), 403, b"<Code>InvalidClientTokenId</Code>"),
        ("lambda", ("GET", "/2015-03-31/functions", {}, None), 403, b"security token"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_as_each_service_does(
    aws: LocalAWS,
    service: str,
    request_: tuple[str, str, dict[str, str], bytes | None],
    status: int,
    says: bytes,
) -> None:
    method, target, headers, body = request_
    stranger = Credentials("ASIASTRANGER00000000", "secret", "token")
    found = send(aws, method, target, by=stranger, service=service, headers=headers, body=body)
    assert found[0] == status
    assert says in found[2]


def test_a_key_without_its_token_is_refused(aws: LocalAWS, credentials: Credentials) -> None:
    bare = Credentials(credentials.access_key_id, credentials.secret_access_key)
    status, _, body = send(aws, "GET", "/alpha-data/in/x", by=bare)
    assert (status, b"<Code>InvalidToken</Code>" in body) == (400, True)


@pytest.mark.parametrize(
    ("service", "target", "status", "code"),
    [
        ("s3", "/alpha-data/k", 400, b"<Code>ExpiredToken</Code>"),
        ("secretsmanager", "/", 400, b"ExpiredTokenException"),
    ],
)
def test_credentials_end(
    aws: LocalAWS, monkeypatch: pytest.MonkeyPatch, service: str, target: str, status: int, code: bytes
) -> None:
    from moto.sts.models import sts_backends

    old = aws.credentials(ROLE, "late")
    session = sts_backends[aws.account]["aws"].get_assumed_role_from_access_key(old.access_key_id)
    monkeypatch.setattr(session, "expiration", datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1))
    headers, body = (JSON, b"{}") if service != "s3" else ({}, None)
    method = "POST" if body else "GET"
    found = send(aws, method, target, by=old, service=service, headers=headers, body=body)
    assert (found[0], code in found[2]) == (status, True)
    assert aws.ledger[-1].session == "late"


def test_a_bucket_may_be_in_the_host(aws: LocalAWS, credentials: Credentials) -> None:
    aws.put_object("alpha-data", "in/host", b"there")
    for host in (
        "alpha-data.localhost",
        "alpha-data.s3.eu-west-1.amazonaws.com",
        "alpha-data.host.docker.internal",
    ):
        assert send(aws, "GET", "/in/host", by=credentials, host=host)[::2] == (200, b"there")
        assert aws.ledger[-1].key == "in/host"
    status, _, body = send(aws, "GET", "/deny/secret.csv", by=credentials, host="alpha-data.localhost")
    assert (status, b"explicit deny" in body) == (403, True)


@pytest.mark.parametrize(
    "target", ["/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/iam/", "/favicon.ico"]
)
def test_moto_s_own_controls_are_nobody_s(aws: LocalAWS, credentials: Credentials, target: str) -> None:
    held = len(aws.objects("alpha-data"))
    for method in ("GET", "POST"):
        assert send(aws, method, target)[0] == 501
        assert send(aws, method, target, by=credentials)[0] == 501
    assert len(aws.objects("alpha-data")) == held > 0


def test_what_is_no_api_call_is_refused_as_undecided(aws: LocalAWS, credentials: Credentials) -> None:
    status, _, body = send(
        aws, "POST", "/", by=credentials, service="athena", headers={"X-Amz-Target": "Odd.Thing"}
    )
    assert (status, b"could not be decided" in body) == (400, True)
    assert aws.ledger[-1].undecided
    assert send(aws, "POST", "/x", by=credentials, service="no-such-service")[0] == 400


def test_a_body_that_is_no_xml_is_malformed(aws: LocalAWS, credentials: Credentials) -> None:
    status, _, body = send(aws, "POST", "/alpha-data?delete", by=credentials, body=b"not xml")
    assert (status, b"<Code>MalformedXML</Code>" in body) == (400, True)


def test_an_upload_in_chunks_of_unknown_length_arrives(aws: LocalAWS, credentials: Credentials) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(5):
            yield f"piece {number};".encode()

    status, _, body = send(aws, "PUT", "/alpha-data/out/chunked", by=credentials, body=pieces())
    assert status == 200, body
    assert {each.key: each.size for each in aws.objects("alpha-data")}["out/chunked"] == 40
    assert send(aws, "PUT", "/alpha-data/in/chunked", by=credentials, body=pieces())[0] == 403


def test_a_refused_upload_is_answered_only_after_it_was_sent(aws: LocalAWS, credentials: Credentials) -> None:
    status, _, body = send(aws, "PUT", "/alpha-data/in/large", by=credentials, body=bytes(30 * 1024 * 1024))
    assert (status, b"AccessDenied" in body) == (403, True)


def test_metadata_with_underscores_and_a_form_s_content_type_pass_unharmed(
    aws: LocalAWS, credentials: Credentials
) -> None:
    headers = {"x-amz-meta-my_key": "v", **FORM}
    assert (
        send(aws, "PUT", "/alpha-data/out/form", by=credentials, headers=headers, body=b"a=b&c=d")[0] == 200
    )
    status, answered, body = send(aws, "GET", "/alpha-data/out/form", by=credentials)
    assert (status, body, answered["x-amz-meta-my_key"]) == (200, b"a=b&c=d", "v")


class _Endless:
    """A body that is read as moto would: and counts how much was asked for at once."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size if size >= 0 else self.left)
        data = bytes(min(self.left, size if size >= 0 else self.left))
        self.left -= len(data)
        return data


@pytest.mark.parametrize(("key", "status"), [("out/huge", "200 OK"), ("in/huge", "403 Forbidden")])
def test_the_guard_never_holds_an_upload_in_memory(
    aws: LocalAWS, credentials: Credentials, key: str, status: str
) -> None:
    size = 300 * 1024 * 1024
    stream = _Endless(size)
    said: list[str] = []

    def moto(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        while environ["wsgi.input"].read(1 << 20):
            pass
        start_response("200 OK", [])
        return [b""]

    guard = Guard(moto, MotoBackend(aws.account), Ledger(), admin_key="A", region=aws.region, sessions={})
    scope = f"{credentials.access_key_id}/20260101/{aws.region}/s3/aws4_request"
    environ = {
        "REQUEST_METHOD": "PUT",
        "PATH_INFO": f"/alpha-data/{key}",
        "RAW_URI": f"/alpha-data/{key}",
        "CONTENT_LENGTH": str(size),
        "HTTP_HOST": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "HTTP_X_AMZ_SECURITY_TOKEN": credentials.session_token,
        "wsgi.input": stream,
    }
    tracemalloc.start()
    list(guard(environ, lambda line, _: said.append(line)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said == [status]
    assert stream.left == 0
    assert peak < 16 * 1024 * 1024


def test_a_fault_of_ours_lets_nothing_through_and_is_noted(
    aws: LocalAWS, pod: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: MotoBackend, *_: str) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(MotoBackend, "object_tags", broken)
    with pytest.raises(pod("s3").exceptions.ClientError, match="RuntimeError: out of order"):
        pod("s3").put_object(Bucket="alpha-data", Key="out/fault", Body=b"")
    monkeypatch.undo()
    assert "out/fault" not in {each.key for each in aws.objects("alpha-data")}
    assert aws.ledger[-1].unavailable
    assert "out of order" in aws.ledger[-1].refused


def test_a_call_that_moto_stumbles_over_is_answered_at_once(aws: LocalAWS, pod: Clients) -> None:
    # moto reads the body, then fails on an empty set of tags: nothing is left to read, nothing hangs.
    aws.put_object("alpha-data", "out/tags", b"")
    with pytest.raises(pod("s3").exceptions.ClientError, match="InternalError"):
        pod("s3").put_object_tagging(Bucket="alpha-data", Key="out/tags", Tagging={"TagSet": []})
    assert aws.ledger[-1].unavailable


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


SCOPE = "20261122/eu-west-2/glue/aws4_request"
QUERY_SCOPE = "X-Amz-Credential=AK%2F20261122%2Feu-west-1%2Fs3%2Faws4_request"
SIGNED = "&X-Amz-Date=20261122T115900Z"


@pytest.mark.parametrize(
    ("header", "query", "expected"),
    [
        (f"AWS4-HMAC-SHA256 Credential=AK/{SCOPE}, SignedHeaders=h", "", ("AK", "glue", "eu-west-2", False)),
        ("AWS4-ECDSA-P256-SHA256 Credential=AK/1/s3/aws4_request, x", "", ("AK", "s3", "eu-west-1", False)),
        ("AWS AK:signature", "", ("AK", "s3", "eu-west-1", False)),
        ("", f"{QUERY_SCOPE}{SIGNED}&X-Amz-Expires=120", ("AK", "s3", "eu-west-1", False)),
        ("", f"{QUERY_SCOPE}{SIGNED}&X-Amz-Expires=30", ("AK", "s3", "eu-west-1", True)),
        ("", QUERY_SCOPE, ("AK", "s3", "eu-west-1", True)),
        ("", "AWSAccessKeyId=AK&Signature=x&Expires=1", ("AK", "s3", "eu-west-1", True)),
        ("", "", ("", "s3", "eu-west-1", False)),
    ],
)
def test_a_signature_says_who_for_what_and_where(
    header: str, query: str, expected: tuple[str, str, str, bool]
) -> None:
    headers = {"authorization": header} if header else {}
    found = signature(HttpRequest("GET", "x", "/", query, headers), "eu-west-1", NOW)
    assert (found.access_key, found.service, found.region, found.expired) == expected
