"""Notebook 4: the rules, the release, the review, the pull request, and prod."""

from __future__ import annotations

import re
from pathlib import Path

from dagkit import dagfile, names
from dagkit.errors import DagkitError, UsageError
from dagkit.git import author, git
from dagkit.guide import practice, ruling, show
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide, step
from dagkit.guide.work import working
from dagkit.submit import proposal, pull_request
from dagkit.submit import release as releases
from dagkit.submit.plan import Submission

FIRST = "v0.1.0"
"""The first release of a pipeline."""

_REPOSITORY = "dag_repository"
_NOT_NOTEBOOKS = (":/", ":(exclude,glob)**/*.ipynb")


class Steps(Guide):
    """The steps of notebook 4."""

    @step
    def validate(self) -> None:
        """Check the rules of the DAG repository on the pipeline."""
        with working("Checking the rules"):
            report = ruling.validated(self.need(), static=False)
        ruling.table(report)

    @step
    def commit(self, message: str) -> None:
        """Put every change of the pipeline into git.

        Args:
            message: What was changed, in a line.
        """
        root = self.need().root
        if not _in_git(root):
            git(root, "init", "--quiet", "--initial-branch=main")
        who = author(root)
        git(root, "add", "--all", "--", ".")
        changed = git(root, "diff", "--cached", "--name-only").splitlines()
        if not changed:
            show.say("good", "Everything is committed already", [("Newest commit", _newest(root))])
            return
        git(root, "commit", "--quiet", "--message", message, env=who)
        shown = ", ".join(changed[:8]) + (f" and {len(changed) - 8} more" if len(changed) > 8 else "")
        show.say("good", f"Committed: {_newest(root)}", [("Files", shown)])

    @step
    def release(self, tag: str | None = None) -> None:
        """Say where to publish the release; without GitHub, make its tag here.

        Args:
            tag: The release's; None is the newest, or the next one where there are commits since.
        """
        pipeline = self.need()
        root = pipeline.root
        pipeline.require_image("no image to release")
        releases.require_committed(root)
        origin = _origin(root)
        if origin:
            _fetch_tags(root, origin)
        newest = releases.newest(root)
        tag = tag or next_release(newest, releases.since(root, newest) if newest else 0)
        if not names.matches(names.RELEASE, tag):
            raise UsageError(f"'{tag}' is not the tag of a release", fix="Releases are called v1.2.3.")
        image = pipeline.platform.image_uri(pipeline.image, tag)
        there = tag in git(root, "tag", "--list").split()
        slug = pull_request.slug(origin) if origin else None
        if slug and not there:
            lines = [("Where", f"https://github.com/{slug}/releases/new?tag={tag}")]
            if int(git(root, "rev-list", "--count", "HEAD", "--not", "--remotes=origin")):
                lines.insert(
                    0, ("First", "GitHub lacks your newest commits: git push --set-upstream origin HEAD")
                )
            lines.append(("Then", f"the workflow “release” builds {image}"))
            show.say("note", f"Publish {tag} on GitHub; then run this cell again", lines)
            return
        if not there:
            git(root, "tag", "--annotate", tag, "--message", f"Release {tag}", env=author(root))
        if origin and not slug:
            git(root, "push", "--quiet", "origin", f"refs/tags/{tag}")
        lines = [("At the commit", git(root, "log", "-1", "--format=%h %s", f"refs/tags/{tag}").strip())]
        if slug:
            lines.append(("Image", image))
        else:
            lines.append(("Not done", f"no GitHub is attached, so nothing builds the image {image}"))
        show.say("good", f"There is a release {tag}", lines)

    @step
    def dag_repository(self, address: str | None = None) -> None:
        """Say which DAG repository is submitted to; without one in reach, make one to practise with.

        Args:
            address: As git clone takes it; ``practice`` is the one to practise with; None is the one of the
                last time, or else the one that the pipeline's answers name.
        """
        pipeline = self.need()
        address = address or self.progress.kept(_REPOSITORY)
        if address is None:
            published = proposal.address_of(pipeline)
            address = published if _answers(published) else "practice"
            if address == "practice":
                show.say("info", f"{published} is not in reach from here", [("So", "this is practice")])
        if address == "practice":
            with working("Looking for the DAG repository to practise with, or making it"):
                address = str(practice.dag_repository(self.folder, pipeline))
        elif not _answers(address):
            raise UsageError(
                "No git repository answers there",
                where=address,
                fix='Give another address, or here.dag_repository("practice") to practise without one.',
            )
        if Path(address).is_dir():
            address = str(Path(address).resolve())
        self.progress.keep(**{_REPOSITORY: address})
        lines = [("Address", address)]
        if practice.is_practice(address):
            lines.append(("Practice", "it is a folder of this machine: nobody reviews there, nothing runs"))
        show.say("good", "This is the DAG repository", lines)

    @step
    def review(self, environment: str = "dev") -> None:
        """Show what a submission would change, and what the reviewer will read about it."""
        from dagkit.deploy import markdown
        from dagkit.deploy.review import review
        from dagkit.deploy.trees import extracted

        submission = self._submission(environment)
        with (
            working("Putting DAG and role into a clone of the DAG repository"),
            proposal.proposed(submission, self._address()) as proposed,
        ):
            diff = "\n\n".join("\n".join(change.diff()) for change in proposed.changes)
            if proposed.changes:
                with extracted(proposed.clone.root, "HEAD~1", "HEAD") as trees:
                    text = markdown.render(review(trees, environment, load=True), "dagkit review")
        if not diff:
            show.say("good", f"The DAG repository has {submission.title} already")
            return
        _markdown(text)
        show.text(diff, "Every line that would change", unfolded=False)

    @step
    def submit(self, environment: str = "dev", *, yes: bool | None = None) -> None:
        """Put DAG and role on a branch of the DAG repository, and open the pull request.

        Args:
            environment: ``dev``, or ``prod`` once it has run in dev.
            yes: Whether to push; None asks, except in a repository to practise with.
        """
        submission = self._submission(environment)
        address = self._address()
        if environment != "dev" and not self._is_merged(self._submission("dev"), address):
            show.say(
                "info",
                f"Not yet: {submission.release} is not in dev",
                [("First", "the data engineers merge the pull request for dev, and it runs there")],
            )
            return
        report = None
        with proposal.proposed(submission, address) as proposed:
            if proposed.changes:
                with working(f"Checking the rules in the DAG repository, for {submission.title}"):
                    report = proposed.check()
                if report.errors:
                    ruling.table(report)
                    show.say("bad", "Nothing was submitted: the DAG repository would not accept this")
                    return
                if not (yes or practice.is_practice(address) or _confirmed(address, submission, yes)):
                    show.say("note", "Nothing was submitted", [("To submit", "here.submit(yes=True)")])
                    return
                pushed = proposed.push()
                made = proposed.pull_request()
        if report is None:
            show.say("good", f"The DAG repository has {submission.title} already")
            return
        lines = [("DAG repository", address), ("Branch", submission.branch)]
        if made.url:
            lines.append(("Pull request" if made.open else "Open the pull request here", made.url))
        else:
            lines.append(("Practice", "on GitHub this would be a pull request now"))
        done = "Submitted" if pushed else "Submitted already"
        show.say("good", f"{done}: {submission.title}", lines)

    @step
    def merge(self) -> None:
        """Say whether dev's pull request is merged; in a practice repository, merge it."""
        submission, address = self._submission("dev"), self._address()
        merged = self._is_merged(submission, address)
        if not merged and practice.is_practice(address):
            with proposal.proposed(submission, address) as proposed:
                practice.merge(proposed)
            show.say("good", f"You played the data engineers, and merged {submission.title}")
        elif merged:
            show.say("good", f"{submission.title} is merged")
        else:
            show.say(
                "info",
                f"{submission.title} waits for the data engineers",
                [("Meanwhile", "nothing to do: come back to this cell when they have merged it")],
            )

    def _submission(self, environment: str) -> Submission:
        pipeline = self.need()
        pipeline.role(environment)
        releases.require_committed(pipeline.root)
        return Submission(pipeline, environment, proposal.chosen_release(pipeline, None))

    def _address(self) -> str:
        return chosen_address(self)

    def _is_merged(self, submission: Submission, address: str) -> bool:
        with proposal.proposed(submission, address) as proposed:
            return not proposed.changes


def next_release(newest: str | None, commits: int) -> str:
    """The release to make: the newest, if nothing was committed since; otherwise the one after it.

    Args:
        newest: The newest release; None where there is none.
        commits: How many commits there are since.
    """
    if newest is None:
        return FIRST
    if not commits:
        return newest
    major, minor, patch = (int(part) for part in newest[1:].split("."))
    return f"v{major}.{minor}.{patch + 1}"


def chosen_address(here: Guide) -> str:
    """The DAG repository that was chosen in notebook 4.

    Raises:
        UsageError: None was.
    """
    address = here.progress.kept(_REPOSITORY)
    if not isinstance(address, str):
        raise UsageError("No DAG repository is chosen yet", fix="In notebook 4: here.dag_repository()")
    return address


def _answers(address: str) -> bool:
    """Whether a git repository with a branch answers at an address."""
    try:
        # ssh must not ask anything that nobody sees
        said = git(
            Path.home(), "ls-remote", "--", address, "HEAD", env={"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
        )
    except DagkitError:
        return False
    return bool(said.strip())


def _origin(root: Path) -> str | None:
    """The address of the remote `origin`: as GitHub has it, even where git goes another way there."""
    if "origin" not in git(root, "remote").split():
        return None
    written = git(root, "config", "--get", "remote.origin.url").strip()
    if pull_request.slug(written):
        return written
    return git(root, "remote", "get-url", "origin").strip()


def _fetch_tags(root: Path, origin: str) -> None:
    try:
        git(root, "fetch", "--quiet", "--tags", "origin")
    except DagkitError as error:
        raise DagkitError(
            f"The releases that are published cannot be asked for: {error.what}",
            where=origin,
            fix="Check your connection, and that you may read it: gh auth status",
        ) from error


def _in_git(root: Path) -> bool:
    """Whether a folder is a git repository, or lies in one."""
    try:
        git(root, "rev-parse", "--git-dir")
    except UsageError:
        return False
    return True


def _newest(root: Path) -> str:
    return git(root, "log", "-1", "--format=%h %s").strip()


def _confirmed(address: str, submission: Submission, yes: bool | None) -> bool:
    if yes is not None:
        return yes
    try:
        said = input(f"Put this on the branch {submission.branch} of {address}? [y/N]: ")
    except (EOFError, RuntimeError):  # nobody is there to ask, as where a program runs the notebook
        return False
    return said.strip().lower() in ("y", "yes")


def _markdown(text: str) -> None:
    show.put({"text/markdown": text, "text/plain": text}, raw=True)


@check("4.committed", title="Everything is in git")
def _committed(here: Guide) -> Seen:
    root = here.need().root
    if not _in_git(root):
        raise NotYet("The pipeline is not in git yet", todo='here.commit("Start from the template")')
    changed = git(root, "status", "--porcelain", "--", *_NOT_NOTEBOOKS).splitlines()
    if changed:
        raise NotYet(
            f"Not committed: {', '.join(line[3:] for line in changed[:5])}",
            todo='here.commit("what you changed")',
        )
    return Seen(_newest(root))


@check("4.release", title="There is a release")
def _released(here: Guide) -> Seen:
    pipeline = here.need()
    try:
        tag = proposal.chosen_release(pipeline, None)
    except UsageError as error:
        raise NotYet(error.what, todo=f"Make one: here.release(). {error.fix or ''}") from error
    if not pipeline.has_image:
        return Seen(f"the DAG runs the image of {tag}")
    ahead = releases.since(pipeline.root, tag)
    if ahead:
        raise NotYet(f"{tag} lacks your last {ahead} commits", todo="Make the next one: here.release()")
    image = pipeline.platform.image_uri(pipeline.image, tag)
    return Seen(f"the tag {tag}, at your newest commit; its image is called {image}")


@check("4.repository", title="The DAG repository answers")
def _repository(here: Guide) -> Seen:
    address = chosen_address(here)
    if not _answers(address):
        raise NotYet(
            f"No git repository answers at {address}",
            todo='Check your connection, or practise without: here.dag_repository("practice")',
        )
    return Seen(f"{address}{' (practice)' if practice.is_practice(address) else ''}")


@check("4.submitted", title="Your pull request's branch is in the DAG repository")
def _submitted(here: Guide) -> Seen:
    return _in_dag_repository(here, "dev")


@check("4.prod", title="Prod is submitted, too")
def _prod(here: Guide) -> Seen:
    return _in_dag_repository(here, "prod")


def _in_dag_repository(here: Guide, environment: str) -> Seen:
    """Look into the DAG repository: its branch, and what the DAG on it says."""
    from dagkit.submit.remote import cloned

    pipeline, address = here.need(), chosen_address(here)
    submission = Submission(pipeline, environment, proposal.chosen_release(pipeline, None))
    wanted = submission.files()
    todo = "here.submit()" if environment == "dev" else 'here.merge(), and then here.submit("prod")'
    with cloned(address, submission.branch) as clone:
        folder = f"environments/{environment}"
        for place, ref in ((f"the branch {clone.branch}", clone.tip), (clone.default, "HEAD")):
            files = clone.files(ref, folder) if ref else {}
            if wanted.items() <= files.items():
                return Seen(f"{place} of {address} has {', '.join(sorted(wanted))}, with {_said(wanted)}")
        if clone.tip is None:
            raise NotYet(f"{address} has no branch {clone.branch}", todo=todo)
        raise NotYet(
            f"The branch {clone.branch} has something else than your {submission.release}", todo=todo
        )


def _said(files: dict[str, str]) -> str:
    """What the first DAG says about where it runs, and what."""
    text = next(text for path, text in sorted(files.items()) if path.endswith(".py"))
    found = re.findall(rf"^({dagfile.ENVIRONMENT}|{dagfile.RELEASE}) = (.*)$", text, re.MULTILINE)
    return ", ".join(f"{name} = {value}" for name, value in found)
