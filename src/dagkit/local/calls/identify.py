"""From an HTTP request to the API operation it is: service, operation, parameters.

Who signs for which service is read from the signature's scope; the operation by the service's own model, with
the router and parsers moto serves the request with afterwards, so that both always agree on what it means.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from dagkit.local.calls.model import HttpRequest, Operation

# Names services sign with, where botocore's name for them is another one, or there are several.
MODELS: dict[str, tuple[str, ...]] = {
    "bedrock": ("bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime"),
    "monitoring": ("cloudwatch",),
    "states": ("stepfunctions",),
    "email": ("ses",),
    "ses": ("sesv2", "ses"),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "cognito-idp": ("cognito-idp",),
    "tagging": ("resourcegroupstaggingapi",),
    "airflow": ("mwaa",),
    "execute-api": ("apigatewaymanagementapi",),
    "s3": ("s3",),
}
LOCAL_HOSTS = ("localhost", "host.docker.internal")
_S3_ENDPOINT = re.compile(r"^(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com$")


def bucket_in_host(host: str) -> str:
    """Returns the bucket of a virtual-hosted-style S3 request, empty when the bucket is in the path."""
    name = re.sub(r":\d+$", "", host)
    endpoint = _S3_ENDPOINT.match(name)
    if endpoint:
        return endpoint.group("bucket") or ""
    for local in LOCAL_HOSTS:
        if name.endswith(f".{local}"):
            bucket = name.removesuffix(f".{local}")
            return "" if bucket == "s3" else bucket.removesuffix(".s3")
    return ""


def path_style(request: HttpRequest) -> HttpRequest:
    """Returns an S3 request with its bucket in the path, wherever it was."""
    bucket = bucket_in_host(request.host)
    path = f"/{quote(bucket)}{request.path}" if bucket else request.path
    return HttpRequest(request.method, "127.0.0.1", path, request.query, request.headers, request.body)


def identify(request: HttpRequest, service: str, region: str) -> Operation | None:
    """Recognises a request.

    Args:
        request: For S3, in path style (`path_style`).
        service: The name in the signature's scope.
        region: The region in the signature's scope.

    Returns:
        The operation, or None when no service model knows the request.
    """
    from moto.core.request import Request, determine_request_protocol
    from moto.core.routing import get_service_router
    from moto.core.utils import get_service_model
    from werkzeug.exceptions import HTTPException

    for model_name in MODELS.get(service, (service,)):
        try:
            model = get_service_model(model_name)
        except Exception:  # noqa: S112  # botocore has no such service, moto raises what it likes
            continue
        wire = Request(_environ(request))
        try:
            protocol = determine_request_protocol(model, wire.content_type)
            matched, in_path = get_service_router(model_name).match(wire)
        except (HTTPException, NotImplementedError, KeyError):
            continue
        params = _params(matched, protocol, request, in_path)
        compatible = model.metadata.get("awsQueryCompatible") is not None
        return Operation(model_name, matched.name, protocol, region, params, request, compatible)
    return None


def _environ(request: HttpRequest) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(request.path, encoding="latin-1"),
        "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
        "QUERY_STRING": request.query,
        "HTTP_HOST": request.host,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
    }
    for name, value in request.headers.items():
        if name not in {"content-type", "content-length", "transfer-encoding", "host"}:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


def _params(matched: Any, protocol: str, request: HttpRequest, in_path: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the parameters. An upload's body is not here, so S3 is read from its path and query alone."""
    if protocol == "rest-xml":
        shape = matched.input_shape
        query = parse_qs(request.query, keep_blank_values=True)
        params = dict(in_path)
        for name, member in (shape.members if shape else {}).items():
            wire_name = member.serialization.get("name", name)
            if member.serialization.get("location") == "querystring" and wire_name in query:
                params[name] = query[wire_name][0]
        return params
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.request import Request

    wire = Request(_environ(request))
    parser = PROTOCOL_PARSERS[protocol](matched)
    return dict(
        parser.parse(
            {
                "method": request.method,
                "values": wire.values,
                "headers": wire.headers,
                "body": request.body,
                "url_path": wire.path,
                "url_params": in_path,
            }
        )
        or {}
    )
