"""`dagkit rule`: which rules there are, and what one of them asks for."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def rule(
    code: Annotated[
        str | None, typer.Argument(help="A rule, as DK205 or by its name; all of them if none.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="All rules as a page of documentation.")
    ] = False,
) -> None:
    """List the rules, or explain one: why it is there, a bad example and a good one."""
    from dagkit.rules import docs, registry

    if markdown:
        sys.stdout.write(docs.markdown())
    elif code is None:
        rules = registry.all_rules()
        width = max(len(each.name) for each in rules.values())
        for family, members in groupby(rules.values(), key=lambda each: each.code[:3]):
            sys.stdout.write(f"{family}xx {registry.FAMILIES[family]}\n")
            for each in members:
                sys.stdout.write(f"  {each.code}  {each.name:<{width}}  {docs.asks(each)}\n")
            sys.stdout.write("\n")
        sys.stdout.write("dagkit rule DK205 explains one.\n")
    else:
        found = registry.rule(code)
        sys.stdout.write(f"{found.code} {found.name}\n\n{docs.plain(found)}")
