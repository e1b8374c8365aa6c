"""The notebooks, in order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """One notebook of the guide.

    Attributes:
        number: Its place, from 0.
        file: Its file's name.
        title: What the reader does in it, in a word or two.
        module: The module of `dagkit.guide` with its steps and checks.
    """

    number: int
    file: str
    title: str
    module: str


CHAPTERS = (
    Chapter(0, "0-start-here.ipynb", "Start here", "start"),
    Chapter(1, "1-create.ipynb", "Create", "create"),
    Chapter(2, "2-build.ipynb", "Build", "building"),
    Chapter(3, "3-run.ipynb", "Run", "running"),
    Chapter(4, "4-submit.ipynb", "Submit", "submitting"),
    Chapter(5, "5-keep-current.ipynb", "Keep current", "keeping"),
)
