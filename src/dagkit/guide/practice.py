"""A DAG repository to practise with: made from its template, bare, in a folder beside the notebooks."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.git import git
from dagkit.pipeline import Pipeline
from dagkit.submit.proposal import Proposal

FOLDER = "practice"
"""In the folder of the notebooks: what can be deleted at any time."""

MAKING = ".making-"
"""What the name of a folder begins with while something is made in it."""

ENGINEERS = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "The data engineers"), ("EMAIL", "practice@example.com"))
}
"""Who commits where nobody is there to."""


def room(folder: Path) -> Path:
    """Where to practise, beside the notebooks; what a kernel that was killed left half-made is removed.

    Raises:
        DagkitError: The folder of the notebooks cannot be written.
    """
    found = folder / FOLDER
    try:
        found.mkdir(parents=True, exist_ok=True)
        # the notebooks may lie in a repository, and none of this belongs into it
        (found / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise DagkitError(
            f"There is no place to practise in: {error.strerror}",
            where=str(found),
            fix="Copy the notebooks to a folder that you may write in: dagkit guide ~/dagkit-guide",
        ) from error
    for left in found.glob(f"{MAKING}*"):
        shutil.rmtree(left, ignore_errors=True)
    return found


def dag_repository(folder: Path, pipeline: Pipeline) -> Path:
    """The practice DAG repository of a folder of notebooks; made if it is not there yet.

    Args:
        folder: The folder of the notebooks.
        pipeline: Whose platform it is for.

    Raises:
        DagkitError: It cannot be made; nothing half-made is left.
    """
    from dagkit import scaffold

    made = room(folder) / "airflow.git"
    if made.is_dir():
        return made
    settings = pipeline.platform.model_dump(
        include={"organisation", "ecr_account", "ecr_region", "data_account", "namespace", "pod_identity"}
    )
    data = {"kind": "airflow", "owner": str(pipeline.answers.get("owner", "")), **settings}
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=made.parent) as workshop:
        work, bare = Path(workshop) / "airflow", Path(workshop) / "airflow.git"
        with contextlib.redirect_stderr(io.StringIO()):  # Copier's word on versions is none for this
            scaffold.new(work, scaffold.source(), data=data, defaults=True)
        git(work, "init", "--quiet", "--initial-branch=main")
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--no-verify", "--message", "Start from the template", env=ENGINEERS)
        git(Path(workshop), "clone", "--quiet", "--bare", str(work), str(bare))
        git(bare, "remote", "remove", "origin")
        bare.rename(made)
    return made


def is_practice(address: str) -> bool:
    """Whether a DAG repository is a folder of this machine, where nobody reviews anything."""
    return Path(address).is_dir()


def merge(proposal: Proposal) -> None:
    """Merge what a proposal's branch has, as the data engineers would; the branch stays.

    Args:
        proposal: The submission, as it would be now.

    Raises:
        DagkitError: The repository is not one to practise with, or its branch is not there.
    """
    clone = proposal.clone
    if not is_practice(clone.url):
        raise DagkitError("Only the data engineers merge there", where=clone.url)
    if clone.tip is None:
        raise DagkitError(
            f"There is no branch {clone.branch} to merge", where=clone.url, fix="Submit first: here.submit()"
        )
    # the proposal is a commit on top of what is there now
    git(clone.root, "push", "--quiet", "origin", f"HEAD:refs/heads/{clone.default}")
