"""Notebook 2."""

from __future__ import annotations

from dagkit.guide.handle import Guide


class Steps(Guide):
    """The steps of notebook 2."""
