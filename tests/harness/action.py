"""What a stand-in for a GitHub action is: a function of one argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.events import Event


class ActionFailedError(Exception):
    """Raised by a stand-in where the action itself would fail; the message is what its log would say."""


@dataclass
class ActionCall:
    """What a stand-in is told, and what it may do besides returning outputs.

    Attributes:
        uses: As written, with the version: ``actions/checkout@…``.
        inputs: `with:`, expressions filled in.
        env: The environment variables a step has here.
        permissions: What the job's token may do: ``{"contents": "read"}``.
        event: What started the workflow.
        repository: The git repository on GitHub's side.
        workspace: The job's work folder.
        exported: Environment variables for later steps; a stand-in adds to it.
        path: Folders in front of later steps' PATH; a stand-in adds to it.
    """

    uses: str
    inputs: Mapping[str, str]
    env: Mapping[str, str]
    permissions: Mapping[str, str]
    event: Event
    repository: Path
    workspace: Path
    exported: dict[str, str] = field(default_factory=dict)
    path: list[Path] = field(default_factory=list)

    def needs_permission(self, scope: str, level: str) -> None:
        """Fail as the action does where the job's token may not do this."""
        granted = self.permissions.get(scope, "none")
        if granted not in (level, "write"):
            raise ActionFailedError(
                f"{self.uses} needs `permissions: {scope}: {level}`, and the job has {granted}"
            )


Action = Callable[[ActionCall], Mapping[str, str] | None]
