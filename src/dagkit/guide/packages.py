"""Packages: what is asked for, what is locked, and what newer versions there are."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.local import r_packages

ASKED, LOCKED = "requirements.in", "requirements.txt"

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
_USED = re.compile(
    r"\b(?:library|require|requireNamespace|loadNamespace)\(\s*[\"']?([A-Za-z][\w.]*)|\b([A-Za-z][\w.]*):{2,3}"
)
_OF_R = frozenset(
    """
    base compiler datasets graphics grDevices grid methods parallel splines stats stats4 tcltk tools utils
    renv
    """.split()  # noqa: SIM905 - a list of words is read as one
)
"""What comes with R, and renv, which keeps itself out of the lock file."""

_NEWEST = """
options(timeout = 20)
asked <- commandArgs(TRUE)
found <- suppressWarnings(utils::available.packages(repos = asked[[1]]))
if (nrow(found) == 0) quit(status = 3)
here <- intersect(asked[-1], rownames(found))
cat(paste(here, found[here, "Version"]), sep = "\\n")
"""
_NO_INDEX = "See that this machine reaches the package index; until then nothing changes, which is the point."


def locked(root: Path, language: str) -> dict[str, str]:
    """The version of each package that the lock file names.

    Args:
        root: The repository's folder.
        language: ``python`` or ``r``.

    Raises:
        DagkitError: The lock file is missing, or is none.
    """
    if language == "r":
        return dict(r_packages.read_lock(root).packages)
    return {found["name"].lower(): found["version"] for found in _PINNED.finditer(_read(root / LOCKED))}


def asked(root: Path, language: str) -> dict[str, str]:
    """The packages that a person asks for: those of requirements.in, or those that R code names.

    Returns:
        What is asked of its version, by package; empty for any.
    """
    if language == "r":
        return dict.fromkeys(sorted(_used_by_r(root)), "")
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for number, line in enumerate(_read(root / ASKED).splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text or text.startswith("-"):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise DagkitError(
                f"This is not the name of a package: {text}",
                where=f"{root / ASKED}:{number}",
                fix="Write a name a line, such as pandas or pandas>=2.2.",
            ) from error
        found[canonicalize_name(requirement.name)] = str(requirement.specifier)
    return found


def unlocked(root: Path, language: str) -> tuple[str, ...]:
    """The packages that are asked for, and that the lock file does not have in such a version."""
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    have = {canonicalize_name(name) if language == "python" else name: v for name, v in
            locked(root, language).items()}  # fmt: skip
    return tuple(
        f"{name}{wanted}"
        for name, wanted in asked(root, language).items()
        if name not in have or not SpecifierSet(wanted).contains(have[name], prereleases=True)
    )


def locked_anew(root: Path, say: Callable[[str], None]) -> dict[str, str]:
    """What requirements.txt would say with the newest versions, locked as docs/working-here.md says.

    The file stays as it is.

    Args:
        root: The repository's folder.
        say: Told about progress.

    Raises:
        DagkitError: The package index cannot be reached, or no versions fit together.
    """
    from uv import find_uv_bin

    command = [find_uv_bin(), "pip", "compile", ASKED, "--universal", "--python-version", "3.11",
               "--generate-hashes", "--upgrade", "--quiet", "--output-file", LOCKED]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="dagkit-guide-") as folder:
        for name in (ASKED, LOCKED):
            Path(folder, name).write_text(_read(root / name), encoding="utf-8")
        say("uv pip compile requirements.in --upgrade")
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            said = "\n".join(done.stderr.strip().splitlines()[-4:])
            raise DagkitError(f"uv found no newer versions\n{said}", where=str(root / ASKED), fix=_NO_INDEX)
        return locked(Path(folder), "python")


def newest_for_r(root: Path) -> dict[str, str]:
    """The newest version of each package of renv.lock, as its package repository says.

    Raises:
        DagkitError: There is no R here, or its package repository cannot be reached.
    """
    lock = r_packages.read_lock(root)
    where = lock.repositories[0] if lock.repositories else ""
    try:
        done = subprocess.run(
            ["Rscript", "--vanilla", "-e", _NEWEST, where, *lock.packages],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise DagkitError("R is not installed here", fix="In RStudio: renv::update()") from error
    if done.returncode != 0:
        raise DagkitError("The package repository of renv.lock cannot be reached", where=where, fix=_NO_INDEX)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Package, version before and version after, of each that differs."""
    names = sorted(before.keys() | after.keys())
    rows = [(name, before.get(name, ""), after.get(name, "")) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _used_by_r(root: Path) -> set[str]:
    files = [file for folder in ("R", "scripts", "tests/testthat") for file in (root / folder).rglob("*.R")]
    found = set()
    for file in files:
        for line in _read(file).splitlines():
            code = line.partition("#")[0]
            found |= {one or other for one, other in _USED.findall(code)}
    return found - _OF_R


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DagkitError(
            f"The file cannot be read: {error}", where=str(path), fix=f"git checkout -- {path.name}"
        ) from error
