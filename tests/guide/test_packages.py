"""Notebook 5 on packages: what is newer, and what it says where no package index can be reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagkit import guide
from dagkit.errors import DagkitError
from dagkit.guide import packages
from dagkit.guide.keeping import Steps
from tests.harness.generate import generate


def keeping(root: Path) -> Steps:
    (root / "guide").mkdir()
    here = guide.open(5, pipeline=root / "pipe", folder=root / "guide")
    assert isinstance(here, Steps)
    return here


@pytest.mark.r
def test_newer_packages_of_r_are_those_of_the_repository_in_the_lock_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = generate(tmp_path / "pipe", language="r")
    cran = tmp_path / "cran" / "src" / "contrib"
    cran.mkdir(parents=True)
    (cran / "PACKAGES").write_text("Package: processx\nVersion: 99.1\n\nPackage: other\nVersion: 1.0\n")
    lock = json.loads((pipe / "renv.lock").read_text())
    lock["R"]["Repositories"] = [{"Name": "CRAN", "URL": (tmp_path / "cran").as_uri()}]
    (pipe / "renv.lock").write_text(json.dumps(lock))
    before = (pipe / "renv.lock").read_bytes()

    assert packages.newest_for_r(pipe) == {"processx": "99.1"}
    keeping(tmp_path).newer()
    shown = capsys.readouterr().out
    assert f"processx | {lock['Packages']['processx']['Version']} | 99.1" in shown
    assert (pipe / "renv.lock").read_bytes() == before


def test_newer_packages_of_python_are_shown_and_not_locked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = generate(tmp_path / "pipe")
    (pipe / "requirements.in").write_text("idna\n")
    old = "idna==3.4 --hash=sha256:90b77e79eaa3eba6de819a0c442c0b4ceefc341a7a2ab77d7562bf49f425c5c2\n"
    (pipe / "requirements.txt").write_text(old)
    keeping(tmp_path).newer()
    shown = capsys.readouterr().out
    assert "idna | 3.4 | " in shown
    assert (pipe / "requirements.txt").read_text() == old


def test_without_a_package_index_it_says_so_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = generate(tmp_path / "pipe")
    before = (pipe / "requirements.txt").read_bytes()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(DagkitError, match="no newer versions"):
        packages.locked_anew(pipe, lambda _: None)
    keeping(tmp_path).newer()
    assert "It cannot be seen from here" in capsys.readouterr().out
    assert (pipe / "requirements.txt").read_bytes() == before
