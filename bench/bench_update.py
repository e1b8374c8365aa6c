"""`dagkit update` against bare `copier update`: the same repository, the same two versions of the template.

Run by `make bench`, or alone: `python -m bench.bench_update`. Checks are apart: neither runs any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.side_by_side import Run, command, compare

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
TEMPLATE = ("copier.yml", "CHANGELOG.md", "templates", "template-airflow-*")
FIX = (b"timeout-minutes: 30", b"timeout-minutes: 25")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dagkit-bench-") as folder:
        home = Path(folder)
        env = {**os.environ, "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "GIT_CONFIG_SYSTEM": os.devnull}
        (home / "gitconfig").write_text(
            "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n"
        )
        template = home / "dagkit"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", *TEMPLATE], cwd=ROOT, check=True, capture_output=True, text=True
        )
        for path in filter(None, listed.stdout.split("\0")):
            (template / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, template / path)
        commit(template, env)
        git(template, env, "tag", "v0.1.0")
        workflow = template / "templates/pipeline/github/workflows/test.yml.jinja"
        workflow.write_bytes(workflow.read_bytes().replace(*FIX))
        commit(template, env)
        git(template, env, "tag", "v0.2.0")

        made = home / "made" / "my-pipeline"
        copy = ("copier", "copy", "--quiet", "--defaults", "--vcs-ref", "v0.1.0", str(template), str(made))
        subprocess.run([BIN / copy[0], *copy[1:]], env=env, check=True, capture_output=True)
        commit(made, env)
        ours = on_a_copy(made, [BIN / "dagkit", "update", "--defaults"], env)
        theirs = on_a_copy(made, [BIN / "copier", "update", "--quiet", "--defaults"], env)
        compare("dagkit update against copier update", ours, theirs, goal="at most 1.2")


def on_a_copy(made: Path, words: list[str | Path], env: Mapping[str, str]) -> Run:
    """A command in a fresh copy of a repository, each time."""
    root = made.parent.parent / Path(words[0]).name / made.name
    run = command(words, root, env)

    def fresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(made, root)
        run()

    return fresh


def commit(root: Path, env: Mapping[str, str]) -> None:
    if not (root / ".git").exists():
        git(root, env, "init", "--quiet")
    git(root, env, "add", "--all")
    git(root, env, "commit", "--quiet", "--message", "Change")


def git(root: Path, env: Mapping[str, str], *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    main()
