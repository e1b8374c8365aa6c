"""The cell that installs: where nothing of dagkit is, after asking, from a checkout or as a package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

# What the kernel does for `%run -i install.py`: the file runs in the names of the notebook.
RUN = "import sys; install = {answer}; exec(open('install.py').read())"

# A pip that notes how it was called and makes what it was asked for: the network's edge.
PIP = """
import json, pathlib, sys
here = pathlib.Path(__file__).parents[1]
(here.parents[2] / "called.json").write_text(json.dumps(sys.argv[1:]))
if (here.parents[2] / "fails").exists():
    sys.exit((here.parents[2] / "fails").read_text())
for name in ("dagkit", "apache_airflow", "moto", "ipywidgets", "nbformat"):
    info = here / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n")
print("Collecting moto")
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python with nothing but that pip."""
    venv.create(tmp_path / "python", with_pip=False, symlinks=True)
    packages = next((tmp_path / "python" / "lib").iterdir()) / "site-packages"
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").write_text("")
    (packages / "pip" / "__main__.py").write_text(PIP)
    return tmp_path / "python" / "bin" / "python"


def run(python: Path, folder: Path, answer: object, said: str = "") -> str:
    """Run the cell; what it prints."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(NOTEBOOKS / "install.py", folder)
    done = subprocess.run(
        [python, "-c", RUN.format(answer=answer)],
        cwd=folder,
        # no uv on PATH
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        input=said,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def called(python: Path) -> str | None:
    note = python.parents[1] / "called.json"
    return note.read_text() if note.exists() else None


def test_it_asks_before_it_installs(bare: Path, tmp_path: Path) -> None:
    for said in ("", "no\n", "\n"):
        printed = run(bare, tmp_path / "guide", None, said)
        assert "apache-airflow" in printed
        assert "Nothing was installed" in printed
    assert called(bare) is None


def test_a_yes_installs_the_package_into_this_very_python_once(bare: Path, tmp_path: Path) -> None:
    assert "Installed." in run(bare, tmp_path / "guide", None, "yes\n")
    assert '"dagkit[local,guide]"' in (called(bare) or "")
    assert run(bare, tmp_path / "guide", None) == "Everything is there.\n"


def test_in_a_checkout_it_installs_the_checkout(bare: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "dagkit"
    (checkout / "src" / "dagkit").mkdir(parents=True)
    (checkout / "copier.yml").write_text("")
    run(bare, checkout / "notebooks", True)
    assert f'"{checkout}[local,guide]"' in (called(bare) or "")


def test_under_papermill_the_parameter_answers(bare: Path, tmp_path: Path) -> None:
    assert "Nothing was installed" in run(bare, tmp_path / "guide", False)
    assert "Installed." in run(bare, tmp_path / "guide", True)


def test_what_fails_is_shown_with_a_way_out(bare: Path, tmp_path: Path) -> None:
    (bare.parents[1] / "fails").write_text("error: externally-managed-environment")
    printed = run(bare, tmp_path / "guide", True)
    assert "It could not be installed" in printed
    assert "externally-managed-environment" in printed
    assert "ipykernel install --user --name dagkit" in printed


def test_a_python_without_pip_and_uv_is_told_apart(bare: Path, tmp_path: Path) -> None:
    shutil.rmtree(next((bare.parents[1] / "lib").iterdir()) / "site-packages" / "pip")
    assert "neither pip nor uv" in run(bare, tmp_path / "guide", True)


def test_where_all_is_there_it_says_so_and_asks_nothing(tmp_path: Path) -> None:
    assert run(Path(sys.executable), tmp_path / "guide", None) == "Everything is there.\n"
