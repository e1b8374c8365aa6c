"""What bad input gets: one error that says what is wrong, where, and what to do; never a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.local import airflow_home, plan, platform_imports
from dagkit.platform import Platform
from tests.harness.languages import both_languages, each_language
from tests.run import harness

BROKEN = """\
from datetime import UTC, datetime
from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

with DAG("example.pipe", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    first = PipelinePodOperator(task_id="first", repository="pipe", release="v0.0.1", role="airflow_dev_pipe",
                                environment="test")
"""


def fails(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    """Call `dagkit run`, which fails; return its one error."""
    assert main(["run", *words]) == code
    err = capsys.readouterr().err
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    return err.partition("error: ")[2]


def test_an_unknown_engine(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails(capsys, str(pipeline), "--engine", "dokcer", code=2)
    assert error == (
        "There is no engine 'dokcer' (did you mean 'docker'?)\n  what to do: Engines: docker, process\n"
    )


def test_docker_that_does_not_run(
    pipeline: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    error = fails(capsys, str(pipeline), "--engine", "docker", code=1)
    assert "No Docker engine answers where DOCKER_HOST says" in error


def test_without_docker_the_other_engine_is_taken_and_the_reason_is_said(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    chosen = plan.plan(plan.Options(pipeline))
    assert chosen.engine == "process"
    assert "No Docker engine answers where DOCKER_HOST says" in chosen.engine_reason


def test_a_folder_that_is_no_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not in an image repository" in fails(capsys, str(tmp_path), code=2)


@both_languages
def test_a_missing_dag(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (pipeline / "airflow" / "dags").glob("*.py"):
        path.unlink()
    error = fails(capsys, str(pipeline), code=2)
    assert "The DAG file is missing" in error
    assert f"where: {pipeline}/airflow/dags/pipe.py" in error


def test_a_dag_that_is_not_python(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = harness.dag(
        pipeline, "from airflow import DAG\n\nwith DAG(dag_id='example.pipe' as dag:\n    pass\n"
    )
    error = fails(capsys, str(pipeline), "--engine", "process", code=1)
    assert error.startswith("The DAG does not parse: ")
    assert "with DAG(dag_id='example.pipe' as dag:" in error
    assert f"where: {path}:3" in error


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("s3:\n  read_only: [a\n", "not valid YAML", 3),
        ("s3:\n  read_everything: [alpha-data/*]\n", "read_everything", 1),
        ("s3:\n  read_only:\n", "not one that iam-builder accepts", 2),
    ],
)
def test_a_role_that_is_not_valid(
    pipeline: Path, capsys: pytest.CaptureFixture[str], text: str, says: str, line: int
) -> None:
    path = pipeline / "airflow" / "roles" / "dev" / "pipe.yaml"
    path.write_text(text)
    error = fails(capsys, str(pipeline), "--engine", "process", code=1)
    assert says in error
    assert f"where: {path}:{line}" in error


def test_a_role_that_grants_nothing(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pipeline / "airflow" / "roles" / "dev" / "pipe.yaml"
    path.write_text("s3:\n  read_only: []\n")
    error = fails(capsys, str(pipeline), "--engine", "process", code=1)
    assert "AWS does not accept the role's policy" in error
    assert f"where: {path}" in error
    assert list((pipeline / ".dagkit" / "runs").iterdir()) == []


@each_language
def test_a_fixture_in_a_bucket_that_the_role_does_not_know(
    pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixture = pipeline / "airflow" / "fixtures" / "alpha-evryone" / "data.csv"
    fixture.parent.mkdir()
    fixture.write_text("a,b\n")
    error = fails(capsys, str(pipeline), "--engine", "process", code=1)
    assert "'alpha-evryone' (did you mean 'alpha-everyone'?)" in error
    assert f"where: {fixture}" in error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--environment", "pord"], "There is no environment 'pord' (did you mean 'prod'?)"),
        (["--dag", "many_taks"], "There is no DAG called 'many_taks' (did you mean 'many_tasks'?)"),
        (["--date", "yesterday"], "--date takes a date, and got 'yesterday'"),
        (["--param", "region"], "--param takes NAME=VALUE, and got 'region'"),
    ],
)
def test_a_call_that_is_wrong(
    pipeline: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert says in fails(capsys, str(pipeline), "--engine", "process", *words, code=2)


def test_a_port_that_is_taken(pipeline: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = harness.run(pipeline, "--engine", "process", "--port", str(port))
    assert done.code == 1
    assert f"error: port {port} on 127.0.0.1 is taken" in done.err
    assert "Traceback" not in done.err


@both_languages
@pytest.mark.docker
def test_an_image_that_was_never_built(pipeline: Path) -> None:
    answers = pipeline / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace("repository: pipe", "repository: never-built"))
    done = harness.run(pipeline, "--engine", "docker", "--no-build")
    assert done.code == 1
    assert "error: The image never-built:local has not been built on this machine" in done.err


def test_no_network_for_the_lock_file(pipeline: Path, tmp_path: Path) -> None:
    (pipeline / ".dagkit" / "env").unlink()
    nowhere = {
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple",
        "UV_INDEX_URL": "http://127.0.0.1:1/simple",
        "UV_HTTP_RETRIES": "0",
    }
    done = harness.run(pipeline, "--engine", "process", env=nowhere)
    assert done.code == 1
    assert "error: The packages of the lock file cannot be fetched: the network does not answer" in done.err
    assert f"where: {pipeline}/requirements.txt" in done.err
    assert [path for path in (pipeline / ".dagkit" / "env").iterdir() if path.is_dir()] == []


def test_a_dag_that_airflow_cannot_load_shows_the_line_and_not_airflows_stack(pipeline: Path) -> None:
    path = harness.dag(pipeline, BROKEN)
    done = harness.run(pipeline, "--engine", "process")
    assert done.code == 1
    assert done.err == (
        "error: The DAG does not parse: ValueError: environment='test': must be one of 'dev', 'prod'\n"
        '  first = PipelinePodOperator(task_id="first", repository="pipe", release="v0.0.1",'
        ' role="airflow_dev_pipe",\n'
        f"  where: {path}:6\n"
        "  what to do: Correct that line, and run again.\n"
    )


DAG = 'with DAG("{}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params={{"count": 3}}):\n'
HEAD = "from datetime import UTC, datetime\nfrom airflow import DAG\n"
EMPTY = "from airflow.providers.standard.operators.empty import EmptyOperator\n"
TASK = '    EmptyOperator(task_id="a")\n'
GOOD = HEAD + EMPTY + DAG.format("example.pipe") + TASK

# Each: a DAG file, what is asked of its DAG, and what the error says.
CASES = {
    "no DAG": ("import airflow\n", {}, "The file holds no DAG"),
    "two DAGs": (
        GOOD + DAG.format("example.other") + TASK,
        {},
        "The file holds 2 DAGs: example.other, example.pipe",
    ),
    "another dag_id": (
        HEAD + EMPTY + DAG.format("example.pip") + TASK,
        {},
        "The dag_id is 'example.pip', and must be 'example.pipe'",
    ),
    "no task": (HEAD + DAG.format("example.pipe") + "    pass\n", {}, "The DAG has no tasks"),
    "a cycle": (
        HEAD
        + EMPTY
        + DAG.format("example.pipe")
        + '    a, b = EmptyOperator(task_id="a"), EmptyOperator(task_id="b")\n    a >> b >> a\n',
        {},
        "Cycle detected",
    ),
    "a missing module": (
        "import pandas_of_nobody\n",
        {},
        "ModuleNotFoundError: No module named 'pandas_of_nobody'",
    ),
    "a task twice": (GOOD + TASK, {}, "DuplicateTaskIdFound"),
    "an unknown task": (GOOD, {"task": "b"}, "There is no task 'b' in example.pipe"),
    "an unknown parameter": (
        GOOD,
        {"params": {"cuont": "1"}},
        "The DAG has no parameter 'cuont' (did you mean 'count'?)",
    ),
    "a parameter of the wrong type": (
        GOOD.replace('"count": 3', '"count": Param(3, type="integer")').replace(
            "import DAG\n", "import DAG\nfrom airflow.sdk import Param\n"
        ),
        {"params": {"count": "many"}},
        "The parameter 'count' is not valid",
    ),
    "a date before the DAG starts": (
        GOOD,
        {"logical_date": "2025-12-31"},
        "The DAG starts on 2026-01-01, and the run would be for 2025-12-31",
    ),
}

PROBE = """
import json, sys
from pathlib import Path
from dagkit.errors import DagkitError
from dagkit.local import dagrun
from dagkit.local.engines import Ground
from dagkit.local.podhook import Settings

settings = Settings(Ground("", "", "", "", "", "", ""), "process", "", "", "", "dev")
errors = {}
for name, (staged, asked) in json.load(sys.stdin).items():
    values = {"logical_date": None, "params": {}, "task": None, **asked}
    order = dagrun.Order(settings, staged, staged, "example.pipe", **values)
    try:
        dag, _ = dagrun.load(order)
        dagrun.checked_params(dag, order)
        dagrun.logical_date(dag, order)
        errors[name] = "no error"
    except DagkitError as error:
        errors[name] = str(error)
Path(sys.argv[1]).write_text(json.dumps(errors))
"""


@pytest.fixture(scope="module")
def load_errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Airflow's process says about each case: one process for all, as Airflow is slow to start."""
    home = tmp_path_factory.mktemp("airflow")
    airflow_home.make_home(home, airflow_home.migrated_database(lambda _text: None))
    platform_imports.write(Platform(), home / airflow_home.IMPORTS)
    asked = {}
    for number, (name, (text, words, _)) in enumerate(CASES.items()):
        path = home / airflow_home.DAGS / f"case{number}" / "pipe.py"
        path.parent.mkdir()
        path.write_text(text)
        asked[name] = (str(path), words)
    answer = home / "answer.json"
    subprocess.run(
        [sys.executable, "-P", "-c", PROBE, str(answer)],
        env={**airflow_home.kept_environment(os.environ), **airflow_home.settings(home)},
        input=json.dumps(asked),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    errors: dict[str, str] = json.loads(answer.read_text())
    return errors


@pytest.mark.parametrize("case", CASES)
def test_a_dag_or_a_wish_that_airflow_cannot_take(case: str, load_errors: dict[str, str]) -> None:
    error = load_errors[case]
    assert CASES[case][2] in error
    assert "what to do: " in error
    assert "Traceback" not in error


def test_the_database_of_airflow_is_made_once_by_two_who_need_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = (
        "from dagkit.local.airflow_home import migrated_database;"
        "print(migrated_database(lambda text: print('made')))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=200)[0].splitlines() for process in both]
    assert sorted(line for lines in said for line in lines if line == "made") == ["made"]
    assert said[0][-1] == said[1][-1]
    kept = sorted(path.name for path in (tmp_path / "dagkit").iterdir())
    assert [name.rpartition(".")[2] for name in kept] == ["db", "lock"]


def test_the_error_for_a_missing_airflow_names_the_command(
    monkeypatch: pytest.MonkeyPatch, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if name == "apache-airflow-core":
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    monkeypatch.setattr("dagkit.local.airflow_home.version", version)
    error = fails(capsys, str(pipeline), "--engine", "process", code=1)
    assert "apache-airflow-core is not installed" in error
    assert "pip install 'dagkit[local]'" in error
