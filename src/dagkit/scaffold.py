"""New repositories from the template: Copier behind a friendlier face.

What is made is what `copier copy` makes of the same template and the same answers, to the byte.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagkit import __version__, names
from dagkit.errors import DagkitError, UsageError
from dagkit.machine import this_machine
from dagkit.pipeline import ANSWERS_FILE, read_yaml

PUBLISHED = "gh:moj-analytical-services/dagkit"
"""Where the template is published: what a repository that the wheel made is updated from."""

RELEASED = f"v{__version__}"
"""The tag of the template that this version of the package carries."""

LATEST = "HEAD"

FETCHING = "See that the address is right, that you are online, and that you may read it: gh auth status"


@dataclass(frozen=True)
class Source:
    """Where a template comes from.

    Attributes:
        src: What Copier copies from: a folder, or the address of a git repository.
        ref: The tag, branch or commit; None is the newest tag.
        bundled: Whether it is the copy that the wheel carries, which has no history of its own.
    """

    src: str
    ref: str | None
    bundled: bool = False


@dataclass(frozen=True)
class NewRepository:
    """A repository that was made.

    Attributes:
        root: Its folder.
        files: How many files it holds.
        version: The template's version, where it has one.
        answers: What its answers file says.
        notes: What Copier remarked.
    """

    root: Path
    files: int
    version: str | None
    answers: Mapping[str, Any]
    notes: tuple[str, ...]


def bundle() -> Path:
    """The folder that holds copier.yml and the templates: this checkout, or the copy that the wheel carries.

    Raises:
        DagkitError: The package was installed without its templates.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_bundle", package.parents[1]):
        if (folder / "copier.yml").is_file():
            return folder
    raise DagkitError(
        "This installation of dagkit has no templates",
        where=str(package),
        fix="Install it again: pip install --force-reinstall dagkit",
    )


def source(template: str | None = None, version: str | None = None) -> Source:
    """Where to copy from.

    Args:
        template: A folder or a git address; None is dagkit's own template.
        version: A tag (with or without its ``v``), a branch, a commit, or HEAD; None is the newest tag.

    Raises:
        DagkitError: git is missing, or the versions cannot be read.
        UsageError: There is no such template, or no such version of it; the versions there are.
    """
    if shutil.which("git") is None:
        raise DagkitError(
            "git is not installed, and templates are fetched with it", fix=this_machine().install("git")
        )
    if template is None:
        folder = bundle()
        if _is_git_root(folder):
            return Source(str(folder), _existing(str(folder), version))
        if version is None or version.removeprefix("v") == __version__:
            return Source(str(folder), None, bundled=True)
        return Source(PUBLISHED, _existing(PUBLISHED, version))
    path = Path(template).expanduser()
    if path.is_dir() and not _is_git_root(path):
        if not any((path / name).is_file() for name in ("copier.yml", "copier.yaml")):
            raise UsageError(
                "The folder is not a template: it has no copier.yml",
                where=template,
                fix="Give the folder or the git address of one, or leave --template out.",
            )
        if version is not None:
            raise UsageError(
                "The template has no versions: it is not a git repository",
                where=template,
                fix="Leave --version out, or give the address of the git repository.",
            )
    elif not path.exists() and ":" not in template and not template.endswith(".git"):
        raise UsageError(
            "There is no such template",
            where=template,
            fix="Give a folder or a git address (gh:organisation/repository), or leave --template out.",
        )
    return Source(template, _existing(template, version))


def new(
    destination: Path | None,
    where_from: Source,
    *,
    data: Mapping[str, Any],
    defaults: bool,
    rename: Callable[[Path], Path] | None = None,
) -> NewRepository:
    """Ask the template's questions and make the repository: all of it, or nothing.

    Args:
        destination: The folder to make; it may exist if there is nothing (but .git) in it. None takes the
            answer ``repository`` as its name, in the current folder.
        where_from: The template.
        data: Answers given beforehand.
        defaults: Ask nothing.
        rename: Asked for another folder if the one named by the answers is taken; None raises instead.

    Raises:
        DagkitError: The template cannot be fetched or used.
        UsageError: An answer is refused (in the template's words), or the destination is taken.
    """
    if destination is not None:
        check_free(destination)
    parent = (destination.parent if destination else Path.cwd()).resolve()
    try:
        workshop = tempfile.TemporaryDirectory(prefix=".dagkit-new-", dir=parent)
    except OSError as error:
        raise UsageError(
            f"Nothing can be made in the folder: {error.strerror}",
            where=str(parent),
            fix="Choose a folder that you may write in.",
        ) from error
    with workshop as folder:
        # in a folder of the final name, as a template may read that name
        made = Path(folder) / (destination.resolve().name if destination else "my-pipeline")
        notes = _copy(where_from, made, data, defaults=defaults)
        answers = _answers(made, where_from)
        if destination is None:
            destination = Path.cwd() / str(answers.get("repository") or made.name)
            while rename and taken(destination):
                destination = rename(destination)
            check_free(destination)
        files = sum(1 for path in made.rglob("*") if not path.is_dir())
        _publish(made, destination)
    version = answers.get("_commit")
    return NewRepository(destination, files, str(version) if version else None, answers, notes)


def taken(destination: Path) -> bool:
    """Whether there is something at ``destination`` that a new repository would fall on top of."""
    if destination.is_dir():
        return any(path.name != ".git" for path in destination.iterdir())
    return destination.exists() or destination.is_symlink()


def check_free(destination: Path) -> None:
    """See that a repository can be made at ``destination``.

    Raises:
        UsageError: It is a file, or a folder with something in it, or lies in a folder that is not there.
    """
    if taken(destination):
        what = "The folder is not empty" if destination.is_dir() else "There is a file of that name"
        raise UsageError(
            what,
            where=str(destination),
            fix="Choose another folder; or, in a repository made from the template: copier update",
        )
    if not destination.resolve().parent.is_dir():
        raise UsageError(
            "The folder to make it in is not there",
            where=str(destination.resolve().parent),
            fix=f"mkdir -p {destination.resolve().parent}",
        )


def _copy(where_from: Source, made: Path, data: Mapping[str, Any], *, defaults: bool) -> tuple[str, ...]:
    from copier import run_copy
    from copier.errors import CopierError
    from jinja2 import TemplateError
    from yaml import YAMLError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            worker = run_copy(
                where_from.src,
                made,
                data=dict(data),
                vcs_ref=where_from.ref,
                defaults=defaults,
                quiet=True,
            )
        except KeyboardInterrupt:
            raise
        except (CopierError, TemplateError, YAMLError, ValueError, TypeError, OSError) as error:
            raise refused(error, where_from) from error
        questions = worker.template.questions_data
    for key in data:
        if key not in questions and not key.startswith("_"):
            raise UsageError(
                f"The template asks no question '{key}'{names.closest(key, questions)}",
                fix=f"Its questions: {', '.join(questions)}",
            )
    return tuple(str(w.message) for w in caught if w.category.__module__.startswith("copier"))


def _answers(made: Path, where_from: Source) -> dict[str, Any]:
    """What the new repository's answers file says; for the wheel's copy, with the published address."""
    path = made / ANSWERS_FILE
    if not path.is_file():
        raise UsageError(
            f"The template is not one of an image repository: it makes no {ANSWERS_FILE}",
            where=where_from.src,
            fix="Leave --template out for dagkit's own.",
        )
    if where_from.bundled:
        text = path.read_text(encoding="utf-8")
        origin = f"_commit: {RELEASED}\n_src_path: {PUBLISHED}"
        path.write_text(re.sub(r"^_src_path:.*$", origin, text, flags=re.MULTILINE), encoding="utf-8")
    return dict(read_yaml(path))


def _publish(made: Path, destination: Path) -> None:
    """Put what was made where it belongs."""
    try:
        if destination.is_dir():
            # stays the same folder, as a shell may be in it
            for path in sorted(made.iterdir()):
                path.rename(destination / path.name)
        else:
            made.rename(destination)
    except OSError as error:
        raise UsageError(
            f"The repository cannot be put in its place: {error.strerror}",
            where=str(destination),
            fix="Choose another folder.",
        ) from error


def refused(error: Exception, where_from: Source) -> DagkitError:
    """Copier's error, in one sentence."""
    text = str(getattr(error, "stderr", None) or error).strip()
    if found := re.search(
        r"(?:Validation error for question|Invalid choice for) '(\w+)': (.*)", text, re.DOTALL
    ):
        return UsageError(
            f"The answer to '{found[1]}' is refused: {' '.join(found[2].split())}",
            fix=f"Give another: -d {found[1]}=…",
        )
    if found := re.search(r'Question "(\w+)" is required', text):
        return UsageError(
            f"The question '{found[1]}' needs an answer, and nobody is asked",
            fix=f"Give it: -d {found[1]}=…",
        )
    if found := re.search(r'Invalid answer .* to question "(\w+)" of type "(\w+)"', text):
        return UsageError(
            f"The answer to '{found[1]}' is refused: it is not of type {found[2]}",
            fix=f"Give another: -d {found[1]}=…",
        )
    last = text.splitlines()[-1] if text else type(error).__name__
    if getattr(error, "stderr", None) is not None:
        return DagkitError(
            f"The template cannot be fetched: {last}",
            where=where_from.src,
            fix=FETCHING,
        )
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return DagkitError(
            f"The repository cannot be written: {last}", fix="See that there is space left: dagkit doctor"
        )
    return DagkitError(
        f"The template cannot be used: {last}",
        where=where_from.src + (f" at {where_from.ref}" if where_from.ref else ""),
        fix="Take another version with --version, or tell the people who keep the template.",
    )


def _is_git_root(folder: Path) -> bool:
    return (folder / ".git").exists()


def _existing(src: str, version: str | None) -> str | None:
    """The ref of ``version``, having seen that there is one."""
    if version is None or version == LATEST or re.fullmatch(r"[0-9a-f]{7,40}", version):
        return version
    address = re.sub(r"^gh:/?(.*?)(\.git)?$", r"https://github.com/\1.git", src)
    address = str(Path(address).expanduser()) if ":" not in address else address
    environment = os.environ if sys.stdin.isatty() else {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", "ls-remote", "--tags", "--heads", "--refs", "--sort=-version:refname", "--", address],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["git failed"])[-1]
        raise DagkitError(
            f"The template's versions cannot be read: {said}",
            where=src,
            fix=FETCHING,
        )
    refs = [line.split("\t")[1] for line in done.stdout.splitlines()]
    tags = [ref.removeprefix("refs/tags/") for ref in refs if ref.startswith("refs/tags/")]
    branches = [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]
    for name in (version, f"v{version}"):
        if name in tags or name in branches:
            return name
    there_are = ", ".join(tags) or f"none yet; {LATEST} is the newest state"
    raise UsageError(
        f"The template has no version '{version}'{names.closest(version, tags)}",
        where=src,
        fix=f"Its versions: {there_are}",
    )
