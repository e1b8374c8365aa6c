"""Which answers are accepted, and what is said about those that are not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import croniter
import jinja2
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from dagkit import names
from tests.template.conftest import REPOSITORY, Render

Problem = Callable[..., str | None]


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """What Copier says about answers, as `copier copy --data` would; None where it takes them."""
    form = tmp_path_factory.mktemp(
        "form"
    )  # the questions alone: there are no files to generate, which takes longer
    shutil.copy(REPOSITORY / "copier.yml", form)
    shutil.copytree(REPOSITORY / "templates/questions", form / "templates/questions")
    (form / "template-airflow-python").mkdir()
    unused = tmp_path_factory.mktemp("pretended")

    def ask(**answers: Any) -> str | None:
        try:
            copier.run_copy(str(form), unused, data=answers, defaults=True, quiet=True, pretend=True)
        except ValueError as error:
            return str(error)
        return None

    return ask


ACCEPTED = [
    ("repository", "ab"),
    ("repository", "A1-b_C"),
    ("repository", "null"),
    ("repository", "1e3"),
    ("repository", "a" * 100),
    ("project", "p"),
    ("project", "prison_statistics_2"),
    ("pipeline", "null"),
    ("pipeline", "true"),
    ("pipeline", "on"),
    ("pipeline", "a" * 43),
    ("description", "x"),
    ("description", "£5 · naïve 😀 'quoted' \"twice\" \\ {{ }} ${{ }} <b> `id` $(id) # %s"),
    ("description", "null"),
    ("description", "- a: [b"),
    ("description", "x" * 90),
    ("owner", "a"),
    ("owner", "A-1-b"),
    ("owner", "a" * 39),
    ("email", "a.b+c_d%e@x-y.gov.uk"),
    ("output", "s3://abc/d"),
    ("output", "s3://alpha-my-bucket/_a/b=1/c.d-e_F"),
    ("compute", "gpu"),
    ("schedule", "manual"),
    ("schedule", "None"),
    ("schedule", "@weekly"),
    ("schedule", "0 0 * * *"),
    ("schedule", "*/15 8-18/2 1,15,31 JAN-mar,12 mon-FRI"),
    ("schedule", "0 0 29 2 *"),
    ("schedule", "0 0 31 2 MON"),
    ("schedule", "59 23 31 12 7"),
    ("base_image", "python:3.13-slim"),
    ("base_image", "localhost:5000/a/b_c:D.1"),
    ("base_image", "ghcr.io/a/b:1.28.0@sha256:" + "0" * 64),
    ("cluster_accounts", "123456789012,123456789013"),
    ("pod_identity", "kube2iam"),
    ("push_role", "arn:aws:iam::123456789012:role/path/a_b"),
]

REFUSED = [
    ("repository", "", "Like my-pipeline: letters, digits"),
    ("repository", "a", "Write 2 to 100 characters; this has 1."),
    ("repository", "a" * 101, "Write 2 to 100 characters; this has 101."),
    ("repository", "-a", "Like my-pipeline: letters, digits"),
    ("repository", "a--b", "Like my-pipeline: letters, digits"),
    ("repository", "a.b", "Like my-pipeline: letters, digits"),
    ("repository", "a\n", "Like my-pipeline: letters, digits"),
    ("repository", "a/../b", "Like my-pipeline: letters, digits"),
    ("project", "Prisons", "Like prison_statistics: lower-case letters"),
    ("project", "my-project", "Like prison_statistics: lower-case letters"),
    ("project", "1st", "Like prison_statistics: lower-case letters"),
    ("project", "a\n", "Like prison_statistics: lower-case letters"),
    ("project", "a" * 41, "Write at most 40 characters; this has 41."),
    ("pipeline", "daily counts", "Like daily_counts: lower-case letters"),
    ("pipeline", "_a", "Like daily_counts: lower-case letters"),
    ("pipeline", "a__b", "Like daily_counts: lower-case letters"),
    ("pipeline", "é", "Like daily_counts: lower-case letters"),
    ("pipeline", "a" * 44, "Too long by 1: AWS allows 64 characters for the IAM role, airflow_prod_"),
    ("pipeline", "a" * 53, "Too long by 10: AWS allows 64 characters for the IAM role, airflow_prod_"),
    ("description", "", "Write one line, with no space before or after it."),
    ("description", " x", "Write one line, with no space before or after it."),
    ("description", "x\n", "Write one line, with no space before or after it."),
    ("description", "x\ny", "Write one line"),
    ("description", "x\0y", "an invisible control character"),
    ("description", "x\u2028y", "an invisible control character"),
    ("description", "x\u202ey", "an invisible control character"),
    ("description", "x\x85y", "an invisible control character"),
    ("description", "x\ud800y", "an invisible control character"),
    ("description", "x" * 91, "Write at most 90 characters; this has 91."),
    ("description", "日" * 46, "Too long by 2: wide characters, backslashes and mixed quotes count twice."),
    ("description", "\\" * 47, "Too long by 4: wide characters, backslashes"),
    ("description", "'\"" * 31, "Too long by 3: wide characters, backslashes"),
    ("owner", "@me", "Like octocat: a GitHub username without the @"),
    ("owner", "a b", "Like octocat: a GitHub username"),
    ("owner", "a" * 40, "Like octocat: a GitHub username"),
    ("owner", "a\n", "Like octocat: a GitHub username"),
    ("email", "me", "Like your.name@justice.gov.uk: one email address."),
    ("email", "a@b", "Like your.name@justice.gov.uk"),
    ("email", "a@-b.uk", "Like your.name@justice.gov.uk"),
    ("email", "a@b-.uk", "Like your.name@justice.gov.uk"),
    ("email", "a@" + "b" * 64 + ".uk", "Like your.name@justice.gov.uk"),
    ("email", "a" * 96 + "@b.uk", "Write at most 100 characters; this has 101."),
    ("email", "a@b.uk, c@d.uk", "Like your.name@justice.gov.uk"),
    ("email", "a@b.uk\n", "Like your.name@justice.gov.uk"),
    ("output", "alpha-bucket/folder", "Like s3://alpha-my-bucket/my-folder: a bucket and"),
    ("output", "s3://alpha-bucket", "Like s3://alpha-my-bucket/my-folder: a bucket and"),
    ("output", "s3://alpha-bucket/a/", "with no / at the end"),
    ("output", "s3://Alpha/a", "Like s3://alpha-my-bucket/my-folder"),
    ("output", "s3://alpha-bucket/a/../b", "Like s3://alpha-my-bucket/my-folder"),
    ("output", "s3://alpha-bucket/*", "Like s3://alpha-my-bucket/my-folder"),
    ("output", "s3://alpha-bucket/a\n", "Like s3://alpha-my-bucket/my-folder"),
    ("output", "s3://alpha-bucket/" + "a" * 63, "Write at most 80 characters; this has 81."),
    ("compute", "huge", "Invalid choice for 'compute'"),
    ("schedule", "", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "1" + ",1" * 36 + " * * * *", "Write at most 80 characters; this has 81."),
    ("schedule", "daily", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "0 0 * *", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "0 0 * * * *", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "0  0 * * *", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "0 0 * * *\n", "Like 30 6 * * MON-FRI (five fields"),
    ("schedule", "@dayly", "There is no preset @dayly. Presets: @once, @hourly, @daily"),
    ("schedule", "60 0 * * *", "In 60: the minute takes 0 to 59"),
    ("schedule", "0 24 * * *", "In 24: the hour takes 0 to 23"),
    ("schedule", "0 0 0 * *", "In 0: the day takes 1 to 31"),
    ("schedule", "0 0 32 * *", "In 32: the day takes 1 to 31"),
    ("schedule", "0 0 * 13 *", "In 13: the month takes 1 to 12 or JAN to DEC"),
    ("schedule", "0 0 * MAI *", "In MAI: the month takes 1 to 12 or JAN to DEC"),
    ("schedule", "0 0 * * 8", "In 8: the weekday takes 0 to 7 or SUN to SAT"),
    ("schedule", "JAN 0 * * *", "In JAN: the minute takes 0 to 59"),
    ("schedule", "0 18-8 * * *", "In 18-8: the hour range 18-8 runs backwards"),
    ("schedule", "*/0 * * * *", "In */0: the minute step takes 1 to 59"),
    ("schedule", "*/60 * * * *", "In */60: the minute step takes 1 to 59"),
    ("schedule", "1, * * * *", "In 1,: the minute takes 0 to 59"),
    ("schedule", "0 0 30 2 *", "Month 2 has no day 30, so it would never run."),
    ("schedule", "0 0 31 APR,6,09 *", "Month APR,6,09 has no day 31, so it would never run."),
    ("base_image", "python 3", "Like python:3.13-slim: an image"),
    ("base_image", "python:", "Like python:3.13-slim: an image"),
    ("base_image", "$(id)", "Like python:3.13-slim: an image"),
    ("base_image", "python\nRUN id", "Like python:3.13-slim: an image"),
    ("ecr_account", "12345", "Write the account's 12 digits."),
    ("data_account", "1234567890123", "Write the account's 12 digits."),
    ("cluster_accounts", "123456789012, 123456789013", "with commas and no spaces"),
    ("ecr_region", "ireland", "Like eu-west-1"),
    ("push_role", "data-engineering-ga-ecr", "Like arn:aws:iam::189157455002:role/"),
    ("namespace", "Airflow", "Like airflow: lower-case letters"),
    ("pod_identity", "magic", "Invalid choice for 'pod_identity'"),
    ("dev_cluster", "a b", "Like analytical-platform-compute-"),
    ("prod_cluster", '"', "Like analytical-platform-compute-"),
    ("organisation", "a b", "Like moj-analytical-services:"),
    ("dag_repository", "airflow", "Like moj-analytical-services/airflow"),
]


@pytest.mark.parametrize(("question", "answer"), ACCEPTED)
def test_an_answer_is_taken(question: str, answer: str, problem: Problem) -> None:
    assert problem(**{question: answer}) is None


@pytest.mark.parametrize(("question", "answer", "message"), REFUSED)
def test_an_answer_is_refused_with_what_would_be_taken(
    question: str, answer: str, message: str, problem: Problem
) -> None:
    said = problem(**{question: answer})
    assert said is not None
    assert question in said
    assert message in " ".join(said.split())


def test_two_pipelines_of_one_owner_write_to_folders_of_their_own(render: Render) -> None:
    longest = {"project": "p", "owner": "Octo-" + "o" * 34}
    folders = []
    for pipeline in ("one", "two", "q" * 49):
        made = render(pipeline=pipeline, **longest)
        folders.append(yaml.safe_load((made / ".copier-answers.yml").read_text())["output"])
    everyone = f"s3://alpha-everyone/airflow-example/octo-{'o' * 34}"
    assert folders == [f"{everyone}/one", f"{everyone}/two", f"{everyone}/qqqq"]


def test_nothing_is_written_when_an_answer_is_refused(template: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Like prison_statistics: "):
        copier.run_copy(
            str(template), tmp_path / "made", data={"project": "My project"}, defaults=True, quiet=True
        )
    assert not (tmp_path / "made").exists()


FORM = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
JINJA = SandboxedEnvironment(
    loader=jinja2.FileSystemLoader(REPOSITORY),
    extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    **FORM["_envops"],
)


def takes(question: str, answer: str, **earlier: str) -> bool:
    """Whether a validator of the form takes an answer: as Copier does it, but a thousand times as fast."""
    said = JINJA.from_string(FORM[question]["validator"]).render(
        {"project": "example", **earlier, question: answer}
    )
    return not said.strip()


def test_every_question_is_explained_and_has_a_default_or_says_what_it_takes() -> None:
    for name, question in FORM.items():
        if not name.startswith("_") and question.get("when") is not False:
            assert question["help"].strip()
            assert "default" in question
            assert question["type"] == "bool" or "choices" in question or "validator" in question


NAMES = {
    "repository": (names.REPOSITORY, names.REPOSITORY_MIN, names.REPOSITORY_MAX),
    "project": (names.PROJECT, 1, names.PROJECT_MAX),
    "pipeline": (names.PIPELINE, 1, names.ROLE_MAX - len(names.role("prod", "example", ""))),
    "owner": (names.OWNER, 1, names.OWNER_MAX),
    "email": (names.EMAIL, 1, 100),
    "output": (names.S3_PATH, 1, 80),
}


@pytest.mark.parametrize("question", NAMES)
def test_a_name_is_taken_exactly_when_the_program_takes_it(question: str) -> None:
    pattern, low, high = NAMES[question]
    fitting = st.from_regex(pattern, fullmatch=True)
    damage = st.sampled_from(
        ["\n", " ", "-", "_", "/", ".", "é", "A", "0", "\0", "\u2028", "", "$", "'", "}}"]
    )
    damaged = st.builds(
        lambda text, at, extra: text[: at % (len(text) + 1)] + extra + text[at % (len(text) + 1) :],
        fitting,
        st.integers(0, 1000),
        damage,
    )

    @settings(max_examples=200, deadline=None)
    @given(st.one_of(fitting, damaged))
    def check(answer: str) -> None:
        taken = names.matches(pattern, answer) and low <= len(answer) <= high
        assert takes(question, answer) == taken

    check()


@pytest.mark.parametrize("question", sorted(NAMES.keys() - {"email"}))
def test_the_pattern_of_a_name_is_written_the_same_in_both_places(question: str) -> None:
    validator = FORM[question]["validator"].replace("\\\\", "\\")
    assert "'\\A" + NAMES[question][0] + "\\Z'" in validator


@given(*[st.integers(1, 60).map(lambda length: "a" * length)] * 2)
@settings(max_examples=200, deadline=None)
def test_a_role_that_is_accepted_fits_into_iam(project: str, pipeline: str) -> None:
    longest = max(len(names.role(environment, project, pipeline)) for environment in names.ENVIRONMENTS)
    assert takes("pipeline", pipeline, project=project) == (longest <= names.ROLE_MAX)


def cron_field(low: int, high: int) -> st.SearchStrategy[str]:
    """A field that is mostly right: the edges of its bounds, and just beyond them, are likely."""
    number = st.sampled_from([low, low, high, high, (low + high) // 2, high + 1])
    span = st.lists(number, min_size=1, max_size=2).map(lambda ends: "-".join(map(str, sorted(ends))))
    step = st.sampled_from(["", "", "/1", "/2", f"/{high}"])
    part = st.tuples(st.one_of(st.just("*"), span), step).map("".join)
    return st.lists(part, min_size=1, max_size=2).map(",".join)


CRON = st.tuples(
    cron_field(0, 59), cron_field(0, 23), cron_field(1, 31), cron_field(1, 12), cron_field(0, 7)
).map(" ".join)


@given(CRON)
@settings(max_examples=300, deadline=None)
def test_a_schedule_that_is_accepted_is_one_that_airflow_can_run(schedule: str) -> None:
    if takes("schedule", schedule):
        assert croniter.croniter(schedule).get_next() > 0
