"""Whatever is answered, it is refused with a message, or it is data in the files and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile_parse import DockerfileParser
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dagkit import names
from tests.harness.languages import both_languages
from tests.template.conftest import REPOSITORY, Render
from tests.template.test_answers import CRON, JINJA, takes

# special in Python, YAML, Jinja, GitHub's expressions, the shell, Markdown, HTML, and to people's eyes
FRAGMENTS = [
    "'", '"', '"""', "\\", "\\n", "\n", "\r", "\t", "\0", "%s", "%(x)s", "{x}",
    "null", "true", "on", "1e3", "~", "- a", ": ", " #", "!!python/object:x", "&a", "*a", "---", "...", "[",
    "{{ 7 * 7 }}", "{% raw %}", "{% endraw %}", "{#", "#}", "${{ secrets.TOKEN }}", "${{", "}}",
    "`id`", "$(id)", "$HOME", "; exit 1", "&&", "|", "> x", "EOF",
    "](x)", "]", "**", "__", "~~", "# ", "1. ", "+ ", "==", "https://example.org", "@a",
    "<script>", "<!--", "&lt;", "&#35;",
    " ", "  ", "\x85", "\xa0", "\xad", "\u2028", "\u202e", "\u200d", "\ufeff", "\ud800",
    "😀", "é", "e\u0301", "日本", "N" * 99,
]  # fmt: skip
WILD = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=8)), max_size=6).map("".join)
DESCRIPTIONS = st.one_of(WILD, WILD.map(lambda text: f"x{text}x")).filter(
    lambda text: takes("description", text)
)


def name(pattern: str, longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: 2 <= len(text) <= longest)


ANSWERS = st.fixed_dictionaries(
    {"description": DESCRIPTIONS},
    optional={
        "repository": name(names.REPOSITORY, 30)
        | st.sampled_from(["null", "true", "On", "1e3", "0x1F", "12_3"]),
        "project": name(names.PROJECT, 20) | st.sampled_from(["null", "true", "import"]),
        "pipeline": name(names.PIPELINE, 20) | st.sampled_from(["null", "true", "on", "class"]),
        "owner": name(names.OWNER, 39) | st.sampled_from(["null", "1e3", "123"]),
        "email": name(names.EMAIL, 60),
        "output": name(names.S3_PATH, 80),
        "schedule": st.just("@daily") | CRON.filter(lambda cron: takes("schedule", cron)),
        "compute": st.sampled_from(["standard", "high-memory", "gpu"]),
    },
)


def literals(tree: ast.AST) -> dict[str, Any]:
    """The keyword arguments of a call to DAG that are literals."""
    [call] = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "DAG"]
    values = [(keyword.arg, keyword.value) for keyword in call.keywords]
    return {str(arg): value.value for arg, value in values if isinstance(value, ast.Constant)}


def constants(tree: ast.Module) -> dict[str, Any]:
    """The names that a module gives to literals."""
    return {
        ast.unparse(node.targets[0]): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


def shape(tree: ast.AST) -> list[str]:
    """The kinds of nodes: the same for all answers when answers are constants."""
    return [type(node).__name__ for node in ast.walk(tree)]


def markdown(text: str) -> list[tuple[str, str, str]]:
    """The structure of a Markdown text as GitHub sees it, with the text of each paragraph and cell."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return [
        (token.type, token.tag, " ".join(child.type for child in token.children or []))
        for token in parser.parse(text)
    ]


def said_in_readme(text: str) -> str:
    """The paragraph that holds the description, as a reader sees it."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    [inline] = [token for token in tokens if token.content.startswith("What it does: ")]
    assert [child.type for child in inline.children or []] == ["text"]
    return (inline.children or [])[0].content.removeprefix("What it does: ")


DAG_SETTINGS = REPOSITORY / "templates/airflow/ruff.toml"

# each example generates a repository: a smaller one would take minutes to find
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


def check_files(made: Path, usual: Path) -> None:
    """Every file parses, is formatted, and has the same structure as with the usual answers."""
    dags = [next((folder / "airflow/dags").iterdir()) for folder in (made, usual)]
    for path in made.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in dags]
    assert shape(trees[0]) == shape(trees[1])
    loaded = {
        p: yaml.safe_load(p.read_text(encoding="utf-8"))
        for pattern in ("*.yml", "*.yaml")
        for p in made.rglob(pattern)
    }
    assert len(loaded) == 7
    for path in made.rglob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
    for name in ("renv.lock", "renv/settings.json"):
        if (usual / name).is_file():
            json.loads((made / name).read_text(encoding="utf-8"))
    # no answer is put into code in R, nor into what R itself reads
    for pattern in ("*.R", ".Rprofile", ".lintr", "*.Rproj"):
        assert [p.read_bytes() for p in sorted(made.rglob(pattern))] == [
            p.read_bytes() for p in sorted(usual.rglob(pattern))
        ]
    instructions = [
        [
            step["instruction"]
            for step in DockerfileParser(fileobj=BytesIO((folder / "Dockerfile").read_bytes())).structure
        ]
        for folder in (made, usual)
    ]
    assert instructions[0] == instructions[1]
    assert len((made / ".github/CODEOWNERS").read_text().splitlines()) == 2
    assert markdown((made / "README.md").read_text("utf-8")) == markdown(
        (usual / "README.md").read_text("utf-8")
    )
    # a repository in R has no settings for Python: those of the DAG repository count, where its DAG goes
    own = () if (made / "pyproject.toml").is_file() else (f"--config={DAG_SETTINGS}",)
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, "--no-cache", *own, str(made)]
        # not from the repository: its folder airflow would be taken for the package
        linted = subprocess.run(ruff, cwd="/", capture_output=True, text=True, timeout=60)
        assert linted.returncode == 0, linted.stdout


@both_languages
@settings(max_examples=15, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(answers=ANSWERS)
def test_what_is_accepted_is_in_the_files_as_data(
    language: str, render: Render, rendered_daily: Path, answers: dict[str, str]
) -> None:
    made = render(**({"schedule": "@weekly", "language": language} | answers))
    check_files(made, rendered_daily)
    recorded = yaml.safe_load((made / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert {question: recorded[question] for question in answers} == answers
    dag = made / "airflow/dags" / f"{recorded['pipeline']}.py"
    said = literals(ast.parse(dag.read_text(encoding="utf-8")))
    assert constants(ast.parse(dag.read_text(encoding="utf-8"))) == {
        "ENVIRONMENT": "dev",
        "RELEASE": "v0.0.1",
        "OWNER": recorded["owner"],
        "EMAIL": recorded["email"],
    }
    assert said["dag_id"] == f"{recorded['project']}.{recorded['pipeline']}"
    assert said["description"] == recorded["description"]
    assert said["schedule"] == recorded["schedule"]
    assert said_in_readme((made / "README.md").read_text(encoding="utf-8")) == recorded["description"]
    for environment in names.ENVIRONMENTS:
        role = yaml.safe_load((made / f"airflow/roles/{environment}/{recorded['pipeline']}.yaml").read_text())
        output = recorded["output"].removeprefix("s3://")
        reads = {"read_only": [f"{output}/hearings.csv"]} if language == "r" else {}
        assert role == {
            "iam_role_name": names.role(environment, recorded["project"], recorded["pipeline"]),
            "s3": reads | {"read_write": [f"{output}/{environment}/*"]},
        }
    for workflow in ("test", "release"):
        ours, usual = (folder / f".github/workflows/{workflow}.yml" for folder in (made, rendered_daily))
        image = names.ecr_repository(recorded["repository"])
        assert ours.read_text() == usual.read_text().replace('"my-pipeline"', f'"{image}"')


@pytest.mark.parametrize(
    ("language", "less"), [*(("python", less) for less in range(0, 36, 3)), ("r", 0), ("r", 18)]
)
def test_the_longest_answers_fit_their_lines(
    language: str, render: Render, rendered_daily: Path, less: int
) -> None:
    longest = {
        "language": language,
        "repository": "r" * (100 - less),
        "project": "p" * (40 - less),
        "pipeline": "q" * 10,
        "description": "'\"" * ((60 - less) // 2),
        "owner": "o" * (39 - less),
        "email": "e" * (93 - less) + "@gov.uk",
        "schedule": "1" + ",1" * (35 - less // 2) + " * * * *",
        "output": "s3://" + "b" * 63 + "/" + "k" * (11 - less // 4),
    }
    check_files(render(**longest), rendered_daily)


QUESTIONS = [
    "repository",
    "project",
    "pipeline",
    "description",
    "owner",
    "email",
    "schedule",
    "output",
    "compute",
]
QUESTIONS += [
    "ecr_account",
    "ecr_region",
    "push_role",
    "cluster_accounts",
    "namespace",
    "dev_cluster",
    "base_image",
    "cran_repository",
]


@both_languages
@settings(max_examples=25, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(question=st.sampled_from(QUESTIONS), answer=WILD)
def test_any_answer_to_any_question_is_refused_or_harmless(
    language: str, render: Render, rendered_daily: Path, question: str, answer: str
) -> None:
    try:
        made = render(**({"schedule": "@weekly", "language": language} | {question: answer}))
    except ValueError as refused:
        assert f"'{question}'" in str(refused)
    else:
        recorded = yaml.safe_load((made / ".copier-answers.yml").read_text(encoding="utf-8"))
        asked = question != "cran_repository" or language == "r"
        assert recorded.get(question) == (answer if asked else None)
        if recorded["schedule"] not in ("manual", "None"):
            check_files(made, rendered_daily)


@both_languages
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(description=DESCRIPTIONS)
def test_a_description_is_itself_in_python_and_in_markdown(rendered: Path, description: str) -> None:
    answers = yaml.safe_load((rendered / ".copier-answers.yml").read_text())
    answers |= {
        "description": description,
        "ecr_account": "1",
        "ecr_region": "eu-west-1",
        "push_role": "role",
    }
    dag = JINJA.get_template("templates/pipeline/airflow/dags/pipeline.py.jinja").render(answers)
    assert literals(ast.parse(dag))["description"] == description
    readme = JINJA.get_template("templates/pipeline/README.md.jinja").render(answers)
    assert said_in_readme(readme) == description
