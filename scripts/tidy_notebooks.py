"""Bring the guide's notebooks into the form in which git keeps them: no outputs, no traces of a run.

python scripts/tidy_notebooks.py [--check] [NOTEBOOK …]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def tidy(text: str) -> str:
    """A notebook as git keeps it.

    Args:
        text: The notebook, as JSON.

    Raises:
        nbformat.ValidationError: It is no valid notebook.
    """
    notebook: Any = nbformat.reads(text, as_version=4)
    notebook.metadata = METADATA
    notebook.nbformat_minor = 5
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in ("tags", "jupyter") if key in cell.metadata}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.source = cell.source.strip()
    nbformat.validate(notebook)
    plain = json.loads(nbformat.writes(notebook))
    return json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Tidy, or with --check only say what is not tidy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("notebooks", nargs="*", type=Path)
    args = parser.parse_args()
    untidy = 0
    for path in args.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        if (tidied := tidy(text)) != text:
            untidy += 1
            print(f"{path}: {'not tidy' if args.check else 'tidied'}")
            if not args.check:
                path.write_text(tidied, encoding="utf-8")
    return int(args.check and untidy > 0)


if __name__ == "__main__":
    sys.exit(main())
