"""A process that does nothing but wait for `dagkit ui` to be killed, and then ends what that had started.

`python -m dagkit.ui.keeper SESSION.json`, with a pipe from `dagkit ui` as its standard input: a line on it
means that all is cleared up, its end without one that nobody else will.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(record_file: str) -> None:
    """Wait, then clear up."""
    record = json.loads(Path(record_file).read_text(encoding="utf-8"))
    if sys.stdin.readline():
        return
    from dagkit.ui import sweep

    sweep.clear(record)


if __name__ == "__main__":
    main(sys.argv[1])
