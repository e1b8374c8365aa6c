"""The guide: how long this machine works on all of it, and how much of that is Airflow's own start.

Run by `make bench`, or alone: `python -m bench.bench_guide`. Python, no Docker, warm caches: the guide is
read twice, by two people, and the second is measured. A person's own reading time is not in it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

from bench.side_by_side import seconds
from dagkit.guide.chapters import CHAPTERS
from tests.guide.reading import NO_DOCKER, Reader, new_reader

GOAL = 3.0
"""Minutes."""

AIRFLOW = ("dagkit.local.dagrun", "rules/child.py", "-m airflow")
"""What the command lines of the processes that import Airflow have in them."""

# What each such process does before it can do anything of its own.
START = """\
import airflow
from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.dag_processing.dagbag import DagBag
"""


class Watch:
    """Counts the processes that import Airflow, among those that this one has started."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._seen: set[tuple[int, float]] = set()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def count(self) -> int:
        return len(self._seen)

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    words = " ".join(process.cmdline())
                    if any(each in words for each in AIRFLOW):
                        self._seen.add((process.pid, process.create_time()))


def airflow_start(folder: Path) -> float:
    """Seconds that Airflow alone takes from nothing to a loaded DagBag module; the best of three."""
    env = {**os.environ, "AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def start() -> None:
        subprocess.run([sys.executable, "-c", START], env=env, check=True, capture_output=True)

    return min(seconds(start) for _ in range(3))


def read(reader: Reader) -> dict[str, float]:
    """Seconds for each notebook, its kernel's start included; every check has to be green."""
    took = {}
    for chapter in CHAPTERS:
        began = time.perf_counter()
        notebook = reader.read(chapter.number)
        took[chapter.file] = time.perf_counter() - began
        reader.assert_green(chapter.number, notebook)
    return took


def main() -> None:
    """Read, measure, print."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    variables = {**NO_DOCKER, "XDG_CACHE_HOME": cache}
    with tempfile.TemporaryDirectory(prefix="dagkit-bench-") as name:
        folder = Path(name)
        for turn in ("cold", "warm"):
            (folder / turn).mkdir()
        read(new_reader(folder / "cold", "python", "bench_cold", variables))
        reader = new_reader(folder / "warm", "python", "bench_guide", variables)
        with Watch() as watch:
            took = read(reader)
        once = airflow_start(folder)
    total = sum(took.values())
    for file, each in took.items():
        print(f"{file:<24} {each:6.1f} s")
    print(f"the whole guide, without Airflow's own page: {total / 60:.1f} minutes (goal {GOAL:.0f})")
    share = watch.count * once / total
    print(
        f"of which Airflow's own import and start: {watch.count} times {once:.1f} s,"
        f" {share:.0%} of the whole; without it {(total - watch.count * once) / 60:.1f} minutes"
    )


if __name__ == "__main__":
    main()
