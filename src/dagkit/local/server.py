"""The HTTP servers of the local AWS: werkzeug's, as moto uses it, but quiet and with an end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from moto import settings
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import ThreadedWSGIServer

from dagkit.local.guard import NotHereError


class _Moto(DomainDispatcherApplication):  # type: ignore[misc]  # moto has no types
    """moto's application, which says that it lacks a service instead of printing it."""

    def get_backend_for_host(self, host: str | None) -> Any:
        if host is not None and "amazonaws.com" in host:
            for backend, pattern in self.backend_url_patterns:
                if pattern.match(f"http://{host}"):
                    return backend
            raise NotHereError
        return super().get_backend_for_host(host)


def moto_application() -> Any:
    """Returns moto as a WSGI application; each service is loaded with its first request."""
    # Who may do what is decided in front of it, whatever the environment asks of moto's own check.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    return _Moto(create_backend_app)


class _Handler(MotoRequestHandler):  # type: ignore[misc]
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """Says nothing: the ledger has it all."""


class _WSGIServer(ThreadedWSGIServer):
    """Knows its open connections, so that it can end them."""

    def __init__(self, opened: socket.socket, app: Any) -> None:
        host, port = opened.getsockname()[:2]
        super().__init__(host, port, app, handler=_Handler, fd=opened.fileno())
        self.connections: dict[threading.Thread, socket.socket] = {}

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        thread = threading.current_thread()
        self.connections[thread] = request
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.pop(thread, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


class Server:
    """One listening address.

    Args:
        opened: A listening socket, which this takes over.
        app: What answers.
    """

    def __init__(self, opened: socket.socket, app: Callable[..., Any]) -> None:
        self._server = _WSGIServer(opened, app)
        opened.close()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="local-aws", daemon=True
        )

    def start(self) -> None:
        """Starts to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stops listening, hangs up on everybody and waits for the threads."""
        if self._thread.ident is not None:  # else there is nothing to wait for
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for thread, connection in list(self._server.connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
