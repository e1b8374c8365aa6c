"""`dagkit fleet update` of many repositories, side by side against one after the other; and against a loop.

Run by `make bench`, or alone: `python -m bench.bench_fleet [NUMBER]`. GitHub is a stand-in on this machine,
and `--pace 0` leaves out the second that GitHub wants between two pull requests: it is the work that counts.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import copier

from bench.side_by_side import command, seconds
from tests.fleet.github import GitHub, running_github
from tests.harness.generate import commit_all, git
from tests.scaffold.conftest import FIRST, SECOND, TEMPLATES, copy_tracked

TOKEN = "a-token"  # noqa: S105
ORG = "an-org"
DAGKIT = (sys.executable, "-m", "dagkit")


def make_template(folder: Path) -> Path:
    """The template of this working copy, with a second version that changes a file."""
    root = folder / "kit"
    copy_tracked(root, *TEMPLATES)
    commit_all(root, tag=FIRST)
    dockerfile = root / "template-airflow-python" / "Dockerfile.jinja"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8") + "# the second version\n", encoding="utf-8")
    commit_all(root, tag=SECOND)
    return root


def make_repository(folder: Path, template: Path) -> Path:
    """A repository made from the first version, with work of its analyst."""
    made = folder / "made"
    copier.run_copy(str(template), made, vcs_ref=FIRST, defaults=True, quiet=True)
    (made / "scripts" / "mine.py").write_text("print('mine')\n", encoding="utf-8")
    commit_all(made)
    return made


@contextmanager
def github(folder: Path, made: Path, number: int) -> Iterator[GitHub]:
    """An organisation of so many repositories."""
    with running_github(folder, TOKEN) as running:
        for index in range(number):
            bare = running.add(f"{ORG}/r{index}", topics=("dagkit-updates",))
            git(made, "push", "--quiet", str(bare), "HEAD:main")
        yield running


def by_fleet(folder: Path, made: Path, template: Path, number: int, jobs: int) -> float:
    """Seconds to update an organisation that nobody has looked at before."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with github(place / "github", made, number) as running:
        env = {
            **os.environ,
            "GITHUB_API_URL": running.url,
            "GH_TOKEN": TOKEN,
            "XDG_CACHE_HOME": str(place / "cache"),
        }
        words = ["fleet", "update", ORG, "--template", template, "--pace", "0", "--jobs", str(jobs)]
        taken = seconds(command([*DAGKIT, *words], folder, env))
        if len(running.pulls) != number:
            raise SystemExit(f"{len(running.pulls)} pull requests for {number} repositories")
    shutil.rmtree(place)
    return taken


def by_loop(folder: Path, made: Path, number: int) -> float:
    """Seconds for each repository: clone, `dagkit update`, push, as a shell's loop would."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with github(place / "github", made, number) as running:

        def run() -> None:
            for index in range(number):
                clone = place / f"r{index}"
                bare = (running.folder / ORG / f"r{index}.git").as_uri()
                command(["git", "clone", "--quiet", "--depth", "1", bare, clone], place)()
                command([*DAGKIT, "update"], clone)()
                command(["git", "push", "--quiet", "origin", "HEAD"], clone)()

        return seconds(run) / number


def main(number: int = 100) -> None:
    """Measure with so many repositories."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "Bench", f"GIT_{role}_EMAIL": "bench@example.gov.uk"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = make_template(folder)
        made = make_repository(folder, template)
        many = by_fleet(folder, made, template, number, cores)
        one = by_fleet(folder, made, template, number, 1)
        loop = by_loop(folder, made, min(number, 10))
    print(
        f"fleet update, {number} repositories, {cores} cores: {many:.1f} s against {one:.1f} s"
        f" one after the other, {one / many:.2f} times as fast (goal >= 1.8 on two cores)"
    )
    print(
        f"a loop of git clone, dagkit update, git push: {loop:.2f} s each against"
        f" {many / number:.2f} s by fleet, {loop * number / many:.2f} times as fast",
        flush=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
