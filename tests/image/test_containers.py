"""A Docker engine that cannot be used: each reason has its own sentence."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dagkit.containers import docker_client, engine_available
from dagkit.errors import DagkitError

Context = Callable[[str], None]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Make a Docker context of a host the current one, as `docker context use` does."""

    def use(host: str) -> None:
        name = "elsewhere"
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        about = {
            "Name": name,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
        }
        (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": name}), encoding="utf-8")
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    return use


@contextmanager
def somebody_else() -> Iterator[None]:
    """Not root, for whom every socket is open."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def refusal() -> str:
    """The error of asking for a client."""
    with pytest.raises(DagkitError) as refused:
        docker_client().close()
    assert not engine_available()
    return str(refused.value)


def test_docker_that_is_not_installed(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal().startswith("Docker is not installed\n")


def test_docker_that_is_installed_but_not_running(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(f"unix://{tmp_path}/none.sock")
    (tmp_path / "docker").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal()
    assert said.startswith("Docker is installed but not running\n")
    assert "what to do: " in said


def test_a_socket_that_nobody_listens_to_any_more(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale.sock"))
    context(f"unix://{tmp_path}/stale.sock")
    (tmp_path / "docker").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal().startswith("Docker is installed but not running\n")


def test_a_socket_that_this_user_may_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        Path(folder).chmod(0o755)
        path = Path(folder) / "docker.sock"
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o600 if os.geteuid() == 0 else 0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with somebody_else():
            said = refusal()
    assert said.startswith("Docker is running, but you may not use it\n")
    assert "usermod" in said


@pytest.mark.parametrize("host", ["unix:///not/there.sock", "tcp://127.0.0.1:9"])
def test_a_docker_host_where_nothing_answers(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    said = refusal()
    assert said.startswith("No Docker engine answers where DOCKER_HOST says\n")
    assert "unset DOCKER_HOST" in said


def test_a_docker_host_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "my-docker")
    assert "starts with unix:// or tcp://" in refusal()


@pytest.mark.parametrize("host", ["ssh://me@bigger-machine", "tcp://10.1.2.3:2376"])
def test_an_engine_on_another_machine(host: str, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    context(host)
    said = refusal()
    assert "on another machine" in said
    assert f"Docker context 'elsewhere' ({host})" in said
    monkeypatch.setenv("DOCKER_HOST", host)
    assert f"DOCKER_HOST={host}" in refusal()


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "not-there")
    assert "There is no Docker context 'not-there'" in refusal()
