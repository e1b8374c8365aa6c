"""How a workflow went: its jobs, their steps, and what each step wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepRun:
    """How one step went.

    Attributes:
        outcome: success, failure or skipped.
        conclusion: The same, but success where `continue-on-error` forgave a failure.
        script: What bash was given, expressions filled in; empty for an action.
        log: What it wrote, both streams in order.
        env: All environment variables that bash, or the action, was given.
    """

    id: str
    label: str
    outcome: str
    conclusion: str
    outputs: Mapping[str, str]
    script: str = ""
    log: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class JobRun:
    """How one job went; `summary` is the Markdown that GitHub shows for it."""

    id: str
    conclusion: str
    outputs: Mapping[str, str]
    steps: tuple[StepRun, ...]
    summary: str

    def step(self, name: str) -> StepRun:
        """Return the step with this id or name."""
        return next(step for step in self.steps if name in (step.id, step.label))


@dataclass(frozen=True, repr=False)
class WorkflowRun:
    """How a workflow went."""

    jobs: Mapping[str, JobRun]

    @property
    def conclusion(self) -> str:
        """``failure`` if any job failed, else ``success``."""
        return "failure" if any(job.conclusion == "failure" for job in self.jobs.values()) else "success"

    @property
    def log(self) -> str:
        """Everything that all steps wrote, in order."""
        return "".join(step.log for job in self.jobs.values() for step in job.steps)

    def __repr__(self) -> str:
        lines = []
        for job in self.jobs.values():
            lines.append(f"job {job.id}: {job.conclusion}")
            for step in job.steps:
                lines.append(f"  {step.label}: {step.outcome}")
                if step.outcome == "failure":
                    lines += [f"    | {line}" for line in step.log.splitlines()]
        return "\n".join(lines)
