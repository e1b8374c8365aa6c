"""New repositories from the template: Copier behind a friendlier face."""

from __future__ import annotations

from pathlib import Path


def bundle() -> Path:
    """The folder that holds copier.yml and the templates: this checkout, or the copy that the wheel carries.

    Raises:
        FileNotFoundError: The package was installed without its templates.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_bundle", package.parents[1]):
        if (folder / "copier.yml").is_file():
            return folder
    raise FileNotFoundError(f"no copier.yml in {package / '_bundle'} or {package.parents[1]}")
