"""The whole guide, read in order; and what has come of it in the world."""

from __future__ import annotations

from dagkit.guide.chapters import CHAPTERS
from tests.guide.reading import Reader, containers, processes
from tests.harness.generate import git


def read_in_order(reader: Reader, begin: int = 0) -> None:
    """Read every notebook from one on, each in a new kernel; every check is green."""
    for chapter in CHAPTERS[begin:]:
        reader.assert_green(chapter.number, reader.read(chapter.number))


def assert_all_is_there(reader: Reader, engine: str) -> None:
    """What the guide promises is really there, whatever its checks say; and nothing runs any more."""
    report = reader.report()
    assert (report["state"], report["engine"]) == ("success", engine)
    written = {each["path"]: each for each in report["written"]}
    place = "s3://alpha-everyone/airflow-example/octocat/dev"
    assert {f"{place}/text.txt", f"{place}/copy.txt"} <= written.keys()
    assert "(changed in the guide)" in written[f"{place}/copy.txt"]["preview"]

    for environment in ("dev", "prod"):
        dag = f"environments/{environment}/dags/{reader.project}/daily.py"
        role = f"environments/{environment}/roles/airflow_{environment}_{reader.project}_daily.yaml"
        text = git(reader.dags, "show", f"dagkit/{environment}/{reader.project}.daily:{dag}")
        assert f'ENVIRONMENT = "{environment}"' in text
        assert 'RELEASE = "v0.1.0"' in text
        assert "s3:" in git(reader.dags, "show", f"dagkit/{environment}/{reader.project}.daily:{role}")

    assert git(reader.pipeline, "status", "--porcelain") == ""
    assert git(reader.pipeline, "describe", "--exact-match") == "v0.1.0"
    assert not list(processes(reader))
    assert not containers(reader)


def assert_airflow_was_there(reader: Reader) -> None:
    """Airflow's page showed the DAG in notebook 3, and a failed try with its log in notebook 5."""
    shown = "\n".join(
        str(output.get("data", {}).get("text/plain", ""))
        for number in (3, 5)
        for cell in reader.written(number).cells
        for output in cell.get("outputs", ())
    )
    assert f"Airflow's page answers, and shows {reader.project}.daily" in shown
    assert "up_for_retry" in shown
    assert "AccessDenied" in shown
    assert shown.count("Airflow has ended") == 2
