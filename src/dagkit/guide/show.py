"""What the notebooks show: HTML that reads well in light and dark, Mermaid, and plain text for all else.

Whatever comes from outside (names, files, logs) is escaped here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from dagkit.errors import DagkitError
from dagkit.guide.chapters import Chapter
from dagkit.guide.progress import Outcome
from dagkit.text import human_size, shorten

DOCS = "https://github.com/moj-analytical-services/dagkit/blob/main/docs/"
"""Where docs/ is published; a copied notebook has no docs beside it."""

GREEN, RED, AMBER, GREY, BLUE = "#2e9e5b", "#d94f4f", "#c98a1b", "#8a8f98", "#3f7fd0"
"""Each readable on white and on dark: JupyterLab's themes have both."""

WIDTH = "56rem"
_LONG_WORD = 24
_SHORT = 16


@dataclass(frozen=True)
class Place:
    """One notebook in the whole.

    Attributes:
        chapter: Which.
        green: How many of its checks are green.
        checks: How many it has.
        red: Whether one is red.
    """

    chapter: Chapter
    green: int
    checks: int
    red: bool

    @property
    def mark(self) -> str:
        """``✓`` all green, ``✗`` one red, ``◐`` some green, ``○`` none made."""
        if self.red:
            return "✗"
        if self.checks and self.green == self.checks:
            return "✓"
        return "◐" if self.green else "○"


@dataclass(frozen=True)
class Where:
    """Where the reader is.

    Attributes:
        places: Every notebook.
        here: The number of this one.
        subject: What it works on, in a line.
    """

    places: tuple[Place, ...]
    here: int
    subject: str


def send(
    html: str, plain: str, *, identity: str | None = None, update: bool = False, **metadata: Any
) -> None:
    """Show HTML, or the plain text where none can be shown.

    Args:
        html: Its width is limited here; everything in it is escaped already.
        plain: The same in words.
        identity: A name, under which it can be replaced later.
        update: Replace what was shown under that name.
        metadata: Kept with the output, for programs that read the notebook.
    """
    body = f'<div style="max-width:{WIDTH}">{html}</div>'
    named = {"display_id": identity, "update": update} if identity else {}
    put(
        {"text/html": body, "text/plain": plain},
        raw=True,
        metadata={"dagkit": metadata} if metadata else None,
        **named,
    )


def put(what: Any, **options: Any) -> None:
    """Show a widget, or what else Jupyter can show."""
    from IPython.display import display

    display(what, **options)  # type: ignore[no-untyped-call]


def box(kind: str, title: str, lines: Sequence[tuple[str, str]] = (), *, folded: str = "") -> tuple[str, str]:
    """A box as HTML and as plain text.

    Args:
        kind: ``good``, ``bad``, ``note`` or ``info``.
        title: What it says first.
        lines: Label and text of each line below; a label may be empty.
        folded: More, unfolded by a click.
    """
    colour, sign = {"good": (GREEN, "✓"), "bad": (RED, "✗"), "note": (AMBER, "!"), "info": (BLUE, "i")}[kind]
    rows = "".join(
        f'<div style="margin-top:.2em">{f"<b>{escape(label)}:</b> " if label else ""}'
        f'<span style="white-space:pre-wrap;overflow-wrap:anywhere">{escape(text)}</span></div>'
        for label, text in lines
    )
    more = details("more", folded) if folded else ""
    html = (
        f'<div style="border-left:.35em solid {colour};padding:.4em .8em;margin:.3em 0">'
        f'<div><span style="color:{colour};font-weight:bold">{sign}</span> <b>{escape(title)}</b></div>'
        f"{rows}{more}</div>"
    )
    plain = "\n".join(
        [f"{sign} {title}", *(f"  {label}: {text}" if label else f"  {text}" for label, text in lines)]
    )
    return html, plain


def say(kind: str, title: str, lines: Sequence[tuple[str, str]] = ()) -> None:
    """Show a box: ``good``, ``bad``, ``note`` or ``info``."""
    send(*box(kind, title, lines))


def problem_box(error: DagkitError) -> tuple[str, str]:
    """An error that a person can put right, as HTML and as plain text: what, where, what to do."""
    first, _, rest = error.what.partition("\n")
    lines = [("", rest)] if rest.strip() else []
    if error.where:
        lines.append(("Where", error.where))
    if error.fix:
        lines.append(("What to do", error.fix))
    return box("bad", first, lines)


def problem(error: DagkitError) -> None:
    """Show an error that a person can put right."""
    send(*problem_box(error), problem={"what": error.what, "where": error.where, "fix": error.fix})


def outcome(name: str, title: str, result: Outcome) -> None:
    """Show what a check came to."""
    lines = [("Seen" if result.ok else "Not yet", result.saw)]
    if result.todo:
        lines.append(("What to do", result.todo))
    html, plain = box("good" if result.ok else "bad", title, lines)
    send(html, plain, check=name, ok=result.ok)


def mark(ok: bool | None) -> str:
    """The sign of an outcome."""
    return {True: "✓", False: "✗", None: "○"}[ok]


_COLOURS: Mapping[str, str] = {"✓": GREEN, "✗": RED, "◐": AMBER, "○": GREY, "!": AMBER}


def banner(where: Where, *, identity: str, update: bool = False) -> None:
    """Show where the reader is in the whole."""
    items, words = [], []
    for place in where.places:
        here = place.chapter.number == where.here
        sign, name = place.mark, f"{place.chapter.number} {place.chapter.title}"
        count = f" {place.green}/{place.checks}" if place.checks else ""
        colour = _COLOURS[sign]
        frame = f"border:2px solid {BLUE};font-weight:bold" if here else f"border:1px solid {GREY}"
        shown = (
            escape(name)
            if here
            else f'<a href="{place.chapter.file}" style="color:inherit">{escape(name)}</a>'
        )
        items.append(
            f'<span style="display:inline-block;{frame};border-radius:1em;padding:.1em .7em;margin:.15em">'
            f'<span style="color:{colour};font-weight:bold">{sign}</span> {shown}'
            f'<span style="opacity:.7;font-weight:normal">{count}</span></span>'
        )
        words.append(f"[{sign} {name}{count}]" if here else f"{sign} {name}{count}")
    html = f'<div>{"".join(items)}</div><div style="margin:.3em .3em 0">{escape(where.subject)}</div>'
    send(html, f"{' · '.join(words)}\n{where.subject}", identity=identity, update=update)


def next_notebook(chapter: Chapter) -> None:
    """Show the way to the next notebook."""
    html = (
        f'<div style="margin:.6em 0">Next: <a href="{chapter.file}"><b>{escape(chapter.file)}</b></a></div>'
    )
    send(html, f"Next: {chapter.file}")


def mermaid(source: str) -> None:
    """Show a Mermaid picture; JupyterLab draws it without a network.

    What stands in labels has to be passed through `label` first.
    """
    put({"text/vnd.mermaid": source, "text/plain": source}, raw=True)


def label(text: str) -> str:
    """A text as it may stand between quotes in a Mermaid picture."""
    return "".join(f"#{ord(sign)};" if sign in '"#;<>&`\\\n' else sign for sign in text)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", folded: bool = False
) -> None:
    """Show a table. A cell that is only a mark (``✓``, ``✗``) gets its colour; long words wrap.

    Args:
        head: The columns' names.
        rows: The cells.
        caption: What it is a table of.
        folded: Show the caption alone; a click unfolds the rest.
    """
    listed = [[str(cell) for cell in row] for row in rows]
    style = "text-align:left;padding:.25em .8em .25em 0;vertical-align:top;line-height:1.4"

    def cell(text: str, tag: str) -> str:
        colour = f";color:{_COLOURS[text]};font-weight:bold" if text in _COLOURS else ""
        # broken anywhere, a short word would be, too, where a column is narrow
        wrap = "anywhere" if max(map(len, text.split()), default=0) > _LONG_WORD else "break-word"
        space = "pre" if len(text) <= _SHORT else "pre-wrap"
        inner = f'<span style="white-space:{space};overflow-wrap:{wrap}">{escape(text)}</span>'
        return f'<{tag} style="{style}{colour}">{inner}</{tag}>'

    top = f"<tr>{''.join(cell(text, 'th') for text in head)}</tr>"
    body = "".join(f"<tr>{''.join(cell(text, 'td') for text in row)}</tr>" for row in listed)
    framed = f"<thead>{top}</thead><tbody>{body}</tbody>"
    html = f'<table style="border-collapse:collapse;margin:.3em 0">{framed}</table>'
    if folded:
        html = f'<details><summary style="cursor:pointer">{escape(caption)}</summary>{html}</details>'
    elif caption:
        html = f"<div><b>{escape(caption)}</b></div>{html}"
    plain = "\n".join(
        [*([caption] if caption else []), " | ".join(head), *(" | ".join(row) for row in listed)]
    )
    send(html, plain)


def details(summary: str, text: str) -> str:
    """A text in a fixed-width font, folded under a line; as HTML."""
    return (
        f'<details style="margin-top:.3em"><summary style="cursor:pointer">{escape(summary)}</summary>'
        '<pre style="max-height:24em;overflow:auto;white-space:pre-wrap;font-size:85%">'
        f"{escape(text)}</pre></details>"
    )


def file(path: Path, *, title: str | None = None, most: int = 200, unfolded: bool = True) -> None:
    """Show the first lines of a text file.

    Raises:
        OSError: It cannot be read.
    """
    text(path.read_text(encoding="utf-8", errors="replace"), title or path.name, most=most, unfolded=unfolded)


def text(content: str, title: str, *, most: int = 200, unfolded: bool = True) -> None:
    """Show a text in a fixed-width font, under its title; of a long one the first lines."""
    lines = content.splitlines()
    if len(lines) > most:
        lines = [*lines[:most], f"… and {len(lines) - most} lines more"]
    html = details(title, "\n".join(lines))
    send(
        html.replace("<details ", "<details open ", 1) if unfolded else html, f"{title}\n" + "\n".join(lines)
    )


def tree(
    root: Path, notes: Mapping[str, str], *, skip: Sequence[str] = (".git", ".dagkit", "__pycache__")
) -> None:
    """Show the files below a folder as a tree, each with the note that `notes` has under its path."""
    lines: list[tuple[str, str, str]] = []

    def walk(folder: Path, indent: str) -> None:
        entries = [entry for entry in folder.iterdir() if entry.name not in skip]
        entries.sort(key=lambda entry: (entry.is_dir(), entry.name.lower()))
        for number, entry in enumerate(entries):
            last = number == len(entries) - 1
            path = entry.relative_to(root).as_posix()
            name = f"{entry.name}/" if entry.is_dir() else entry.name
            lines.append((f"{indent}{'└─ ' if last else '├─ '}", name, notes.get(path, "")))
            if entry.is_dir() and not entry.is_symlink():
                walk(entry, indent + ("   " if last else "│  "))

    walk(root, "")
    rows = "".join(
        f'<tr><td style="text-align:left;padding:0 1.5em 0 0;white-space:pre;font-family:monospace">'
        f'<span style="opacity:.5">{branch}</span>{escape(name)}</td>'
        f'<td style="text-align:left;padding:0">{escape(note)}</td></tr>'
        for branch, name, note in lines
    )
    html = f'<div><b>{escape(root.name)}/</b></div><table style="border-collapse:collapse">{rows}</table>'
    plain = "\n".join([f"{root.name}/", *(f"{a}{b}{'  — ' + c if c else ''}" for a, b, c in lines)])
    send(html, plain)


def bars(rows: Sequence[tuple[str, int]], *, caption: str = "") -> None:
    """Show sizes as bars: what each is of, and bytes."""
    most = max((size for _, size in rows), default=0) or 1
    cell = '<td style="text-align:left;padding:.1em .8em .1em 0;'
    body = "".join(
        f'<tr>{cell}width:5rem;white-space:nowrap">{human_size(size)}</td>'
        f'{cell}width:14rem"><div style="background:{BLUE};height:.9em;'
        f'width:{max(100 * size / most, 0.5):.1f}%"></div></td>'
        f'{cell}font-family:monospace" title="{escape(name)}">{escape(shorten(name, 70))}</td></tr>'
        for name, size in rows
    )
    titled = f"<div><b>{escape(caption)}</b></div>" if caption else ""
    plain = "\n".join(
        [*([caption] if caption else []), *(f"{human_size(s):>8}  {shorten(n, 70)}" for n, s in rows)]
    )
    send(f'{titled}<table style="border-collapse:collapse;width:100%">{body}</table>', plain)
