"""A session before it starts: what was asked for, and every check that needs no Airflow."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dagkit.errors import DagkitError, UsageError
from dagkit.local.engines import check_name
from dagkit.local.plan import choose_engine
from dagkit.ui import airflow, subject
from dagkit.ui.airflow import Address, Airflow
from dagkit.ui.subject import Subject

PORT = "{port}"


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        path: The repository, or a folder in it.
        environment: ``dev`` or ``prod``: whose roles, and whose DAGs of a DAG repository.
        engine: None: what this machine has.
        build: Whether the image is built first.
        base_image: What it is built on; None: as its Dockerfile says.
        port: Of the web page; 0: any free one.
        base_url: Where a proxy shows the page: a URL or a path, with ``{port}`` for the port.
        airflow: The Python of another environment's Airflow; None: that of dagkit's own.
    """

    path: Path
    environment: str = "dev"
    engine: str | None = None
    build: bool = True
    base_image: str | None = None
    port: int = 0
    base_url: str | None = None
    airflow: str | None = None


@dataclass(frozen=True)
class Plan:
    """A session that passed every check that needs neither Airflow nor local AWS.

    Attributes:
        options: What was asked for.
        subject: Whose DAGs are shown.
        engine: The engine's name.
        engine_reason: Why it is this engine, where it is not the one wished for; else empty.
        airflow: The Airflow to start.
    """

    options: Options
    subject: Subject
    engine: str
    engine_reason: str
    airflow: Airflow


def plan(options: Options) -> Plan:
    """Check what can be checked at once.

    Raises:
        DagkitError: A role or a fixture is wrong, or Airflow is missing.
        UsageError: The call is wrong.
    """
    if options.engine is not None:
        check_name(options.engine)
    if options.base_url is not None:
        _check_base_url(options)
    found = subject.find(options.path, options.environment)
    installed = airflow.find(options.airflow)
    engine, reason = choose_engine(options.engine, has_image=found.has_image)
    return Plan(options, found, engine, reason, installed)


def _check_base_url(options: Options) -> None:
    text = options.base_url or ""
    parts = urlsplit(text)
    if not text.startswith("/") and not (parts.scheme in ("http", "https") and parts.netloc):
        raise UsageError(
            f"--base-url takes a URL or a path that starts with /, and got '{text}'",
            fix="Such as: --base-url /proxy/absolute/{port}",
        )
    if PORT not in text and not options.port:
        raise UsageError(
            "--base-url names no port, and the page takes any that is free",
            fix="Write {port} where the port stands, or choose one with --port.",
        )


def address(options: Options, last_port: int, environment: Mapping[str, str]) -> Address:
    """Where the page will be.

    A JupyterHub says where it shows its users' servers: the page is opened there, behind
    jupyter-server-proxy.

    Args:
        options: What was asked for.
        last_port: The port of the last start, which is taken again where it is free; 0 where there was none.
        environment: The environment variables of this process.

    Raises:
        DagkitError: The port that was asked for is taken.
    """
    port = _free_port(options.port, last_port)
    base = options.base_url
    if base is None and (prefix := environment.get("JUPYTERHUB_SERVICE_PREFIX")):
        base = f"{prefix.rstrip('/')}/proxy/absolute/{PORT}"
        if public := environment.get("JUPYTERHUB_PUBLIC_URL"):
            base = f"{public.rstrip('/')}/proxy/absolute/{PORT}"
    if base is None:
        return Address(port)
    base = base.replace(PORT, str(port)).rstrip("/")
    return Address(port, urlsplit(base).path, "" if base.startswith("/") else base)


def _free_port(wanted: int, last: int) -> int:
    for port in [wanted] if wanted else [last, 0] if last else [0]:
        with socket.socket() as probe:
            # as servers do, so that a port whose last connections are just ending counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DagkitError(
        f"The port {wanted} is taken",
        where=f"127.0.0.1:{wanted}",
        fix="Stop the program that listens there, choose another port, or leave out --port.",
    )
