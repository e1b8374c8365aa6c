"""The gate in front of moto: who calls, what the call needs, what the authority says, what AWS would answer.

A WSGI middleware. A refused call never reaches moto. Uploads are passed on as a stream; only the calls whose
body says what they are about are read into memory.
"""

from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from dagkit.local import calls, large, refusals
from dagkit.local.authority import Decision, Request, Verdict, decide
from dagkit.local.backend import Caller, MotoBackend
from dagkit.local.calls import HttpRequest, Need, Needs, Operation
from dagkit.local.calls import s3 as s3_calls
from dagkit.local.conditions import Context
from dagkit.local.ledger import Call, Judged, Ledger, Written
from dagkit.local.refusals import Answered, Refusal

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

# moto serves its own controls and EC2's metadata on these paths; neither is for pods.
_MOTO_PATHS = re.compile(r"^/(moto-api|latest/(meta-data|api)/|favicon\.ico$)")
_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload"})
_CHUNK = 1 << 20
_log = logging.getLogger(__name__)


class NotHereError(Exception):
    """moto has no such service."""


@dataclass(frozen=True)
class Signature:
    """What a request's signature says, wherever it is.

    Args:
        access_key: The key id; empty for an anonymous request.
        service: The name the request is signed for.
        region: The region it is signed for.
        token: The session token sent along.
        expired: A presigned URL whose time is over.
    """

    access_key: str
    service: str
    region: str
    token: str = ""
    expired: bool = False


def signature(request: HttpRequest, default_region: str, now: datetime) -> Signature:
    """Reads Signature Version 4 (and 4A, and 2) from the Authorization header or a presigned query."""
    header = request.headers.get("authorization", "")
    query = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    token = request.headers.get("x-amz-security-token", "")
    scope = re.search(r"Credential=([^,\s]+)", header)
    if scope or "X-Amz-Credential" in query:
        parts = (scope.group(1) if scope else query["X-Amz-Credential"]).split("/")
        # AWS4-ECDSA leaves the region out of the scope.
        region = parts[2] if len(parts) == 5 else default_region
        service = parts[-2] if len(parts) >= 4 else "s3"
        late = False
        if not scope:
            token = token or query.get("X-Amz-Security-Token", "")
            late = _is_late(query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", ""), now)
        return Signature(parts[0], service.lower(), region, token, late)
    old = re.match(r"AWS ([^:]+):", header)
    if old:
        return Signature(old.group(1), "s3", default_region, token)
    if "AWSAccessKeyId" in query and "Signature" in query:
        ends = query.get("Expires", "")
        late = ends.isdigit() and int(ends) < now.timestamp()
        return Signature(
            query["AWSAccessKeyId"],
            "s3",
            default_region,
            token or query.get("x-amz-security-token", ""),
            late,
        )
    return Signature("", "" if request.headers.get("x-amz-target") else "s3", default_region)


def _is_late(signed: str, lasts: str, now: datetime) -> bool:
    try:
        begin = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return now > begin + timedelta(seconds=int(lasts))
    except ValueError:
        return True


class Guard:
    """Lets through what the caller's role may do, and answers the rest as AWS would.

    Args:
        app: moto's WSGI application.
        backend: moto's state.
        ledger: Where every call is written down.
        admin_key: The access key id that passes unasked.
        region: For requests whose signature names none.
        sessions: Access key id to the session's full name, where AWS's limits on names changed it.
    """

    def __init__(
        self,
        app: App,
        backend: MotoBackend,
        ledger: Ledger,
        *,
        admin_key: str,
        region: str,
        sessions: Mapping[str, str],
    ) -> None:
        self._app = app
        self._backend = backend
        self._ledger = ledger
        self._admin_key = admin_key
        self._region = region
        self._sessions = sessions

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serves one request (PEP 3333)."""
        now = datetime.now(UTC)
        request = _read_head(environ)
        signed = signature(request, self._region, now)
        if signed.service == "s3":
            request = calls.path_style(request)
        if _MOTO_PATHS.match(request.path):
            return _send(environ, start_response, _answer(refusals.not_here("", ""), signed.service, request))
        _prepare(environ, request, signed, self._backend.account)
        if signed.access_key == self._admin_key:
            return self._app(environ, start_response)
        if signed.service != "s3" or _has_telling_body(request):
            body = _read_body(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("wsgi.input_terminated", None)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            packed = request.headers.get("content-encoding") == "gzip"
            request = replace(request, body=gzip.decompress(body) if packed else body)
        operation = calls.identify(request, signed.service, signed.region)
        served = _Served(self, environ, start_response, request, signed, operation, now)
        try:
            return served.answer()
        except Exception as error:
            # A fault of ours must neither let a call through nor pass unseen.
            return served.fault(error)

    # -- for _Served --

    def caller(self, signed: Signature, operation: Operation | None, now: datetime) -> Caller | Refusal:
        """Finds who signed, or what AWS says to who cannot be found."""
        service, protocol = _wire(operation, signed.service)
        if not signed.access_key:
            return refusals.anonymous(service, protocol)
        found = self._backend.caller(signed.access_key)
        if found is None:
            return refusals.unknown_key(service, protocol)
        if signed.token != found.token:
            return refusals.wrong_token(service, protocol)
        if found.expires <= now:
            return refusals.expired(service, protocol)
        if signed.expired:
            return refusals.expired_link()
        return replace(found, session=self._sessions.get(signed.access_key, found.session))

    @property
    def backend(self) -> MotoBackend:
        """moto's state."""
        return self._backend

    @property
    def ledger(self) -> Ledger:
        """Where every call is written down."""
        return self._ledger

    def forward(self, environ: Environ) -> tuple[Iterable[bytes], int, list[tuple[str, str]]]:
        """Asks moto. Its own complaints go nowhere; what it cannot do becomes NotHereError."""
        from werkzeug.test import run_wsgi_app

        environ["wsgi.errors"] = io.StringIO()
        try:
            body, status, headers = run_wsgi_app(self._app, environ)
        except NotImplementedError as error:
            raise NotHereError from error
        code = int(status.split(None, 1)[0])
        if code == 500 and environ["wsgi.errors"].getvalue():
            _close(body)
            raise NotHereError
        return body, code, list(headers.items())


class _Served:
    """One request of a pod on its way."""

    def __init__(
        self,
        guard: Guard,
        environ: Environ,
        start_response: StartResponse,
        request: HttpRequest,
        signed: Signature,
        operation: Operation | None,
        now: datetime,
    ) -> None:
        self._guard = guard
        self._environ = environ
        self._start_response = start_response
        self._request = request
        self._signed = signed
        self._operation = operation
        self._now = now
        self._service, self._protocol = _wire(operation, signed.service)
        self._caller: Caller | None = None
        self._needs = Needs()
        self._judged: list[Judged] = []

    def answer(self) -> Iterable[bytes]:
        caller = self._guard.caller(self._signed, self._operation, self._now)
        if isinstance(caller, Refusal):
            return self._refuse(caller)
        self._caller = caller
        if self._operation is None:
            return self._refuse_unclear("the request is no API call that is known here")
        try:
            self._needs = calls.needs(self._operation, self._guard.backend)
        except ElementTree.ParseError:
            text = "The XML you provided was not well-formed or did not validate against our published schema"
            return self._refuse(Refusal("MalformedXML", text, 400))
        if self._needs.unclear:
            return self._refuse_unclear(self._needs.unclear)
        self._judged = [self._judge(need) for need in self._needs.needs]
        if self._operation.model == "s3" and self._operation.name == "DeleteObjects":
            return self._delete_objects()
        refused = next((judged for judged in self._judged if not judged.decision.allowed), None)
        if refused:
            return self._refuse_need(refused)
        return self._pass_on()

    def _judge(self, need: Need) -> Judged:
        assert self._caller is not None  # noqa: S101  # `answer` found it first
        context = context_of(
            self._caller, self._request, self._signed.region, self._guard.backend.account, self._now
        )
        context = context.with_values(need.values, need.absent)
        decision = decide(self._caller.policies, Request(need.action, need.resource, context))
        return Judged(need.action, need.resource, decision, context)

    # -- refusing --

    def _refuse_unclear(self, why: str) -> Iterable[bytes]:
        name = f"{self._service}:{self._operation.name}" if self._operation else f"{self._service}:?"
        decision = Decision(Verdict.UNDECIDED, f"could not be decided: {why}")
        self._judged = [Judged(name, None, decision)]
        return self._refuse_need(self._judged[0])

    def _refuse_need(self, judged: Judged) -> Iterable[bytes]:
        return self._refuse(refusals.denied(self._service, self._protocol, self._message(judged)))

    def _message(self, judged: Judged) -> str:
        principal = self._caller.arn if self._caller else ""
        return refusals.message(principal, judged, quoted=self._service == "s3")

    def _refuse(self, refusal: Refusal, *, unavailable: bool = False) -> Iterable[bytes]:
        self._note(refusal.status, refused=refusal.message, unavailable=unavailable)
        answered = _answer(refusal, self._signed.service, self._request, self._operation)
        return _send(self._environ, self._start_response, answered)

    def fault(self, error: Exception) -> Iterable[bytes]:
        """Refuses a call that could not be dealt with; the ledger tells why."""
        _log.debug("the guard failed", exc_info=error)
        text = f"dagkit could not deal with this call: {type(error).__name__}: {error}"
        return self._refuse(Refusal("InternalError", text, 501), unavailable=True)

    # -- passing on --

    def _pass_on(self) -> Iterable[bytes]:
        assert self._operation is not None  # noqa: S101
        try:
            body, status, headers = self._forward(self._operation)
        except NotHereError:
            return self._refuse(refusals.not_here(self._service, self._operation.name), unavailable=True)
        hidden = self._must_hide(status, body)
        if isinstance(hidden, Judged):
            _close(body)
            self._judged.append(hidden)
            return self._refuse_need(hidden)
        self._note(status)
        self._start_response(_status_line(status), headers)
        return hidden

    def _forward(self, operation: Operation) -> tuple[Iterable[bytes], int, list[tuple[str, str]]]:
        if operation.model == "s3":
            for shortcut in (large.get, large.copy_part):
                answered = shortcut(self._guard.forward, self._environ, operation, self._guard.backend)
                if answered:
                    return answered
        return self._guard.forward(self._environ)

    def _must_hide(self, status: int, body: Iterable[bytes]) -> Judged | Iterable[bytes]:
        """Who may not list a bucket is not told that a key is missing: S3 says 403, not 404."""
        operation = self._operation
        if (
            status != 404
            or operation is None
            or operation.model != "s3"
            or operation.name not in s3_calls.READS
        ):
            return body
        content = b"".join(body)
        if self._request.method != "HEAD" and b"NoSuchKey" not in content:
            return [content]
        bucket = self._needs.bucket
        source = s3_calls.copy_source(self._request.headers.get("x-amz-copy-source", ""))
        if source and operation.name in {"CopyObject", "UploadPartCopy"}:
            bucket = source[0]
        if not self._guard.backend.has_bucket(bucket):
            return [content]
        judged = self._judge(s3_calls.list_bucket(bucket))
        return [content] if judged.decision.allowed else judged

    # -- DeleteObjects: key by key --

    def _delete_objects(self) -> Iterable[bytes]:
        wanted = s3_calls.keys_to_delete(self._request.body)
        refused: dict[int, Judged] = {}
        for need, judged in zip(self._needs.needs, self._judged, strict=True):
            if need.item is not None and not judged.decision.allowed:
                refused.setdefault(need.item, judged)
        allowed = [entry for index, entry in enumerate(wanted) if index not in refused]
        if not refused:
            return self._deleted(self._forward_whole(), allowed, "")
        errors = [(wanted[index], self._message(judged)) for index, judged in refused.items()]
        first = next(iter(refused.values()))
        if not allowed:
            answered = 200, [("Content-Type", "application/xml")], s3_calls.delete_result(b"", errors)
            return self._deleted(answered, [], self._message(first))
        smaller = s3_calls.without(self._request.body, set(refused))
        self._environ["wsgi.input"] = io.BytesIO(smaller)
        self._environ["CONTENT_LENGTH"] = str(len(smaller))
        for header in [name for name in self._environ if name == "HTTP_CONTENT_MD5" or "CHECKSUM" in name]:
            del self._environ[header]
        status, headers, content = self._forward_whole()
        if status == 200:
            content = s3_calls.delete_result(content, errors)
        return self._deleted((status, headers, content), allowed, self._message(first))

    def _forward_whole(self) -> tuple[int, list[tuple[str, str]], bytes]:
        body, status, headers = self._guard.forward(self._environ)
        content = b"".join(body)
        _close(body)
        return status, headers, content

    def _deleted(
        self, answered: tuple[int, list[tuple[str, str]], bytes], keys: list[tuple[str, str]], refused: str
    ) -> Iterable[bytes]:
        status, headers, content = answered
        self._note(status, refused=refused, deleted=tuple(key for key, _ in keys) if status == 200 else ())
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        self._start_response(_status_line(status), [*kept, ("Content-Length", str(len(content)))])
        return [content]

    # -- the ledger --

    def _note(
        self, status: int, *, refused: str = "", deleted: tuple[str, ...] = (), unavailable: bool = False
    ) -> None:
        name = self._operation.name if self._operation else ""
        bucket, key = self._needs.bucket, self._needs.key
        written: tuple[Written, ...] = ()
        if self._service == "s3" and status < 300 and not refused:
            if name in _WRITES:
                size = self._guard.backend.object_size(bucket, key)
                written = () if size is None else (Written(bucket, key, size),)
            elif name == "DeleteObject":
                deleted = (key,)
        self._guard.ledger.add(
            Call(
                time=self._now,
                role=self._caller.role if self._caller else "",
                session=self._caller.session if self._caller else "",
                service=self._service,
                operation=name,
                needs=tuple(self._judged),
                status=status,
                refused=refused,
                unavailable=unavailable,
                bucket=bucket,
                key=key,
                written=written,
                deleted=deleted,
            )
        )


def context_of(caller: Caller, request: HttpRequest, region: str, account: str, now: datetime) -> Context:
    """Returns the global condition keys of a request (IAM User Guide, "AWS global condition context keys").

    A key that would be different in the cloud (the caller's address, the organisation) is left unknown.
    """
    values: dict[str, tuple[str, ...]] = {
        "aws:userid": (caller.user_id,),
        "aws:PrincipalArn": (caller.role_arn,),
        "aws:PrincipalAccount": (account,),
        "aws:PrincipalType": ("AssumedRole",),
        "aws:PrincipalIsAWSService": ("false",),
        "aws:MultiFactorAuthPresent": ("false",),
        "aws:RequestedRegion": (region,),
        "aws:CurrentTime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:EpochTime": (str(int(now.timestamp())),),
        # The pod in the cloud speaks HTTPS; only here, on this machine, it is plain HTTP.
        "aws:SecureTransport": ("true",),
        "aws:ViaAWSService": ("false",),
        **{f"aws:PrincipalTag/{name}": (value,) for name, value in caller.tags.items()},
    }
    absent = {
        "aws:username",
        "aws:MultiFactorAuthAge",
        "aws:CalledVia*",
        "aws:SourceArn",
        "aws:SourceAccount",
    }
    for key, header in (("aws:UserAgent", "user-agent"), ("aws:Referer", "referer")):
        if header in request.headers:
            values[key] = (request.headers[header],)
        else:
            absent.add(key)
    return Context(values, frozenset(absent))


# -- HTTP --


def _read_head(environ: Environ) -> HttpRequest:
    target = environ.get("RAW_URI") or environ.get("PATH_INFO", "/")
    without_scheme = re.sub(r"^https?://[^/?]*", "", target)
    path, _, query = without_scheme.partition("?")
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    method = environ["REQUEST_METHOD"]
    return HttpRequest(method, headers.get("host", ""), path or "/", query, headers)


def _prepare(environ: Environ, request: HttpRequest, signed: Signature, account: str) -> None:
    """Makes moto read the request as the guard has read it: same account, service, bucket and key."""
    from urllib.parse import unquote_to_bytes

    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    if signed.service == "s3":
        environ["HTTP_HOST"] = "127.0.0.1"
        target = f"{request.path}?{request.query}" if request.query else request.path
        environ["RAW_URI"] = environ["REQUEST_URI"] = target
        environ["PATH_INFO"] = unquote_to_bytes(request.path).decode("latin-1")
    if "HTTP_AUTHORIZATION" not in environ and signed.access_key:
        scope = f"{signed.access_key}/20000101/{signed.region}/{signed.service}/aws4_request"
        environ["HTTP_AUTHORIZATION"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        )


def _has_telling_body(request: HttpRequest) -> bool:
    return request.method == "POST" and "delete" in parse_qs(request.query, keep_blank_values=True)


def _read_body(environ: Environ) -> bytes:
    return b"".join(_chunks(environ))


def _chunks(environ: Environ) -> Iterable[bytes]:
    stream = environ["wsgi.input"]
    left = None if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
    while left is None or left > 0:
        data: bytes = stream.read(_CHUNK if left is None else min(_CHUNK, left))
        if not data:
            return
        yield data
        left = None if left is None else left - len(data)


def _wire(operation: Operation | None, service: str) -> tuple[str, str]:
    if operation is not None:
        return operation.model, operation.protocol
    return service or "s3", "rest-xml" if service in {"", "s3"} else "json"


def _answer(
    refusal: Refusal, signing_name: str, request: HttpRequest, operation: Operation | None = None
) -> Answered:
    service, protocol = _wire(operation, signing_name)
    compatible = operation is not None and operation.query_compatible
    return refusals.render(refusal, service, protocol, request.method, query_compatible=compatible)


def _send(environ: Environ, start_response: StartResponse, answered: Answered) -> Iterable[bytes]:
    # A client that is still sending would see its connection break instead of the answer.
    for _ in _chunks(environ):
        pass
    start_response(_status_line(answered.status), list(answered.headers))
    return [answered.body]


def _status_line(status: int) -> str:
    from http import HTTPStatus

    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close:
        close()
