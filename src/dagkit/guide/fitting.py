"""Whether Airflow fits: a few questions, and what fits better where the answer is yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagkit.guide import show


@dataclass(frozen=True)
class Question:
    """A question whose "yes" speaks against Airflow.

    Attributes:
        text: The question.
        instead: What fits better, in a few words.
        why: Why that is so, in a sentence or two.
    """

    text: str
    instead: str
    why: str


QUESTIONS = (
    Question(
        "Does somebody wait for the answer on a screen: an app, a dashboard, an API?",
        "An app",
        "It runs all the time and answers at once. Airflow starts a pod for every task, which takes a minute"
        " or more.",
    ),
    Question(
        "Is it a chore of an app that you have already, such as filling its cache every night?",
        "A cron job of that app",
        "The app's image, database and role are there already; a second copy of them would have to be kept"
        " in step.",
    ),
    Question(
        "Is it only SQL, from tables to tables?",
        "A derived table (SQL models, run for you)",
        "The database does the work, so there is no code to put into an image.",
    ),
    Question(
        "Will it run only once, or a few times by hand?",
        "JupyterLab or RStudio, by hand",
        "A pipeline pays from its third run or so. If memory is short: read only the rows and columns that"
        " you need (Athena, Parquet), work in parts, or ask for a larger session.",
    ),
    Question(
        "Must it react within seconds, or never end: a stream, a queue?",
        "A service of its own; ask the data engineers",
        "A task of Airflow begins, works and ends.",
    ),
    Question(
        "Do you still change the code after every look at its output?",
        "A notebook, for now",
        "Come back once the same code shall run again and again: then the rest is quick.",
    ),
)

FITS = (
    "It runs again and again, from start to end, without you: that is what Airflow is for. A run that is"
    " started by hand, with no schedule, is fine too, and so is one that needs a large machine."
)


def advise(answers: Mapping[int, bool]) -> tuple[str, str, list[tuple[str, str]]]:
    """What to use.

    Args:
        answers: Yes or no by the question's place in `QUESTIONS`; those not answered yet are left out.

    Returns:
        A box's kind, its title, and its lines.
    """
    against = [QUESTIONS[number] for number, yes in sorted(answers.items()) if yes]
    if against:
        return "note", "Something else fits better", [(q.instead, q.why) for q in against]
    if len(answers) < len(QUESTIONS):
        left = len(QUESTIONS) - len(answers)
        return "info", f"{left} {'questions' if left > 1 else 'question'} to go", []
    return "good", "Airflow fits", [("", FITS)]


def ask() -> None:
    """Show the questions as a form, where there is a browser, and what each answer means as a table."""
    _form(QUESTIONS)
    show.table(
        ("if yes to …", "use instead", "because"),
        [(question.text, question.instead, question.why) for question in QUESTIONS],
        caption="All of it as a table",
        folded=True,
    )


def _form(questions: Sequence[Question]) -> None:
    try:
        import ipywidgets as widgets
    except ImportError:
        return
    answers: dict[int, bool] = {}
    result = widgets.HTML(value=show.box(*advise(answers))[0])
    rows = []
    for number, question in enumerate(questions):
        buttons = widgets.ToggleButtons(
            options=[("yes", True), ("no", False)],
            index=None,
            tooltips=[question.text, question.text],
            style={"button_width": "3.5rem"},
            layout=widgets.Layout(flex="0 0 9rem"),
        )

        def answered(change: Mapping[str, Any], number: int = number) -> None:
            answers[number] = bool(change["new"])
            result.value = show.box(*advise(answers))[0]

        buttons.observe(answered, names="value")
        text = widgets.Label(question.text, layout=widgets.Layout(flex="1 1 auto"))
        rows.append(widgets.HBox([buttons, text], layout=widgets.Layout(align_items="center")))
    show.put(widgets.VBox([*rows, result], layout=widgets.Layout(max_width=show.WIDTH)))
