"""Repositories of many shapes: what is found in them, what is brought in, and what is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from dagkit.pipeline import Pipeline
from tests.adopt.conftest import FIRST, Adopted, Adopting
from tests.adopt.shapes import SHAPES

Adopt = Callable[[str], Adopted]

BROUGHT = {
    ".copier-answers.yml",
    ".github/dependabot.yml",
    ".github/workflows/image-release.yml",
    ".github/workflows/image-test.yml",
    "airflow/fixtures/README.md",
}
REPLACED = {
    "shell-form-entry-point": ".github/workflows/build-and-push-to-ecr.yml",
    "monorepo": ".github/workflows/counts.yaml",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_adopted_without_touching_what_is_there(shape: str, adopted: Adopt) -> None:
    made = adopted(shape)
    result, after = made.result, made.after
    moved = {change["from"]: change["to"] for change in result["moved"]}
    for path, content in made.before.items():
        if path not in result["removed"]:
            assert after[moved.get(path, path)] == content, path
    pipeline = result["answers"]["pipeline"]
    brought = BROUGHT | {f"airflow/roles/{each}/{pipeline}.yaml" for each in ("dev", "prod")}
    brought = brought | {f"airflow/dags/{pipeline}.py"}
    if result["answers"]["dependabot"] == "own":
        brought -= {".github/dependabot.yml"}
    assert {file["path"] for file in result["files"]} == brought
    assert set(after) == set(made.before) - set(result["removed"]) | brought | set(moved.values())
    assert result["removed"] == ([REPLACED[shape]] if shape in REPLACED else [])

    git = made.adopting.git
    assert git("status", "--porcelain") == ""
    assert git("branch", "--show-current") == "dagkit/adopt"
    assert git("rev-parse", "main") == git("rev-parse", "HEAD~")
    for path in result["removed"]:
        assert git("show", f"HEAD~:{path}")
        assert path in git("show", "--no-patch", "--format=%B")


@pytest.mark.parametrize("shape", SHAPES)
def test_what_it_holds_is_found_and_where(shape: str, adopted: Adopt) -> None:
    wanted, result = SHAPES[shape], adopted(shape).result
    found = {fact["question"]: (fact["value"], fact["where"]) for fact in result["found"]}
    assert {question: found.get(question) for question in wanted.found} == dict(wanted.found)
    said = dict(answer.split("=", 1) for answer in wanted.say)
    assert {key: result["answers"][key] for key in said} == said
    for question, (value, _) in found.items():
        if question not in said:
            assert result["answers"][question] == value


@pytest.mark.parametrize("shape", SHAPES)
def test_what_stands_in_the_way_is_told_most_important_first(shape: str, adopted: Adopt) -> None:
    wanted, told = SHAPES[shape], adopted(shape).result["obstacles"]
    at = []
    for where, word in wanted.hinders:
        matching = [n for n, each in enumerate(told) if each["where"] == where and word in each["what"]]
        assert matching, (where, word, told)
        at.append(matching[0])
    assert at == sorted(at)
    assert [each["rank"] for each in told] == sorted(each["rank"] for each in told)
    assert all(each["fix"] for each in told)
    if not wanted.hinders:
        assert [each for each in told if each["rank"] < 4] == []


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_a_pipeline_that_keeps_the_rules_afterwards(shape: str, adopted: Adopt) -> None:
    made = adopted(shape)
    answers, pipeline = made.result["answers"], Pipeline.load(made.adopting.root)
    assert (pipeline.image, pipeline.language) == (answers["image"], answers["language"])
    done = made.adopting.dagkit("validate", "--static")
    assert done.returncode == 0, done.stdout
    assert "all rules kept" in done.stdout
    dag = pipeline.dag().read_text()
    assert f'repository="{pipeline.image}"' in dag
    if command := answers["command"]:
        assert f"cmds={command.split()}".replace("'", '"') in dag


def test_another_templates_answers_are_kept_and_it_can_still_be_updated_from_them(adopted: Adopt) -> None:
    made = adopted("another-template")
    assert made.result["moved"] == [
        {"from": ".copier-answers.yml", "to": ".copier-answers.airflow-template.yml"}
    ]
    root = made.adopting.root
    answers = yaml.safe_load((root / ".copier-answers.yml").read_text())
    assert (answers["_src_path"], answers["_commit"]) == (str(made.adopting.template), FIRST)
    assert (answers["customise"], answers["ecr_region"]) == (True, "eu-west-2")
    assert (root / ".github/workflows/release.yml").is_file(), "it runs other jobs too"


@pytest.mark.parametrize("shape", ["cmd-only"])
def test_files_that_both_have_stay_and_what_the_templates_would_add_is_told(adopting: Adopting) -> None:
    (adopting.root / ".gitignore").write_text("__pycache__/\n")
    (adopting.root / "README.md").write_text("# Mine\n\n## Release\n\nAsk me.\n")
    adopting.git("add", "--all")
    adopting.git("commit", "--quiet", "--message", "More")
    before = adopting.files()
    told = {kept["path"]: kept["lacks"] for kept in adopting.adopt(say=("schedule=@daily",))["kept"]}
    assert ".dagkit/" in told[".gitignore"]
    assert "__pycache__/" not in told[".gitignore"]
    assert "## On your machine" in told["README.md"]
    assert "## Release" not in told["README.md"]
    assert before.items() <= adopting.files().items()


def test_the_smallest_form_brings_only_the_workflow(adopting: Adopting) -> None:
    before = adopting.files()
    result = adopting.adopt("--only", "workflow")
    after = adopting.files()
    assert set(after) - set(before) == {".copier-answers.yml", ".github/workflows/image-release.yml"}
    assert set(before) - set(after) == {REPLACED["shell-form-entry-point"]}
    assert result["answers"]["image"] == "my-counts"
    assert "owner" not in result["answers"]
    refused = adopting.dagkit("run")
    assert refused.returncode == 2
    assert "has only the workflow of the template" in refused.stderr
    assert "dagkit adopt" in refused.stderr

    # the rest can come later
    adopting.git("switch", "--quiet", "--create", "later")
    adopting.git("branch", "--quiet", "-D", "dagkit/adopt")
    rest = adopting.adopt(say=("project=prisons", "owner=octocat"))
    assert {file["path"] for file in rest["files"] if file["replaces"]} == {
        ".copier-answers.yml",
        ".github/workflows/image-release.yml",
    }
    assert rest["removed"] == rest["moved"] == []
    assert rest["answers"]["image"] == "my-counts"
    assert Pipeline.load(adopting.root).name == "airflow_counts"
