"""Local services that stand at the network's edge: an image registry and AWS."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_REGISTRY_CONFIG = """\
version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@contextlib.contextmanager
def running_registry(home: Path) -> Iterator[str]:
    """Run an OCI registry that keeps its blobs under ``home``; yield its address, ``127.0.0.1:<port>``.

    A Docker engine on the same machine pushes to a loopback address without TLS.

    Raises:
        RuntimeError: The registry did not come up; its own log is in the message.
    """
    port = free_port()
    config = home / "registry.yml"
    config.write_text(_REGISTRY_CONFIG.format(storage=home / "storage", port=port))
    log = home / "registry.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=out, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait_for_http(port, "/v2/", process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for_http(port: int, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"nothing answers on 127.0.0.1:{port}{path}:\n{log.read_text()}")


@contextlib.contextmanager
def running_moto(home: Path) -> Iterator[str]:
    """Run moto as a server of its own, with its log under ``home``; yield its URL.

    Raises:
        RuntimeError: It did not come up; its own log is in the message.
    """
    port = free_port()
    log = home / "moto.log"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait_for_http(port, "/moto-api/data.json", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def empty_moto(url: str) -> None:
    """Forget everything that the moto server at ``url`` holds."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")  # noqa: S310 - our own loopback URL
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass
