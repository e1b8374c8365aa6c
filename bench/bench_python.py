"""The Python path: `--help`, `new`, rebuilding the image, and `run` against bare Airflow.

Run by `make bench`, or alone: `python -m bench.bench_python`.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.side_by_side import command, compare, seconds

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ANSWERS = (
    "-d",
    "project=example",
    "-d",
    "pipeline=bench",
    "-d",
    "owner=octocat",
    "-d",
    "email=a@example.com",
)

# the same packages in the same base, but the code comes first, as many people write it
CODE_FIRST = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
WORKDIR /pipeline
COPY . .
RUN python3 -m venv --without-pip /opt/venv && \\
    pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --requirement requirements.txt
"""

# Airflow and nothing else: imports it, and runs a DAG of the same shape whose tasks start a process
BARE = """\
import subprocess, sys
from datetime import datetime
from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import BaseOperator

class Process(BaseOperator):
    def execute(self, context):
        code = "import boto3; boto3.client('s3', region_name='eu-west-1')"
        subprocess.run([sys.argv[1], "-c", code], check=True)

with DAG("bare", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    Process(task_id="write") >> Process(task_id="copy")

if __name__ == "__main__":
    dag.test()
"""


def start(folder: Path) -> None:
    """`--help` and `new`, against what they cannot be faster than."""
    compare(
        "dagkit --help, against bare Python",
        command([BIN / "dagkit", "--help"], folder),
        command([BIN / "python", "-c", "pass"], folder),
        goal="1.2",
        times=20,
    )
    number = itertools.count()

    def into(*words: str | Path) -> None:
        command([*words, folder / f"new-{next(number)}"], folder)()

    compare(
        "dagkit new, against copier copy",
        lambda: into(BIN / "dagkit", "new", "--defaults", *ANSWERS, "--template", ROOT),
        lambda: into(BIN / "copier", "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD", *ANSWERS, ROOT),
        goal="1.2",
    )


def rebuild(folder: Path, base: str) -> None:
    """A change of the code alone: our Dockerfile, against one that copies the code first."""
    pipeline = folder / "image"
    command([BIN / "dagkit", "new", pipeline, "--defaults", *ANSWERS], folder)()
    code_first = folder / "code-first"
    shutil.copytree(pipeline, code_first)
    (code_first / "Dockerfile").write_text(CODE_FIRST)
    (code_first / ".dockerignore").unlink()
    change = itertools.count()

    def build(where: Path, tag: str) -> None:
        with (where / "scripts" / "run.py").open("a") as code:
            code.write(f"# change {next(change)}\n")
        build_arg = f"BASE_IMAGE={base}"
        command(["docker", "build", "--quiet", "--build-arg", build_arg, "--tag", tag, "."], where)()

    compare(
        "code-only rebuild (goal under 5 s), against copying the code first",
        lambda: build(pipeline, "dagkit-bench:ours"),
        lambda: build(code_first, "dagkit-bench:code-first"),
        goal="under 5 s",
        times=3,
    )
    sizes = [_size(image) for image in (base, "dagkit-bench:ours")]
    print(f"image: {sizes[1] / 1e6:.0f} MB, of which the base image {sizes[0] / 1e6:.0f} MB")
    subprocess.run(["docker", "rmi", "--force", "dagkit-bench:ours", "dagkit-bench:code-first"], check=False,
                   capture_output=True)  # fmt: skip


def _size(image: str) -> int:
    words = ["docker", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def run(folder: Path) -> None:
    """`dagkit run`, against importing Airflow plus a bare `dag.test()` of a DAG of the same shape."""
    pipeline = folder / "run"
    command([BIN / "dagkit", "new", pipeline, "--defaults", *ANSWERS], folder)()
    ours = command([BIN / "dagkit", "run", "--engine", "process"], pipeline)
    print(f"first run, which makes the environment: {seconds(ours):.1f} s", flush=True)
    bare = folder / "dags" / "bare.py"
    bare.parent.mkdir()
    bare.write_text(BARE)
    python = next((pipeline / ".dagkit" / "env").glob("*/bin/python"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(bare.parent),
    }
    command([BIN / "airflow", "db", "migrate"], folder, env)()
    compare(
        "dagkit run, against import Airflow and dag.test()",
        ours,
        command([BIN / "python", bare, python], folder, env),
        goal="1.3",
        times=3,
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dagkit-bench-") as name:
        folder = Path(name)
        start(folder)
        if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
            made = subprocess.run(
                [ROOT / "tests/images/build.sh", "python"], check=True, stdout=subprocess.PIPE, text=True
            )
            rebuild(folder, made.stdout.strip())
        else:
            print("rebuild: not measured, no Docker engine answers")
        run(folder)


if __name__ == "__main__":
    main()
