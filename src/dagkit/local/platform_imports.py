"""The modules that DAGs import, as the DAG repository would hold them for this pipeline's platform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dagkit.platform import Platform
from dagkit.scaffold import bundle

PACKAGE = "imports"


def write(platform: Platform, folder: Path) -> None:
    """Write the package `imports` into ``folder``, its settings filled in from the platform's."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["to_json"] = json.dumps
    source = bundle() / "templates" / "airflow" / PACKAGE
    target = folder / PACKAGE
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.suffix == ".jinja":
            text = environment.from_string(path.read_text(encoding="utf-8")).render(platform.model_dump())
            (target / path.stem).write_text(text, encoding="utf-8")
        elif path.suffix == ".py":
            shutil.copyfile(path, target / path.name)
