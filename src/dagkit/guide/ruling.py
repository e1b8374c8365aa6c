"""The rules, as a notebook shows what they found."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from dagkit.guide import show
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide
from dagkit.pipeline import Pipeline

if TYPE_CHECKING:
    from dagkit.rules.runner import Report


def validated(pipeline: Pipeline, *, static: bool) -> Report:
    """What the rules find in a pipeline, with Airflow or on the files alone."""
    from dagkit.rules import load, runner
    from dagkit.rules.subject import of_pipeline

    with ExitStack() as stack:
        wanted = not static and load.airflow_is_here()
        loader = stack.enter_context(load.Loader()) if wanted else None
        return runner.validate(of_pipeline(pipeline), static=static, loader=loader)


def table(report: Report) -> None:
    """Show what a validation looked at, and what it found."""
    from dagkit.rules.registry import FAMILIES, all_rules

    rows = []
    for family, about in FAMILIES.items():
        number = sum(code.startswith(family) for code in all_rules())
        found = sum(finding.code.startswith(family) for finding in report.findings)
        rows.append(("✗" if found else "✓", f"{family}xx", about, str(number), str(found or "")))
    show.table(("", "rules", "about", "how many", "found"), rows, caption=f"Checked: {_checked(report)}")
    if report.findings:
        show.table(
            ("rule", "where", "what", "what to do"),
            [
                (each.code, f"{each.path}:{each.line}", each.message, each.fix.text)
                for each in report.findings
            ],
            caption="Found",
        )
        show.say("info", "A rule explains itself", [("", f"dagkit rule {report.findings[0].code}")])
    for note in report.not_checked:
        show.say("note", "Not checked", [("", note)])


@check("4.rules", title="The pipeline keeps the rules")
def _rules(here: Guide) -> Seen:
    report = validated(here.need(), static=True)
    if report.errors:
        first = next(each for each in report.findings if each.severity == "error")
        raise NotYet(
            f"{first.path}:{first.line}: {first.code} {first.message}",
            todo=first.fix.text + (f" ({report.errors - 1} more)" if report.errors > 1 else ""),
        )
    return Seen(f"{_checked(report)}, no error (what the files alone can tell)")


def _checked(report: Report) -> str:
    return f"{report.dags} DAG file{'s' if report.dags != 1 else ''} and {report.roles} roles"
