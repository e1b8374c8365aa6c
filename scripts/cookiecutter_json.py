"""Write templates/cookiecutter/cookiecutter.json from copier.yml, or see that it is as it would be written.

    python scripts/cookiecutter_json.py [--check]

Every question is a variable without a value: what it asks, when, and its default stay in copier.yml alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
DOOR = REPOSITORY / "templates" / "cookiecutter" / "cookiecutter.json"


def derived(questions: str) -> str:
    """The text of cookiecutter.json for the text of copier.yml."""
    asked = [
        name
        for name, details in yaml.safe_load(questions).items()
        if not name.startswith("_") and details.get("when") is not False
    ]
    variables = {
        "_extensions": ["dagkit_door.Door"],
        **dict.fromkeys(asked),
        "__folder": "{{ cookiecutter | folder }}",
    }
    return json.dumps(variables, indent=2) + "\n"


def main(words: list[str]) -> int:
    """Write the file; with --check, only compare: 1 where it differs."""
    wanted = derived((REPOSITORY / "copier.yml").read_text(encoding="utf-8"))
    if words == ["--check"]:
        if DOOR.read_text(encoding="utf-8") == wanted:
            return 0
        print(
            f"{DOOR.relative_to(REPOSITORY)} is not what copier.yml says: python scripts/cookiecutter_json.py"
        )
        return 1
    DOOR.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
