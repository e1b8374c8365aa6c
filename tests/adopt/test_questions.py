"""The questions about a repository that exists: which answers are accepted."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import copier
import pytest

from tests.harness.generate import REPOSITORY

Problem = Callable[[str, str], str | None]


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """What Copier says about an answer; None where it takes it."""
    form, unused = tmp_path_factory.mktemp("form"), tmp_path_factory.mktemp("unused")
    shutil.copy(REPOSITORY / "copier.yml", form)
    shutil.copytree(REPOSITORY / "templates/questions", form / "templates/questions")
    (form / "templates/adopted").mkdir()

    def ask(question: str, answer: str) -> str | None:
        data = {"kind": "adopted", question: answer}
        try:
            copier.run_copy(str(form), unused, data=data, defaults=True, quiet=True, pretend=True)
        except ValueError as error:
            return str(error)
        return None

    return ask


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("image", "court-counts-2"),
        ("context", "."),
        ("context", "images/court_counts.v2"),
        ("dockerfile", "Dockerfile"),
        ("dockerfile", "docker/Dockerfile.prod"),
        ("target", ""),
        ("target", "prod_2"),
        ("test_stage", ""),
        ("command", ""),
        ("command", "python -m counts.main --mode=fast s3://a/b"),
        ("dependabot", "conda"),
        ("dependabot", "own"),
        ("release", "v1.2.3"),
    ],
)
def test_accepted(question: str, answer: str, problem: Problem) -> None:
    assert problem(question, answer) is None


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("image", "Court-Counts", "Like my-pipeline: 2 to 100 lower-case letters"),
        ("image", "a", "Like my-pipeline: 2 to 100"),
        ("image", "team/counts", "Like my-pipeline: 2 to 100"),
        ("context", "", "Like images/counts: a folder in the repository"),
        ("context", "../a", "Like images/counts: a folder in the repository"),
        ("context", "a/../../b", "Like images/counts: a folder in the repository"),
        ("context", "/a", "Like images/counts: a folder in the repository"),
        ("context", "$(id)", "Like images/counts: a folder in the repository"),
        ("context", "a b", "Like images/counts: a folder in the repository"),
        ("context", "-a", "Like images/counts: a folder in the repository"),
        ("dockerfile", "", "Like images/counts/Dockerfile: a file in the repository"),
        ("dockerfile", "../Dockerfile", "Like images/counts/Dockerfile: a file in the repository"),
        ("dockerfile", 'a"b', "Like images/counts/Dockerfile: a file in the repository"),
        ("target", "-x", "Like final: the name that follows AS"),
        ("target", "a b", "Like final: the name that follows AS"),
        ("test_stage", "${{ x }}", "Like test: the name that follows AS"),
        ("command", "python run.py; id", "Like python scripts/run.py: words of letters"),
        ("command", "python  run.py", "Like python scripts/run.py: words of letters"),
        ("command", 'python "run.py"', "Like python scripts/run.py: words of letters"),
        ("command", "a" * 81, "Write at most 80 characters; this has 81."),
        ("dependabot", "npm", "Write one of pip, uv, conda, none, own."),
        ("release", "1.2.3", "Write the tag of a release, such as v1.0.0."),
    ],
)
def test_refused(question: str, answer: str, said: str, problem: Problem) -> None:
    assert said in (problem(question, answer) or "")
