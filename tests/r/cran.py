"""A repository of R packages like CRAN, made from small packages of our own and served over HTTP."""

from __future__ import annotations

import contextlib
import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

_DESCRIPTION = """\
Package: {name}
Version: {version}
Title: A Small Package
Description: Says which version of it is installed.
Authors@R: person("An", "Analyst", email = "an.analyst@example.gov.uk", role = c("aut", "cre"))
License: MIT
Repository: CRAN
"""


def make_repository(folder: Path, name: str, *versions: str) -> Path:
    """Make a repository that offers the last version and has the others in its archive; return its folder."""
    contrib = folder / "src" / "contrib"
    for version in versions:
        target = contrib if version == versions[-1] else contrib / "Archive" / name
        target.mkdir(parents=True, exist_ok=True)
        _make_package(folder / "sources", target, name, version)
    _r(contrib, 'tools::write_PACKAGES(".", type = "source")')
    return folder


def _make_package(sources: Path, target: Path, name: str, version: str) -> None:
    package = sources / version / name
    (package / "R").mkdir(parents=True)
    (package / "DESCRIPTION").write_text(_DESCRIPTION.format(name=name, version=version))
    (package / "NAMESPACE").write_text("export(greet)\n")
    (package / "R" / "greet.R").write_text(f'greet <- function() "hello from {name} {version}"\n')
    subprocess.run(["R", "CMD", "build", str(package)], cwd=target, capture_output=True, check=True)


def _r(folder: Path, expression: str) -> None:
    subprocess.run(["Rscript", "--vanilla", "-e", expression], cwd=folder, capture_output=True, check=True)


@contextlib.contextmanager
def served(folder: Path, address: str) -> Iterator[str]:
    """Serve a folder on an address of this machine; yield its URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_port}"
        finally:
            server.shutdown()
