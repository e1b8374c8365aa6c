"""`dagkit run` on the worked example and on a DAG with more in it: real Airflow, engines and local AWS."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from tests.run import harness
from tests.run.conftest import MakePipeline
from tests.run.harness import Done

PATH = "s3://alpha-everyone/airflow-example/analyst/dev"
TASKS = {"python": ("write", "copy"), "r": ("write", "copy", "summarise")}
ROLE = Path("airflow/roles/dev/pipe.yaml")
GRANT = "alpha-everyone/airflow-example/analyst/dev/*"


SECOND_EXAMPLE = "alpha-everyone/airflow-example/analyst/hearings.csv"
SUMMARY = '"court","hearings","mean_minutes"\n"Cardiff",2,42.5\n"Leeds",3,32\n"Truro",1,60\n'
"""What the second example of a repository in R reads, and what it writes."""


def without_writing(repository: Path) -> None:
    """Take the right to write from the role; reading stays."""
    path = repository / ROLE
    text = path.read_text()
    assert GRANT in text
    read = "  read_only:\n"
    path.write_text(text.replace("  read_write:\n", "" if read in text else read))


@pytest.fixture(scope="class", params=["python", pytest.param("r", marks=pytest.mark.r)])
def written_in(request: pytest.FixtureRequest) -> str:
    """The language of a pipeline that a class of tests runs once."""
    language: str = request.param
    return language


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a user's shell may have set, all of which would spoil the run if it came through."""
    home = tmp_path_factory.mktemp("home")
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
        "AWS_PROFILE": "nobody",
        "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "PYTHONPATH": "/nowhere",
        "SECRET_OF_THE_SHELL": "do-not-pass-on",
    }


class TestWorkedExampleWithoutDocker:
    @pytest.fixture(scope="class")
    @staticmethod
    def done(make_pipeline: MakePipeline, written_in: str, strangers: dict[str, str]) -> Done:
        return harness.run(make_pipeline(written_in), "--engine", "process", "--json", env=strangers)

    def test_succeeds(self, done: Done, written_in: str) -> None:
        assert done.code == 0, done.err
        assert done.states == dict.fromkeys(TASKS[written_in], "success")

    def test_prints_json_and_nothing_else_on_standard_output(self, done: Done) -> None:
        assert json.loads(done.out) == done.report

    def test_shows_the_logs_of_tasks_by_name_and_none_of_airflows(self, done: Done) -> None:
        assert re.search(rf"^write +\| wrote \d+ bytes to {PATH}/text\.txt$", done.err, re.MULTILINE)
        assert "airflow." not in done.err
        assert "DAG TEST" not in done.err

    def test_keeps_airflows_log_beside_the_report(self, done: Done) -> None:
        assert "[DAG TEST]" in (done.folder / "logs" / "airflow.log").read_text()

    def test_reports_what_was_written_with_the_template_filled_in(self, done: Done, written_in: str) -> None:
        written = {each["path"]: each for each in done.report["written"]}
        if written_in == "r":
            summary = written.pop(f"{PATH}/summary.csv")
            assert summary["preview"].strip() == SUMMARY.strip()
            assert summary["size"] == len(SUMMARY)
        assert set(written) == {f"{PATH}/text.txt", f"{PATH}/copy.txt"}
        assert written[f"{PATH}/text.txt"]["tasks"] == ["write"]
        copied = written[f"{PATH}/copy.txt"]
        assert re.fullmatch(r"Written by example\.pipe at 20\d\d-.*", copied["preview"])
        assert copied["size"] == len(copied["preview"])

    def test_says_what_it_did_not_check(self, done: Done) -> None:
        assert "without Docker it is not checked that the image builds" in done.err
        assert any("without Docker" in note for note in done.report["notes"])

    def test_draws_the_dag_and_its_times(self, done: Done) -> None:
        report = (done.folder / "report.md").read_text()
        assert report.startswith("# example.pipe: succeeded")
        assert "t0 --> t1" in report
        assert "section write" in report

    def test_leaves_the_home_folder_alone(self, done: Done, strangers: dict[str, str]) -> None:
        assert done.code == 0
        assert list(Path(strangers["HOME"]).iterdir()) == []

    def test_leaves_the_repository_clean(self, done: Done) -> None:
        changed = [path for path in done.repository.rglob("__pycache__") if ".dagkit" not in path.parts]
        assert changed == []


class TestRoleWithoutTheRightToWrite:
    @pytest.fixture(scope="class")
    @staticmethod
    def repository(make_pipeline: MakePipeline, written_in: str) -> Path:
        repository = make_pipeline(written_in)
        without_writing(repository)
        return repository

    @pytest.fixture(scope="class")
    @staticmethod
    def done(repository: Path) -> Done:
        return harness.run(repository, "--engine", "process")

    def test_fails(self, done: Done, written_in: str) -> None:
        assert done.code == 1
        assert done.states == dict.fromkeys(TASKS[written_in], "upstream_failed") | {"write": "failed"}
        assert re.search(r"^  ✗ write +failed", done.out, re.MULTILINE)

    def test_names_the_one_refused_call(self, done: Done) -> None:
        [refused] = done.report["refused"]
        assert refused["task"] == "write"
        assert refused["action"] == "s3:PutObject"
        assert refused["resource"] == "arn:aws:s3:::alpha-everyone/airflow-example/analyst/dev/text.txt"

    def test_prints_the_line_that_would_allow_it_and_the_file_it_belongs_to(self, done: Done) -> None:
        assert "airflow/roles/dev/pipe.yaml would allow it with:" in done.out
        path = "alpha-everyone/airflow-example/analyst/dev/text.txt"
        assert f"s3:\n        write_only:\n          - {path}\n" in done.out

    def test_shows_the_last_lines_of_the_log_and_the_exit_code(self, done: Done) -> None:
        assert re.search(r"✗ write .* exit code 1$", done.out, re.MULTILINE)
        assert "AccessDenied" in done.out.partition("Last lines of write")[2]

    def test_tried_again_at_once_as_the_dag_asks_and_says_so(self, done: Done) -> None:
        assert [attempt["state"] for attempt in done.task("write")["attempts"]] == ["up_for_retry", "failed"]
        assert "it is tried again at once" in done.out
        assert any("retry_delay" in note for note in done.report["notes"])

    @pytest.mark.docker
    def test_the_suggested_role_is_enough(
        self, repository: Path, done: Done, written_in: str, request: pytest.FixtureRequest
    ) -> None:
        assert done.code == 1
        base_image: str = request.getfixturevalue(f"{written_in}_base_image")
        suggested = harness.run(repository, "--engine", "process", "--suggest-role")
        assert suggested.code == 0, suggested.err
        role = yaml.safe_load(suggested.out)
        reads = {"read_only": [SECOND_EXAMPLE]} if written_in == "r" else {}
        assert role["s3"] == reads | {"read_write": [GRANT]}
        (repository / ROLE).write_text(suggested.out)
        again = harness.run(repository, "--engine", "docker", env={"DAGKIT_BASE_IMAGE": base_image})
        assert again.code == 0, again.out + again.err
        assert again.report["refused"] == []
        assert again.report["engine"] == "docker"


@pytest.mark.docker
class TestManyTasksInContainers:
    @pytest.fixture(scope="class")
    @staticmethod
    def done(make_pipeline: MakePipeline, python_base_image: str, strangers: dict[str, str]) -> Done:
        docker = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        return harness.run(
            make_pipeline(),
            *("--engine", "docker", "--dag", "many_tasks", "--date", "2026-03-01"),
            *("--param", "region=leeds", "--param", "count=5"),
            env={**strangers, **docker, "DAGKIT_BASE_IMAGE": python_base_image},
        )

    @pytest.fixture(scope="class")
    @staticmethod
    def seen(done: Done) -> dict[str, object]:
        """What a task saw from inside its container."""
        seen: dict[str, object] = json.loads(done.log("look"))
        return seen

    def test_ends_as_airflow_decides(self, done: Done) -> None:
        assert done.code == 1
        assert done.states == {
            "begin": "success",
            "look": "success",
            "greedy": "failed",
            "after-greedy": "success",
            "never": "upstream_failed",
            "flaky": "success",
            "skips": "skipped",
            "stranger": "failed",
            "choose": "success",
            "left": "success",
            "right": "skipped",
            "join": "success",
            "result": "success",
            "talk": "success",
            "broken": "failed",
            "bad-template": "failed",
            "slow": "failed",
            "mapped[0]": "success",
            "mapped[1]": "failed",
        }

    def test_runs_as_the_user_and_groups_of_the_pod(self, seen: dict[str, object]) -> None:
        assert seen["uid"] == 1337
        assert seen["groups"] == [0, 4242]

    def test_has_no_capabilities_and_gains_none(self, seen: dict[str, object]) -> None:
        assert int(str(seen["capabilities"]), 16) == 0
        assert int(str(seen["bounding"]), 16) == 0
        assert seen["no_new_privileges"] == "1"

    def test_has_the_limits_of_the_pod(self, seen: dict[str, object]) -> None:
        assert int(str(seen["memory"])) == 256 * 1024 * 1024
        assert str(seen["cpu"]).split()[0] == "50000"

    def test_writes_where_the_pod_says_and_nowhere_else(self, seen: dict[str, object]) -> None:
        assert seen["root_writable"] is False
        assert seen["scratch_writable"] is True

    def test_has_the_variables_of_the_pod_and_its_role_and_none_of_this_machine(
        self, seen: dict[str, object]
    ) -> None:
        env = seen["env"]
        assert isinstance(env, dict)
        assert env["PARAMS"] == "leeds 5"
        assert env["DATES"] == "2026-03-01 2026-03-02 look"
        assert env["AWS_ENDPOINT_URL"].startswith("http://host.docker.internal:")
        assert env["AWS_ACCESS_KEY_ID"].startswith("ASIA")
        assert env["AWS_SESSION_TOKEN"]
        assert not env.keys() & {"SECRET_OF_THE_SHELL", "AWS_PROFILE", "AIRFLOW_HOME", "PYTHONPATH"}

    def test_says_in_words_that_a_task_ran_out_of_memory(self, done: Done) -> None:
        assert "out of memory: the task needed more than its limit, 64 MiB (OOMKilled)" in done.out

    def test_says_what_of_a_pod_this_machine_does_not_have(self, done: Done) -> None:
        notes = " ".join(done.task("greedy")["notes"])
        assert "nvidia.com/gpu=1 is left out" in notes
        assert "the pod may use 64 CPUs; Docker has" in notes

    def test_retries_as_the_dag_says(self, done: Done) -> None:
        tries = [(each["state"], each["exit_code"]) for each in done.task("flaky")["attempts"]]
        assert tries == [("up_for_retry", 7), ("success", 0)]
        assert done.log("flaky") == "try number 1\n--- try 2 ---\ntry number 2\n"

    def test_refuses_the_role_of_another_pipeline_without_trying_again(self, done: Done) -> None:
        task = done.task("stranger")
        assert len(task["attempts"]) == 1
        assert "unknown role" in task["problem"]
        assert "airflow-dev-somebody-else" in task["problem"]

    def test_hands_the_result_of_a_pod_on_and_shows_what_airflows_own_tasks_print(self, done: Done) -> None:
        assert done.log("talk") == "rows: 12\n"

    def test_names_each_of_a_mapped_tasks_by_its_index(self, done: Done) -> None:
        assert done.log("mapped[0]") == "one\n"
        assert done.task("mapped[1]")["problem"] == "exit code 3"

    def test_says_which_template_cannot_be_filled_in(self, done: Done) -> None:
        assert done.task("bad-template")["problem"] == "UndefinedError: 'nosuch' is undefined"

    def test_says_that_a_task_took_too_long(self, done: Done) -> None:
        assert done.task("slow")["problem"] == "stopped: it took longer than its execution_timeout"

    def test_shows_the_line_of_the_dag_where_airflows_own_task_failed(self, done: Done) -> None:
        path = done.repository / "airflow" / "dags" / "many_tasks.py"
        code = 'raise KeyError("missing")'
        at = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.strip() == code)
        assert done.log("broken") == f"{path}:{at}, in broken: {code}\nKeyError: 'missing'\n"

    def test_leaves_no_container(self, done: Done) -> None:
        assert done.code == 1
        assert harness.containers("example.many_tasks") == []


class TestOneTask:
    @pytest.fixture(scope="class")
    @staticmethod
    def done(make_pipeline: MakePipeline) -> Done:
        return harness.run(
            make_pipeline(),
            *("--engine", "process", "--environment", "prod", "--dag", "many_tasks", "--task", "flaky"),
        )

    def test_runs_that_task_and_no_other(self, done: Done) -> None:
        assert done.code == 0, done.out + done.err
        states = done.states
        assert states.pop("flaky") == "success"
        assert set(states.values()) == {"not run"}

    def test_retries_it(self, done: Done) -> None:
        assert len(done.task("flaky")["attempts"]) == 2

    def test_uses_the_role_of_the_environment_asked_for(self, done: Done) -> None:
        # the task's pod names the role of ENVIRONMENT, which dagkit set to prod: any other is refused
        assert done.report["role"] == "airflow_prod_example_pipe"
        assert done.report["environment"] == "prod"
        assert 'ENVIRONMENT = "dev"' in (done.repository / "airflow/dags/many_tasks.py").read_text()
