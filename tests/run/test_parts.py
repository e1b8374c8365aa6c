"""The parts of a run that need neither Airflow nor an engine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dagkit import dagfile
from dagkit.errors import DagkitError
from dagkit.local import airflow_home, entrypoint
from dagkit.local.dagload import parse_error
from dagkit.local.link import Exchange, Link
from dagkit.local.markdown import markdown
from dagkit.local.record import Attempt, RefusedCall, RunRecord, TaskRecord, WrittenObject
from dagkit.local.report import lines
from dagkit.local.words import plain

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class TestDagFile:
    SOURCE = 'ENVIRONMENT = "dev"  # zone: é\nRELEASE = "v0.0.1"\nx = {"ENVIRONMENT": "dev"}\n'

    def test_settings_are_put_in_and_nothing_else_changes(self) -> None:
        made = dagfile.with_settings(self.SOURCE, Path("a.py"), {"ENVIRONMENT": "prod", "RELEASE": 'v"1'})
        assert made == ('ENVIRONMENT = "prod"  # zone: é\nRELEASE = "v\\"1"\nx = {"ENVIRONMENT": "dev"}\n')

    def test_a_dag_without_settings_is_left_alone(self) -> None:
        source = "ENVIRONMENT = environment()\n"
        assert dagfile.with_settings(source, Path("a.py"), {"ENVIRONMENT": "prod"}) == source

    def test_a_file_that_is_not_text_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "a.py"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(DagkitError, match="The DAG file cannot be read"):
            dagfile.read(path)


class TestEntryPoint:
    DOCKERFILE = """
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE} AS base
ENV MODE=fast PATH=/opt/venv/bin:$PATH
ENV OLD style value
WORKDIR /pipeline
CMD ["ignored"]
FROM base AS test
ENTRYPOINT ["pytest"]
FROM base AS final
COPY --chown=1:1 scripts /opt/code/
COPY --from=test /a /b
ENTRYPOINT ["python", "/opt/code/run.py"]
"""

    @pytest.fixture
    def start(self, tmp_path: Path) -> entrypoint.Start:
        (tmp_path / "Dockerfile").write_text(self.DOCKERFILE)
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts" / "run.py").touch()
        return entrypoint.read(tmp_path / "Dockerfile")

    def test_is_that_of_the_last_stage_with_what_it_inherits(self, start: entrypoint.Start) -> None:
        assert start.entrypoint == ("python", "/opt/code/run.py")
        assert start.cmd == ()
        assert start.env == {"MODE": "fast", "OLD": "style value"}
        assert start.base_image == "python:3.13-slim"

    def test_a_path_of_the_image_is_turned_into_the_repositorys(
        self, start: entrypoint.Start, tmp_path: Path
    ) -> None:
        assert start.here("/opt/code/run.py", tmp_path) == str(tmp_path / "scripts" / "run.py")
        assert start.here("/opt/code/other.py", tmp_path) == "/opt/code/other.py"
        assert start.here("run.py", tmp_path) == "run.py"

    def test_commands_and_arguments_replace_as_in_kubernetes(self, start: entrypoint.Start) -> None:
        assert start.argv((), ("a",)) == ("python", "/opt/code/run.py", "a")
        assert start.argv(("sh",), ("-c", "x")) == ("sh", "-c", "x")

    def test_a_dockerfile_that_starts_nothing_is_an_error_unless_the_dag_says_it(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")
        start = entrypoint.read(tmp_path / "Dockerfile")
        assert start.argv(("python", "run.py"), ()) == ("python", "run.py")
        with pytest.raises(DagkitError, match="says not what to start"):
            start.argv((), ())


class TestAirflowsEnvironment:
    def test_keeps_nothing_of_the_shell_that_could_change_a_run(self) -> None:
        shell = {
            "PATH": "/bin",
            "HOME": "/home/a",
            "LC_ALL": "C",
            "https_proxy": "http://proxy",
            "DOCKER_HOST": "unix:///x",
            "AIRFLOW_HOME": "/home/a/airflow",
            "AWS_PROFILE": "mine",
            "PYTHONPATH": "/mine",
            "TOKEN": "secret",
        }
        kept = airflow_home.kept_environment(shell)
        assert set(kept) == {"PATH", "HOME", "LC_ALL", "https_proxy", "DOCKER_HOST"}


class TestParseError:
    TRACE = """Traceback (most recent call last):
  File "/x/airflow/dagbag.py", line 10, in load
    exec(code)
  File "/scratch/dags/p/a.py", line 2, in <module>
    first = Operator(
  File "/x/airflow/operator.py", line 99, in __init__
    raise AirflowException("Invalid arguments
airflow.exceptions.AirflowException: Invalid arguments were passed:
**kwargs: {'colour': 'red'}
"""

    def test_has_the_line_of_the_dag_and_the_whole_message_on_one_line(self, tmp_path: Path) -> None:
        original = tmp_path / "a.py"
        original.write_text("import x\nfirst = Operator(colour='red')\n")
        error = parse_error(self.TRACE, Path("/scratch/dags/p/a.py"), original)
        assert error.what == (
            "The DAG does not parse: AirflowException: Invalid arguments were passed:"
            " **kwargs: {'colour': 'red'}\n  first = Operator(colour='red')"
        )
        assert error.where == f"{original}:2"


class TestLines:
    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            ("\x1b[31mred\x1b[0m é", "red é"),
            ("10%\r50%\r100%\r", "100%"),
            ("\x1b]0;title\x07a\tb\x08", "a\tb"),
        ],
    )
    def test_of_tasks_cannot_drive_the_terminal(self, line: str, shown: str) -> None:
        assert plain(line) == shown


class TestLink:
    def test_tells_in_order_asks_and_notices_the_end(self, tmp_path: Path) -> None:
        exchange = Exchange(tmp_path / "s")
        lost = threading.Event()
        link = Link(tmp_path / "s", lost.set)
        link.tell("log", line="1")
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(link.ask("pod", task="a")))
        asking.start()
        assert exchange.next()[0] == {"kind": "log", "line": "1"}
        message, answer = exchange.next()
        assert message == {"kind": "pod", "task": "a"}
        answer({"environment": {"A": "ü\n"}})
        asking.join(5)
        assert answers == [{"environment": {"A": "ü\n"}}]
        exchange.close()
        assert lost.wait(5)

    def test_its_own_end_is_no_loss(self, tmp_path: Path) -> None:
        exchange = Exchange(tmp_path / "s")
        lost = threading.Event()
        link = Link(tmp_path / "s", lost.set)
        link.tell("ended")
        link.close()
        assert exchange.next()[0]["kind"] == "ended"
        exchange.drain()
        assert not lost.is_set()
        exchange.close()


def record(*tasks: TaskRecord, **values: object) -> RunRecord:
    known: dict[str, object] = {
        "run_id": "r",
        "folder": "/repo/.dagkit/runs/r",
        "dag_id": "p.a",
        "dag_file": "/repo/airflow/dags/a.py",
        "environment": "dev",
        "role": "airflow_dev_a",
        "role_file": "/repo/airflow/roles/dev/a.yaml",
        "enforced": True,
        "engine": "docker",
        "logical_date": "2026-01-01",
        "params": {},
        "state": "failed",
        "started": START,
        "seconds": 61.0,
        "tasks": tasks,
    }
    return RunRecord(**{**known, **values})  # type: ignore[arg-type]


def unstyled(text: str, _style: str) -> str:
    return text


class TestReport:
    FAILED = TaskRecord(
        "write[0]",
        "PipelinePodOperator",
        (),
        "failed",
        (Attempt(1, "failed", START, START + timedelta(seconds=65), 137, "out of memory"),),
        log="logs/write[0].log",
        last_lines=("```", "<b>| x"),
    )

    def test_data_cannot_change_the_markdown(self) -> None:
        text = markdown(
            record(
                self.FAILED,
                written=(WrittenObject("s3://b/a|b", 3, ("write",), "<script>\n| x |"),),
            )
        )
        assert "&lt;script><br>\\| x \\|" in text
        assert "s3://b/a\\|b" in text
        assert "````text\n```\n<b>| x\n````" in text

    def test_names_of_tasks_cannot_change_the_pictures(self) -> None:
        text = markdown(record(self.FAILED))
        assert 't0["write(0)<br>failed 1 min 05 s"]:::failed' in text
        assert "section write[0]\n  try 1 failed :crit, " in text

    def test_a_line_that_allows_several_calls_is_shown_once_after_the_last(self) -> None:
        calls = [
            RefusedCall(task, "s3:GetObject", "arn:aws:s3:::b/k", "no", 1, "/repo/r.yaml", "s3:\n  x")
            for task in ("a", "b")
        ]
        shown = lines(record(self.FAILED, refused=tuple(calls)), unstyled, Path("/repo"))
        at = shown.index("Refused by the role")
        assert shown[at + 1 : at + 6] == [
            "  ✗ a: s3:GetObject on arn:aws:s3:::b/k",
            "  ✗ b: s3:GetObject on arn:aws:s3:::b/k",
            "    r.yaml would allow it with:",
            "      s3:",
            "        x",
        ]

    def test_says_why_a_task_failed(self) -> None:
        shown = "\n".join(lines(record(self.FAILED), unstyled, Path("/repo")))
        assert "✗ write[0]  failed  1 min 05 s  exit code 137, out of memory" in shown
        assert shown.endswith("Failed after 1 min 01 s. The report, with all logs: .dagkit/runs/r/report.md")
