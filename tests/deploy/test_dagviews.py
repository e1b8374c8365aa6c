"""What a DAG file alone says: the order of its tasks, and when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagkit.deploy import graph, schedule
from dagkit.rules.facts import DagFile
from dagkit.rules.load import Loader
from dagkit.rules.reading import read_dag_file
from dagkit.rules.source import PythonSource

HEAD = """\
from datetime import datetime, timedelta
from airflow import DAG
from airflow.models.baseoperator import chain
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator as Pod
from airflow.providers.standard.operators.empty import EmptyOperator

"""


def read(body: str, given: str = "schedule=None") -> DagFile:
    text = f"{HEAD}with DAG('p.d', {given}) as dag:\n"
    text += "".join(f"    {name} = EmptyOperator(task_id='{name}')\n" for name in "abcd")
    text += "".join(f"    {line}\n" for line in body.splitlines())
    source = PythonSource.parse("environments/dev/dags/p/d.py", text.encode())
    assert source.problem is None
    return read_dag_file(source, "dev", "p", "d", "registry")


@pytest.mark.parametrize(
    ("body", "edges"),
    [
        ("a >> b >> c", {"ab", "bc"}),
        ("a << b << c", {"ba", "cb"}),
        ("a >> [b, c] >> d", {"ab", "ac", "bd", "cd"}),
        ("both = [b, c]\na >> both", {"ab", "ac"}),
        ("chain(a, [b, c], d)", {"ab", "ac", "bd", "cd"}),
        ("chain([a, b], [c, d])", {"ac", "bd"}),
        ("a.set_downstream([b, c])\nd.set_upstream(c)", {"ab", "ac", "cd"}),
        ("last = a >> b\nlast >> c", {"ab", "bc"}),
        ("a >> EmptyOperator(task_id='e') >> b", {"ae", "eb"}),
        ("print('nothing')", set()),
    ],
)
def test_plain_statements_say_the_order(body: str, edges: set[str]) -> None:
    assert graph.edges(read(body)) == frozenset((edge[0], edge[1]) for edge in edges)


@pytest.mark.parametrize(
    "body",
    [
        "for x in (b, c):\n    a >> x",
        "if datetime.now().hour:\n    a >> b",
        "def wire(x):\n    a >> x\nwire(b)",
        "a >> {'b': b}['b']",
        "for n in '12':\n    EmptyOperator(task_id=n)",
        "EmptyOperator.partial(task_id='m').expand(x=[1, 2])",
        "a >> unknown",
        "chain(*[a, b])",
        "helper(a, b)",
    ],
)
def test_what_only_running_says_is_not_guessed(body: str) -> None:
    assert graph.edges(read(body)) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("schedule='0 6 * * 1-5'", "at 06:00, Monday through Friday, UTC"),
        ("schedule='*/15 * * * *'", "every 15 minutes, UTC"),
        ("schedule='@daily'", "every day at 00:00 UTC"),
        ("schedule=None", "only when somebody starts it"),
        ("schedule=timedelta(days=1)", "every day"),
        ("schedule=timedelta(minutes=90)", "every 90 minutes"),
        ("schedule=timedelta(2)", "every 2 days"),
        ("start_date=datetime(2024, 1, 1)", "none is given: only when somebody starts it, in Airflow 3"),
        ("schedule=something(1)", None),
        ("schedule='every morning'", None),
    ],
)
def test_a_schedule_in_words(given: str, said: str | None) -> None:
    assert schedule.of(read("", given).dags[0]) == said


LOADED = """\
from datetime import datetime, timedelta
from airflow import DAG

with DAG("{name}", schedule={given}, start_date=datetime(2024, 1, 1)):
    pass
"""


def test_what_airflow_says_about_a_schedule_reads_the_same(tmp_path: Path) -> None:
    given = {
        "cron": ("'0 6 * * *'", "at 06:00, UTC"),
        "preset": ("'@weekly'", "every Sunday at 00:00 UTC"),
        "delta": ("timedelta(hours=6)", "every 6 hours"),
        "none": ("None", "only when somebody starts it"),
    }
    files = []
    for name, (text, _) in given.items():
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(LOADED.format(name=name, given=text))
    with Loader() as loader:
        facts: dict[str, Any] = {path.stem: loaded for path, loaded in loader.load([files], [tmp_path])}
    said = {name: schedule.words(loaded.dags[0]["schedule"]) for name, loaded in facts.items()}
    assert said == {name: words for name, (_, words) in given.items()}


def test_what_airflow_211_says_about_a_schedule_reads_the_same(tmp_path: Path, airflow_211: Path) -> None:
    file = tmp_path / "delta.py"
    file.write_text(LOADED.format(name="delta", given="timedelta(hours=6)"))
    with Loader(airflow_211) as loader:
        ((_, loaded),) = loader.load([[file]], [tmp_path])
    assert loaded.error is None
    assert schedule.words(loaded.dags[0]["schedule"]) == "every 6 hours"
