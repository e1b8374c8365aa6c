"""What an image repository says about itself, and what it is told when it says it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagkit.errors import DagkitError, UsageError
from dagkit.pipeline import Pipeline

ANSWERS = "repository: my-pipeline\nproject: example\npipeline: write_and_copy\n"
ROLE = "iam_role_name: airflow_dev_example_write_and_copy\ns3:\n  read_write:\n    - alpha-everyone/x/*\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".copier-answers.yml").write_text(ANSWERS)
    for folder in ("dags", "roles/dev", "roles/prod", "fixtures"):
        (tmp_path / "airflow" / folder).mkdir(parents=True)
    (tmp_path / "airflow/dags/write_and_copy.py").write_text("")
    (tmp_path / "airflow/roles/dev/write_and_copy.yaml").write_text(ROLE)
    return tmp_path


def role_file(repository: Path) -> Path:
    return repository / "airflow/roles/dev/write_and_copy.yaml"


def test_a_pipeline_is_found_from_any_folder_below_it(repository: Path) -> None:
    assert Pipeline.load(repository / "airflow" / "dags").root == repository


def test_a_folder_that_is_no_pipeline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not in an image repository[\s\S]*dagkit new"):
        Pipeline.load(tmp_path)


def test_answers_without_a_needed_key_name_it(repository: Path) -> None:
    (repository / ".copier-answers.yml").write_text("repository: x\nproject: y\n")
    with pytest.raises(UsageError, match=r"does not say: pipeline"):
        Pipeline.load(repository)


def test_the_pipelines_own_dag_is_the_default_and_others_are_named(repository: Path) -> None:
    (repository / "airflow/dags/second.py").write_text("")
    pipeline = Pipeline.load(repository)
    assert pipeline.dag().name == "write_and_copy.py"
    assert pipeline.dag("example.second").name == "second.py"
    with pytest.raises(UsageError, match=r"no DAG called 'secnd' \(did you mean 'second'\?\)"):
        pipeline.dag("secnd")


def test_a_missing_dag_file_says_which(repository: Path) -> None:
    (repository / "airflow/dags/write_and_copy.py").unlink()
    with pytest.raises(UsageError, match=r"DAG file is missing[\s\S]*write_and_copy.py"):
        Pipeline.load(repository).dag()


def test_a_role_gives_the_policy_of_iam_builder(repository: Path) -> None:
    role = Pipeline.load(repository).role("dev")
    granted = [s for s in role.policy()["Statement"] if s["Sid"] == "readwrite"]
    assert granted[0]["Resource"] == ["arn:aws:s3:::alpha-everyone/x/*"]
    assert role.buckets == {"alpha-everyone"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (ROLE.replace("read_write", "readwrite"), 2, "'readwrite' was unexpected"),
        (ROLE + "athena: true\n", 5, "'athena' has to hold keys of its own (at athena)"),
        (ROLE + "bedrock: maybe\n", 5, "'maybe' is not of type 'boolean'"),
        ("glue_job: true\n", 1, "the key 'iam_role_name' is missing"),
    ],
)
def test_a_role_that_iam_builder_refuses_is_told_at_its_line(
    repository: Path, text: str, line: int, words: str
) -> None:
    role_file(repository).write_text(text)
    with pytest.raises(DagkitError) as refused:
        Pipeline.load(repository).role("dev").policy()
    assert words in refused.value.what
    assert refused.value.where == f"{role_file(repository)}:{line}"


def test_yaml_that_does_not_parse_has_a_line(repository: Path) -> None:
    role_file(repository).write_text("s3:\n  read_only: [a\nkms: x\n")
    with pytest.raises(DagkitError, match=r"not valid YAML") as refused:
        Pipeline.load(repository).role("dev")
    assert refused.value.where == f"{role_file(repository)}:3"


def test_an_empty_role_and_an_unknown_environment_are_told(repository: Path) -> None:
    role_file(repository).write_text("")
    pipeline = Pipeline.load(repository)
    with pytest.raises(DagkitError, match="empty"):
        pipeline.role("dev")
    with pytest.raises(UsageError, match=r"did you mean 'prod'"):
        pipeline.role("prd")


def test_a_fixture_in_a_bucket_the_role_does_not_know_is_told(repository: Path) -> None:
    wrong = repository / "airflow/fixtures/alpha-evryone/in/data.csv"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("a,b\n")
    pipeline = Pipeline.load(repository)
    assert [(f.bucket, f.key) for f in pipeline.fixtures()] == [("alpha-evryone", "in/data.csv")]
    with pytest.raises(DagkitError, match=r"did you mean 'alpha-everyone'"):
        pipeline.check_fixtures(pipeline.role("dev"))
