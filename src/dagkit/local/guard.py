"""The gate in front of moto: who calls, what the call needs, what the authority says, what AWS would answer.

A WSGI middleware. A refused call never reaches moto. Uploads are passed on as a stream; only the calls whose
body says what they are about are read into memory.
"""

from __future__ import annotations

import gzip
import io
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

from dagkit.local import calls, large, refusals, wsgi
from dagkit.local.authority import Decision, Request, Verdict, decide
from dagkit.local.backend import Caller, MotoBackend
from dagkit.local.calls import HttpRequest, Need, Needs, Operation
from dagkit.local.calls import s3 as s3_calls
from dagkit.local.context import context_of
from dagkit.local.ledger import Call, Judged, Ledger, Written
from dagkit.local.refusals import Answered, Refusal
from dagkit.local.signatures import Signature, signature
from dagkit.local.wsgi import App, Environ, StartResponse

# moto serves its own controls and EC2's metadata on these paths; neither is for pods.
_MOTO_PATHS = re.compile(r"^/(moto-api|latest/(meta-data|api)/|favicon\.ico$)")
_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_log = logging.getLogger(__name__)


class NotHereError(Exception):
    """moto has no such service."""


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
        environ["wsgi.input"] = wsgi.Body(environ)
        request = wsgi.read_head(environ)
        signed = signature(request, self._region, now)
        if signed.service == "s3":
            request = calls.path_style(request)
        if _MOTO_PATHS.match(request.path):
            return wsgi.send(
                environ, start_response, _answer(refusals.not_here("", ""), signed.service, request)
            )
        _prepare(environ, request, signed, self._backend.account)
        if signed.access_key == self._admin_key:
            return self._app(environ, start_response)
        if signed.service != "s3" or wsgi.has_telling_body(request):
            body = wsgi.read_body(environ)
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

    def caller(self, signed: Signature) -> Caller | None:
        """Finds who signed."""
        found = self._backend.caller(signed.access_key) if signed.access_key else None
        return replace(found, session=self._sessions.get(signed.access_key, found.session)) if found else None

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
            wsgi.close(body)
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
        self._caller = self._guard.caller(self._signed)
        unknown = self._not_authenticated()
        if unknown:
            return self._refuse(unknown)
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

    def _not_authenticated(self) -> Refusal | None:
        service, protocol, caller = self._service, self._protocol, self._caller
        if not self._signed.access_key:
            return refusals.anonymous(service, protocol)
        if caller is None:
            return refusals.unknown_key(service, protocol)
        if self._signed.token != caller.token:
            return refusals.wrong_token(service, protocol)
        if caller.expires <= self._now:
            return refusals.expired(service, protocol)
        return refusals.expired_link() if self._signed.expired else None

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
        return wsgi.send(self._environ, self._start_response, answered)

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
            wsgi.close(body)
            self._judged.append(hidden)
            return self._refuse_need(hidden)
        self._note(status)
        self._start_response(wsgi.status_line(status), headers)
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
        wsgi.close(body)
        return status, headers, content

    def _deleted(
        self, answered: tuple[int, list[tuple[str, str]], bytes], keys: list[tuple[str, str]], refused: str
    ) -> Iterable[bytes]:
        status, headers, content = answered
        self._note(status, refused=refused, deleted=tuple(key for key, _ in keys) if status == 200 else ())
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        self._start_response(wsgi.status_line(status), [*kept, ("Content-Length", str(len(content)))])
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


def _prepare(environ: Environ, request: HttpRequest, signed: Signature, account: str) -> None:
    """Makes moto read the request as the guard has read it: same account, service, bucket and key."""
    from urllib.parse import unquote_to_bytes

    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    if signed.service == "s3":
        environ["HTTP_HOST"] = "127.0.0.1"
        target = f"{request.path}?{request.query}" if request.query else request.path
        environ["RAW_URI"] = environ["REQUEST_URI"] = target
        environ["PATH_INFO"] = unquote_to_bytes(request.path).decode("latin-1")
        if request.method == "PUT" and request.headers.get("content-type", "").startswith(_FORMS):
            # moto would take the object for a form, and keep nothing of it.
            environ["CONTENT_TYPE"] = "binary/octet-stream"
    if "HTTP_AUTHORIZATION" not in environ and signed.access_key:
        scope = f"{signed.access_key}/20000101/{signed.region}/{signed.service}/aws4_request"
        environ["HTTP_AUTHORIZATION"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        )


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
