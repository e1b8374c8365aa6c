"""Cookiecutter runs this in the new folder: Copier makes the repository, and it replaces what lies there."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

order = json.loads(r"""{{ cookiecutter | order | tojson }}""")
here = Path.cwd()
(here / "INCOMPLETE.md").unlink(missing_ok=True)
if any(path.name != ".git" for path in here.iterdir()):
    sys.exit(
        f"The folder is not empty: {here}\n"
        "  what to do: choose another; or, in a repository made from the template: copier update"
    )
with tempfile.TemporaryDirectory(prefix=".dagkit-", dir=here.parent) as workshop:
    made = Path(workshop, here.name)
    answers = Path(workshop, "answers.json")  # which is YAML, too
    answers.write_text(json.dumps(order["data"]), encoding="utf-8")
    words = ["copy", "--quiet", "--defaults", "--vcs-ref", order["ref"], "--data-file", answers]
    # hooks get their own answers, not those of whoever waits at the terminal
    done = subprocess.run(
        [*order["copier"], *words, order["address"], made],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it did not say why"]
        os.chdir(here.parent)
        sys.exit(f"Copier could not make the repository: {said[-1].strip(' |').removeprefix('ValueError: ')}")
    for path in sorted(made.iterdir()):
        shutil.move(path, here / path.name)
sys.stdout.write(
    f"Made {here}. Its README.md explains the rest; copier update brings the template's next versions.\n"
)
