"""What a submission puts where: pure, from the image repository and what lies in the DAG repository."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dagkit import dagfile, names
from dagkit.errors import DagkitError
from dagkit.pipeline import Pipeline
from dagkit.submit.stamp import Stamped, read, stamp


@dataclass(frozen=True)
class Submission:
    """One release of a pipeline, on its way into one environment.

    Attributes:
        pipeline: The image repository.
        environment: ``dev`` or ``prod``.
        release: The tag that its DAGs run, such as ``v1.0.0``.
    """

    pipeline: Pipeline
    environment: str
    release: str

    @property
    def source(self) -> str:
        """``<organisation>/<repository>`` of the image repository."""
        return f"{self.pipeline.platform.organisation}/{self.pipeline.repository}"

    @property
    def branch(self) -> str:
        """The branch of the DAG repository that it goes to; the same one for every release."""
        return names.branch(self.environment, self.pipeline.project, self.pipeline.name)

    @property
    def title(self) -> str:
        """The first line of the commit, and the pull request's title."""
        dag_id = names.dag_id(self.pipeline.project, self.pipeline.name)
        return f"{dag_id} {self.release} in {self.environment}"

    def files(self) -> dict[str, str]:
        """Every file of the submission: its text by its path in the DAG repository.

        Raises:
            DagkitError: A DAG is not Python, or does not say ENVIRONMENT and RELEASE; a role is not YAML.
        """
        folder = f"environments/{self.environment}"
        settings = {dagfile.ENVIRONMENT: self.environment, dagfile.RELEASE: self.release}
        found = {}
        for path in self.pipeline.dags:
            text = dagfile.with_settings(dagfile.read(path), path, settings)
            self._check_settings(dagfile.settings(text, path), str(path), settings)
            found[f"{folder}/dags/{self.pipeline.project}/{path.name}"] = text
        self.pipeline.dag()  # a pipeline without any DAG is told
        for role in self.pipeline.roles(self.environment):
            found[f"{folder}/roles/{role.name}.yaml"] = role.path.read_text(encoding="utf-8")
        return {path: stamp(text, self.source, self.release) for path, text in found.items()}

    def readme(self) -> tuple[str, str]:
        """The project's README.md, for a project that has none: its path and text."""
        path = f"environments/{self.environment}/dags/{self.pipeline.project}/README.md"
        return path, f"# {self.pipeline.project}\n\nQuestions: @{self.pipeline.answers.get('owner', '')}.\n"

    def _check_settings(self, said: Mapping[str, str], path: str, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            if said.get(name) != value:
                raise DagkitError(
                    f"The DAG does not say {name} as a plain text of its own line",
                    where=path,
                    fix=f'Put it at the top, after the imports: {name} = "{value}"',
                )


@dataclass(frozen=True)
class Change:
    """One file of the DAG repository that a submission changes.

    Attributes:
        path: Its path in the DAG repository.
        before: Its text now; None for a new file.
        after: Its text afterwards; None for a file that goes.
    """

    path: str
    before: str | None
    after: str | None

    def diff(self) -> Iterator[str]:
        """The change as a unified diff, a line each."""
        yield from difflib.unified_diff(
            (self.before or "").splitlines(),
            (self.after or "").splitlines(),
            f"a/{self.path}" if self.before is not None else "/dev/null",
            f"b/{self.path}" if self.after is not None else "/dev/null",
            lineterm="",
        )


def changes(
    submission: Submission,
    there: Mapping[str, str],
    branch: Mapping[str, str] | None = None,
    *,
    take_over: bool = False,
) -> tuple[Change, ...]:
    """What the submission changes in the DAG repository.

    Args:
        submission: What is submitted.
        there: The files of its environment on the default branch: text by path.
        branch: The same on the branch of an earlier submission; None where there is none.
        take_over: Whether what is there may be replaced although dagkit did not put it there, or somebody
            edited it since. What belongs to another repository never is.

    Raises:
        DagkitError: A file there is not this pipeline's, or somebody edited it since it was submitted.
    """
    wanted = submission.files()
    for files in (there, branch or {}):
        for path, text in wanted.items():
            if path in files:
                _check_ours(submission, path, files[path], text, take_over=take_over)
    readme, text = submission.readme()
    if readme not in there:
        wanted[readme] = text
    gone = _gone(submission, there, wanted, take_over=take_over)
    found = [Change(path, there.get(path), text) for path, text in wanted.items()]
    found += [Change(path, there[path], None) for path in gone]
    return tuple(sorted((c for c in found if c.before != c.after), key=lambda change: change.path))


def _gone(
    submission: Submission, there: Mapping[str, str], wanted: Iterable[str], *, take_over: bool
) -> Iterator[str]:
    """Files that this pipeline submitted earlier and has no longer."""
    kept = set(wanted)
    for path, text in there.items():
        stamped = read(text)
        if path not in kept and stamped is not None and stamped.source == submission.source:
            _check_ours(submission, path, text, "", take_over=take_over)
            yield path


def _check_ours(submission: Submission, path: str, theirs: str, ours: str, *, take_over: bool) -> None:
    stamped = read(theirs)
    if theirs == ours or (stamped and stamped.body == _body(ours)):
        return
    if stamped is None:
        if take_over:
            return
        raise DagkitError(
            f"{path} is in the DAG repository, and was not put there by dagkit",
            fix="If it is an older version of this pipeline: dagkit submit --take-over."
            " If it is somebody else's, rename your DAG.",
        )
    if stamped.source != submission.source:
        raise DagkitError(
            f"{path} in the DAG repository belongs to {stamped.source}",
            fix="Rename your DAG, or ask the owners of that repository.",
        )
    if stamped.edited and not take_over:
        shown = "\n".join(
            difflib.unified_diff(
                _body(ours).splitlines(), stamped.body.splitlines(), "here", "there", lineterm=""
            )
        )
        raise DagkitError(
            f"Somebody edited {path} in the DAG repository since it was submitted:\n\n{shown}\n",
            fix="Bring what you want to keep into your repository, then submit with --take-over.",
        )


def _body(text: str) -> str:
    stamped: Stamped | None = read(text)
    return stamped.body if stamped else text
