"""Who signed a request, for which service and region.

Source: IAM User Guide, "AWS Signature Version 4 for API requests"; Amazon S3 API Reference, "Authenticating
requests: using query parameters". The signature itself is not verified: the keys are this machine's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from dagkit.local.calls import HttpRequest


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
