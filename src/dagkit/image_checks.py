"""Will the image run on the cluster? It is started here, confined as a pod is, and watched.

What a program does without its variables is its own affair, so nothing is asked of its exit code. It is
started twice, confined and as root with everything allowed: it must get as far as its own code, and come to
the same end both times. Only where the ends differ is each restriction tried on its own, to say which it is.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagkit.containers import LABEL_PIPELINE, confinement, docker_client, remove

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

PATIENCE = 6.0
"""Seconds that a program is watched before it counts as started and running."""

GRACE = 5
"""Seconds that a program gets to stop when asked."""

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_METADATA_SERVICE_TIMEOUT": "60",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "5",
}
"""The variables that every pod of the platform gets."""

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_KILLED = 137

# The image lacks something that its program needs to begin at all.
_INCOMPLETE = re.compile(
    r"can't open file|ModuleNotFoundError|ImportError|SyntaxError:|cannot open shared object file|"
    r"exec format error|cannot open file '.*\.R'|there is no package called|required file not found",
    re.IGNORECASE,
)
# The program needs what a pod does not give it.
_REFUSED = re.compile(
    r"permission ?(denied|error)|read-only file system|operation not permitted|uid not found|no such user|"
    r"cannot find name for user|getpwuid",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What, in a few words.
        passed: None where it could not be looked at.
        seen: What was seen.
        fix: What to do, where it failed.
    """

    name: str
    passed: bool | None
    seen: str
    fix: str | None = None


@dataclass(frozen=True)
class Trial:
    """How a program began and ended.

    Attributes:
        exit_code: None where it was still running, or never began.
        output: Its last lines.
        refused: The engine's reason for not starting it, where that is so.
        seconds: How long it was watched.
        stopped: Whether it stopped when asked; None where it ended by itself, or was not asked.
    """

    exit_code: int | None
    output: tuple[str, ...]
    refused: str | None = None
    seconds: float = 0.0
    stopped: bool | None = None

    @property
    def end(self) -> str:
        """How it ended, in a few words."""
        if self.refused:
            return self.refused
        if self.exit_code is None:
            return f"still running after {self.seconds:.0f} s"
        said = f', "{self.output[-1].strip()}"' if self.output else ""
        return f"exit code {self.exit_code}{said}"

    def trouble(self, pattern: re.Pattern[str]) -> str | None:
        """The line of its output that has one of these words."""
        return next((line.strip() for line in reversed(self.output) if pattern.search(line)), None)


@dataclass(frozen=True)
class Restriction:
    """Something a pod may not do."""

    name: str
    options: tuple[str, ...]
    fix: str


RESTRICTIONS = (
    Restriction(
        "any user id",
        ("user",),
        "Let everybody read the program (RUN chmod -R a+rX /app), write to /tmp only, and ask for no user's"
        " name or home (ENV HOME=/tmp).",
    ),
    Restriction(
        "read-only files",
        ("read_only", "tmpfs"),
        "Write to /tmp only; caches too: ENV HOME=/tmp XDG_CACHE_HOME=/tmp/.cache.",
    ),
    Restriction(
        "no capabilities",
        # root without capabilities may not even read others' files; what counts is a user who is not root
        ("user", "cap_drop", "security_opt"),
        "Do what needs root (apt-get, chown, sudo) in the Dockerfile, not when the program starts.",
    ),
)


def check_image(tag: str, *, pipeline: str = "") -> tuple[Check, ...]:
    """Look at an image, and start it as a pod would be started.

    Args:
        tag: The image.
        pipeline: The dag_id, for the labels of the containers that are started.

    Raises:
        DagkitError: No engine.
    """
    client = docker_client()
    try:
        config: dict[str, Any] = client.images.get(tag).attrs["Config"]
        command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        if not command:
            return (
                Check(
                    "entry point", False, "none", 'End the Dockerfile with: ENTRYPOINT ["python", "run.py"]'
                ),
            )
        user = random.randrange(20_000, 60_000)  # noqa: S311
        confined = confinement(user)
        labels = {LABEL_PIPELINE: pipeline}
        tried, free = _try(client, tag, ({**confined}, {"user": "0"}), labels)
        apart: Sequence[Trial] = ()
        if not incomplete(free) and difference(tried, free):
            each = tuple({"user": "0"} | {k: confined[k] for k in r.options} for r in RESTRICTIONS)
            apart = _try(client, tag, each, labels)
        return (
            entry_point(config.get("Entrypoint"), command),
            default_user(config.get("User") or ""),
            *starts(tried, free, apart, user),
            stops(tried),
        )
    finally:
        client.close()


def entry_point(entrypoint: Sequence[str] | None, command: Sequence[str]) -> Check:
    """Whether the program is process 1 itself, so that it gets the signals that Kubernetes sends."""
    shown = " ".join(command)
    if list(command[:2]) in (["/bin/sh", "-c"], ["sh", "-c"], ["bash", "-c"], ["/bin/bash", "-c"]):
        name = "ENTRYPOINT" if entrypoint else "CMD"
        return Check(
            "entry point",
            False,
            f"a shell runs it: {shown}",
            f'Write it as a list, so that signals reach the program: {name} ["python", "run.py"]',
        )
    return Check("entry point", True, shown)


def default_user(user: str) -> Check:
    """Whether the image runs as somebody other than root when nobody says as whom."""
    if user.partition(":")[0] in ("", "0", "root"):
        return Check(
            "not root", False, "it runs as root", "Add to the last stage of the Dockerfile: USER 1337"
        )
    return Check("not root", True, f"runs as user {user}")


def incomplete(free: Trial) -> str | None:
    """Why a program did not get as far as its own code although everything was allowed."""
    if free.refused:
        return free.refused
    if free.exit_code in (_NOT_EXECUTABLE, _NOT_FOUND):
        return free.end
    return free.trouble(_INCOMPLETE)


def difference(tried: Trial, free: Trial) -> str | None:
    """What a program could not do for being confined, in its own words; None where it made no difference."""
    if tried.refused and not free.refused:
        return tried.refused
    if (line := tried.trouble(_REFUSED)) and line != free.trouble(_REFUSED):
        return line
    if tried.exit_code and tried.exit_code != free.exit_code:
        return f"{tried.end} (as root: {free.end})"
    return None


def starts(tried: Trial, free: Trial, apart: Sequence[Trial], user: int) -> tuple[Check, ...]:
    """Whether the program starts, and starts under each restriction."""
    if reason := incomplete(free):
        return (
            Check("starts", False, reason, _how_to_start(reason)),
            *(Check(r.name, None, "not checked: the program does not start") for r in RESTRICTIONS),
        )
    started = Check("starts", True, f"reached its own code: {free.end}")
    reason = difference(tried, free)
    if reason is None:
        seen = (f"user {user}", "only /tmp can be written to", "all dropped, no new privileges")
        return started, *(Check(r.name, True, s) for r, s in zip(RESTRICTIONS, seen, strict=True))
    found = [difference(trial, free) for trial in apart]
    if not any(found):
        # only together do they matter: the user is the first to be suspected
        found[0] = reason
    checks = [
        Check(r.name, why is None, why or "makes no difference", r.fix if why else None)
        for r, why in zip(RESTRICTIONS, found, strict=True)
    ]
    if found[0]:
        checks[-1] = Check(RESTRICTIONS[-1].name, None, f"not checked: see {RESTRICTIONS[0].name}")
    return started, *checks


def _how_to_start(reason: str) -> str:
    known = (
        (r"not found in \$PATH|no such file", "The ENTRYPOINT names a program that is not in the image."),
        (r": permission denied", 'Start it through its interpreter: ENTRYPOINT ["python", "run.py"]'),
        (r"exec format error", 'Start it through its interpreter: ENTRYPOINT ["python", "run.py"]'),
        (r"\\r|shebang lines", "The script has Windows line endings: save it with Unix ones."),
        (r"SyntaxError", "Correct the script: the line is in the program's own output (docker run)."),
    )
    otherwise = "See that the program's file and packages are in the image: COPY, and the lock file."
    return next((fix for pattern, fix in known if re.search(pattern, reason)), otherwise)


def stops(tried: Trial) -> Check:
    """Whether a program that is still running stops when Kubernetes asks it to."""
    if tried.refused:
        return Check("stops when asked", None, "not checked: the program does not start")
    if tried.stopped is None:
        return Check("stops when asked", None, "not checked: the program ended by itself")
    if tried.stopped:
        return Check("stops when asked", True, f"within {GRACE} s")
    return Check(
        "stops when asked",
        False,
        f"still there after {GRACE} s",
        "Process 1 has to handle SIGTERM itself. Do so in the program, or start it through tini.",
    )


def _try(
    client: DockerClient, tag: str, options: Sequence[dict[str, Any]], labels: dict[str, str]
) -> tuple[Trial, ...]:
    """Start the image once with each set of options, side by side, without a network; stop the first."""
    from docker.errors import APIError

    containers: list[Container] = []
    names: list[str] = []
    refusals: dict[int, str] = {}
    try:
        for number, option in enumerate(options):
            names.append(f"dagkit-check-{secrets.token_hex(6)}")
            containers.append(
                client.containers.create(
                    tag,
                    name=names[-1],
                    environment=ENVIRONMENT,
                    network_mode="none",
                    labels=labels,
                    **option,
                )
            )
            try:
                containers[-1].start()
            except APIError as error:
                refusals[number] = _reason(error.explanation or str(error))
        begun = time.monotonic()
        return tuple(
            Trial(None, (), refused=refusals[number])
            if number in refusals
            else _watch(container, begun, stop=number == 0)
            for number, container in enumerate(containers)
        )
    finally:
        for name in names:
            remove(client, name)


def _watch(container: Container, begun: float, *, stop: bool) -> Trial:
    while True:
        container.reload()
        running = container.status == "running"
        seconds = time.monotonic() - begun
        if not running or seconds > PATIENCE:
            break
        time.sleep(0.05)
    output = tuple(
        line for line in container.logs(tail=40).decode(errors="replace").splitlines() if line.strip()
    )
    if not running:
        return Trial(container.attrs["State"]["ExitCode"], output, seconds=seconds)
    if not stop:
        return Trial(None, output, seconds=seconds)
    container.stop(timeout=GRACE)
    container.reload()
    return Trial(None, output, seconds=seconds, stopped=container.attrs["State"]["ExitCode"] != _KILLED)


def _reason(explanation: str) -> str:
    """The end of an engine's chain of reasons, which is the one that says something."""
    found = re.search(r'exec: "?(.*?)"?: (.*?)(: unknown)?$', explanation, re.DOTALL)
    return f"{found[1]}: {found[2]}" if found else " ".join(explanation.split())
