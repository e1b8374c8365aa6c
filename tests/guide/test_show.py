"""What is shown: nothing from outside becomes HTML or Mermaid, and everything can be read as text, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagkit.errors import DagkitError
from dagkit.guide import fitting, show
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.handle import Guide, Interrupted, step
from dagkit.guide.progress import Outcome
from dagkit.guide.work import working

HOSTILE = "<img src=x onerror=alert(1)>\"'&</pre></details><script>alert(2)</script>"
Shown = list[dict[str, Any]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The MIME bundles that are displayed."""
    bundles: Shown = []
    monkeypatch.setattr(show, "put", lambda what, **options: bundles.append({**what, "options": options}))
    return bundles


def with_hostile_files(folder: Path) -> None:
    (folder / "<b>bold").mkdir()
    (folder / "<b>bold" / 'a"b&c.py').write_text(HOSTILE)
    show.tree(folder, {"<b>bold": HOSTILE})
    show.file(folder / "<b>bold" / 'a"b&c.py', title=HOSTILE)


def long_work(_: Path) -> None:
    with working(HOSTILE) as work:
        work.say(HOSTILE)
        work.title = HOSTILE


@pytest.mark.parametrize(
    "showing",
    [
        lambda _: show.say("good", HOSTILE, [(HOSTILE, HOSTILE)]),
        lambda _: show.problem(DagkitError(f"{HOSTILE}\n{HOSTILE}", where=HOSTILE, fix=HOSTILE)),
        lambda _: show.outcome("1.a", HOSTILE, Outcome(False, HOSTILE, HOSTILE, "")),
        lambda _: show.table([HOSTILE], [[HOSTILE]], caption=HOSTILE),
        lambda _: show.table([HOSTILE], [[HOSTILE]], caption=HOSTILE, folded=True),
        lambda _: show.bars([(HOSTILE, 5)], caption=HOSTILE),
        lambda _: show.text(HOSTILE, HOSTILE),
        lambda _: show.banner(
            show.Where((show.Place(CHAPTERS[0], 0, 1, red=False),), 0, HOSTILE), identity="one"
        ),
        long_work,
        with_hostile_files,
    ],
)
def test_names_logs_and_files_stay_text(
    showing: Callable[[Path], None], shown: Shown, tmp_path: Path
) -> None:
    showing(tmp_path)
    assert shown
    for bundle in shown:
        html = bundle["text/html"]
        assert "<img" not in html
        assert "<script" not in html
        assert "<b>bold" not in html
        assert html.count("<details") == html.count("</details>")
        assert bundle["text/plain"].strip()


def test_a_label_cannot_end_itself_in_a_mermaid_picture() -> None:
    assert show.label('a"]; click x; b["<i>') == "a#34;]#59; click x#59; b[#34;#60;i#62;"


def test_an_error_that_a_person_can_put_right_is_a_box_and_the_notebook_goes_on(
    shown: Shown, tmp_path: Path
) -> None:
    class Steps(Guide):
        @step
        def fail(self) -> None:
            raise DagkitError("It is broken", where="a.py:3", fix="mend it")

        @step
        def stop(self) -> None:
            raise KeyboardInterrupt

    here = Steps(CHAPTERS[0], tmp_path)
    here.fail()
    [bundle] = shown
    assert "It is broken" in bundle["text/plain"]
    assert "Where: a.py:3" in bundle["text/plain"]
    assert "What to do: mend it" in bundle["text/plain"]
    assert bundle["options"]["metadata"]["dagkit"]["problem"]["fix"] == "mend it"
    with pytest.raises(Interrupted) as raised:
        here.stop()
    assert len(raised.value._render_traceback_()) == 1, "one line instead of a traceback"


def test_a_check_that_does_not_exist_is_named_with_those_that_do(shown: Shown, tmp_path: Path) -> None:
    Guide(CHAPTERS[0], tmp_path).check("machin")
    assert "did you mean 'machine'" in shown[0]["text/plain"]


def test_work_is_one_display_that_changes_and_ends_with_its_log_folded(shown: Shown) -> None:
    with working("Building") as work:
        for number in range(1000):
            work.say(f"line {number}", share=number / 1000)
    identities = {bundle["options"]["display_id"] for bundle in shown}
    assert len(identities) == 1
    assert [bundle["options"]["update"] for bundle in shown][:1] == [False]
    assert all(bundle["options"]["update"] for bundle in shown[1:])
    assert len(shown) < 50, "not a picture for every line"
    assert "<details" in shown[-1]["text/html"]
    assert "line 999" in shown[-1]["text/html"]
    assert "line 10\n" not in shown[-1]["text/html"], "of a long log the end is kept"


def test_work_that_fails_is_marked_as_failed(shown: Shown) -> None:
    with pytest.raises(ZeroDivisionError), working("Dividing"):
        _ = 1 / 0
    assert shown[-1]["text/plain"].startswith("✗ Dividing")


@pytest.mark.parametrize(
    ("green", "red", "mark"), [(2, False, "✓"), (1, True, "✗"), (1, False, "◐"), (0, False, "○")]
)
def test_the_banner_says_how_far_each_notebook_is(green: int, red: bool, mark: str, shown: Shown) -> None:
    places = tuple(show.Place(chapter, green, 2, red=red) for chapter in CHAPTERS)
    show.banner(show.Where(places, 3, "Your pipeline"), identity="banner")
    plain = shown[0]["text/plain"]
    assert plain.count(mark) == len(CHAPTERS)
    assert f"[{mark} 3 Run {green}/2]" in plain
    assert 'href="2-build.ipynb"' in shown[0]["text/html"]
    assert 'href="3-run.ipynb"' not in shown[0]["text/html"], "that is where the reader is"


def test_one_yes_is_enough_for_something_simpler_and_all_no_for_airflow() -> None:
    none = dict.fromkeys(range(len(fitting.QUESTIONS)), False)
    assert fitting.advise(none)[:2] == ("good", "Airflow fits")
    for number, question in enumerate(fitting.QUESTIONS):
        kind, _, lines = fitting.advise({**none, number: True})
        assert (kind, lines) == ("note", [(question.instead, question.why)])
    assert fitting.advise({0: False})[0] == "info", "a verdict only when all is answered"
