"""Whole commands timed in turn, so that a ratio holds although the machine's speed drifts."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Run = Callable[[], None]


def command(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> Run:
    """A command as something to time; a failure ends the benchmark with what it said."""

    # compiled modules are kept, as they are where dagkit is installed
    settings = {
        name: value for name, value in (env or os.environ).items() if name != "PYTHONDONTWRITEBYTECODE"
    }

    def run() -> None:
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=settings, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(
                f"{' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )

    return run


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(what: str, ours: Run, theirs: Run, *, goal: str, times: int = 5) -> None:
    """Time two things in turn, after one warm-up of each, and print medians and the median of the ratios."""
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"{what}: {a:.3f} s against {b:.3f} s, ratio {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}; goal {goal})",
        flush=True,
    )
