"""The pull request that a workflow runs for, as GitHub describes it in the file `GITHUB_EVENT_PATH`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dagkit.errors import UsageError


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Repository(_Model):
    full_name: str


class _User(_Model):
    login: str


class _Base(_Model):
    sha: str
    ref: str
    repo: _Repository


class _Head(_Model):
    sha: str


class PullRequest(_Model):
    """A pull request.

    Attributes:
        number: Its number.
        title: Its title, as its author wrote it.
        html_url: Its page.
        user: Its author.
        state: `open` or `closed`.
        merged: Whether it is merged.
        draft: Whether it is a draft.
        created_at: When it was opened.
        base: What it goes into.
        head: Its newest commit.
    """

    number: int
    title: str
    html_url: Annotated[str, Field(pattern=r"^https?://[^\s<>|]+$")]
    user: _User
    state: str = "open"
    merged: bool = False
    draft: bool = False
    created_at: datetime
    base: _Base
    head: _Head


class _Event(_Model):
    pull_request: PullRequest


def read(path: Path) -> PullRequest:
    """The pull request of an event.

    Raises:
        UsageError: The file is not there, or is not the event of a pull request.
    """
    try:
        return _Event.model_validate_json(path.read_bytes()).pull_request
    except OSError as error:
        raise UsageError(
            f"The event file cannot be read: {error.strerror}",
            where=str(path),
            fix="In a workflow GitHub writes it; elsewhere name one with --event.",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"The event is not one of a pull request: {key}: {first['msg']}",
            where=str(path),
            fix="Run this in a workflow that starts on pull_request or pull_request_target.",
        ) from error
