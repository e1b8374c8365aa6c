"""What this machine can do, and what to do about what it cannot. Fast, and without a network."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dagkit.errors import DagkitError
from dagkit.machine import Machine, this_machine
from dagkit.pipeline import Pipeline

OLDEST, NEWEST = (3, 11), (3, 13)
"""The versions of Python that dagkit works on."""

ROOM = 5 * 10**9
"""Bytes that images, environments and runs take up before long."""

ELSEWHERE = "elsewhere"
"""In place of a language: the image is made elsewhere."""

State = Literal["ok", "note", "lack"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``ok``; ``note`` where everything works without it; ``lack`` where something does not.
        seen: What was found.
        means: What it means, where it is not ``ok``.
        fix: The command, or the one thing, that puts it right.
    """

    name: str
    state: State
    seen: str
    means: str | None = None
    fix: str | None = None


@dataclass(frozen=True)
class Examination:
    """What was found, and what follows.

    Attributes:
        machine: The operating system.
        findings: In the order in which a pipeline needs them.
        engine: Which engine `dagkit run` would use; None where none works.
        why: Why that one.
        ready: Whether `dagkit run` has all it needs.
    """

    machine: str
    findings: tuple[Finding, ...]
    engine: str | None
    why: str
    ready: bool


def examine(folder: Path, environment: Mapping[str, str] = os.environ) -> Examination:
    """Look at this machine and at the image repository in ``folder``, if there is one. Nothing is raised."""
    machine = this_machine()
    here, language = pipeline(folder)
    containers = docker(machine)
    if language == ELSEWHERE and containers.state != "ok":
        containers = replace(containers, state="lack", means="the pipeline's image runs only in Docker")
    lacking: State = "note" if containers.state == "ok" else "lack"
    found = {
        finding.name: finding
        for finding in (
            python(machine),
            git(machine),
            containers,
            *extra(),
            uv(),
            *for_r(machine, folder if language == "r" else None, lacking),
            github(machine, environment),
            aws(environment),
            space(folder),
            here,
        )
    }
    engine, why = choose(found, language)
    needed = ("Python", "local runs", here.name)
    ready = engine is not None and all(found[name].state != "lack" for name in needed)
    return Examination(machine.name, tuple(found.values()), engine, why, ready)


def choose(found: Mapping[str, Finding], language: str | None) -> tuple[str | None, str]:
    """The engine that `dagkit run` would use, and why."""
    if found["Docker"].state == "ok":
        return "docker", "Docker answers"
    if language == ELSEWHERE:
        return None, "Docker does not answer, and the image is made elsewhere: it runs only in Docker"
    if language == "r":
        for finding in (found["R"], found.get("R packages")):
            if finding and finding.state == "lack":
                return None, f"Docker does not answer, and {finding.name}: {finding.seen}"
        return "process", "Docker does not answer; this machine's R runs the code instead"
    if found["uv"].state == "ok":
        return "process", "Docker does not answer; the code runs in an environment of its lock file instead"
    return None, "Docker does not answer, and there is no uv to make an environment with"


def python(machine: Machine) -> Finding:
    """The Python that dagkit runs on."""
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding("Python", "ok", f"{version} ({sys.executable})")
    return Finding(
        "Python",
        "lack",
        version,
        f"dagkit works on {'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}",
        machine.install("python"),
    )


def git(machine: Machine) -> Finding:
    """git, and who commits with it."""
    version = _output("git", "--version")
    if version is None:
        return Finding(
            "git",
            "lack",
            "not installed",
            "dagkit new, update and submit need it",
            machine.install("git"),
        )
    number = version.split()[2]
    for key, example in (("user.name", "Your Name"), ("user.email", "your.name@justice.gov.uk")):
        if not _output("git", "config", key):
            return Finding(
                "git",
                "note",
                f"{number}, but {key} is not set",
                "you cannot commit",
                f'git config --global {key} "{example}"',
            )
    return Finding("git", "ok", f"{number}, as {_output('git', 'config', 'user.email')}")


def docker(machine: Machine) -> Finding:
    """The Docker engine."""
    from dagkit.containers import docker_client, docker_installed

    means = "runs and tests use processes: the image, its user and its limits are not checked"
    try:
        client = docker_client()
    except DagkitError as error:
        if machine.container and not docker_installed() and "DOCKER_HOST" not in os.environ:
            seen, fix = "none, as expected here: this machine is itself a container", None
        else:
            seen, fix = f"{error.what} ({error.where})" if error.where else error.what, error.fix
        return Finding("Docker", "note", seen, means, fix)
    try:
        about = client.info()
        builder = client.api.get(f"{client.api.base_url}/_ping").headers.get("Builder-Version", "1")
    except Exception as error:
        return Finding("Docker", "note", f"it does not say what it is: {error}", means, machine.start_docker)
    finally:
        client.close()
    seen = (
        f"{about['ServerVersion']}, {about['NCPU']} CPUs, {about['MemTotal'] / 1024**3:.0f} GiB,"
        f" {'BuildKit' if builder == '2' else 'classic builder'}"
    )
    root = Path(about.get("DockerRootDir") or "/")
    if about.get("OSType") != "linux":
        return Finding("Docker", "note", seen, "it runs no Linux containers", "switch it to Linux containers")
    try:
        free = shutil.disk_usage(root).free
    except OSError:  # Docker Desktop's disk is in its own machine
        return Finding("Docker", "ok", seen)
    if free < ROOM:
        return Finding(
            "Docker",
            "note",
            f"{seen}, {free / 10**9:.1f} GB free",
            "builds may fill the disk",
            "docker system df",
        )
    return Finding("Docker", "ok", seen)


def extra() -> Iterator[Finding]:
    """The packages that a run needs, by this package's own metadata: the extra `local`."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in importlib.metadata.requires("dagkit") or ()]
    shown, lacking = [], []
    for requirement in wanted:
        if requirement.marker is None or not requirement.marker.evaluate({"extra": "local"}):
            continue
        if requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(requirement.name)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{requirement.name} {requirement.specifier} (here: {version})")
        elif requirement.name in ("apache-airflow", "moto"):
            shown.append(f"{requirement.name.removeprefix('apache-').capitalize()} {version}")
    if lacking:
        yield Finding(
            "local runs",
            "lack",
            f"missing: {', '.join(lacking)}",
            "dagkit run does not work (new, build and validate do)",
            "pip install 'dagkit[local]'",
        )
    else:
        yield Finding("local runs", "ok", ", ".join(shown))


def uv() -> Finding:
    """uv, which makes environments of lock files."""
    try:
        from uv import find_uv_bin

        program: str | None = find_uv_bin()
    except (ImportError, FileNotFoundError):
        program = shutil.which("uv")
    version = _output(program, "--version") if program else None
    if version:
        return Finding("uv", "ok", version.split()[1])
    return Finding(
        "uv",
        "note",
        "not installed",
        "runs and tests without Docker do not work",
        "pip install 'dagkit[local]'",
    )


def for_r(machine: Machine, folder: Path | None, lacking: State) -> Iterator[Finding]:
    """What a pipeline in R needs, if there is one in ``folder``; what is not here is ``lacking``."""
    from dagkit import doctor_r

    if folder is None:
        yield doctor_r.unneeded()
    else:
        yield from doctor_r.findings(Pipeline.load(folder).root, machine, lacking)


def github(machine: Machine, environment: Mapping[str, str]) -> Finding:
    """The GitHub command line, and whether somebody is logged in."""
    if shutil.which("gh") is None:
        return Finding(
            "GitHub", "note", "gh is not installed", "pull requests are opened by hand", machine.install("gh")
        )
    if "GH_TOKEN" in environment or "GITHUB_TOKEN" in environment:
        return Finding("GitHub", "ok", "gh, with a token of the environment")
    default = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "gh"
    hosts = Path(environment.get("GH_CONFIG_DIR") or default) / "hosts.yml"
    try:
        user = re.search(
            r"^github\.com:\n(?:[ ].*\n)*?[ ]+user: (\S+)", hosts.read_text(encoding="utf-8"), re.MULTILINE
        )
    except OSError:
        user = None
    if user:
        return Finding("GitHub", "ok", f"gh, logged in as {user[1]}")
    return Finding("GitHub", "note", "gh, not logged in", "pull requests are opened by hand", "gh auth login")


def aws(environment: Mapping[str, str]) -> Finding:
    """Credentials of this shell, which never reach a run."""
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
    )
    present = [name for name in names if environment.get(name)]
    if not present:
        return Finding("AWS", "ok", "no credentials in this shell; runs need none")
    return Finding("AWS", "ok", f"{', '.join(present)} set in this shell; runs and tests do not get them")


def space(folder: Path) -> Finding:
    """Room on the disk that the folder is on."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "disk", "note", f"{folder}: {error.strerror}", "runs are kept in this folder", f"ls {folder}"
        )
    if free >= ROOM:
        return Finding("disk", "ok", f"{free / 10**9:.0f} GB free")
    return Finding(
        "disk",
        "note",
        f"{free / 10**9:.1f} GB free",
        "images and environments may not fit",
        f"du -sh {folder}/.dagkit",
    )


def pipeline(folder: Path) -> tuple[Finding, str | None]:
    """The image repository in the folder, and its language; ELSEWHERE without an image of its own."""
    name = "pipeline"
    try:
        found = Pipeline.load(folder)
    except DagkitError as error:
        if error.where is None:
            return Finding(name, "ok", "none in this folder: dagkit new my-pipeline makes one"), None
        return Finding(name, "lack", f"{error.what} ({error.where})", "nothing works here", error.fix), None
    language = found.language
    try:
        found.dag()
        for environment in ("dev", "prod"):
            found.role(environment)
    except DagkitError as error:
        where = f" ({error.where})" if error.where else ""
        return Finding(name, "lack", f"{error.what}{where}", "dagkit run does not work", error.fix), language
    if not found.has_image:
        return Finding(name, "ok", f"{found.project}.{found.name}, whose image is made elsewhere"), ELSEWHERE
    lock = "renv.lock" if language == "r" else "requirements.txt"
    if not (found.root / lock).is_file():
        return Finding(
            name,
            "lack",
            f"{found.project}.{found.name}: no {lock}",
            "the image cannot be built, and no environment made",
            f"git checkout -- {lock}",
        ), language
    shown = "R" if language == "r" else language.capitalize()
    return Finding(name, "ok", f"{found.project}.{found.name}, in {shown}"), language


def _output(*command: str) -> str | None:
    """What a program says; None where there is no such program, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
