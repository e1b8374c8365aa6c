"""From an HTTP request to the permissions it needs."""

from __future__ import annotations

from dagkit.local.calls.identify import identify, path_style
from dagkit.local.calls.model import Backend, HttpRequest, Need, Needs, NoBackend, Operation

__all__ = [
    "Backend",
    "HttpRequest",
    "Need",
    "Needs",
    "NoBackend",
    "Operation",
    "identify",
    "needs",
    "path_style",
]


def needs(operation: Operation, backend: Backend) -> Needs:
    """Works out every (action, resource) an operation needs, with its condition keys."""
    from dagkit.local.calls import reference, s3, services

    if operation.model == "s3":
        return s3.needs(operation, backend)
    by_hand = services.needs(operation, backend)
    return by_hand if by_hand is not None else reference.needs(operation, backend)
