"""What the tests of the rules share: small DAG repositories, and one Airflow for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from dagkit.local import platform_imports
from dagkit.platform import Platform
from dagkit.rules.examples import Example, files
from dagkit.rules.load import Loader
from dagkit.rules.runner import Report, validate
from dagkit.rules.subject import find

Make = Callable[..., Path]
Check = Callable[..., Report]


def write(root: Path, content: Mapping[str, str]) -> Path:
    """Files by path, with the platform's own modules beside them."""
    for path, text in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        # a surrogate stands for a byte that is not UTF-8
        (root / path).write_bytes(text.encode("utf-8", "surrogateescape"))
    platform_imports.write(Platform(), root)
    return root


@pytest.fixture(scope="session")
def airflow() -> Iterator[Loader]:
    """The real Airflow, in one process for all tests."""
    with Loader() as loader:
        yield loader


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a DAG repository of an example, or of files that differ from the smallest one."""

    def make_one(example: Example | Mapping[str, str | None] | None = None) -> Path:
        chosen = example if isinstance(example, Example) else files(example or {})
        return write(tmp_path / f"airflow-{len(list(tmp_path.iterdir()))}", chosen.repository())

    return make_one


@pytest.fixture
def check(make: Make, airflow: Loader) -> Check:
    """Validates an example, or files that differ from the smallest repository, with Airflow."""

    def check_one(example: Example | Mapping[str, str | None] | None = None, **options: object) -> Report:
        return validate(find(make(example)), loader=airflow, **options)  # type: ignore[arg-type]

    return check_one


def codes(report: Report) -> list[str]:
    """The rules that a report has findings of."""
    return [finding.code for finding in report.findings]
