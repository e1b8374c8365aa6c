"""The harness runs a workflow as GitHub would, and refuses what GitHub refuses or quietly leaves empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.action import Action, ActionCall, ActionFailedError
from tests.harness.events import Event, dispatch, pull_request, push, release
from tests.harness.outcome import WorkflowRun
from tests.harness.syntax import ExpressionError
from tests.harness.workflow import run_workflow
from tests.harness.workflow_file import WorkflowError

HEAD = """
name: Tried
on:
  push: {branches: [main, "release/*"]}
  release: {types: [published]}
  pull_request:
  workflow_dispatch: {inputs: {colour: {type: string}}}
permissions: {}
"""
ONE_JOB = HEAD + "jobs:\n  only:\n    runs-on: ubuntu-latest\n    steps:\n"
Runs = Callable[..., WorkflowRun]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Write a workflow and run it."""

    def run(
        text: str, event: Event | None = None, actions: Mapping[str, Action] | None = None, **more: Any
    ) -> WorkflowRun:
        path = tmp_path / "workflow.yml"
        path.write_text(text)
        return run_workflow(
            path,
            event=event or push("main", "a" * 40),
            repository=tmp_path,
            scratch=tmp_path / "scratch",
            actions=actions or {},
            **more,
        )

    return run


def steps(run: WorkflowRun, job: str = "only") -> dict[str, str]:
    return {step.label: step.outcome for step in run.jobs[job].steps}


def test_a_failing_step_stops_the_job_but_not_what_says_always(runs: Runs) -> None:
    run = runs(
        ONE_JOB
        + """
      - {name: first, run: echo one}
      - {name: second, run: "false; echo not reached"}
      - {name: third, run: echo not reached}
      - {name: when failed, if: failure(), run: echo cleaning}
      - {name: always, if: always(), run: 'echo status ${{ job.status }}'}
      - {name: only when good, if: github.ref_name == 'main', run: echo not reached}
"""
    )
    assert run.conclusion == "failure"
    assert steps(run) == {
        "first": "success",
        "second": "failure",
        "third": "skipped",
        "when failed": "success",
        "always": "success",
        "only when good": "skipped",
    }
    assert "not reached" not in run.log
    assert "status failure" in run.log


def test_a_forgiven_failure_does_not_stop_the_job(runs: Runs) -> None:
    run = runs(
        ONE_JOB
        + """
      - {id: shaky, continue-on-error: true, run: exit 3}
      - {name: says so, run: "echo ${{ steps.shaky.outcome }} ${{ steps.shaky.conclusion }}"}
"""
    )
    assert run.conclusion == "success"
    assert "failure success" in run.log


def test_a_failing_pipe_is_noticed_only_where_bash_is_named_as_on_github(runs: Runs) -> None:
    run = runs(
        ONE_JOB
        + """
      - {name: unnamed, run: "false | true"}
      - {name: named, shell: bash, run: "false | true"}
"""
    )
    assert steps(run) == {"unnamed": "success", "named": "failure"}


def test_defaults_hold_for_every_step_and_a_step_may_differ(runs: Runs) -> None:
    run = runs(
        HEAD
        + """
defaults: {run: {shell: bash}}
jobs:
  only:
    runs-on: ubuntu-latest
    defaults: {run: {working-directory: inner}}
    steps:
      - {name: make it, working-directory: ., run: mkdir inner}
      - {name: inside, run: 'basename "$PWD"'}
      - {name: pipe, run: "false | true"}
      - {name: missing, if: always(), working-directory: nowhere, run: echo not reached}
"""
    )
    assert run.jobs["only"].step("inside").log == "inner\n"
    assert steps(run)["pipe"] == "failure"
    assert "no such working-directory" in run.jobs["only"].step("missing").log


def test_outputs_environment_path_and_summary_reach_later_steps(runs: Runs) -> None:
    run = runs(
        ONE_JOB
        + """
      - id: writes
        run: |
          echo "plain=a=b" >> "$GITHUB_OUTPUT"
          printf 'long<<END\\none\\ntwo\\nEND\\n' >> "$GITHUB_OUTPUT"
          echo "COLOUR=blue" >> "$GITHUB_ENV"
          mkdir bin && printf '#!/bin/sh\\necho found' > bin/my-tool && chmod +x bin/my-tool
          echo "$PWD/bin" >> "$GITHUB_PATH"
          echo "# All well" >> "$GITHUB_STEP_SUMMARY"
      - name: reads
        env: {LONG: "${{ steps.writes.outputs.long }}"}
        run: |
          echo "${{ steps.writes.outputs.plain }} $COLOUR ${{ env.COLOUR }} $(my-tool)"
          echo "$LONG"
"""
    )
    assert run.jobs["only"].step("reads").log == "a=b blue blue found\none\ntwo\n"
    assert run.jobs["only"].summary == "# All well\n"


def test_the_nearest_environment_wins(runs: Runs) -> None:
    run = runs(
        HEAD
        + """
env: {A: workflow, B: workflow, C: workflow, D: workflow}
jobs:
  only:
    runs-on: ubuntu-latest
    env: {B: job, C: job, D: job}
    steps:
      - run: 'echo "C=written" >> "$GITHUB_ENV"; echo "D=written" >> "$GITHUB_ENV"'
      - {name: says, env: {D: step}, run: 'echo "$A $B $C $D ${{ env.D }}"'}
"""
    )
    assert run.jobs["only"].step("says").log == "workflow job written step step\n"


def test_a_job_reads_the_outputs_of_the_jobs_it_needs_and_is_skipped_when_they_fail(runs: Runs) -> None:
    run = runs(
        HEAD
        + """
jobs:
  last:
    needs: [good, bad]
    runs-on: ubuntu-latest
    steps: [{run: echo not reached}]
  reports:
    needs: [good, bad, last]
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: "echo ${{ needs.good.outputs.tag }} ${{ needs.bad.result }} ${{ needs.last.result }}"}]
  good:
    runs-on: ubuntu-latest
    outputs: {tag: "${{ steps.tag.outputs.tag }}"}
    steps: [{id: tag, run: 'echo "tag=v1" >> "$GITHUB_OUTPUT"'}]
  bad:
    runs-on: ubuntu-latest
    outputs: {tag: "${{ steps.never.outputs.tag }}"}
    steps: [{id: never, run: exit 1}]
"""
    )
    assert {name: job.conclusion for name, job in run.jobs.items()} == {
        "good": "success",
        "bad": "failure",
        "last": "skipped",
        "reports": "success",
    }
    assert run.jobs["reports"].steps[0].log == "v1 failure skipped\n"


def test_text_from_outside_is_code_when_interpolated_and_data_when_passed_by_environment(runs: Runs) -> None:
    """Both halves matter: a harness that neutralised the first would never catch an injection."""
    event = pull_request(7, "topic", "b" * 40, title='"; echo injected; #')
    run = runs(
        ONE_JOB
        + """
      - {name: careless, run: 'echo "${{ github.event.pull_request.title }}"'}
      - name: careful
        env: {TITLE: "${{ github.event.pull_request.title }}"}
        run: 'echo "$TITLE"'
""",
        event,
    )
    assert run.jobs["only"].step("careless").log == "\ninjected\n"
    assert run.jobs["only"].step("careful").log == '"; echo injected; #\n'


def test_an_action_is_done_by_its_stand_in(runs: Runs) -> None:
    calls: list[ActionCall] = []

    def login(call: ActionCall) -> dict[str, str]:
        calls.append(call)
        call.needs_permission("id-token", "write")
        call.exported["TOKEN"] = "t"
        return {"registry": "127.0.0.1:5000"}

    workflow = (
        ONE_JOB.replace("permissions: {}", "permissions: {id-token: write}")
        + """
      - {id: login, uses: "some/login@0123456789abcdef", with: {region: "${{ vars.REGION }}", mask: true}}
      - {name: reads, run: 'echo "${{ steps.login.outputs.registry }} $TOKEN"'}
"""
    )
    run = runs(workflow, actions={"some/login": login}, variables={"REGION": "eu-west-1"})
    assert calls[0].inputs == {"region": "eu-west-1", "mask": "true"}
    assert run.jobs["only"].step("reads").log == "127.0.0.1:5000 t\n"


def test_an_action_that_fails_or_lacks_a_permission_fails_its_step(runs: Runs) -> None:
    def scan(call: ActionCall) -> None:
        raise ActionFailedError("found a hole")

    def write(call: ActionCall) -> None:
        call.needs_permission("contents", "write")

    run = runs(
        ONE_JOB
        + """
      - {name: scans, uses: a/scan@v1}
      - {name: writes, if: always(), uses: a/write@v1}
""",
        actions={"a/scan": scan, "a/write": write},
    )
    assert run.jobs["only"].step("scans").log == "found a hole\n"
    assert "needs `permissions: contents: write`, and the job has none" in run.jobs["only"].step("writes").log
    assert run.conclusion == "failure"


def test_a_step_knows_what_github_tells_every_step_and_nothing_of_this_machine(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this machine")
    run = runs(
        ONE_JOB
        + """
      - name: says
        run: |
          echo "$GITHUB_REPOSITORY $GITHUB_REF_NAME $GITHUB_SHA $GITHUB_EVENT_NAME $CI"
          test "$PWD" = "$GITHUB_WORKSPACE"
          grep -q '"tag_name": "v1.2.3"' "$GITHUB_EVENT_PATH"
          echo "${AWS_SECRET_ACCESS_KEY-unset} ${GITHUB_TOKEN-unset} ${VIRTUAL_ENV-unset}"
      - {name: asks, env: {GH_TOKEN: "${{ github.token }}"}, run: 'test -n "$GH_TOKEN"'}
""",
        release("v1.2.3", "c" * 40),
    )
    assert run.conclusion == "success", run
    assert run.jobs["only"].step("says").log.splitlines() == [
        f"moj-analytical-services/my-pipeline v1.2.3 {'c' * 40} release true",
        "unset unset unset",
    ]


def test_a_step_that_takes_too_long_is_stopped_with_all_it_started(runs: Runs, tmp_path: Path) -> None:
    run = runs(
        ONE_JOB
        + f"""
      - {{name: hangs, timeout-minutes: 0.01, run: "sleep 300 & echo $! > {tmp_path}/pid; wait"}}
"""
    )
    assert "stopped after 0.01 minutes" in run.jobs["only"].step("hangs").log
    pid = (tmp_path / "pid").read_text().strip()
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    ("event", "starts"),
    [
        (push("main", "a"), True),
        (push("release/1", "a"), True),
        (push("topic", "a"), False),
        (release("v1.0.0", "a"), True),
        (release("v1.0.0", "a", action="created"), False),
        (pull_request(1, "topic", "a"), True),
        (pull_request(1, "topic", "a", action="closed"), False),
        (dispatch("a", colour="red"), True),
        (Event("schedule", "refs/heads/main", "a"), False),
    ],
)
def test_only_the_events_it_names_start_a_workflow(runs: Runs, event: Event, starts: bool) -> None:
    workflow = ONE_JOB + "      - {run: echo started}\n"
    if starts:
        assert runs(workflow, event).log == "started\n"
    else:
        with pytest.raises(WorkflowError, match="is not started by"):
            runs(workflow, event)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{run: 'echo ${{ github.ref_nam }}'}", "there is no github.ref_nam"),
        ("{run: 'echo ${{ steps.nope.outputs.x }}'}", "there is no steps.nope"),
        ("{run: 'echo ${{ vars.UNSET }}'}", "there is no vars.UNSET"),
        ("{run: 'echo ${{ nonsense.x }}'}", "the context 'nonsense' cannot be used there"),
        ("{run: 'echo ${{ success() }}'}", "the function success() cannot be used there"),
        ("{run: 'echo ${{ hash(1) }}'}", "the function hash() cannot be used there"),
        ("{run: 'echo ${{ github.ref'}", "is not closed"),
        ("{if: secrets.TOKEN, run: echo}", "the context 'secrets' cannot be used there"),
        ("{if: '${{ github.ref }} == 1', run: echo}", "is always true on GitHub"),
        ("{uses: some/action@v1}", "there is no stand-in for some/action"),
        ("{run: echo, uses: some/action@v1}", "either `run` or `uses`"),
        ("{run: echo, entrypoint: x}", "does not know entrypoint"),
        ("{run: echo, shell: fish}", "has no shell 'fish'"),
        ("{run: 'echo GITHUB_SHA=x >> \"$GITHUB_ENV\"'}", "GitHub refuses to set GITHUB_SHA"),
        ("{run: 'echo oops >> \"$GITHUB_OUTPUT\"'}", "neither name=value nor name<<END"),
        ('{run: \'echo "a<<END" >> "$GITHUB_OUTPUT"\'}', "'END' is missing"),
    ],
)
def test_what_cannot_be_known_is_an_error_and_never_passed_over(runs: Runs, step: str, message: str) -> None:
    with pytest.raises((WorkflowError, ExpressionError)) as raised:
        runs(f"{ONE_JOB}      - {step}\n")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("permissions: {}", "", "no permissions are written"),
        ("permissions: {}", "permissions: write-all", "grants more than is listed"),
        ("permissions: {}", "permission: {}", "does not know permission"),
        ("permissions: {}", "permissions: {", "while parsing"),
        ("runs-on: ubuntu-latest", "needs: [nobody]", "names a job that does not exist"),
        ("runs-on: ubuntu-latest", "if: '${{ env.X }}'", "the context 'env' cannot be used there"),
        ("runs-on: ubuntu-latest", "services: {}", "does not know services"),
    ],
)
def test_a_workflow_that_github_would_refuse_or_widen_is_refused(
    runs: Runs, old: str, new: str, message: str
) -> None:
    with pytest.raises(WorkflowError) as raised:
        runs(f"{ONE_JOB}      - {{run: echo}}\n".replace(old, new))
    assert message in str(raised.value)
