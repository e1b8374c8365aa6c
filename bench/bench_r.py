"""The R path: rebuilding the image, its size, starting `run.R`, and `dagkit run` beside the Python pipeline.

Run by `make bench`, or alone: `python -m bench.bench_r`.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.side_by_side import Run, command, compare, seconds

ROOT = Path(__file__).parent.parent
DAGKIT = Path(sys.executable).parent / "dagkit"
ANSWERS = ("project=example", "pipeline=bench", "owner=octocat", "email=a@example.com")
IMAGE = "bench-r:local"


def new(folder: Path, language: str) -> Path:
    """A repository from the template."""
    pipeline = folder / f"bench-{language}"
    answers = [word for answer in (f"language={language}", *ANSWERS) for word in ("-d", answer)]
    command([DAGKIT, "new", pipeline, "--defaults", *answers], folder)()
    return pipeline


def rebuild(pipeline: Path, base: str) -> None:
    """A change of the code alone, through dagkit and through docker alone."""
    change = itertools.count()

    def changed(*words: str | Path) -> None:
        with (pipeline / "R" / "main.R").open("a") as code:
            code.write(f"# change {next(change)}\n")
        command(words, pipeline)()

    options = ("--build-arg", f"BASE_IMAGE={base}", "--target", "final")
    compare(
        "R: code-only rebuild with dagkit (goal under 5 s), against docker build",
        lambda: changed(DAGKIT, "build", "--no-checks", "--base-image", base),
        lambda: changed("docker", "build", "--quiet", *options, "--tag", IMAGE, "."),
        goal="under 5 s",
        times=3,
    )


def size(pipeline: Path, base: str) -> None:
    """The image, layer by layer."""
    words = [str(DAGKIT), "build", "--json", "--no-checks", "--base-image", base]
    done = subprocess.run(words, cwd=pipeline, check=True, capture_output=True, text=True)
    image = json.loads(done.stdout)["image"]
    print(f"R: image {image['size'] / 1e6:.0f} MB, of which the base image", end=" ")
    print(f"{sum(layer['size'] for layer in image['layers'] if layer['base']) / 1e6:.0f} MB")
    for layer in image["layers"]:
        if not layer["base"]:
            print(f"  {layer['size'] / 1e6:8.3f} MB  {layer['instruction'][:90]}")


def first_line() -> None:
    """From nothing to the first line of `run.R`, which here is that RUN is missing, against bare R."""

    def inside(*words: str) -> Run:
        done = ("docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", *words)  # noqa: S108 - in the container
        return lambda: _ends_with_2_or_0(done)

    compare(
        "R: start to the first line of run.R in the container, against Rscript -e NULL",
        inside(IMAGE),
        inside("--entrypoint", "Rscript", IMAGE, "-e", "NULL"),
        goal="1.3",
        times=10,
    )


def _ends_with_2_or_0(words: tuple[str, ...]) -> None:
    code = subprocess.run(words, capture_output=True, check=False).returncode
    if code not in (0, 2):
        raise SystemExit(f"{' '.join(words)} ended with {code}")


def languages(r: Path, python: Path) -> None:
    """The same pipeline in both languages: the tasks that both have."""
    dag = r / "airflow" / "dags" / "bench.py"
    shutil.copy(python / "airflow" / "dags" / "bench.py", dag)
    dag.write_text(dag.read_text().replace("bench-python", "bench-r"))
    runs = [command([DAGKIT, "run", "--engine", "process"], pipeline) for pipeline in (r, python)]
    for name, run in zip(("R", "Python"), runs, strict=True):
        print(f"{name}: first run: {seconds(run):.1f} s", flush=True)
    compare("dagkit run in R, against Python", *runs, goal="side by side", times=3)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dagkit-bench-") as name:
        folder = Path(name)
        r, python = new(folder, "r"), new(folder, "python")
        if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
            made = subprocess.run(
                [ROOT / "tests/images/build.sh", "r"], check=True, stdout=subprocess.PIPE, text=True
            )
            base = made.stdout.strip()
            rebuild(r, base)
            size(r, base)
            first_line()
            subprocess.run(["docker", "rmi", "--force", IMAGE], check=False, capture_output=True)
        else:
            print("R: rebuild, size and start not measured, no Docker engine answers")
        if shutil.which("Rscript"):
            languages(r, python)
        else:
            print("R: dagkit run not measured, R is not installed")


if __name__ == "__main__":
    main()
