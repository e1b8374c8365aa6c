"""Runs a GitHub workflow for real: `run:` steps with bash, `uses:` steps by stand-ins that a test gives.

run = run_workflow(path, event=release("v1.2.3", sha), repository=checkout, scratch=tmp_path, actions=...)
assert run.conclusion == "success", run
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness.action import Action, ActionCall, ActionFailedError
from tests.harness.bash import parse_file_commands, run_command
from tests.harness.events import Event, is_triggered
from tests.harness.expressions import Sparse, evaluate, fill, truthy
from tests.harness.outcome import JobRun, StepRun, WorkflowRun
from tests.harness.syntax import Value
from tests.harness.workflow_file import Job, Step, Workflow, WorkflowError, load_workflow

_SHELLS: Mapping[str | None, tuple[str, ...]] = {
    None: ("bash", "-e"),  # what GitHub does where no shell is named: no pipefail
    "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail"),
    "sh": ("sh", "-e"),
}
# What a step may take from this machine: how to reach the network and where tools keep things. Nothing else.
_INHERITED = re.compile(
    r"LANG|LC_.*|TZ|SSL_CERT_.*|(CURL|REQUESTS|NODE_EXTRA)_CA_.*|PIP_.*|UV_.*|XDG_CACHE_HOME|DOCKER_.*"
)


def run_workflow(
    path: Path,
    *,
    event: Event,
    repository: Path,
    scratch: Path,
    actions: Mapping[str, Action],
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    machine: Mapping[str, str] | None = None,
) -> WorkflowRun:
    """Run every job of a workflow.

    Args:
        path: The workflow file.
        event: What starts it; see `tests.harness.events`.
        repository: The git repository that `actions/checkout` would fetch from.
        scratch: An empty folder for work folders, homes and scripts.
        actions: A stand-in per action, by its name without version.
        variables: `vars` of the repository.
        secrets: `secrets` of the repository.
        machine: Environment variables of the runner itself, over the few that are taken from this machine.

    Raises:
        WorkflowError: GitHub would refuse the file, or not start it, or an action has no stand-in.
        ExpressionError: An expression names what does not exist.
    """
    workflow = load_workflow(path)
    if not is_triggered(workflow.triggers, event):
        raise WorkflowError(
            f"{path.name} is not started by {event.name}: {event.payload.get('action', event.ref)}"
        )
    for step in (step for job in workflow.jobs for step in job.steps if step.uses):
        if _action_name(step) not in actions:
            raise WorkflowError(f"{path.name}: there is no stand-in for {_action_name(step)} ({step.label})")
    runner = _Runner(
        workflow, event, repository, scratch, actions, variables or {}, secrets or {}, machine or {}
    )
    return runner.run()


def _action_name(step: Step) -> str:
    return (step.uses or "").partition("@")[0]


@dataclass
class _Runner:
    workflow: Workflow
    event: Event
    repository: Path
    scratch: Path
    actions: Mapping[str, Action]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    machine: Mapping[str, str]

    def run(self) -> WorkflowRun:
        done: dict[str, JobRun] = {}
        for job in self.workflow.jobs:
            needs = {name: done[name] for name in job.needs}
            done[job.id] = _JobRunner(self, job, needs).run()
        return WorkflowRun(done)


class _JobRunner:
    def __init__(self, runner: _Runner, job: Job, needs: Mapping[str, JobRun]) -> None:
        self.runner = runner
        self.job = job
        self.failed = False
        self.done: list[StepRun] = []
        self.exported: dict[str, str] = {}
        self.path: list[str] = []
        self.home = runner.scratch / job.id
        self.workspace = self.home / "work"
        self.temp = self.home / "temp"
        self.summary = self.home / "summary.md"
        event = runner.event
        token = runner.secrets.get("GITHUB_TOKEN", "a-token-of-this-run")
        github = event.github_context() | {
            "event_path": str(self.home / "event.json"),
            "job": job.id,
            "token": token,
            "workflow": runner.workflow.name,
            "workspace": str(self.workspace),
        }
        self.contexts: dict[str, Value] = {
            "github": github,
            "vars": runner.variables,
            "secrets": {"GITHUB_TOKEN": token, **runner.secrets},
            "inputs": event.inputs,
            "needs": {
                name: {"result": run.conclusion, "outputs": _readable(run.conclusion, run.outputs)}
                for name, run in needs.items()
            },
            "runner": {
                "os": "Linux",
                "arch": "X64",
                "name": "local",
                "temp": str(self.temp),
                "tool_cache": str(self.temp),
            },
            "job": {"status": "success"},
            "steps": {},
        }
        succeeded = all(run.conclusion == "success" for run in needs.values())
        self.needs_status = {
            "success": succeeded,
            "failure": any(run.conclusion == "failure" for run in needs.values()),
            "always": True,
            "cancelled": False,
        }

    def run(self) -> JobRun:
        if not truthy(evaluate(self.job.condition, self.contexts, self.needs_status)):
            return JobRun(self.job.id, "skipped", {}, (), "")
        for folder in (self.workspace, self.temp, self.home / "home"):
            folder.mkdir(parents=True)
        (self.home / "event.json").write_text(json.dumps(dict(self.runner.event.payload)))
        self.summary.touch()
        workflow_env = {name: fill(text, self.contexts) for name, text in self.runner.workflow.env.items()}
        self.env = workflow_env | {name: fill(text, self.contexts) for name, text in self.job.env.items()}
        for step in self.job.steps:
            self.one(step)
        conclusion = "failure" if self.failed else "success"
        outputs = {name: fill(text, self.contexts) for name, text in self.job.outputs.items()}
        return JobRun(self.job.id, conclusion, outputs, tuple(self.done), self.summary.read_text())

    def one(self, step: Step) -> None:
        """Run one step, or skip it, and remember how it went."""
        status = {"success": not self.failed, "failure": self.failed, "always": True, "cancelled": False}
        shared = self.env | self.exported
        self.contexts["env"] = shared
        self.contexts["job"] = {"status": "failure" if self.failed else "success"}
        env = shared | {name: fill(text, self.contexts) for name, text in step.env.items()}
        self.contexts["env"] = env
        script, log, outputs = "", "", dict[str, str]()
        given = self.environment(env)
        if not truthy(evaluate(step.condition, self.contexts, status)):
            outcome = "skipped"
        elif step.run is not None:
            script = fill(step.run, self.contexts)
            outcome, log, outputs = self.bash(step, script, given)
        else:
            outcome, log, outputs = self.action(step, given)
        conclusion = "success" if outcome == "failure" and step.continue_on_error else outcome
        self.failed = self.failed or conclusion == "failure"
        run = StepRun(
            str(step.id), fill(step.label, self.contexts), outcome, conclusion, outputs, script, log, given
        )
        self.done.append(run)
        self.contexts["steps"][run.id] = {
            "outputs": _readable(outcome, outputs),
            "outcome": outcome,
            "conclusion": conclusion,
        }

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return all environment variables of a step: the machine's, GitHub's, the workflow's."""
        # GitHub gives the token only where the workflow asks for it.
        github = {
            name: value for name, value in self.contexts["github"].items() if name not in ("event", "token")
        }
        inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
        variables = {
            **inherited,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home / "home"),
            "CI": "true",
            **self.runner.machine,
            **{f"GITHUB_{name.upper()}": value for name, value in github.items()},
            "GITHUB_ACTIONS": "true",
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(self.temp),
            **env,
        }
        variables["PATH"] = os.pathsep.join([*self.path, variables["PATH"]])
        return variables

    def bash(self, step: Step, script: str, env: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
        number = len(self.done)
        if step.shell not in _SHELLS:
            raise WorkflowError(f"{step.label}: this harness has no shell {step.shell!r}")
        file = self.temp / f"{number}.sh"
        file.write_text(script)
        files = {name: self.temp / f"{number}.{name}" for name in ("OUTPUT", "ENV", "PATH")}
        for path in files.values():
            path.touch()
        variables = {**env} | {f"GITHUB_{name}": str(path) for name, path in files.items()}
        variables["GITHUB_STEP_SUMMARY"] = str(self.summary)
        folder = self.workspace / fill(step.working_directory or ".", self.contexts)
        if not folder.is_dir():
            return "failure", f"no such working-directory: {folder}\n", {}
        code, log = run_command(
            [*_SHELLS[step.shell], str(file)], folder, variables, step.timeout_minutes * 60
        )
        outputs = parse_file_commands(files["OUTPUT"].read_text())
        exported = parse_file_commands(files["ENV"].read_text())
        if forbidden := [
            name for name in exported if name.startswith(("GITHUB_", "RUNNER_")) or name == "NODE_OPTIONS"
        ]:
            raise WorkflowError(f"{step.label}: GitHub refuses to set {', '.join(forbidden)}")
        self.exported |= exported
        self.path = [*reversed(files["PATH"].read_text().splitlines()), *self.path]
        return ("success" if code == 0 else "failure"), log, outputs

    def action(self, step: Step, env: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
        call = ActionCall(
            uses=str(step.uses),
            inputs={name: fill(text, self.contexts) for name, text in step.inputs.items()},
            env=env,
            permissions=self.job.permissions,
            event=self.runner.event,
            repository=self.runner.repository,
            workspace=self.workspace,
        )
        try:
            outputs = dict(self.runner.actions[_action_name(step)](call) or {})
        except ActionFailedError as error:
            return "failure", f"{error}\n", {}
        self.exported |= call.exported
        self.path = [*map(str, call.path), *self.path]
        return "success", "", outputs


def _readable(outcome: str, outputs: Mapping[str, str]) -> Mapping[str, str]:
    """Return outputs as expressions see them: what succeeded must have written what is asked for."""
    return dict(outputs) if outcome == "success" else Sparse(outputs)
