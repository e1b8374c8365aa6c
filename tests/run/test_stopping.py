"""However a run ends, nothing of it is left: no container, no process, no port."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.harness.languages import each_language
from tests.run import harness

SLEEPER = """
from datetime import UTC, datetime
from airflow import DAG
from imports.pipeline_pod import PipelinePodOperator

with DAG("example.pipe", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    PipelinePodOperator(
        task_id="sleep",
        repository="pipe",
        release="v0.0.1",
        role="airflow_dev_example_pipe",
        environment="dev",
        cmds=CMDS,
        arguments=[CODE, "MARK"],
    )
"""
TASKS = {
    "python": (
        ["python", "-c"],
        "import subprocess, sys, time;"
        " second = [sys.executable, '-c', 'import time; time.sleep(600)', 'MARK'];"
        " subprocess.Popen(second); print('asleep', flush=True); time.sleep(600)",
    ),
    "r": (
        ["Rscript", "-e"],
        "system2('Rscript', c('-e', shQuote('Sys.sleep(600)'), 'MARK'), wait = FALSE);"
        " cat('asleep\\n'); Sys.sleep(600)",
    ),
}
"""Each starts a second process, and sleeps for ten minutes as that does."""


@pytest.fixture
def mark() -> Iterator[str]:
    """Marks the processes of one test, and names its folder for temporary files."""
    mark = uuid4().hex
    yield mark
    shutil.rmtree(scratch(mark), ignore_errors=True)


@pytest.fixture
def sleeper(pipeline: Path, language: str, mark: str) -> Path:
    """A repository whose only task starts a second process, and sleeps for ten minutes."""
    commands, code = TASKS[language]
    text = SLEEPER.replace("CMDS", repr(commands)).replace("CODE", repr(code))
    harness.dag(pipeline, text.replace("MARK", mark))
    return pipeline


def scratch(mark: str) -> Path:
    """The folder for temporary files of one test's run; short, as there is a socket in it."""
    return Path("/tmp") / f"dagkit-test-{mark[:8]}"


def start(repository: Path, mark: str, port: int, engine: str, image: str = "") -> subprocess.Popen[str]:
    scratch(mark).mkdir()
    env = {harness.MARK: mark, "TMPDIR": str(scratch(mark))}
    env |= {"DAGKIT_BASE_IMAGE": image} if image else {}
    return harness.start(repository, "--engine", engine, "--port", str(port), env=env)


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read what a run prints until a text comes."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    err = process.stderr.read() if process.stderr else ""
    pytest.fail(f"the run ended without {text!r}:\n{''.join(seen)}\n{err}")


def assert_nothing_is_left(mark: str, port: int) -> None:
    assert harness.wait_until(lambda: not harness.processes(mark), 20), harness.processes(mark)
    assert not harness.listens(port)
    assert harness.wait_until(lambda: not harness.containers("example.pipe"), 20)
    assert list(scratch(mark).iterdir()) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_while_airflow_starts_leaves_nothing(
    sleeper: Path, mark: str, stop: signal.Signals
) -> None:
    port = harness.free_port()
    process = start(sleeper, mark, port, "process")
    read_until(process, "starting Airflow")
    assert harness.wait_until(lambda: any("dagrun" in words for words in harness.processes(mark)))
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in err
    assert_nothing_is_left(mark, port)
    assert list((sleeper / ".dagkit" / "runs").iterdir()) == []


@each_language
def test_a_task_without_docker_ends_with_ctrl_c_and_so_does_what_it_started(sleeper: Path, mark: str) -> None:
    port = harness.free_port()
    process = start(sleeper, mark, port, "process")
    read_until(process, "asleep")
    assert sum("sleep(600)" in words for words in harness.processes(mark)) == 2
    assert harness.listens(port)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert_nothing_is_left(mark, port)


@each_language
def test_a_task_without_docker_ends_when_dagkit_is_killed(sleeper: Path, mark: str) -> None:
    port = harness.free_port()
    process = start(sleeper, mark, port, "process")
    read_until(process, "asleep")
    process.kill()
    process.communicate(timeout=60)
    assert_nothing_is_left(mark, port)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("language", "stop"),
    [
        ("python", signal.SIGINT),
        ("python", signal.SIGKILL),
        ("r", signal.SIGINT),
        ("r", signal.SIGTERM),
        ("r", signal.SIGKILL),
    ],
)
def test_a_container_ends_with_its_run(
    sleeper: Path, mark: str, base_image: str, stop: signal.Signals
) -> None:
    port = harness.free_port()
    process = start(sleeper, mark, port, "docker", base_image)
    read_until(process, "asleep")
    assert len(harness.containers("example.pipe")) == 1
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if stop is signal.SIGKILL else 130)
    assert_nothing_is_left(mark, port)


def test_two_runs_at_once_do_not_disturb_each_other(pipeline: Path) -> None:
    both = [harness.start(pipeline, "--engine", "process") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    runs = list((pipeline / ".dagkit" / "runs").iterdir())
    assert len(runs) == 2
    assert all((run / "report.json").is_file() for run in runs)


def test_keep_leaves_local_aws_running_until_ctrl_c(pipeline: Path) -> None:
    port = harness.free_port()
    process = harness.start(pipeline, "--engine", "process", "--keep", "--port", str(port))
    read_until(process, "Local AWS keeps running until Ctrl-C")
    assert process.stdout is not None
    exports = {}
    for line in process.stdout:
        if found := re.match(r"  export (\w+)=(\S+)$", line):
            exports[found[1]] = found[2].strip("'")
        if "aws s3 ls --recursive" in line:
            break
    assert exports.pop("AWS_ENDPOINT_URL") == f"http://127.0.0.1:{port}"
    assert look_into(port, exports) == [
        "airflow-example/analyst/dev/copy.txt",
        "airflow-example/analyst/dev/text.txt",
    ]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not harness.listens(port)


def look_into(port: int, exports: dict[str, str]) -> list[str]:
    """The keys in the bucket, as a person sees them who typed what --keep printed."""
    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        region_name=exports["AWS_REGION"],
    )
    return [each["Key"] for each in s3.list_objects_v2(Bucket="alpha-everyone")["Contents"]]


def test_the_scratch_folder_goes_with_the_run(pipeline: Path, tmp_path: Path) -> None:
    harness.dag(pipeline, "raise RuntimeError('no')\n")
    done = harness.run(pipeline, "--engine", "process", env={"TMPDIR": str(tmp_path)})
    assert done.code == 1
    assert list(tmp_path.iterdir()) == []
