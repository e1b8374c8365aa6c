"""Without Docker: this machine's R, the packages it may use, and what is said about both."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dagkit.doctor import Examination, Finding, examine
from dagkit.errors import DagkitError
from dagkit.local.awscli import AwsCli, find_aws
from dagkit.local.r_environment import REnvironment
from dagkit.local.r_packages import find_r, read_lock
from tests.r.conftest import Lock
from tests.r.cran import served

pytestmark = pytest.mark.r

DEAD_END = "http://127.0.0.1:1/cran/latest"


def made(root: Path) -> tuple[REnvironment, list[str]]:
    """The environment, made, and what was said meanwhile."""
    said: list[str] = []
    environment = REnvironment(root)
    environment.make(said.append)
    return environment, said


def r(environment: REnvironment, root: Path, expression: str) -> subprocess.CompletedProcess[str]:
    """Run an expression with the R and the packages of an environment."""
    program = environment.program("Rscript")
    assert program
    return subprocess.run(
        [program, "-e", expression],
        cwd=root,
        env={"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment.variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def with_renv(renv_library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The R of this machine has renv, whose caches are the test's own."""
    monkeypatch.setenv("R_LIBS", str(renv_library))
    monkeypatch.setenv("RENV_PATHS_ROOT", str(tmp_path / "renv-root"))


def test_without_renv_the_code_sees_the_locked_packages_and_no_other(repository: Path) -> None:
    environment, said = made(repository)
    assert said == [f"R {find_r(repository).version} ({shutil.which('Rscript')}) runs the code"]
    seen = r(environment, repository, "cat(requireNamespace('testthat', quietly = TRUE))").stdout
    assert seen == "TRUE"
    # lintr is installed here, and not locked: in the image it would be missing
    assert shutil.which("Rscript") and "TRUE" in _outside("cat(requireNamespace('lintr', quietly = TRUE))")
    assert r(environment, repository, "cat(requireNamespace('lintr', quietly = TRUE))").stdout == "FALSE"


def _outside(expression: str) -> str:
    done = subprocess.run(["Rscript", "--vanilla", "-e", expression], capture_output=True, text=True)
    return done.stdout


def test_it_is_said_which_versions_differ_from_the_lock_file(repository: Path, lock: Lock) -> None:
    lock(r="3.6.3", testthat="0.0.1")
    environment, _ = made(repository)
    assert f"R is {find_r(repository).version} here, and 3.6.3 in renv.lock" in environment.differs
    assert "(renv is not installed): " in environment.differs
    lock(only=True, r=find_r(repository).version)
    environment, _ = made(repository)
    assert "renv.lock" not in environment.differs


def test_a_package_that_is_missing_is_named_with_what_to_type_in_r(repository: Path, lock: Lock) -> None:
    lock(greeting="1.0.0")
    with pytest.raises(DagkitError) as raised:
        made(repository)
    assert "does not have these packages of renv.lock: greeting 1.0.0" in str(raised.value)
    assert (
        raised.value.fix == 'In R, in this folder: install.packages("renv"), restart R, then renv::restore()'
    )


@pytest.mark.docker
def test_renv_restores_what_the_project_library_lacks_and_leaves_the_rest(
    repository: Path, lock: Lock, packages: Path, with_renv: None
) -> None:
    with served(packages, "127.0.0.1") as url:
        lock(only=True, greeting="1.0.0", url=url, r=find_r(repository).version)
        environment, said = made(repository)
        assert "renv::restore() of greeting into the project's library" in said
        assert r(environment, repository, "cat(greeting::greet())").stdout == "hello from greeting 1.0.0"
        assert environment.differs == _only_aws()

        _, said = made(repository)
        assert len(said) == 1
        # what somebody installed meanwhile is theirs: it is used, and said
        lock(only=True, greeting="1.1.0", url=url, r=find_r(repository).version)
        changed, said = made(repository)
        assert len(said) == 1
        assert r(changed, repository, "cat(greeting::greet())").stdout == "hello from greeting 1.0.0"
        assert "from the project's library: greeting 1.0.0 (1.1.0 locked)" in changed.differs
    lock(only=True, r=find_r(repository).version)
    unlocked, _ = made(repository)
    assert "not in renv.lock, so not in the image: greeting" in unlocked.differs
    assert r(unlocked, repository, "greeting::greet()").returncode == 1


def _only_aws() -> str:
    found = find_aws()
    return found.differs if found else "The AWS command line is not installed here: functions that …"


@pytest.mark.docker
@pytest.mark.parametrize("reachable", [True, False])
def test_what_renv_cannot_restore_is_named(
    reachable: bool, repository: Path, lock: Lock, packages: Path, with_renv: None
) -> None:
    with served(packages, "127.0.0.1") as url:
        lock(only=True, greeting="9.9.9", url=url if reachable else DEAD_END)
        with pytest.raises(DagkitError) as raised:
            made(repository)
    error = str(raised.value)
    assert "greeting" in error
    assert "Traceback" not in error
    assert (f"the package repository {DEAD_END} cannot be reached" in error) is not reachable


@pytest.mark.docker
def test_rprofile_uses_the_lock_file_without_a_network_and_changes_nothing(
    repository: Path, with_renv: None, tmp_path: Path
) -> None:
    # a network that cannot be reached would make R wait, or fail
    dead = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "HOME": str(tmp_path)}
    asked = subprocess.run(
        ["Rscript", "-e", "cat(basename(dirname(dirname(dirname(.libPaths()[[1]])))), renv::project())"],
        cwd=repository,
        env={**os.environ, **dead},
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines()[-1] == f"renv {repository}"
    assert "rror" not in asked.stderr
    changed = subprocess.run(["git", "status", "--short"], cwd=repository, capture_output=True, text=True)
    assert changed.stdout == ""


def test_rprofile_says_how_to_get_renv_where_a_person_reads_it(repository: Path) -> None:
    for interactive, said in ((True, True), (False, False)):
        done = subprocess.run(
            ["R", "--no-save", "--quiet", *(["--interactive"] if interactive else [])],
            cwd=repository,
            input="q()\n",
            capture_output=True,
            text=True,
        )
        assert ('install.packages("renv")' in done.stdout + done.stderr) is said
        assert done.returncode == 0


def test_a_lock_file_that_is_none_is_named(repository: Path) -> None:
    path = repository / "renv.lock"
    for content in ("", "{", "[]", '{"R": {}}', '{"R": {"Version": "4.5.0"}, "Packages": {"a": 1}}'):
        path.write_text(content)
        with pytest.raises(DagkitError, match=r"renv\.lock is not a lock file of renv"):
            read_lock(repository)
    path.unlink()
    with pytest.raises(DagkitError, match=r"renv\.lock is missing"):
        made(repository)


def test_a_machine_without_r_is_told_to_install_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(DagkitError) as raised:
        made(repository)
    assert "R is not installed" in str(raised.value)
    assert raised.value.fix


def test_an_r_that_does_not_start_is_named(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _program(tmp_path / "Rscript", 'echo "R home directory is not defined" >&2; exit 2')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DagkitError, match="R does not start: R home directory is not defined"):
        made(repository)


def _program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "arguments"),
    [
        ("2.9.19", "--endpoint-url http://here s3 cp a b"),
        ("2.13.0", "s3 cp a b"),
        ("1.27.1", "--endpoint-url http://here s3 cp a b"),
        ("1.29.0", "s3 cp a b"),
    ],
)
def test_an_aws_command_line_of_any_age_reaches_local_aws(
    version: str, arguments: str, tmp_path: Path
) -> None:
    program = _program(tmp_path / "an aws", 'echo "$@"')
    AwsCli(str(program), tuple(map(int, version.split(".")))).install(tmp_path / "bin")
    said = subprocess.run(
        [str(tmp_path / "bin" / "aws"), "s3", "cp", "a", "b"],
        env={"PATH": os.defpath, "AWS_ENDPOINT_URL": "http://here"},
        capture_output=True,
        text=True,
    )
    assert said.stdout == f"{arguments}\n"


def test_version_2_is_taken_before_version_1_and_what_does_not_start_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"broken": "exit 1", "one": "echo aws-cli/1.40.2 Python/3.13", "two": "echo aws-cli/2.30.1 x"}
    for name, answer in answers.items():
        (tmp_path / name).mkdir()
        _program(tmp_path / name / "aws", answer)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in answers))
    assert find_aws() == AwsCli(str(tmp_path / "two" / "aws"), (2, 30, 1))


def doctor(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Examination, Mapping[str, Finding]]:
    """What the doctor finds where there is no Docker."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there.sock")
    found = examine(root)
    return found, {finding.name: finding for finding in found.findings}


def test_the_doctor_says_in_r_terms_what_differs(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, by_name = doctor(repository, monkeypatch)
    assert (found.engine, found.why) == (
        "process",
        "Docker does not answer; this machine's R runs the code instead",
    )
    assert by_name["R"].seen.startswith(find_r(repository).version)
    assert by_name["R packages"].state == "note"
    assert (
        by_name["R packages"].fix
        == 'in R, in this folder: install.packages("renv"), restart R, then renv::restore()'
    )


def test_the_doctor_says_in_r_terms_what_is_missing(
    repository: Path, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(greeting="1.0.0")
    found, by_name = doctor(repository, monkeypatch)
    assert found.engine is None
    assert not found.ready
    assert by_name["R packages"] == Finding(
        "R packages",
        "lack",
        "missing: greeting 1.0.0",
        "without Docker, dagkit run and dagkit test do not work",
        'in R, in this folder: install.packages("renv"), restart R, then renv::restore()',
    )


@pytest.mark.docker
def test_the_doctor_asks_for_a_restore_where_renv_is(
    repository: Path, lock: Lock, with_renv: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(only=True, greeting="1.0.0", r=find_r(repository).version)
    found, by_name = doctor(repository, monkeypatch)
    assert found.engine == "process"
    assert "with renv 1." in by_name["R"].seen
    assert by_name["R packages"].fix == "in R, in this folder: renv::restore()"
