"""`dagkit review`: what the person who approves a pull request reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dagkit.cli import main
from dagkit.deploy.markdown import LIMIT, code, render
from dagkit.deploy.review import Review, review
from dagkit.deploy.trees import extracted
from tests.deploy.conftest import DAG, HELLO, HELLO_ROLE, ROLE, Repository


def review_of(repository: Repository, files: dict[str, str | None], *, load: bool = False) -> Review:
    """The review of one commit on top of main."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit(files)
    with extracted(repository.root, base, "HEAD") as trees:
        return review(trees, None, load=load)


def comment(repository: Repository, files: dict[str, str | None], *, load: bool = False) -> str:
    return render(review_of(repository, files, load=load), "dagkit review")


def rows_of(text: str, first: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|") and first in line]


def test_a_role_is_a_table_of_what_it_may_before_and_after(repository: Repository) -> None:
    said = comment(
        repository, {HELLO_ROLE: ROLE.replace("alpha-data/in/*", "alpha-data/in/*\n    - alpha-new/x/*")}
    )
    assert "### ⚠️ Role `airflow_dev_example_hello` in `dev` (changed, may do more)" in said
    assert "Used by `example.hello`." in said
    assert "| ⚠️ wider | s3: `alpha-new/x/*` | — | read |  |" in said
    assert "|  | s3: `alpha-data/in/*` | read | read |  |" in said
    assert "1 of 1 changed roles may do more than before" in said


def test_a_role_that_may_do_less_is_not_marked_as_wider(repository: Repository) -> None:
    said = comment(
        repository,
        {
            HELLO_ROLE: ROLE.replace("read_write", "read_only").replace(
                "  read_only:\n    - alpha-data/in/*\n", ""
            )
        },
    )
    assert "0 of 1 changed roles may do more" in said
    assert "⚠️" not in said
    assert rows_of(said, "narrower")


def test_a_removed_role_permits_nothing_afterwards(repository: Repository) -> None:
    found = review_of(repository, {HELLO_ROLE: None})
    (role,) = found.roles
    assert role.change == "removed"
    assert all(not row.after for row in role.rows)
    assert not role.widens


def test_a_role_whose_text_changed_and_whose_permissions_did_not_widens_nothing(
    repository: Repository,
) -> None:
    found = review_of(repository, {HELLO_ROLE: "# a comment\n" + ROLE})
    assert not any(row.changed for role in found.roles for row in role.rows)


def test_a_role_that_is_wrong_says_so_and_does_not_stop_the_review(repository: Repository) -> None:
    said = comment(repository, {HELLO_ROLE: "s3: [oops\n", "README.md": "x\n"})
    assert "⚠️ What it permits cannot be told" in said
    assert "Permissions that cannot be told: `airflow_dev_example_hello`" in said
    assert "`README.md`" in said


def test_paths_of_other_teams_are_named(repository: Repository) -> None:
    repository.commit(
        {
            "environments/dev/roles/airflow_dev_other_job.yaml": "s3: {read_write: [alpha-other/out/*]}\n",
            "environments/dev/dags/other/job.py": DAG.replace("example.hello", "other.job").replace(
                "example_hello", "other_job"
            ),
        }
    )
    said = comment(repository, {HELLO_ROLE: ROLE.replace("alpha-data/in/*", "alpha-other/out/x/*")})
    assert "also written by `airflow_dev_other_job` of another team" in said


def test_paths_of_the_same_team_are_not_named(repository: Repository) -> None:
    repository.commit(
        {"environments/dev/roles/airflow_dev_example_two.yaml": "s3: {read_write: [alpha-data/in/*]}\n"}
    )
    assert "another team" not in comment(
        repository, {HELLO_ROLE: ROLE.replace("alpha-data/in/*", "alpha-data/in/x/*")}
    )


def test_a_dag_shows_schedule_graph_image_before_and_after(repository: Repository) -> None:
    changed = DAG.replace("v0.0.1", "v0.0.2").replace("0 6 * * 1-5", "@daily")
    said = comment(repository, {HELLO: changed})
    assert "### DAG `example.hello` in `dev` (changed)" in said
    assert "Runs `every day at 00:00 UTC` (before: `at 06:00, Monday through Friday, UTC`)." in said
    image = "189157455002.dkr.ecr.eu-west-1.amazonaws.com/hello-image"
    (row,) = rows_of(said, "hello-image")
    assert (
        row == f"| `write`, `copy` | `{image}:v0.0.1` | **`{image}:v0.0.2`** | `airflow_dev_example_hello` |"
    )
    assert '```mermaid\nflowchart LR\n  t0["write"]\n  t1["copy"]\n  t0 --> t1\n```' in said


def test_added_and_removed_dags_are_told_apart(repository: Repository) -> None:
    new = "environments/prod/dags/example/hello.py"
    found = review_of(repository, {HELLO: None, new: DAG.replace('"dev"', '"prod"')})
    assert [(dag.environment, dag.change) for dag in found.dags] == [("dev", "removed"), ("prod", "added")]
    assert found.dags[1].after is not None
    assert found.dags[1].after.tasks[0].role == "airflow_prod_example_hello"


LOOP = DAG.replace(
    "    write >> copy\n",
    """    for name in ("one", "two"):
        each = PipelinePodOperator(task_id=name, repository="hello-image", release=RELEASE, role="r")
        write >> each >> copy
""",
)


def test_a_dag_that_only_says_when_run_is_not_guessed_at(repository: Repository) -> None:
    found = review_of(repository, {HELLO: LOOP})
    assert found.dags[0].after is not None
    assert found.dags[0].after.edges is None
    assert "cannot be told from the file alone" in render(found, "")


def test_a_dag_that_only_says_when_run_is_loaded_by_airflow_without_secrets(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = """\
import os

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator


class PipelinePodOperator(KubernetesPodOperator):
    def __init__(self, *, repository, release, role, **kwargs):
        assert "SLACK_BOT_TOKEN" not in os.environ, "a secret"
        assert "AWS_SECRET_ACCESS_KEY" not in os.environ, "a secret"
        self.role = role
        super().__init__(image=f"registry/{repository}:{release}", name="pod", **kwargs)
"""
    repository.commit({"imports/pipeline_pod.py": operator})
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = review_of(repository, {HELLO: LOOP}, load=True)
    after = found.dags[0].after
    assert after is not None
    assert after.problem is None
    assert set(after.edges or ()) == {("write", "one"), ("write", "two"), ("one", "copy"), ("two", "copy")}
    assert {task.image for task in after.tasks} == {"registry/hello-image:v0.0.1"}
    assert after.schedule == "at 06:00, Monday through Friday, UTC"


def test_a_dag_that_is_not_python_says_where(repository: Repository) -> None:
    assert "⚠️ It cannot be loaded: `SyntaxError" in comment(repository, {HELLO: "with DAG(:\n"})


def test_codeowners_of_the_base_decides_who_approves(repository: Repository) -> None:
    found = review_of(
        repository, {HELLO: DAG + "\n", HELLO_ROLE: ROLE + "\n", ".github/CODEOWNERS": "* @somebody-else\n"}
    )
    assert found.approvals.needed == {("@example/data-engineering",): (".github/CODEOWNERS", HELLO_ROLE)}
    assert found.approvals.free == (HELLO,)


def test_without_codeowners_it_says_so(repository: Repository) -> None:
    repository.commit({".github/CODEOWNERS": None})
    assert "has no CODEOWNERS file" in comment(repository, {HELLO: DAG + "\n"})


def test_an_import_names_the_dags_that_use_it(repository: Repository) -> None:
    said = comment(
        repository, {"imports/pipeline_pod.py": "X = 1\n", ".github/workflows/deploy.yml": "on: push\n"}
    )
    assert "- `imports/pipeline_pod.py`, imported by `dev: example.hello`" in said
    assert "- `.github/workflows/deploy.yml`: decides what runs" in said


NASTY = "@everyone <img src=x> [a](https://evil.example) `` | \n <!-- #1 --> \u202e ```"


def test_nothing_in_a_pull_request_can_be_more_than_text(repository: Repository) -> None:
    path = "alpha-data/@everyone/`|<b>x</b>[a](https://evil.example)/*"
    said = comment(
        repository,
        {
            HELLO: DAG.replace('task_id="write"', f"task_id={NASTY!r}").replace(
                "0 6 * * 1-5", "@everyone `x`"
            ),
            HELLO_ROLE: f"s3: {{read_only: [{json.dumps(path)}]}}\n",
            "docs/@everyone `|<b>.md": "x\n",
        },
    )
    graph = re.search(r"```mermaid\n(.*?)\n```", said, re.DOTALL)
    assert graph
    assert re.fullmatch(r'[A-Za-z0-9 \n_.\[\]"#;>-]*', graph[1])
    outside = re.sub(r"`[^`\n]*`", "", said.replace(graph[0], ""))
    for bad in ("@", "<b", "<img", "](", "evil", "\u202e"):
        assert bad not in outside
    assert said.count("```") == 2


@pytest.mark.parametrize("text", [NASTY, "`", "``", "a|b", "\\|", "\x00", "\ud800", "", " ", "x" * 1000])
def test_code_stays_code(text: str) -> None:
    shown = code(text)
    if shown == "—":
        assert not text.strip()
        return
    assert re.fullmatch(r"`[^`|\n\r]+`", shown)
    assert len(shown) < 250


def test_a_comment_never_gets_longer_than_github_takes(repository: Repository) -> None:
    files: dict[str, str | None] = {}
    for number in range(150):
        paths = "".join(f"    - alpha-data/folder-{number}-{part}/ü/*\n" for part in range(10))
        files[f"environments/dev/roles/airflow_dev_r{number}.yaml"] = f"s3:\n  read_only:\n{paths}"
    found = review_of(repository, files)
    said = render(found, "dagkit review --base x")
    assert len(said.encode()) <= LIMIT
    assert "sections are left out" in said
    assert "All of it: `dagkit review --base x`" in said
    shown = [line for line in said.splitlines() if line.startswith("### ")]
    left = re.search(r"\*\*(\d+) sections", said)
    assert left
    assert len(shown) + int(left[1]) == 150
    # each section that is there is whole
    assert len(rows_of(said, "⚠️ wider")) == 11 * len(shown)


def test_files_that_a_pull_request_hides_from_archives_are_reviewed(repository: Repository) -> None:
    found = review_of(
        repository, {".gitattributes": "environments export-ignore\n", HELLO_ROLE: ROLE.replace("in/*", "*")}
    )
    assert [role.name for role in found.roles] == ["airflow_dev_example_hello"]


def test_a_link_out_of_the_repository_is_not_followed(repository: Repository) -> None:
    outside = repository.root.parent / "secret.yaml"
    outside.write_text("s3: {read_only: [alpha-secret/*]}\n")
    link = repository.root / "environments/dev/roles/airflow_dev_link.yaml"
    link.symlink_to(outside)
    said = comment(repository, {})
    assert "airflow_dev_link" in said
    assert "alpha-secret" not in said


def test_the_base_is_where_the_branch_began(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "work")
    repository.commit({HELLO: DAG.replace("v0.0.1", "v0.0.2")})
    repository.git("checkout", "--quiet", "main")
    repository.commit({HELLO_ROLE: ROLE.replace("in/*", "input/*")})
    with extracted(repository.root, "main", "work") as trees:
        assert trees.changed == (HELLO,)


def test_the_command_prints_markdown_or_json(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.commit({HELLO_ROLE: ROLE.replace("in/*", "*")})
    assert main(["review", "--base", base, "--static"]) == 0
    assert capsys.readouterr().out.startswith("<!-- dagkit review -->\n## What this pull request changes")
    assert main(["review", "--base", base, "--static", "--format", "json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["roles"][0]["widens"] is True
    assert said["approvals"]["needed"][0]["owners"] == ["@example/data-engineering"]
    assert main(["review", "--base", "HEAD", "--static"]) == 0
    assert "Nothing." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--base", "no-such-branch"], "There is no commit 'no-such-branch' here"),
        (["--base", "--upload-pack=x"], "There is no commit '--upload-pack=x' here"),
        (["--base", "HEAD", "--environment", "pord"], "There is no environment 'pord'"),
        (["--base", "HEAD", "--format", "html"], "There is no format 'html'"),
        (["--base", "HEAD", "/"], "is not a git repository"),
        (["--base", "HEAD", "no-such-folder"], "There is no folder 'no-such-folder'"),
    ],
)
def test_a_wrong_call_gets_one_clear_error(
    repository: Repository, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", *words]) == 2
    assert said in capsys.readouterr().err


def test_histories_without_a_common_commit(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit({"README.md": "x\n"})
    assert main(["review", "--base", "main"]) == 1
    assert "fetch-depth: 0" in capsys.readouterr().err
