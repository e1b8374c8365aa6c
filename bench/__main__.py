"""`python -m bench [NAME …]`: every `bench_<name>.py` here, or those that are named, a process each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    if unknown := set(wanted) - set(known):
        print(f"error: there is no benchmark '{', '.join(sorted(unknown))}'; there are: {', '.join(known)}")
        return 2
    failed = False
    for name in wanted:
        print(f"\n== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.bench_{name}"], cwd=FOLDER.parent, check=False)
        failed = failed or done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
