"""Python environments beside our own, each made once per machine from a lock file and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class EnvironmentUnavailableError(Exception):
    """This machine cannot make the environment; the message says why."""


def cache_dir() -> Path:
    """Return the folder that outlives a test session: ``$XDG_CACHE_HOME/dagkit`` or ``~/.cache/dagkit``."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "dagkit"


def locked_environment(name: str, lock: Path, pythons: Sequence[str] = ()) -> Path:
    """Return the ``python`` of the environment that holds exactly what ``lock`` says, made if need be.

    Args:
        name: What the environment is called in the cache.
        lock: A requirements file with hashes.
        pythons: Versions it may run on ("3.12"), best first; none means the running interpreter's.

    Raises:
        EnvironmentUnavailableError: None of ``pythons`` is on this machine.
    """
    interpreter = _find_python(pythons) if pythons else Path(sys.executable)
    version = subprocess.run(
        [str(interpreter), "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    key = hashlib.sha256(f"{version}\n{lock.read_text()}".encode()).hexdigest()[:12]
    home = cache_dir() / "environments" / f"{name}-{key}"
    home.parent.mkdir(parents=True, exist_ok=True)
    ready = home / "ready"
    with (home.parent / f"{name}.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # two test sessions on one machine make it once
        if not ready.exists():
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--quiet", "--python", str(interpreter), str(home))
            _uv(
                "pip",
                "install",
                "--quiet",
                "--python",
                str(home),
                "--require-hashes",
                "--requirements",
                str(lock),
            )
            ready.touch()
    return home / "bin" / "python"


def _find_python(versions: Sequence[str]) -> Path:
    for version in versions:
        # Asked to run, not only looked for: a version manager's shim may name a Python that is not there.
        found = (
            subprocess.run(
                [f"python{version}", "-c", "import sys; print(sys.base_prefix)"],
                capture_output=True,
                text=True,
            )
            if shutil.which(f"python{version}")
            else None
        )
        if found is not None and found.returncode == 0:
            return Path(found.stdout.strip()) / "bin" / f"python{version}"
    raise EnvironmentUnavailableError(
        f"none of these is on this machine: {', '.join('Python ' + v for v in versions)}"
    )


def _uv(*args: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"uv {' '.join(args)} failed:\n{done.stderr}")
