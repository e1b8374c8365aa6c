"""Airflow's in-process API, through which `dag.test()` runs tasks, made ready before the first task needs it.

Airflow builds every version of that API since 3.0, at the cost of half a small run; a task in the same
process speaks the newest and no other. So only that one is built; all are, where Airflow is not as expected.
"""

from __future__ import annotations

import logging
from typing import Any

_ONLY_IN_OLDER_VERSIONS = "_CADWYN_DELETED_ROUTE"


def warm_up() -> None:
    """Build the API and see that it answers."""
    try:
        whole = keep_newest_version()
    except Exception:  # Airflow's inside may change; then it is as slow as it is
        logging.getLogger(__name__).warning(
            "the API of Airflow is built with all its versions", exc_info=True
        )
        return
    if not _answers():
        bundle, routes = whole
        from airflow.api_fastapi.execution_api import versions
        from airflow.api_fastapi.execution_api.routes import execution_api_router
        from airflow.sdk.execution_time.supervisor import in_process_api_server

        versions.bundle = bundle
        execution_api_router.routes[:] = routes
        in_process_api_server.cache_clear()


def keep_newest_version() -> tuple[Any, list[Any]]:
    """Leave the API only its newest version, before it is built; what it had, to put it back."""
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle

    bundle, routes = versions.bundle, list(execution_api_router.routes)
    newest = VersionBundle(HeadVersion(), Version(bundle.versions[0].value))
    execution_api_router.routes[:] = [
        route for route in routes if _ONLY_IN_OLDER_VERSIONS not in getattr(route, "tags", ())
    ]
    versions.bundle = newest
    return bundle, routes


def _answers() -> bool:
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    try:
        return bool(InProcessTestSupervisor._api_client().get("health").status_code == 200)
    except Exception:
        return False
