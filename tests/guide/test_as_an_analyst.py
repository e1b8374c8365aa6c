"""The guide for somebody like the platform's users: user id 1000, Python, git, and a home; nothing else.

The checkout is cloned into their home. Everything outside that is read-only, there is no Docker, and dagkit
is not installed: the first notebook's install cell does that, with pip, into the notebook's own Python.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from papermill.iorw import load_notebook_node  # type: ignore[import-untyped]
from papermill.parameterize import parameterize_notebook  # type: ignore[import-untyped]

from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.progress import Progress
from tests.guide.reading import boxes

REPOSITORY = Path(__file__).parents[2]
USER = 1000
PYTHONS = ("/usr/bin/python3.12", "/usr/bin/python3.13", "/usr/bin/python3.11", "/usr/bin/python3")
"""Pythons that every user can read; the platform's version first."""
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
CONSTRAINTS = "constraints.txt"
PARAMETERS: dict[int, dict[str, Any]] = {
    1: {"answers": {"repository": "my-pipeline", "owner": "octocat", "email": "octo.cat@justice.gov.uk"}}
}


@dataclass(frozen=True)
class Analyst:
    """Somebody with nothing but a home.

    Attributes:
        home: Their home: the only folder that they can write in.
    """

    home: Path

    @property
    def notebooks(self) -> Path:
        return self.home / "dagkit" / "notebooks"

    def does(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as them, where all but their home is read-only."""
        home = shlex.quote(str(self.home))
        kept = {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
        variables = {"HOME": str(self.home), "PATH": str(self.home / "bin"), "LANG": "C.UTF-8", **kept}
        variables["TMPDIR"] = str(self.home / "tmp")
        variables |= {"PIP_CONSTRAINT": str(self.home / CONSTRAINTS), "PIP_NO_COMPILE": "1"}
        alone = (
            f"mount --make-rprivate / && mount --bind {home} {home} && mount -o remount,bind,ro / &&"
            f" cd {home}/dagkit/notebooks && exec setpriv --reuid {USER} --regid {USER} --clear-groups"
            ' --no-new-privs env -i "$@"'
        )
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = ["unshare", "--mount", "sh", "-c", alone, "sh", *settings, *map(str, words)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=800)

    def read(self, number: int) -> nbformat.NotebookNode:
        """Run a notebook in a kernel of their bare Python."""
        file = self.notebooks / CHAPTERS[number].file
        given = {"install": True, **PARAMETERS.get(number, {})}
        mine = self.home / "tmp" / f"as-run-{number}.ipynb"
        nbformat.write(parameterize_notebook(load_notebook_node(str(file)), given), mine)  # type: ignore[no-untyped-call]
        mine.chmod(0o666)
        # beside the notebooks, where Jupyter opens it; the clone stays as git made it
        run = "import sys, nbformat, nbclient; n = nbformat.read(sys.argv[1], 4);"
        run += " nbclient.NotebookClient(n, timeout=None, kernel_name='python3').execute();"
        run += " nbformat.write(n, sys.argv[1])"
        done = self.does(self.home / "kernel" / "bin" / "python", "-c", run, mine)
        assert done.returncode == 0, done.stderr[-4000:]
        notebook: nbformat.NotebookNode = nbformat.read(mine, as_version=4)  # type: ignore[no-untyped-call]
        return notebook


@pytest.fixture(scope="module")
def analyst() -> Iterator[Analyst]:
    if os.geteuid() != 0:
        pytest.skip("to be another user, one has to be root")
    home = Path(tempfile.mkdtemp(prefix="analyst-"))
    try:
        python = next(each for each in PYTHONS if Path(each).exists())
        for folder in ("tmp", "bin"):
            (home / folder).mkdir()
        (home / "bin" / "python3").symlink_to(python)
        (home / "bin" / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
        clone = ["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(home / "dagkit")]
        subprocess.run(clone, check=True)
        (home / ".gitconfig").write_text("[user]\nname = Octo Cat\nemail = octo.cat@justice.gov.uk\n")
        # the versions that are tested everywhere else, too
        locked = (REPOSITORY / "requirements" / "dev.txt").read_text().splitlines()
        pins = [line.removesuffix("\\") for line in locked if re.match(r"[\w.\[\]-]+==", line)]
        (home / CONSTRAINTS).write_text("\n".join(pins))
        for path in (home, *home.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
        someone = Analyst(home)
        for words in (
            (python, "-m", "venv", home / "kernel"),
            (home / "kernel" / "bin" / "pip", "install", "--quiet", "ipykernel", "nbclient"),
        ):
            done = someone.does(*words)
            assert done.returncode == 0, done.stderr
        yield someone
    finally:
        shutil.rmtree(home, ignore_errors=True)


def checks(notebook: nbformat.NotebookNode) -> dict[str, bool]:
    return {mark["check"]: mark["ok"] for mark in boxes(notebook) if "check" in mark}


def test_they_have_no_docker_no_dagkit_and_can_write_nowhere_else(analyst: Analyst) -> None:
    python = analyst.home / "kernel" / "bin" / "python"
    code = (
        "import json, os, socket, importlib.util as find\n"
        "def fails(do):\n"
        "    try: do()\n"
        "    except OSError: return True\n"
        "print(json.dumps([os.getuid(), find.find_spec('dagkit') is None,"
        " fails(lambda: open('/tmp/x', 'w')), fails(lambda: open('/usr/x', 'w')),"
        " fails(lambda: socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock'))]))"
    )
    assert json.loads(analyst.does(python, "-c", code).stdout) == [USER, True, True, True, True]


def test_the_guide_installs_itself_and_makes_a_pipeline_that_runs(analyst: Analyst) -> None:
    first = analyst.read(0)
    shown = "".join(out.get("text", "") for cell in first.cells for out in cell.get("outputs", ()))
    assert "Installed." in shown
    assert checks(first) == {"0.machine": True, "0.folder": True}
    for number in (1, 2, 3):
        outcomes = checks(analyst.read(number))
        assert outcomes
        assert all(outcomes.values()), Progress(analyst.notebooks).outcomes()
    pipeline = analyst.home / "my-pipeline"
    assert Progress(analyst.notebooks).pipeline == pipeline
    report = json.loads((max((pipeline / ".dagkit" / "runs").iterdir()) / "report.json").read_text())
    assert (report["state"], report["engine"]) == ("success", "process")
    assert {path.lstat().st_uid for path in pipeline.rglob("*")} == {USER}
