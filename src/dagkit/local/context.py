"""The global condition keys of a request."""

from __future__ import annotations

from datetime import datetime

from dagkit.local.backend import Caller
from dagkit.local.calls import HttpRequest
from dagkit.local.conditions import Context


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
