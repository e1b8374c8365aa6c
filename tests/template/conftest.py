"""Ways to generate repositories quickly, and what generated DAGs and pods look like to each Airflow."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import copier
import jinja2
import pytest

from dagkit.platform import Platform
from tests.template import airflow_probe

REPOSITORY = Path(__file__).parents[2]


class Render(Protocol):
    """Generates a repository from a copy of the template's files, without git: ten times as fast."""

    def __call__(self, folder: str = "my-pipeline", **answers: Any) -> Path: ...


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's files as they are in the working tree."""
    copy = tmp_path_factory.mktemp("template")
    shutil.copy(REPOSITORY / "copier.yml", copy)
    for folder in [*(path.name for path in REPOSITORY.glob("template-*")), "templates"]:
        shutil.copytree(
            REPOSITORY / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
        )
    return copy


@pytest.fixture(scope="session")
def render(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Generate repositories: ``render(project="prisons")`` gives the folder of one."""

    def make(folder: str = "my-pipeline", **answers: Any) -> Path:
        made = tmp_path_factory.mktemp("rendered") / folder
        copier.run_copy(str(template), made, data=answers, defaults=True, quiet=True)
        return made

    return make


@pytest.fixture(scope="session")
def rendered_python(render: Render) -> Path:
    """A repository generated from the default answers. Tests only read it."""
    return render()


@pytest.fixture(scope="session")
def rendered_r(render: Render) -> Path:
    """The same for code in R. Tests only read it."""
    return render(language="r")


@pytest.fixture
def rendered(language: str, request: pytest.FixtureRequest) -> Path:
    """The one of the test's language. Tests only read it."""
    made: Path = request.getfixturevalue(f"rendered_{language}")
    return made


@pytest.fixture(scope="session")
def daily(render: Render) -> Callable[[str], Path]:
    """Repositories on a schedule, one for each language: ``daily("r")``. Tests only read them."""
    return functools.cache(lambda language: render(schedule="@daily", language=language))


@pytest.fixture
def rendered_daily(language: str, daily: Callable[[str], Path]) -> Path:
    """The one of the test's language. Tests only read it."""
    return daily(language)


@pytest.fixture(scope="session")
def rendered_airflow(render: Render) -> Path:
    """A DAG repository. Tests only read it."""
    return render("airflow", kind="airflow", owner="octocat")


@pytest.fixture(scope="session")
def rendered_dags(render: Render) -> Path:
    """A repository of a DAG whose image is made elsewhere. Tests only read it."""
    return render("daily-stats", kind="dags", owner="octocat", project="stats", pipeline="daily")


class Probe(Protocol):
    """Asks an Airflow something: a function of airflow_probe.py and its arguments; gives its answer."""

    def __call__(self, question: str, **arguments: Any) -> Any: ...


@pytest.fixture(scope="session", params=["airflow_211", "airflow_3"])
def ask_airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Ask the oldest Airflow that DAGs are made for, and the newest. One process each: they start slowly."""
    python: Path = request.getfixturevalue(request.param)
    home = tmp_path_factory.mktemp(request.param)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"AIRFLOW_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    said = home / "said.txt"
    with (
        said.open("w") as stderr,
        subprocess.Popen(
            [str(python), airflow_probe.__file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):

        def ask(question: str, **arguments: Any) -> Any:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps([question, arguments]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, f"Airflow ended: {said.read_text()}"
            answer = json.loads(line)
            assert "answer" in answer, answer["traceback"]
            return answer["answer"]

        yield ask
        process.communicate(timeout=60)


class ImportsFolder(Protocol):
    """Renders the package ``imports`` of the DAG repository for some platform settings."""

    def __call__(self, **settings: Any) -> Path: ...


@pytest.fixture(scope="session")
def imports(template: Path, tmp_path_factory: pytest.TempPathFactory) -> ImportsFolder:
    """The package ``imports``: ``imports(pod_identity="kube2iam")`` gives the folder it is in."""

    def make(**settings: Any) -> Path:
        source = template / "templates" / "airflow" / "imports"
        made = tmp_path_factory.mktemp("dag-repository")
        (made / "imports").mkdir()
        for name in ("__init__.py", "pipeline_pod.py"):
            shutil.copy(source / name, made / "imports")
        text = jinja2.Template(
            (source / "platform_settings.py.jinja").read_text(), keep_trailing_newline=True
        )
        (made / "imports" / "platform_settings.py").write_text(
            text.render(Platform.model_validate(settings).model_dump())
        )
        return made

    return make
