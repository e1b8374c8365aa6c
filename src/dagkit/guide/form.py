"""The template's questions as a form in the browser: each answer checked as it is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from dagkit import scaffold
from dagkit.errors import DagkitError
from dagkit.guide import show
from dagkit.guide.questions import Asked, Questions

PERSONAL = ("owner", "email")
"""Questions whose default answer is nobody's: they have to be answered."""

WHERE = "folder"
"""The one question that is not the template's: where to make the repository."""


class Form:
    """The questions, and a button that makes the repository.

    Args:
        questions: The template's.
        fixed: Answers that are not asked for.
        parent: Where the repository will lie, unless the reader says otherwise.
        create: Given the answers and the folder to make it in, makes it; what it returns, HTML, is shown.
    """

    def __init__(
        self,
        questions: Questions,
        fixed: Mapping[str, Any],
        parent: Path,
        create: Callable[[Mapping[str, Any], Path], str],
    ) -> None:
        import ipywidgets

        self._widgets = ipywidgets
        self._questions = questions
        self._fixed = dict(fixed)
        self._create = create
        self._typed: dict[str, Any] = {}
        self._tried = False
        self._made_at: Path | None = None
        self._filling = False
        self._fields: dict[str, Any] = {}
        self._rows: dict[str, Any] = {}
        self._said: dict[str, Any] = {}
        self._where = self._field(
            WHERE, ipywidgets.Text(value=str(parent)), "In which folder shall it be made?"
        )
        self.button = ipywidgets.Button(description="Create", button_style="primary", icon="check")
        self.button.on_click(self._pressed)
        self._state = ipywidgets.HTML()
        self.result = ipywidgets.HTML()
        self._body = ipywidgets.VBox(layout=ipywidgets.Layout(max_width=show.WIDTH))
        self.refresh()

    @property
    def widget(self) -> Any:
        """What is displayed."""
        return self._body

    @property
    def fields(self) -> Mapping[str, Any]:
        """The widget of each question that is or was asked, by the answer's name."""
        return self._fields

    @property
    def messages(self) -> Mapping[str, str]:
        """What is said under each question, as HTML; empty where all is well."""
        return {name: said.value for name, said in self._said.items()}

    def refresh(self) -> None:
        """Ask what the answers so far leave to be asked, and say what is wrong with them."""
        asked = self._ask()
        self._filling = True
        try:
            for question in asked:
                self._show(question)
        finally:
            self._filling = False
        missing = [question.name for question in asked if question.problem]
        # a default answer that is made from a missing one is put right with it
        missing = [name for name in missing if name in (*PERSONAL, *self._typed)] or missing
        target = self._target(asked)
        made = target == self._made_at
        taken = scaffold.taken(target) and not made
        self._say(WHERE, "There is something of that name already; choose another." if taken else None)
        self._state.value = (
            f"Still to be answered: {escape(', '.join(missing))}"
            if missing
            else f"It {'was' if made else 'will be'} made at <code>{escape(str(target))}</code>"
        )
        rows = [self._rows[question.name] for question in asked]
        self._body.children = [*rows, self._rows[WHERE], self._state, self.button, self.result]

    def _ask(self) -> tuple[Asked, ...]:
        given = {**dict.fromkeys(PERSONAL, ""), **self._typed, **self._fixed}
        return tuple(q for q in self._questions.ask(given) if q.name not in self._fixed)

    def _target(self, asked: tuple[Asked, ...]) -> Path:
        name = next(str(question.value) for question in asked if question.name == "repository")
        return Path(self._where.value).expanduser() / name

    def _show(self, question: Asked) -> None:
        """The row of a question, as it stands now."""
        name = question.name
        if name not in self._fields:
            self._field(name, self._made(question), question.help)
        field = self._fields[name]
        if name not in self._typed and field.value != question.value:
            field.value = question.value
        self._rows[name].children[0].value = _help(question.help)
        self._say(name, question.problem if name in self._typed or self._tried else None)

    def _made(self, question: Asked) -> Any:
        if question.choices:
            return self._widgets.Dropdown(options=list(question.choices), value=question.value)
        if question.yes_or_no:
            return self._widgets.Checkbox(value=question.value, description="yes", indent=False)
        return self._widgets.Text(value=question.value, placeholder=str(question.default))

    def _field(self, name: str, field: Any, help_text: str) -> Any:
        layout = self._widgets.Layout
        field.layout = layout(width="32rem", max_width="100%")
        field.add_class(f"dagkit-{name}")
        text = self._widgets.HTML(value=_help(help_text), layout=layout(margin="0.4rem 0 0 0"))
        said = self._widgets.HTML()
        field.observe(lambda change: self._typing(name, change["new"]), names="value")
        self._fields[name], self._said[name] = field, said
        self._rows[name] = self._widgets.VBox([text, field, said])
        return field

    def _say(self, name: str, problem: str | None) -> None:
        self._said[name].value = (
            f'<span style="color:{show.RED}">✗ {escape(problem)}</span>' if problem else ""
        )

    def _typing(self, name: str, value: Any) -> None:
        if self._filling:
            return
        if name != WHERE:
            self._typed[name] = value
        self.refresh()

    def _pressed(self, _: Any) -> None:
        self._tried = True
        self.refresh()
        asked = self._ask()
        if any(question.problem for question in asked):
            self.result.value = show.box(
                "bad", "Nothing was made: some answers are missing or refused, see above"
            )[0]
            return
        self.button.disabled, self.button.description = True, "Making it …"
        try:
            answers = {question.name: question.value for question in asked} | self._fixed
            self.result.value = self._create(answers, self._target(asked))
            self._made_at = self._target(asked)
        except DagkitError as error:
            self.result.value = show.problem_box(error)[0]
        finally:
            self.button.disabled, self.button.description = False, "Create"
            self.refresh()


def _help(text: str) -> str:
    return f'<div style="line-height:1.4">{escape(text)}</div>'
