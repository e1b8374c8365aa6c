"""The notebooks as git keeps them: no outputs, stable cells, links that lead somewhere, proper spelling."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
from markdown_it import MarkdownIt

from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.checks import all_checks
from dagkit.guide.show import DOCS

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
FILES = [chapter.file for chapter in CHAPTERS]
TEXTS = [*FILES, "../docs/guide.md"]

# What to write instead; whole words, outside code and links.
SPELLING = {
    r"repos?": "repository",
    r"dockerfile|DockerFile|docker file": "Dockerfile",
    r"python": "Python",
    r"[Gg]ithub": "GitHub",
    r"docker": "Docker",
    r"airflow": "Airflow",
    r"[Jj]upyterlab|Jupyterlab": "JupyterLab",
    r"organization|color|customize|behavior|canceled": "the British form",
}


def notebook(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / name, as_version=nbformat.NO_CONVERT)  # type: ignore[no-untyped-call]


def prose(name: str) -> Iterator[tuple[str, str]]:
    """Every piece of Markdown of a notebook or a page, and where it is."""
    if name.endswith(".md"):
        yield name, (NOTEBOOKS / name).resolve().read_text(encoding="utf-8")
        return
    for cell in notebook(name).cells:
        if cell.cell_type == "markdown":
            yield f"{name}, cell {cell.id}", cell.source


def inline(markdown: str) -> Iterator[Any]:
    """Every token within the lines of a Markdown text."""
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        yield from token.children or ()


def links(markdown: str) -> Iterator[str]:
    for token in inline(markdown):
        if token.type in ("link_open", "image"):
            yield str(token.attrGet("href") or token.attrGet("src"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "inline" and token.level == 1:
            text = "".join(child.content for child in token.children or ())
            found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    return found


def test_every_notebook_of_the_guide_is_there_and_no_other() -> None:
    assert sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")) == sorted(FILES)


def test_they_are_in_the_form_that_git_keeps() -> None:
    tidy = [sys.executable, "scripts/tidy_notebooks.py", "--check"]
    done = subprocess.run(tidy, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_untidy_notebook_is_noticed_and_tidied(tmp_path: Path) -> None:
    path = tmp_path / FILES[0]
    content = json.loads((NOTEBOOKS / FILES[0]).read_text())
    code = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    code["execution_count"] = 3
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "a secret"}]
    path.write_text(json.dumps(content))
    tidy = [sys.executable, "scripts/tidy_notebooks.py", str(path)]
    assert subprocess.run([*tidy, "--check"], cwd=REPOSITORY, capture_output=True).returncode == 1
    assert subprocess.run(tidy, cwd=REPOSITORY, capture_output=True).returncode == 0
    assert path.read_text() == (NOTEBOOKS / FILES[0]).read_text()


@pytest.mark.parametrize("name", FILES)
def test_it_is_valid_has_no_outputs_and_cells_of_stable_names(name: str) -> None:
    content = notebook(name)
    assert (content.nbformat, content.nbformat_minor) == (4, 5)
    nbformat.validate(content)
    ids = [cell.id for cell in content.cells]
    assert len(set(ids)) == len(ids)
    # words that somebody chose, not what Jupyter draws by lot
    assert [each for each in ids if not re.fullmatch(r"[a-z]+(-[a-z]+)*", each)] == []
    assert not [cell.id for cell in content.cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.parametrize("name", FILES)
def test_it_takes_its_parameters_in_one_cell_before_all_others(name: str) -> None:
    code = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
    tagged = [cell.id for cell in code if "parameters" in cell.metadata.get("tags", ())]
    assert tagged == [code[0].id]
    for parameter in ("pipeline", "engine", "install"):
        assert re.search(rf"^{parameter} = None  # ", code[0].source, re.MULTILINE)


@pytest.mark.parametrize("number", range(len(FILES)))
def test_it_makes_each_of_its_checks_once_and_no_other(number: int) -> None:
    source = "\n".join(cell.source for cell in notebook(FILES[number]).cells if cell.cell_type == "code")
    made = [f"{number}.{name}" for name in re.findall(r'here\.check\("([\w-]+)"\)', source)]
    assert made == [name for name, check in all_checks().items() if check.notebook == number]
    assert source.endswith("here.done()")


@pytest.mark.parametrize("name", FILES)
def test_a_cell_of_code_is_a_line_or_a_few(name: str) -> None:
    for cell in notebook(name).cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", ()):
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= 3, cell.id


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    base = (NOTEBOOKS / name).resolve().parent
    for where, markdown in prose(name):
        for link in links(markdown):
            parts = urlsplit(link)
            if parts.scheme and not link.startswith(DOCS):
                assert parts.scheme == "https", (where, link)
                assert "." in parts.netloc, (where, link)
                continue
            page = (
                REPOSITORY / "docs" / parts.path.removeprefix(urlsplit(DOCS).path)
                if parts.scheme
                else base / parts.path
                if parts.path
                else (NOTEBOOKS / name).resolve()
            )
            assert page.exists(), (where, link)
            if parts.fragment:
                assert parts.fragment in anchors(page), (where, link, sorted(anchors(page)))


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_spelt_as_the_platform_asks(name: str) -> None:
    for where, markdown in prose(name):
        text = " ".join(token.content for token in inline(markdown) if token.type == "text")
        for wrong, right in SPELLING.items():
            found = re.search(rf"(?<![\w./-])({wrong})(?![\w/-]|\.\w)", text)
            assert not found, f"{where}: “{found and found[0]}”; write {right}"


def test_ruff_checks_the_code_of_the_notebooks() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    seen = {Path(line).name for line in listed.stdout.splitlines()}
    assert set(FILES) <= seen
