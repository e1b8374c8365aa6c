"""What a version of the template makes of a repository's answers: Copier renders it, in a folder beside."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagkit import names, scaffold
from dagkit.errors import UsageError
from dagkit.pipeline import ANSWERS_FILE, read_yaml
from dagkit.update.recorded import Recorded
from dagkit.update.template import Template


@dataclass(frozen=True)
class Rendered:
    """What a version of the template makes of the answers.

    Attributes:
        folder: The files, without those that are the analyst's.
        answers: The answers they were made with.
    """

    folder: Path
    answers: Mapping[str, Any]


def render(
    template: Template,
    ref: str,
    recorded: Recorded,
    folder: Path,
    *,
    data: Mapping[str, Any],
    ask: bool,
    leave: Sequence[Mapping[str, Any]],
) -> Rendered:
    """Render a version.

    Args:
        template: The template.
        ref: The version.
        recorded: The repository; its answers are taken, where the version still accepts them.
        folder: Where; it is made. A template may read its name.
        data: Answers that count more than the recorded ones.
        ask: Ask the questions that have no answer yet; otherwise they get their defaults.
        leave: Settings (copier.yml) of the template, the newest last: what they exclude from updates is the
            analyst's, and left out.

    Raises:
        UsageError: An answer is refused (in the template's words), or answers a question that is not asked.
        DagkitError: This version of the template cannot be used.
    """
    from copier import run_recopy
    from copier.errors import CopierError
    from jinja2 import TemplateError
    from yaml import YAMLError

    questions = [key for key in leave[-1] if not key.startswith("_")]
    if unknown := next((key for key in data if key not in questions), None):
        raise UsageError(
            f"The template asks no question '{unknown}'{names.closest(unknown, questions)}",
            fix=f"Its questions: {', '.join(questions)}",
        )
    folder.mkdir(parents=True)
    answers_file = folder / ANSWERS_FILE
    said = (recorded.root / ANSWERS_FILE).read_text(encoding="utf-8")
    answers_file.write_text(_from(str(template.folder), said), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run_recopy(
                folder,
                data=dict(data),
                vcs_ref=template.commit(ref),
                defaults=not ask,
                skip_answered=True,
                overwrite=True,
                quiet=True,
            )
        except KeyboardInterrupt:
            raise
        except (CopierError, TemplateError, YAMLError, ValueError, TypeError, OSError) as error:
            raise scaffold.refused(error, scaffold.Source(template.src, ref)) from error
    written = answers_file.read_text(encoding="utf-8")
    answers_file.write_text(_from(recorded.src, written), encoding="utf-8")
    answers = read_yaml(answers_file)
    leave_out(folder, [pattern for settings in leave for pattern in settings.get("_exclude", ())], answers)
    return Rendered(folder, answers)


def _from(src: str, answers: str) -> str:
    """The text of an answers file, with another address of the template."""
    import yaml

    line = yaml.safe_dump({"_src_path": src}, width=10_000, allow_unicode=True).rstrip("\n")
    return re.sub(r"^_src_path:.*(\n[ ].*)*$", lambda _: line, answers, flags=re.MULTILINE)


def leave_out(folder: Path, patterns: Sequence[str], answers: Mapping[str, Any]) -> None:
    """Remove what the patterns match when Copier updates: there, the last pattern that matches decides."""
    from jinja2.sandbox import SandboxedEnvironment
    from pathspec import PathSpec

    jinja = SandboxedEnvironment(keep_trailing_newline=True)
    context = {**answers, "_copier_operation": "update"}
    lines = [line for pattern in patterns for line in jinja.from_string(pattern).render(context).splitlines()]
    excluded: PathSpec[Any]
    try:
        excluded = PathSpec.from_lines("gitignore", lines)
    except LookupError:  # which older ones, that Airflow 2.11 asks for, call by another name
        excluded = PathSpec.from_lines("gitwildmatch", lines)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif excluded.match_file(path.relative_to(folder)):
            path.unlink()
