"""JupyterLab in a browser, as a person: `dagkit guide`, fill the form, Run All, read what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from dagkit.guide.chapters import CHAPTERS
from tests.guide.conftest import NewReader
from tests.guide.reading import Reader
from tests.harness import lab
from tests.harness.lab import Opened

pytestmark = pytest.mark.docker
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
MOST_PIXELS = 1500
"""Height of an output; what is longer is a wall."""

PICTURES = {0: 3, 1: 1, 2: 1, 3: 3, 4: 3, 5: 2}
"""How many Mermaid pictures a notebook has at least, once it has run."""


@dataclass(frozen=True)
class Desk:
    """A browser with JupyterLab in it, and who sits before it."""

    reader: Reader
    context: BrowserContext
    first: str

    def address(self, number: int) -> str:
        """Of a notebook; the first one is where `dagkit guide` leads."""
        return self.first.replace(CHAPTERS[0].file, CHAPTERS[number].file)

    def file(self, number: int) -> Path:
        return self.reader.folder / CHAPTERS[number].file


@pytest.fixture(scope="module")
def desk(make_reader: NewReader) -> Iterator[Desk]:
    if not any(Path(path).exists() for path in lab.CHROMIUM):
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    reader = make_reader("guide_browser", "python", docker=True, notebooks=False)
    with (
        lab.guide_in_lab(reader.folder, reader.environment, reader.home) as address,
        lab.browser() as browser,
        browser.new_context() as context,
    ):
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(address)
        page.wait_for_url("**/lab/tree/**")
        assert CHAPTERS[0].file in page.url
        first = page.url.partition("?")[0] + "?reset"
        page.close()
        yield Desk(reader, context, first)


def assert_reads_well(notebook: Opened, number: int) -> None:
    notebook.unroll()
    pictures = notebook.pictures()
    assert len(pictures) >= PICTURES[number], pictures
    assert all(width > 100 and height > 30 for width, height in pictures), pictures
    assert notebook.errors() == []
    assert notebook.too_wide() == []
    assert notebook.tallest_output() < MOST_PIXELS


def test_the_first_notebook_shows_its_pictures_and_what_this_machine_can_do(desk: Desk) -> None:
    with lab.opened(desk.context, desk.address(0), desk.file(0)) as notebook:
        notebook.run_all()
        desk.reader.assert_green(0, notebook.saved())
        assert_reads_well(notebook, 0)
        notebook.screenshot(SCREENSHOTS / "0-start-here")
        notebook.page.get_by_role("link", name="1-create.ipynb").last.click()
        notebook.page.get_by_role("heading", name="1 · Create your repository").wait_for()


def test_the_form_refuses_a_wrong_name_and_makes_the_repository(desk: Desk) -> None:
    with lab.opened(desk.context, desk.address(1), desk.file(1)) as notebook:
        page = notebook.page
        notebook.run_all()
        assert not desk.reader.outcomes(1)["1.created"].ok

        name = page.locator(".dagkit-repository input")
        name.fill("My Pipeline")
        said = page.get_by_text("letters, digits, and single hyphens")
        said.wait_for()
        notebook.screenshot(SCREENSHOTS / "1-create-wrong-name")
        create = page.locator("button.jupyter-button", has_text="Create")
        create.click()
        page.get_by_text("Nothing was made: some answers").wait_for()
        assert not desk.reader.pipeline.exists()

        for field, value in desk.reader.parameters(1)["answers"].items():
            if field != "language":
                page.locator(f".dagkit-{field} input").fill(value)
        said.wait_for(state="detached")
        create.click()
        page.get_by_text("Made guide-browser-python").wait_for()
        notebook.screenshot(SCREENSHOTS / "1-create-form")
        assert (desk.reader.pipeline / "Dockerfile").is_file()

        notebook.run_all()
        desk.reader.assert_green(1, notebook.saved())
        assert_reads_well(notebook, 1)
        notebook.screenshot(SCREENSHOTS / "1-create")


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_run_all_and_read(desk: Desk, number: int) -> None:
    with lab.opened(desk.context, desk.address(number), desk.file(number)) as notebook:
        if number == 4:
            # as a person would: into the cell at the top
            cell = notebook.page.locator(".jp-CodeCell .cm-content").first
            cell.click()
            notebook.page.keyboard.press("Control+End")
            notebook.page.keyboard.type(f'\ndag_repository = "{desk.reader.dags}"')
        notebook.run_all()
        desk.reader.assert_green(number, notebook.saved())
        assert_reads_well(notebook, number)
        notebook.screenshot(SCREENSHOTS / Path(CHAPTERS[number].file).stem)


def test_in_the_dark_theme_what_was_read_is_there_again(desk: Desk) -> None:
    lab.choose_theme(desk.reader.home, "dark")
    for number in (2, 3):
        with lab.opened(desk.context, desk.address(number), desk.file(number)) as notebook:
            assert_reads_well(notebook, number)
            notebook.screenshot(SCREENSHOTS / f"{Path(CHAPTERS[number].file).stem}-dark")
