"""A submission as it would be: committed in a clone of the DAG repository, checked there, not yet pushed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagkit import dagfile, names
from dagkit.errors import UsageError
from dagkit.git import author
from dagkit.pipeline import Pipeline
from dagkit.submit import plan, pull_request, release
from dagkit.submit.plan import Change, Submission
from dagkit.submit.remote import Clone, cloned

if TYPE_CHECKING:
    from dagkit.rules.runner import Report


@dataclass(frozen=True)
class Proposal:
    """A submission, committed on top of the DAG repository's default branch in a clone of it.

    Attributes:
        submission: What is submitted.
        clone: The clone, which goes when the proposal ends.
        changes: What changes there; where nothing does, there is no commit.
    """

    submission: Submission
    clone: Clone
    changes: tuple[Change, ...]

    def check(self, *, online: bool = False, static: bool = False) -> Report:
        """The rules, in the clone, on what the submission changes.

        Args:
            online: Also ask Amazon ECR whether the image is there.
            static: Look at the files alone.
        """
        from dagkit.rules import changes, load, runner, subject

        found = subject.find(self.clone.root)
        ecr = None
        if online:
            from dagkit.rules.ecr import Ecr

            ecr = Ecr(found.registry)
        with ExitStack() as stack:
            wanted = not static and load.airflow_is_here()
            loader = stack.enter_context(load.Loader()) if wanted else None
            touched = changes.since(found, "HEAD~1")
            return runner.validate(found, touched=touched, static=static, ecr=ecr, loader=loader)

    def push(self) -> bool:
        """Put it on its branch of the DAG repository; False where the branch has this very thing already.

        Raises:
            DagkitError: Refused, or the connection was lost: nothing has changed.
        """
        if self.clone.same_as_branch():
            return False
        self.clone.push()
        return True

    def pull_request(self) -> pull_request.PullRequest:
        """Open the pull request of the branch, or find the one that is open."""
        source = f"{self.submission.source} {self.submission.release}"
        body = f"Submitted with `dagkit submit` from {source}."
        clone = self.clone
        return pull_request.ensure(clone.url, clone.branch, clone.default, self.submission.title, body)


@contextmanager
def proposed(submission: Submission, address: str, *, take_over: bool = False) -> Iterator[Proposal]:
    """What a submission would be, in a clone that is gone afterwards. Nothing is pushed.

    Args:
        submission: What is submitted.
        address: The DAG repository, as git clone takes it.
        take_over: Whether what others put there in this pipeline's place may be replaced.

    Raises:
        UsageError: git does not know who commits.
        DagkitError: The DAG repository cannot be cloned, or a file there is not this pipeline's.
    """
    with cloned(address, submission.branch) as clone:
        folder = f"environments/{submission.environment}"
        there = clone.files("HEAD", folder)
        on_branch = clone.files(clone.tip, folder) if clone.tip else None
        changes = plan.changes(submission, there, on_branch, take_over=take_over)
        if changes:
            clone.write(changes)
            source = f"{submission.source} {submission.release}"
            message = f"{submission.title}\n\nSubmitted from {source}.\n"
            clone.commit(message, author(submission.pipeline.root))
        yield Proposal(submission, clone, changes)


def address_of(pipeline: Pipeline) -> str:
    """The DAG repository that a pipeline's answers name, on GitHub."""
    return f"https://github.com/{pipeline.platform.dag_repository}.git"


def chosen_release(pipeline: Pipeline, wanted: str | None) -> str:
    """The release to submit; for a repository without an image, the one that its DAG says.

    Raises:
        UsageError: There is none, or none of that name.
    """
    if pipeline.has_image:
        return release.chosen(pipeline.root, wanted)
    dag = pipeline.dag()
    said = wanted or dagfile.settings(dagfile.read(dag), dag).get(dagfile.RELEASE, "")
    if not names.matches(names.RELEASE, said):
        raise UsageError(
            f"'{said}' is not the tag of a release",
            where=None if wanted else str(dag),
            fix="Name one that is in Amazon ECR, such as v1.2.3: as RELEASE, or with --release.",
        )
    return said
