"""What this machine has for pipelines in R, in R's terms. R itself is asked, which takes a moment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagkit.doctor import Finding, State
from dagkit.errors import DagkitError
from dagkit.machine import Machine

if TYPE_CHECKING:
    from dagkit.local.r_packages import Packages

R, PACKAGES, AWS = "R", "R packages", "AWS CLI"


def unneeded() -> Finding:
    """Whether R is here, where no pipeline of this folder needs it."""
    there = shutil.which("Rscript")
    return Finding(R, "ok", there or "not installed; only pipelines in R need it")


def findings(root: Path, machine: Machine, lacking: State) -> Iterator[Finding]:
    """R, the packages of renv.lock, and the AWS command line, for the image repository in ``root``.

    Args:
        root: The image repository.
        machine: This machine.
        lacking: The state of what a run without Docker needs, where it is not there.
    """
    from dagkit.local.awscli import find_aws
    from dagkit.local.r_packages import compare, find_r, minor, read_lock

    aws = find_aws()
    try:
        here, lock = find_r(root), read_lock(root)
    except DagkitError as error:
        means = "without Docker, dagkit run and dagkit test do not work; nor can you try the code in RStudio"
        yield Finding(R, lacking, error.what, means, error.fix)
    else:
        renv = f"with renv {here.renv}" if here.renv else "without renv"
        if minor(here.version) != minor(lock.r):
            seen = f"{here.version}, {renv}; renv.lock says {lock.r}"
            means = "the code may behave differently in the image, which is what the cluster runs"
            yield Finding(R, "note", seen, means, f"where it matters, install R {minor(lock.r)}")
        else:
            yield Finding(R, "ok", f"{here.version}, {renv}")
        yield _packages(bool(here.renv), compare(here, lock), len(lock.packages), lacking)
    if aws is None:
        means = "without Docker, functions that read or write S3 with it fail"
        yield Finding(AWS, "note", "not installed", means, machine.install("aws"))
    elif aws.differs:
        yield Finding(
            AWS, "note", aws.shown, "images have version 2: some options differ", machine.install("aws")
        )
    else:
        yield Finding(AWS, "ok", aws.shown)


def _packages(renv: bool, found: Packages, locked: int, lacking: State) -> Finding:
    from dagkit.local.r_packages import enumerated

    if found.missing and not renv:
        return Finding(
            PACKAGES,
            lacking,
            f"missing: {enumerated(found.missing)}",
            "without Docker, dagkit run and dagkit test do not work",
            'in R, in this folder: install.packages("renv"), restart R, then renv::restore()',
        )
    if found.missing:
        means = "dagkit run and dagkit test restore them where there is no Docker"
        return Finding(
            PACKAGES,
            "note",
            f"missing: {enumerated(found.missing)}",
            means,
            "in R, in this folder: renv::restore()",
        )
    if found.different:
        return Finding(
            PACKAGES,
            "note",
            f"other versions than in renv.lock: {enumerated(found.different)}",
            "the code may behave differently in the image",
            "in R, in this folder: "
            + ("renv::restore()" if renv else 'install.packages("renv"), restart R, then renv::restore()'),
        )
    if found.unlocked:
        return Finding(
            PACKAGES,
            "note",
            f"not in renv.lock: {enumerated(found.unlocked)}",
            "the image does not have them",
            "if the code uses them, in R, in this folder: renv::snapshot()",
        )
    return Finding(PACKAGES, "ok", f"all {locked} of renv.lock")
