"""The image of a pipeline in R: what is in it, what rebuilds it, and what ends a build."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from dagkit.errors import DagkitError
from dagkit.image import BuildEvent, build
from dagkit.pipeline import Pipeline
from tests.r.conftest import PACKAGE, Lock
from tests.r.cran import served

pytestmark = [pytest.mark.docker, pytest.mark.r]

GREET = f"cat({PACKAGE}::greet())"


def run(tag: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", *options, tag, *words],
        capture_output=True,
        text=True,
    )


def r(tag: str, expression: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run(tag, "-e", expression, options=("--entrypoint", "Rscript", *options))


def made_again(events: list[BuildEvent]) -> set[str]:
    """The instructions whose result was not there from an earlier build."""
    begun = {e.instruction for e in events if not e.text}
    return begun - {e.instruction for e in events if e.cached}


def test_a_locked_package_arrives_in_exactly_the_locked_version(
    repository: Path, lock: Lock, cran: str, r_base_image: str
) -> None:
    lock(greeting="1.0.0", url=cran)
    tag = build(Pipeline.load(repository), base_image=r_base_image).tag
    ran = r(tag, GREET, "--user", "41737:41737", "--cap-drop", "ALL")
    assert ran.stdout == "hello from greeting 1.0.0", ran.stderr


def test_another_repository_can_be_taken_for_one_build(
    repository: Path, lock: Lock, cran: str, r_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(greeting="1.1.0", url="http://127.0.0.1:1/nowhere/latest")
    monkeypatch.setenv("RENV_CONFIG_REPOS_OVERRIDE", cran)
    tag = build(Pipeline.load(repository), base_image=r_base_image).tag
    assert r(tag, GREET).stdout == "hello from greeting 1.1.0"


def test_a_version_that_is_not_there_ends_the_build_by_name(
    repository: Path, lock: Lock, cran: str, r_base_image: str
) -> None:
    lock(greeting="9.9.9", url=cran)
    with pytest.raises(DagkitError) as raised:
        build(Pipeline.load(repository), base_image=r_base_image)
    assert f"'{PACKAGE} 9.9.9'" in str(raised.value)
    assert f"looked in {cran}" in str(raised.value)
    assert "renv::snapshot()" in str(raised.value.fix)
    assert "Traceback" not in str(raised.value)


def test_a_repository_that_cannot_be_reached_ends_the_build_by_name(
    repository: Path, lock: Lock, r_base_image: str
) -> None:
    lock(greeting="1.0.0", url="http://127.0.0.1:1/cran/latest")
    with pytest.raises(DagkitError) as raised:
        build(Pipeline.load(repository), base_image=r_base_image)
    assert "the package repository http://127.0.0.1:1/cran/latest cannot be reached" in str(raised.value)
    assert "RENV_CONFIG_REPOS_OVERRIDE" in str(raised.value.fix)


def test_a_changed_lock_file_rebuilds_the_packages_and_nothing_before_them(
    repository: Path, lock: Lock, cran: str, r_base_image: str
) -> None:
    pipeline = Pipeline.load(repository)
    build(pipeline, base_image=r_base_image)
    lock(greeting="1.0.0", url=cran)
    events: list[BuildEvent] = []
    build(pipeline, base_image=r_base_image, on_event=events.append)
    again = made_again(events)
    assert "RUN Rscript renv/restore.R" in again
    assert not any("apt-get" in instruction or "aws" in instruction for instruction in again)


def test_a_base_image_without_renv_or_the_aws_command_line_gets_both(
    repository: Path, lock: Lock, packages: Path, bridge: str, r_base_image: str, tmp_path: Path
) -> None:
    # like the platform's: another user, a shell that is strict, no renv, and no aws
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "Dockerfile").write_text(
        f"FROM {r_base_image}\n"
        "RUN mkdir /renv && mv /usr/lib/R/site-library/renv /renv \\\n"
        " && mv /usr/bin/aws /usr/bin/hidden-aws && useradd --create-home --uid 1000 somebody\n"
        'SHELL ["/bin/bash", "-e", "-u", "-o", "pipefail", "-c"]\n'
        "USER 1000\nWORKDIR /opt/elsewhere\n"
    )
    base = "dagkit-test/r-bare:latest"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", base, str(tmp_path / "bare")], check=True, capture_output=True
    )
    site = tmp_path / "site"
    _serve_renv(site, base, packages)
    _serve_aws(site)
    with served(site, bridge) as url:
        lock(greeting="1.1.0", url=url)
        dockerfile = repository / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text().replace("https://awscli.amazonaws.com", url))
        tag = build(Pipeline.load(repository), base_image=base).tag
    assert r(tag, GREET).stdout == "hello from greeting 1.1.0"
    version = run(tag, "--version", options=("--entrypoint", "aws", "--user", "4242"))
    assert version.stdout.startswith("aws-cli/2."), version.stderr
    assert run(tag, options=("--user", "4242")).returncode == 2


def _serve_renv(site: Path, base: str, packages: Path) -> None:
    """A repository that also has renv: a built package, as repositories offer them for Linux."""
    contrib = site / "src" / "contrib"
    contrib.mkdir(parents=True)
    for archive in (packages / "src" / "contrib").glob("*.tar.gz"):
        (contrib / archive.name).write_bytes(archive.read_bytes())
    command = ["docker", "run", "--rm", "--entrypoint", "tar", base, "-C", "/renv", "-cz", "renv"]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    (contrib / "renv_1.1.2.tar.gz").write_bytes(packed)
    write = 'tools::write_PACKAGES(".", type = "source")'
    subprocess.run(["Rscript", "--vanilla", "-e", write], cwd=contrib, capture_output=True, check=True)


def _serve_aws(site: Path) -> None:
    """The archive with the AWS command line's installer; it brings back the one that was hidden."""
    install = zipfile.ZipInfo("aws/install")
    install.external_attr = 0o755 << 16
    for machine in ("x86_64", "aarch64"):
        with zipfile.ZipFile(site / f"awscli-exe-linux-{machine}-2.28.20.zip", "w") as archive:
            archive.writestr(install, "#!/bin/sh\nmv /usr/bin/hidden-aws /usr/local/bin/aws\n")


# In a container without a network: a repository with all that the base image has, an R that has renv alone,
# and a project that is opened, restored, and looked at by renv itself.
OPEN_AND_RESTORE = """\
set -e
mkdir -p /cran/src/contrib /only-renv
cd /usr/lib/R/site-library
for package in *; do
  version=$(sed -n 's/^Version: //p' "$package/DESCRIPTION")
  tar -czf "/cran/src/contrib/${package}_$version.tar.gz" "$package"
done
cd /cran/src/contrib && Rscript --vanilla -e 'tools::write_PACKAGES(".", type = "source")'
mv /usr/lib/R/site-library/renv /only-renv/ && mv /usr/lib/R/site-library /hidden
export R_LIBS=/only-renv RENV_CONFIG_REPOS_OVERRIDE=file:///cran
cp -r /source /project && cd /project
Rscript -e 'renv::restore(prompt = FALSE)' > /tmp/restored 2>&1 || { cat /tmp/restored; exit 1; }
Rscript -e 'options(renv.lockfile.version = 1L); renv::status(); renv::snapshot(prompt = FALSE)'
diff -r --exclude library --exclude staging /source /project && echo unchanged
"""


def test_a_project_that_was_just_restored_is_what_renv_itself_would_write(
    repository: Path, r_base_image: str
) -> None:
    mount = f"{repository}:/source:ro"
    command = ["docker", "run", "--rm", "--network=none", "--volume", mount, r_base_image, "bash", "-c"]
    done = subprocess.run([*command, OPEN_AND_RESTORE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found -- the project is in a consistent state." in done.stdout
    assert "The lockfile is already up to date." in done.stdout
    assert done.stdout.endswith("unchanged\n")
