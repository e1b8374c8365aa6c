"""Run a repository's own tests: inside its image as a pod would run it, or without Docker."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dagkit import dockerfile
from dagkit.containers import LABEL_PIPELINE, POD_USER, confinement, docker_client, remove
from dagkit.errors import DagkitError
from dagkit.image_checks import ENVIRONMENT
from dagkit.names import dag_id

if TYPE_CHECKING:
    from dagkit.pipeline import Pipeline

STAGE = "test"
"""The stage of the Dockerfile that holds the tests; its entry point runs them."""


def stage(pipeline: Pipeline) -> str:
    """The stage of the pipeline's Dockerfile that holds its tests."""
    return str(pipeline.answers.get("test_stage") or STAGE)


def run_in_image(
    pipeline: Pipeline,
    tag: str,
    arguments: Sequence[str],
    write: Callable[[bytes], object],
    *,
    colour: bool = False,
) -> int:
    """Run the tests in an image of the stage ``test``: any user, read-only files, no capabilities.

    Args:
        pipeline: The image repository.
        tag: The image.
        arguments: Passed on to the test runner.
        write: Given what the tests print, as it comes.
        colour: Whether they may print in colour.

    Returns:
        The exit code of the test runner. The container is removed, however this ends.

    Raises:
        DagkitError: No engine, or the container cannot start.
    """
    client = docker_client()

    from docker.errors import APIError

    # tests may be silent for longer than an answer of the engine may take
    client.api.timeout = None  # type: ignore[assignment]  # None is "for ever", which its stub leaves out
    name = f"dagkit-test-{secrets.token_hex(6)}"
    try:
        config = client.images.get(tag).attrs["Config"]
        command = list(arguments) if config.get("Entrypoint") else [*(config.get("Cmd") or ()), *arguments]
        container = client.containers.create(
            tag,
            command if arguments else None,
            name=name,
            environment=ENVIRONMENT | ({"FORCE_COLOR": "1"} if colour else {}),
            labels={LABEL_PIPELINE: dag_id(pipeline.project, pipeline.name)},
            **confinement(POD_USER),
        )
        container.start()
        for chunk in container.logs(stream=True, follow=True):
            write(chunk)
        return int(container.wait()["StatusCode"])
    except APIError as error:
        raise DagkitError(
            f"The tests cannot start: {error.explanation or error}",
            where=f"{pipeline.dockerfile}, stage {stage(pipeline)}",
            fix='End that stage with what runs the tests: ENTRYPOINT ["python", "-m", "pytest"]',
        ) from error
    finally:
        remove(client, name)
        client.close()


def run_in_environment(
    pipeline: Pipeline,
    arguments: Sequence[str],
    say: Callable[[str], None],
    write: Callable[[bytes], object] | None = None,
) -> int:
    """Run the tests without Docker: in an environment made of the lock files, kept for the next time.

    Args:
        pipeline: The image repository.
        arguments: Passed on to the test runner: pytest, or tests/testthat.R.
        say: Told about progress, and about what is not checked.
        write: Given what the tests print, as it comes; None lets them print where this program does.

    Returns:
        The exit code of the test runner, which has ended, however this does.

    Raises:
        DagkitError: The environment cannot be made.
    """
    from dagkit.local.environment import of

    base_image = dockerfile.read(pipeline.dockerfile, stage(pipeline), {}).base_image
    code = of(pipeline.language, pipeline.context, base_image, tests=True, state=pipeline.state)
    code.make(say)
    say("Without Docker: not checked are the image, other users, read-only files and dropped capabilities.")
    if code.differs:
        say(code.differs)
    # credentials of this shell are none of the tests' business
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables["PATH"] = os.pathsep.join([*map(str, code.folders), variables.get("PATH", os.defpath)])
    command = [*code.test_command, *arguments]
    environment = {**variables, **ENVIRONMENT, **code.variables}
    with subprocess.Popen(
        command,
        cwd=pipeline.context,
        env=environment,
        bufsize=0,
        stdin=subprocess.DEVNULL if write else None,
        stdout=subprocess.PIPE if write else None,
        stderr=subprocess.STDOUT if write else None,
    ) as tests:
        try:
            while write and tests.stdout and (chunk := tests.stdout.read(4096)):
                write(chunk)
            return tests.wait()
        except BaseException:
            tests.kill()
            raise
