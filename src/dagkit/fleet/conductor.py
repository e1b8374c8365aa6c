"""A fleet, side by side: threads wait for GitHub and git, processes do the template's work."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from dagkit.errors import DagkitError
from dagkit.fleet import pulls, work
from dagkit.fleet.github import GitHub
from dagkit.fleet.journal import Journal, cache, held, journal
from dagkit.fleet.members import Member, canonical, details, members
from dagkit.fleet.work import Done, Job
from dagkit.git import author
from dagkit.pipeline import ANSWERS_FILE
from dagkit.scaffold import PUBLISHED
from dagkit.update import Recorded
from dagkit.update.template import Template, fetched, release


@dataclass(frozen=True)
class Standing:
    """Where a repository stands.

    Attributes:
        name: The repository.
        uses: Whether it was made from the template.
        kind: `image`, `dags`, `airflow` …; None where it was not.
        version: The template's version that it is at.
        newest: The version it could be at.
        behind: How many releases lie between.
        asks: Whether it asks for pull requests.
        files: How many files an update changes; None where that was not looked at.
        conflicts: Files that need a decision; None where that was not looked at.
        did: What was done with it, in a word or two; None where nothing was.
        pull_request: Its pull request's page.
        why: Why nothing was done, or what is special.
        problem: What went wrong.
    """

    name: str
    uses: bool = False
    kind: str | None = None
    version: str | None = None
    newest: str | None = None
    behind: int | None = None
    asks: bool = False
    files: int | None = None
    conflicts: tuple[str, ...] | None = None
    did: str | None = None
    pull_request: str | None = None
    why: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Wish:
    """What is wanted of a fleet.

    Attributes:
        scope: An organisation, or the path of a list.
        template: The template's address; None is dagkit's own.
        version: The version to go to; None is the newest release.
        everyone: Those that do not ask for it, too.
        look: Plan updates, to know what would conflict.
        change: Push branches and open pull requests, besides.
        jobs: How many at a time; 0 is one for each core, 1 is one after the other.
        restart: Forget what a run that was cut off did.
    """

    scope: str
    template: str | None = None
    version: str | None = None
    everyone: bool = False
    look: bool = True
    change: bool = False
    jobs: int = 0
    restart: bool = False

    @property
    def cores(self) -> int:
        """Processes for the template's work."""
        return self.jobs or os.cpu_count() or 2


@dataclass(frozen=True)
class Fleet:
    """What threads share."""

    wish: Wish
    github: GitHub
    template: Template
    target: str
    clones: Path
    pool: Executor


def survey(
    wish: Wish,
    github: GitHub,
    *,
    begun: Callable[[int, int], None] = lambda _a, _b: None,
    told: Callable[[Standing], None] = lambda _: None,
) -> tuple[Standing, ...]:
    """Look at every repository of a fleet, and bring it up to date where that is wished.

    Args:
        wish: What is wanted.
        github: The client.
        begun: Told how many repositories there are, and how many an earlier run has done already.
        told: Told of each repository when it is finished.

    Raises:
        UsageError: The scope is no fleet, the template has no such version, or git does not know who commits.
        DagkitError: The template cannot be fetched, GitHub lists no repositories, another run is at work.
    """
    folder = cache()
    src = wish.template or PUBLISHED
    with ExitStack() as stack:
        everyone = members(wish.scope, github)
        record = None
        template = stack.enter_context(fetched(src))
        target = template.ref(wish.version)
        who = author(Path.cwd()) if wish.change else {}
        stack.enter_context(held(folder))
        if wish.change:
            call = (wish.scope, canonical(src), template.commit(target), wish.everyone, github.api)
            record = journal(folder, *call, restart=wish.restart)
        clones = folder / "clones"
        clones.mkdir(exist_ok=True)
        done = {name: _again(what) for name, what in record.done.items()} if record else {}
        begun(len(everyone), sum(member.name in done for member in everyone))
        pool = stack.enter_context(_processes(wish.cores, who))
        fleet = Fleet(wish, github, template, target, clones, pool)
        left = [member for member in everyone if member.name not in done]
        found = {**done, **dict(_side_by_side(fleet, left, record, told))}
        if record:
            record.end()
    return tuple(found[member.name] for member in everyone)


@contextmanager
def _processes(number: int, who: Mapping[str, str]) -> Iterator[Executor]:
    context = get_context("forkserver")
    context.set_forkserver_preload(["dagkit.fleet.work", "copier"])
    # what git says of an identity that is not configured would be said for every repository
    planner = {"GIT_AUTHOR_NAME": "dagkit", "GIT_AUTHOR_EMAIL": "dagkit@localhost"}
    pool = ProcessPoolExecutor(number, context, initializer=work.begin, initargs=(who or planner,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _side_by_side(
    fleet: Fleet, left: Sequence[Member], record: Journal | None, told: Callable[[Standing], None]
) -> Iterator[tuple[str, Standing]]:
    # while a process works, another repository's answers come from GitHub
    with ThreadPoolExecutor(1 if fleet.wish.cores == 1 else fleet.wish.cores * 2) as threads:
        running: dict[Future[Standing], Member] = {
            threads.submit(_one, fleet, member): member for member in left
        }
        try:
            for future in as_completed(running):
                standing = future.result()
                if record and not standing.problem:
                    record.write(standing.name, asdict(standing))
                told(standing)
                yield standing.name, standing
        except BaseException:
            fleet.github.stop()
            fleet.pool.shutdown(wait=False, cancel_futures=True)
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _one(fleet: Fleet, member: Member) -> Standing:
    """One repository; whatever goes wrong with it stays with it."""
    standing = Standing(member.name, asks=member.asks)
    try:
        if not member.known:
            member = details(member, fleet.github)
        if member.left_out:
            return replace(standing, why=member.left_out)
        job = Job(
            member.address,
            fleet.clones,
            fleet.template,
            fleet.wish.version,
            fleet.wish.change,
            _credentials(fleet.github, member.address),
        )
        standing, behind = _look(fleet, member, standing, job)
        return _bring(fleet, member, standing, job) if behind else standing
    except DagkitError as error:
        return replace(standing, problem=str(error))
    except Exception as error:
        # one repository never stops the others: a defect is told with it
        return replace(standing, problem=f"{type(error).__name__}: {error}")


def _look(fleet: Fleet, member: Member, standing: Standing, job: Job) -> tuple[Standing, bool]:
    """What its answers file says; and whether there is an update for it."""
    if member.slug:
        text = fleet.github.text(f"/repos/{member.slug}/contents/{ANSWERS_FILE}")
    else:
        text = fleet.pool.submit(work.read, job).result()
    if text is None:
        return replace(standing, why=f"it has no {ANSWERS_FILE}"), False
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ANSWERS_FILE).write_text(text, encoding="utf-8", errors="surrogateescape")
        try:
            recorded = Recorded.load(Path(folder))
        except DagkitError as error:
            what = error.what.replace(f"{folder}/", "")
            raise DagkitError(
                what, where=f"{member.name}: {ANSWERS_FILE}", fix="Correct it there."
            ) from error
    if canonical(recorded.src) != canonical(fleet.template.src):
        return replace(standing, why=f"it is made from another template: {recorded.src}"), False
    template, target = fleet.template, fleet.target
    standing = replace(
        standing, uses=True, kind=recorded.kind, version=recorded.commit, newest=template.described(target)
    )
    if template.commit(recorded.commit) is None:
        raise DagkitError(
            f"The template has no version {recorded.commit}, which it says it is at",
            where=f"{member.name}: {ANSWERS_FILE}",
            fix=f"Write the nearest into _commit there: {', '.join(reversed(template.versions[-5:]))}",
        )
    if template.is_ancestor(target, recorded.commit):
        return replace(standing, behind=0), False
    at, to = release(recorded.commit), release(standing.newest or "")
    between = [
        version for version in map(release, template.versions) if version and at and to and at < version <= to
    ]
    return replace(standing, behind=max(len(between), 1)), True


def _bring(fleet: Fleet, member: Member, standing: Standing, job: Job) -> Standing:
    """Plan its update; with a wish for change, push it and see to its pull request."""
    wish = fleet.wish
    if not (member.asks or wish.everyone):
        return replace(standing, why="it does not ask for updates")
    if not wish.look:
        return standing
    open_one = None
    if member.slug and wish.change:
        found = pulls.known(fleet.github, member.slug, standing.newest or "")
        if found.declined:
            return replace(
                standing, pull_request=found.declined, why="its pull request was closed: not offered again"
            )
        open_one = found.open
        job = replace(job, clean=open_one is not None and not open_one.get("draft"), merged=found.merged)
    done: Done = fleet.pool.submit(work.carry_out, job).result()
    standing = replace(
        standing,
        files=len(done.changes),
        conflicts=tuple(conflict.path for conflict in done.conflicts),
    )
    if not wish.change:
        return standing
    if done.branch == "theirs":
        page = str(open_one["html_url"]) if open_one else None
        return replace(
            standing, pull_request=page, why=f"somebody works on its branch {work.BRANCH}: left alone"
        )
    if done.branch == "clash":
        page = str(open_one["html_url"]) if open_one else None
        return replace(
            standing, pull_request=page, why="it conflicts, and an earlier version is under review there"
        )
    if done.branch is None:
        return replace(standing, why="the update changes nothing in it")
    if member.slug is None:
        did = "branch as it was" if done.branch == "same" else f"branch {work.BRANCH} pushed"
        return replace(standing, did=did, why="not on GitHub, so there is no pull request")
    pull = pulls.ensure(fleet.github, member.slug, done, open_one)
    return replace(standing, did=f"pull request {pull.what}", pull_request=pull.url)


def _credentials(github: GitHub, address: str) -> Mapping[str, str]:
    """What lets git clone from GitHub with the token; no program sees it on a command line."""
    if not github.token or not address.startswith(f"{github.server}/"):
        return {}
    number = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    secret = base64.b64encode(f"x-access-token:{github.token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"http.{github.server}/.extraheader",
        f"GIT_CONFIG_VALUE_{number}": f"AUTHORIZATION: basic {secret}",
    }


def _again(what: Mapping[str, object]) -> Standing:
    """A standing as an earlier run wrote it down."""
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in what.items()}
    return Standing(**known)  # type: ignore[arg-type]
