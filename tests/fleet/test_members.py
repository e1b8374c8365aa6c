"""Addresses: many ways to write one repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagkit.fleet.members import canonical

KIT = "github.com/an-org/kit"


@pytest.mark.parametrize(
    "address",
    [
        "gh:an-org/kit",
        "gh:an-org/kit.git",
        "https://github.com/an-org/kit",
        "https://github.com/an-org/kit.git",
        "https://github.com/An-Org/Kit/",
        "https://x-access-token:secret@github.com/an-org/kit.git",
        "git+https://github.com/an-org/kit.git",
        "git@github.com:an-org/kit.git",
        "ssh://git@github.com/an-org/kit",
    ],
)
def test_is_the_same_repository(address: str) -> None:
    assert canonical(address) == KIT


@pytest.mark.parametrize(
    "address",
    [
        "gh:an-org/kit-two",
        "gl:an-org/kit",
        "https://github.com.example/an-org/kit",
        "https://example.com/an-org/kit",
    ],
)
def test_is_another_repository(address: str) -> None:
    assert canonical(address) != KIT


def test_a_folder_is_the_same_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kit").mkdir()
    monkeypatch.chdir(tmp_path)
    assert canonical("kit") == canonical(str(tmp_path / "kit")) == canonical((tmp_path / "kit").as_uri())
