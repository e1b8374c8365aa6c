"""Errors as AWS would send them: status, code, message, in the wire protocol of the service.

Source: IAM User Guide, "Troubleshoot access denied error messages"; AWS General Reference, "Common errors";
Amazon S3 API Reference, "Error responses"; the protocol descriptions in botocore's service models.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from dagkit.local.authority import Verdict
from dagkit.local.ledger import Judged


@dataclass(frozen=True)
class Refusal:
    """An error to send.

    Args:
        code: AWS's error code.
        message: AWS's message.
        status: The HTTP status.
    """

    code: str
    message: str
    status: int


@dataclass(frozen=True)
class Answered:
    """A finished HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


# Codes that differ from AccessDenied / AccessDeniedException.
_DENIED_CODES = {"ec2": "UnauthorizedOperation", "sns": "AuthorizationError"}
_JSON = {"json", "rest-json", "smithy-rpc-v2-cbor"}


def message(principal: str, judged: Judged, *, quoted: bool) -> str:
    """Returns the sentence AWS answers a refused call with.

    Args:
        principal: ARN of the role session.
        judged: The refused need.
        quoted: S3 puts the resource in quotes.
    """
    where = ""
    if judged.resource and judged.resource != "*":
        where = f' on resource: "{judged.resource}"' if quoted else f" on resource: {judged.resource}"
    if judged.decision.verdict is Verdict.EXPLICIT_DENY:
        why = "with an explicit deny in an identity-based policy"
    elif judged.decision.verdict is Verdict.UNDECIDED:
        why = f"because dagkit could not decide it: {judged.decision.reason}"
    else:
        why = f"because no identity-based policy allows the {judged.action} action"
    return f"User: {principal} is not authorized to perform: {judged.action}{where} {why}"


def denied(service: str, protocol: str, text: str) -> Refusal:
    """Returns AWS's "you may not" for a service."""
    if protocol in _JSON:
        return Refusal("AccessDeniedException", text, 403 if protocol == "rest-json" else 400)
    return Refusal(_DENIED_CODES.get(service, "AccessDenied"), text, 403)


def anonymous(service: str, protocol: str) -> Refusal:
    """Returns AWS's answer to a request without a signature."""
    if service == "s3":
        return Refusal("AccessDenied", "Access Denied", 403)
    if protocol in _JSON:
        status = 403 if protocol == "rest-json" else 400
        return Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", status)
    return Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def unknown_key(service: str, protocol: str) -> Refusal:
    """Returns AWS's answer to an access key id it does not know."""
    if service == "s3":
        text = "The AWS Access Key Id you provided does not exist in our records."
        return Refusal("InvalidAccessKeyId", text, 403)
    text = "The security token included in the request is invalid."
    if protocol in _JSON:
        return Refusal("UnrecognizedClientException", text, 403 if protocol == "rest-json" else 400)
    return Refusal("InvalidClientTokenId", text, 403)


def wrong_token(service: str, protocol: str) -> Refusal:
    """Returns AWS's answer to a session token that is not the access key's."""
    if service == "s3":
        return Refusal("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    return unknown_key(service, protocol)


def expired(service: str, protocol: str) -> Refusal:
    """Returns AWS's answer to credentials whose time is over."""
    if service == "s3":
        return Refusal("ExpiredToken", "The provided token has expired.", 400)
    text = "The security token included in the request is expired"
    if protocol in _JSON:
        return Refusal("ExpiredTokenException", text, 403 if protocol == "rest-json" else 400)
    return Refusal("ExpiredToken", text, 403)


def expired_link() -> Refusal:
    """Returns S3's answer to a presigned URL whose time is over."""
    return Refusal("AccessDenied", "Request has expired", 403)


def not_here(service: str, operation: str) -> Refusal:
    """Returns an answer for what the local AWS cannot do."""
    what = f"{service} {operation}".strip() or "this request"
    return Refusal("NotImplemented", f"dagkit's local AWS does not have {what}.", 501)


def render(
    refusal: Refusal, service: str, protocol: str, method: str, *, query_compatible: bool = False
) -> Answered:
    """Puts an error into the wire protocol.

    Args:
        refusal: What to say.
        service: botocore's name of the service.
        protocol: The request's.
        method: A HEAD has no body.
        query_compatible: Whether the service tells its code in the query protocol's words, too.
    """
    request_id = secrets.token_hex(8).upper()
    code, text = escape(refusal.code), escape(refusal.message)
    headers = {"x-amzn-RequestId": request_id}
    if protocol == "rest-xml" and service == "s3":
        headers = {"x-amz-request-id": request_id, "x-amz-id-2": secrets.token_urlsafe(40)}
        body = (
            f"<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId>"
            f"<HostId>{headers['x-amz-id-2']}</HostId></Error>"
        )
    elif protocol == "ec2":
        error = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
        body = f"<Response><Errors>{error}</Errors><RequestID>{request_id}</RequestID></Response>"
    elif protocol in _JSON:
        headers["x-amzn-ErrorType"] = refusal.code
        if query_compatible:
            headers["x-amzn-query-error"] = f"{refusal.code.removesuffix('Exception')};Sender"
        return _json(refusal, protocol, headers)
    else:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
    content = b"" if method == "HEAD" else f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
    return _answer(refusal.status, {**headers, "Content-Type": "application/xml"}, content, method)


def _json(refusal: Refusal, protocol: str, headers: Mapping[str, str]) -> Answered:
    content: dict[str, str] = {"Message": refusal.message, "message": refusal.message}
    if protocol == "rest-json":
        return _answer(
            refusal.status,
            {**headers, "Content-Type": "application/json"},
            json.dumps(content).encode(),
            "GET",
        )
    content["__type"] = refusal.code
    if protocol == "smithy-rpc-v2-cbor":
        kinds = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return _answer(refusal.status, {**headers, **kinds}, _cbor(content), "POST")
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    return _answer(refusal.status, {**headers, **kind}, json.dumps(content).encode(), "POST")


def _answer(status: int, headers: Mapping[str, str], body: bytes, method: str) -> Answered:
    # A HEAD tells no length: urllib3 and curl would otherwise wait for nothing, but say something odd.
    length = () if method == "HEAD" else (("Content-Length", str(len(body))),)
    return Answered(status, (*headers.items(), *length), body)


def _cbor(content: Mapping[str, str]) -> bytes:
    """Encodes a small map of texts (RFC 8949, sections 3.1 and 3.2: major types 5 and 3)."""

    def text(value: str) -> bytes:
        data = value.encode()
        return b"\x79" + len(data).to_bytes(2, "big") + data

    return bytes([0xA0 + len(content)]) + b"".join(text(key) + text(value) for key, value in content.items())
