"""`--changed-since`: what a change touches, and everything that depends on it, in a real git repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dagkit.errors import UsageError
from dagkit.rules import changes
from dagkit.rules.examples import DAG, DAG_PATH, ROLE, ROLE_PATH
from dagkit.rules.runner import validate
from dagkit.rules.subject import find
from tests.rules.conftest import Make, codes

Edit = Callable[[Path], None]

OTHER = "environments/dev/dags/example/other.py"
OTHER_ROLE = "environments/dev/roles/airflow_dev_example_other.yaml"
ELSEWHERE = "environments/prod/dags/elsewhere/weekly.py"
ELSEWHERE_ROLE = "environments/prod/roles/airflow_prod_elsewhere_weekly.yaml"


def git(root: Path, *words: str) -> str:
    user = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    done = subprocess.run(["git", "-C", str(root), *user, *words], check=True, capture_output=True, text=True)
    return done.stdout


def dag(project: str, name: str, environment: str, *imports: str) -> str:
    text = DAG.replace("example.daily", f"{project}.{name}").replace('"dev"', f'"{environment}"')
    text = text.replace("_example_daily", f"_{project}_{name}")
    return text.replace("\nENVIRONMENT", "".join(f"\n{line}" for line in imports) + "\n\nENVIRONMENT", 1)


@pytest.fixture
def repository(make: Make) -> Path:
    """Three DAGs with their roles; one imports a module that imports another."""
    root = make(
        {
            OTHER: dag("example", "other", "dev", "from imports.example_first import X"),
            OTHER_ROLE: "iam_role_name: airflow_dev_example_other\n",
            ELSEWHERE: dag("elsewhere", "weekly", "prod"),
            "environments/prod/dags/elsewhere/README.md": "# elsewhere\n",
            ELSEWHERE_ROLE: "iam_role_name: airflow_prod_elsewhere_weekly\n",
            "imports/example_first.py": "from imports import example_second\n\nX = example_second.X\n",
            "imports/example_second.py": "X = 1\n",
        }
    )
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Start")
    return root


def edit(path: str, text: str | None = None) -> Edit:
    def change(root: Path) -> None:
        if text is None:
            with (root / path).open("a") as file:
                file.write("\n# changed\n")
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

    return change


def remove(path: str) -> Edit:
    return lambda root: (root / path).unlink()


TOUCHES: dict[str, tuple[Edit, set[str]]] = {
    "a DAG, and its role": (edit(DAG_PATH), {DAG_PATH, ROLE_PATH}),
    "a role, and the DAGs that name it": (edit(ROLE_PATH), {DAG_PATH, ROLE_PATH}),
    "a role that is gone, and its DAGs": (remove(OTHER_ROLE), {OTHER, OTHER_ROLE}),
    "a module, what imports it, and their DAGs": (
        edit("imports/example_second.py"),
        {"imports/example_second.py", "imports/example_first.py", OTHER},
    ),
    "a DAG that is gone, and the role it named": (remove(OTHER), {OTHER, OTHER_ROLE}),
    "a DAG that names another role, and both roles": (
        edit(DAG_PATH, DAG.replace("_example_daily", "_example_other")),
        {DAG_PATH, ROLE_PATH, OTHER_ROLE},
    ),
    "a new file": (
        edit("environments/dev/dags/example/new.py", "X = 1\n"),
        {"environments/dev/dags/example/new.py"},
    ),
    "nothing that anything depends on": (edit("README.md", "x\n"), {"README.md"}),
}


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("change", TOUCHES)
def test_a_change_touches(change: str, committed: bool, repository: Path) -> None:
    make_change, expected = TOUCHES[change]
    base = git(repository, "rev-parse", "HEAD").strip()
    make_change(repository)
    if committed:
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "Change")
    touched = changes.since(find(repository), base)
    assert touched is not None
    # a DAG whose role cannot be read from its file may name any
    assert set(touched.paths) == expected


@pytest.mark.parametrize("path", ["dagkit.toml", "imports/pipeline_pod.py", "imports/platform_settings.py"])
def test_what_everything_depends_on_touches_everything(path: str, repository: Path) -> None:
    edit(path)(repository)
    assert changes.since(find(repository), "HEAD") is None


def test_only_what_is_touched_is_reported(repository: Path) -> None:
    edit(ELSEWHERE, (repository / ELSEWHERE).read_text().replace('"v1.0.0"', '"latest"'))(repository)
    git(repository, "commit", "-q", "-am", "Break prod")
    edit(DAG_PATH, DAG.replace('"v1.0.0"', '"main"'))(repository)
    subject = find(repository)
    report = validate(subject, touched=changes.since(subject, "HEAD"), static=True)
    assert [(each.code, each.path) for each in report.findings] == [("DK305", DAG_PATH)]
    assert report.dags == 1


def test_a_role_that_loses_its_dag_is_reported(repository: Path) -> None:
    remove(OTHER)(repository)
    subject = find(repository)
    report = validate(subject, touched=changes.since(subject, "HEAD"), static=True)
    assert [(each.code, each.path) for each in report.findings] == [("DK410", OTHER_ROLE)]


def test_a_shared_path_is_reported_whichever_side_changed(repository: Path) -> None:
    edit(
        ELSEWHERE_ROLE,
        "iam_role_name: airflow_prod_elsewhere_weekly\ns3:\n  read_write: [alpha-shared/x/*]\n",
    )(repository)
    git(repository, "commit", "-q", "-am", "Prod writes")
    edit(ROLE_PATH, ROLE + "    - alpha-shared/x/*\n")(repository)
    subject = find(repository)
    assert "DK503" in codes(validate(subject, touched=changes.since(subject, "HEAD"), static=True))


def test_a_project_that_loses_its_readme_is_reported(repository: Path) -> None:
    remove("environments/dev/dags/example/README.md")(repository)
    subject = find(repository)
    assert codes(validate(subject, touched=changes.since(subject, "HEAD"), static=True)) == ["DK103"]


def test_changes_of_the_branch_count_and_those_of_main_do_not(repository: Path) -> None:
    git(repository, "switch", "-q", "-c", "mine")
    edit(DAG_PATH)(repository)
    git(repository, "commit", "-q", "-am", "Mine")
    git(repository, "switch", "-q", "main")
    edit(ELSEWHERE)(repository)
    git(repository, "commit", "-q", "-am", "Theirs")
    git(repository, "switch", "-q", "mine")
    touched = changes.since(find(repository), "main")
    assert touched is not None
    assert set(touched.paths) == {DAG_PATH, ROLE_PATH}


def test_a_dag_repository_inside_another_git_repository(repository: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    inner = repository.rename(outer / "airflow")
    (inner / ".git").rename(inner / ".not-git")
    git(outer, "init", "-q", "-b", "main")
    git(outer, "add", ".")
    git(outer, "commit", "-q", "-m", "Start")
    edit(DAG_PATH)(inner)
    touched = changes.since(find(inner), "HEAD")
    assert touched is not None
    assert set(touched.paths) == {DAG_PATH, ROLE_PATH}


def test_a_commit_that_git_does_not_know(repository: Path) -> None:
    with pytest.raises(UsageError, match="git knows no commit 'nowhere'"):
        changes.since(find(repository), "nowhere")


def test_a_commit_that_looks_like_an_option(repository: Path) -> None:
    with pytest.raises(UsageError, match="git knows no commit '--all'"):
        changes.since(find(repository), "--all")


def test_a_folder_that_is_not_in_git(make: Make) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        changes.since(find(make()), "HEAD")


def test_what_dev_ran_before_is_known_from_git(repository: Path) -> None:
    edit(DAG_PATH, DAG.replace("v1.0.0", "v2.0.0"))(repository)
    git(repository, "commit", "-q", "-am", "Newer")
    edit(OTHER, (repository / OTHER).read_text().replace("v1.0.0", "v2.0.0"))(repository)
    git(repository, "commit", "-q", "-am", "Newer")
    assert codes(validate(find(repository), static=True)) == []
    edit(ELSEWHERE, (repository / ELSEWHERE).read_text().replace("v1.0.0", "v3.0.0"))(repository)
    assert codes(validate(find(repository), static=True)) == ["DK504"]
