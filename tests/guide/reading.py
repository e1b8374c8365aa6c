"""Somebody who works through the guide: papermill runs each notebook in a new kernel, as Run All would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]

from dagkit.guide import copies
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.checks import all_checks
from dagkit.guide.progress import Outcome, Progress
from tests.harness.generate import commit_all, generate, git

MARK = "LC_DAGKIT_TEST"
"""A variable that marks the processes of one reader."""

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}

_OURS = (
    "DAGKIT_",
    "JUPYTER",
    "IPYTHON",
    "AIRFLOW",
    "XDG_",
    "AWS_",
    "DOCKER_",
    "PYTEST_",
    "VIRTUAL_ENV",
    "GIT_AUTHOR",
)
_KEPT = ("AWS_CA_BUNDLE", "DOCKER_HOST")


@dataclass(frozen=True)
class Reader:
    """A person with a home that is empty but for git's knowing who they are.

    Attributes:
        home: Their home.
        language: ``python`` or ``r``.
        project: The folder of the DAG repository that their DAGs go to; no other test's is called so.
        variables: What their environment has besides.
        airflow: Whether they let the guide start Airflow's own page, which takes its time.
    """

    home: Path
    language: str
    project: str
    variables: Mapping[str, str] = field(default_factory=dict)
    airflow: bool = False

    @property
    def folder(self) -> Path:
        """Where their notebooks lie."""
        return self.home / "guide"

    @property
    def pipeline(self) -> Path:
        """Their pipeline's repository."""
        return self.home / self.repository

    @property
    def repository(self) -> str:
        """What it is called."""
        return f"{self.project}-{self.language}".replace("_", "-")

    @property
    def dags(self) -> Path:
        """The DAG repository: bare, as on a server."""
        return self.home.parent / "airflow.git"

    @property
    def progress(self) -> Progress:
        """What the guide keeps."""
        return Progress(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of what they start."""
        kept = {
            name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_OURS)
        }
        return {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            MARK: self.project,
            **self.variables,
        }

    def parameters(self, number: int) -> dict[str, Any]:
        """What they write into the parameters cell of a notebook."""
        mine: dict[int, dict[str, Any]] = {
            1: {
                "answers": {
                    "repository": self.repository,
                    "project": self.project,
                    "pipeline": "daily",
                    "language": self.language,
                    "owner": "octocat",
                    "email": "octo.cat@justice.gov.uk",
                    "output": "s3://alpha-everyone/airflow-example/octocat",
                },
            },
            3: {"airflow": self.airflow},
            4: {"dag_repository": str(self.dags)},
            5: {"airflow": self.airflow},
        }
        return {"install": False, **mine.get(number, {})}

    def start(self, number: int, **parameters: Any) -> subprocess.Popen[str]:
        """Begin to run a notebook."""
        file = CHAPTERS[number].file
        out = self.home.parent / "out"
        out.mkdir(exist_ok=True)
        given = json.dumps({**self.parameters(number), **parameters})
        words = ["-m", "papermill", str(self.folder / file), str(out / file), "--parameters_yaml", given]
        return subprocess.Popen(
            [sys.executable, *words, "--cwd", str(self.folder), "--no-progress-bar"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read(self, number: int, **parameters: Any) -> nbformat.NotebookNode:
        """Run a notebook to its end; it has to end well.

        Returns:
            The notebook, with its outputs.
        """
        process = self.start(number, **parameters)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said[-6000:]
        return self.written(number)

    def written(self, number: int) -> nbformat.NotebookNode:
        """A notebook that has been run, with its outputs."""
        notebook: nbformat.NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
            self.home.parent / "out" / CHAPTERS[number].file, as_version=4
        )
        return notebook

    def outcomes(self, number: int) -> dict[str, Outcome]:
        """The outcome of each check of a notebook, as it is kept."""
        return {
            name: each for name, each in self.progress.outcomes().items() if name.startswith(f"{number}.")
        }

    def assert_green(self, number: int, notebook: nbformat.NotebookNode) -> None:
        """Every check of a notebook is green, on the disk and in what is shown; and no box says otherwise."""
        every = {name for name, each in all_checks().items() if each.notebook == number}
        kept = self.outcomes(number)
        red = {name: (each.saw, each.todo) for name, each in kept.items() if not each.ok}
        assert not red, red
        assert kept.keys() == every
        marks = list(boxes(notebook))
        assert {mark["check"] for mark in marks if "check" in mark} == every
        problems = [mark["problem"] for mark in marks if "problem" in mark and not _offline(mark["problem"])]
        assert not problems, problems

    def report(self) -> dict[str, Any]:
        """The report of their last run."""
        folder = max((self.pipeline / ".dagkit" / "runs").iterdir())
        report: dict[str, Any] = json.loads((folder / "report.json").read_text())
        return report


def _offline(problem: Mapping[str, str]) -> bool:
    """Whether a problem is that CRAN is not in reach of this machine, and the reader is told so."""
    return problem["what"] == "The package repository of renv.lock cannot be reached"


def boxes(notebook: nbformat.NotebookNode) -> Iterator[dict[str, Any]]:
    """What the outputs of a notebook say for programs: checks, problems."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if found := output.get("metadata", {}).get("dagkit"):
                yield found


def new_reader(
    root: Path, language: str, project: str, variables: Mapping[str, str], *, notebooks: bool = True
) -> Reader:
    """A reader who begins.

    Args:
        root: An empty folder for all that is theirs.
        language: Of the pipeline that they will make.
        project: As in `Reader`.
        variables: As in `Reader`.
        notebooks: Whether the notebooks are in their folder already.
    """
    reader = Reader(root / "home", language, project, variables)
    reader.home.mkdir()
    (reader.home / ".gitconfig").write_text("[user]\nname = Octo Cat\nemail = octo.cat@justice.gov.uk\n")
    if notebooks:
        copies.put(reader.folder, copies.plan(reader.folder))
    made = generate(root / "airflow", kind="airflow", owner="octocat")
    commit_all(made)
    git(root, "clone", "--quiet", "--bare", str(made), str(reader.dags))
    shutil.rmtree(made)
    return reader


def processes(reader: Reader) -> Iterator[psutil.Process]:
    """What runs for a reader: what they started, and what works in their folders or mentions them."""
    home = str(reader.home)
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if (
                process.environ().get(MARK) == reader.project
                or home in " ".join(process.cmdline())
                or process.cwd().startswith(home)
            ):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def containers(reader: Reader) -> Sequence[str]:
    """The containers of a reader's pipeline, running or not."""
    if shutil.which("docker") is None:
        return ()
    label = f"label=dagkit.pipeline={reader.project}.daily"
    done = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", label], capture_output=True, text=True
    )
    return done.stdout.split()
