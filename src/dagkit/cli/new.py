"""`dagkit new [DEST]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dagkit.cli import terminal
from dagkit.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def new(
    dest: Annotated[
        Path | None,
        typer.Argument(help="The folder to make. Without it, the answer 'repository' names it."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", "-d", metavar="KEY=VALUE", help="An answer; may be given again."),
    ] = None,
    data_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A YAML file of answers; --data counts more."),
    ] = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", "-l", help="Ask nothing: take the default answers.")
    ] = False,
    template: Annotated[
        str | None,
        typer.Option(metavar="SRC", help="Another template: a folder or a git address."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="A version of the template, or HEAD. Otherwise the newest."),
    ] = None,
) -> None:
    """Make a pipeline's repository from the template: the questions of `copier copy`, and its result."""
    from dagkit import scaffold

    answers = {**_from_file(data_file), **given(data or [])}
    if dest is not None:
        scaffold.check_free(dest)
    can_ask = terminal.can_ask()
    made = scaffold.new(
        dest,
        scaffold.source(template, version),
        data=answers,
        defaults=defaults or not can_ask,
        rename=_another if can_ask else None,
    )
    if not (can_ask or defaults):
        terminal.note(
            "note: there is no terminal to ask in, so questions without an answer got their defaults"
        )
    for remark in made.notes:
        terminal.note(f"note: {remark}")
    folder = terminal.shell_path(made.root)
    enter = "" if made.root.resolve() == Path.cwd() else f"cd {folder} && "
    from_template = f", from version {made.version} of the template" if made.version else ""
    terminal.say(f"Made {terminal.styled(folder, 'bold')}: {made.files} files{from_template}.")
    begin = "git add --all" if (made.root / ".git").exists() else "git init && git add --all"
    terminal.say(f'  keep it:  {enter}{begin} && git commit -m "Start from the template"')
    if made.answers.get("kind", "image") == "image":
        terminal.say("  try it:   dagkit run      (what this machine can do: dagkit doctor)")
    else:
        terminal.say("  check it: dagkit validate")


def given(pairs: list[str]) -> dict[str, Any]:
    """Answers, as `--data KEY=VALUE` gives them."""
    answers: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"An answer is not given as KEY=VALUE: '{pair}'", fix="-d pipeline=my_pipeline")
        answers[key] = value
    return answers


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from dagkit.pipeline import read_yaml

    if not path.is_file():
        raise UsageError("There is no such file of answers", where=str(path))
    answers = read_yaml(path)
    if not isinstance(answers, dict):
        raise UsageError(
            "The file is not a set of answers", where=str(path), fix="Lines like: pipeline: my_pipeline"
        )
    return {str(key): value for key, value in answers.items()}


def _another(taken: Path) -> Path:
    """Another folder, as the one that the answers name is taken: the answers are not lost."""
    return Path.cwd() / str(typer.prompt(f"{terminal.shell_path(taken)} is taken. Another folder"))
