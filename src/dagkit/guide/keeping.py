"""Notebook 5: the template's next version, newer packages, and a run that failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dagkit import dagfile
from dagkit.errors import DagkitError, UsageError
from dagkit.guide import packages, reading, rehearsal, show
from dagkit.guide.airflow import AirflowSteps
from dagkit.guide.checks import NotYet, Seen, check
from dagkit.guide.handle import Guide, step
from dagkit.guide.work import working
from dagkit.local.record import RunRecord
from dagkit.pipeline import Pipeline

_WORDS = {"added": "✓", "changed": "✓", "conflict": "✗"}


class Steps(AirflowSteps):
    """The steps of notebook 5."""

    @step
    def rehearse(self) -> None:
        """Make a copy of the pipeline, with changes of its owner, and a template with a newer version."""
        pipeline = self.need()
        with working("Copying your pipeline, and making a template with one version more"):
            made = rehearsal.prepare(self.folder, pipeline)
        both = made.contested
        rows = [
            ("you", both.path, both.mine.strip(" \\\n"), "and the template changes the same lines"),
            ("you", "README.md", rehearsal.OWN_LINE.strip(), "nobody else changes this"),
            ("the template", both.path, both.theirs.strip(" \\\n"), "and you changed the same lines"),
            ("the template", rehearsal.NEW_FILE, "a new file", "nobody else has one"),
        ]
        show.table(("who", "where", "what", ""), rows, caption=f"In the copy at {made.copy}")

    @step
    def update_copy(self) -> None:
        """Update the copy: what `copier update` does."""
        made = rehearsal.at(self.folder)
        made.need()
        with working(f"copier update, from {rehearsal.BEFORE} to {rehearsal.AFTER}"):
            rehearsal.update(made)
        rows = [(_WORDS[what], what, path) for what, path in rehearsal.changes(made)]
        show.table(("", "", "file"), rows, caption="What the update did in the copy")
        for path, text in made.conflicts().items():
            lines = text.splitlines()
            first = next(n for n, line in enumerate(lines) if line.startswith("<<<<<<<"))
            last = next(n for n, line in enumerate(lines) if line.startswith(">>>>>>>"))
            show.text("\n".join(lines[max(first - 2, 0) : last + 3]), f"The conflict in {path}")

    @step
    def settle(self, choice: str) -> None:
        """Settle the conflicts in the copy, and commit the update.

        Args:
            choice: ``mine``, ``template``, or ``both``.
        """
        made = rehearsal.at(self.folder)
        settled = rehearsal.settle(made, choice)
        if not settled:
            show.say("good", "There is no conflict in the copy", [("It is of", made.version)])
            return
        file = made.contested
        text = (made.copy / file.path).read_text(encoding="utf-8").splitlines()
        at = text.index(file.line.rstrip("\n"))
        show.text("\n".join(text[at : at + 4]), f"{file.path}, settled")
        show.say("good", "The update is committed, in the copy", [("Settled", ", ".join(settled))])

    @step
    def outlook(self) -> None:
        """Say what an update of the pipeline itself would bring; nothing in it changes."""
        from dagkit import update

        pipeline = self.need()
        try:
            with working("Looking for newer versions of the template"), update.planned(pipeline.root) as plan:
                if plan.nothing:
                    show.say("good", f"Your pipeline is up to date: {plan.before}", [("Template", plan.src)])
                    return
                quarrels = {conflict.path for conflict in plan.conflicts}
                rows = [
                    ("✗", "conflict", each.path) if each.path in quarrels else ("✓", each.what, each.path)
                    for each in plan.changes
                ]
                show.table(("", "", "file"), rows, caption=f"From {plan.before} to {plan.after}")
                for news in plan.news:
                    show.text(news.text, f"What is new in {news.version}", unfolded=False)
        except DagkitError as error:
            _out_of_reach("It cannot be seen from here whether there is a newer version", error)

    @step
    def packages(self) -> None:
        """Show the packages that are asked for, and the version that is locked of each."""
        pipeline = self.need()
        pipeline.require_image("no packages")
        have = packages.locked(pipeline.root, pipeline.language)
        wanted = packages.asked(pipeline.root, pipeline.language)
        rows = [(name, wanted[name] or "any", have.get(name, "not locked")) for name in wanted]
        others = len(have) - sum(name in have for name in wanted)
        show.table(
            ("you ask for", "version", "locked"),
            rows,
            caption=f"What you ask for; the lock file has {others} more, which those need",
        )

    @step
    def newer(self) -> None:
        """Say which newer versions there are; nothing in the pipeline changes."""
        pipeline = self.need()
        pipeline.require_image("no packages")
        before = packages.locked(pipeline.root, pipeline.language)
        try:
            if pipeline.language == "r":
                with working("Asking the package repository of renv.lock"):
                    after = {**before, **packages.newest_for_r(pipeline.root)}
            else:
                with working("Locking the newest versions, in a folder that goes again") as work:
                    after = packages.locked_anew(pipeline.root, work.say)
        except DagkitError as error:
            _out_of_reach("It cannot be seen from here which versions are newer", error)
            return
        rows = packages.differences(before, after)
        if rows:
            show.table(
                ("package", "locked", "newest"), rows, caption=f"{len(rows)} of {len(before)} are newer"
            )
        else:
            show.say("good", f"All {len(before)} packages are of the newest versions")

    @step
    def clock(self, schedule: str | None = None) -> None:
        """Show when the next runs start, and which data they are about.

        Args:
            schedule: A cron expression; None takes the DAG's own.
        """
        own = schedule or _schedule(self.need())
        try:
            found = reading.intervals(own or reading.SERIES, datetime.now(UTC))
        except (ValueError, KeyError) as error:
            raise UsageError(
                f"'{own}' is not a cron expression: {error}",
                fix="Five fields, such as 0 6 * * 1-5: minute, hour, day, month, weekday.",
            ) from error
        show.mermaid(reading.picture(found))
        rows = [(_at(one.begin), _at(one.end), _london(one.end)) for one in found]
        caption = f"The schedule {own}" if own else f"Yours is started by hand; an example: {reading.SERIES}"
        show.table(("data from (UTC)", "until, and then it starts (UTC)", "in London"), rows, caption=caption)

    @step
    def failure(self) -> None:
        """Read the last run that failed here, in the order in which to read any."""
        run = _failed(self.need())
        task = reading.first_failure(run)
        if task is None:
            raise DagkitError(f"The run {run.run_id} failed, and no task says why", where=run.folder)
        read = reading.explain("\n".join(task.last_lines))
        rows = [
            ("1", "the task that failed first", task.name),
            ("2", "how often it was tried", str(len(task.attempts))),
            ("3", "how it ended", task.problem or task.state),
            ("4", "its last line", task.last_lines[-1] if task.last_lines else "nothing"),
            ("5", "what that means", read.meaning if read else "nothing that is known here"),
            ("6", "what to do", read.todo if read else "Look for the first line that says error."),
        ]
        show.table(("", "look for", f"in the run {run.run_id}"), rows)

    @step
    def explain(self, log: str) -> None:
        """Say what a log means.

        Args:
            log: Lines of it, as Airflow shows them.
        """
        read = reading.explain(log)
        if read:
            show.say("info", read.meaning, [("Because it says", read.sign), ("What to do", read.todo)])
        else:
            show.say("note", "This has none of the signs below; look for the first line that says error")

    @step
    def signs(self) -> None:
        """Show what logs say most often."""
        show.table(("the log says", "it means", "what to do"), reading.signs())

    @step
    def releases(self) -> None:
        """Compare the releases that the DAG repository's DAGs name with those there are."""
        rows = [(mark, *rest) for mark, *rest in _releases(self)]
        show.table(("", "where", "RELEASE", "there is"), rows, caption="Is the image there?")


def _out_of_reach(what: str, error: DagkitError) -> None:
    """Say that something needs a network that is not here, which is nobody's mistake."""
    show.say("info", what, [("Why", error.what), ("What to do", error.fix or "Try again later.")])


def _schedule(pipeline: Pipeline) -> str | None:
    """The DAG's schedule, where its file says it plainly."""
    from dagkit.rules.subject import of_pipeline

    path = pipeline.dag().relative_to(pipeline.root).as_posix()
    dags = of_pipeline(pipeline).dag_files[path].dags
    value = dags[0].call.value("schedule") if dags else None
    return value if isinstance(value, str) else None


def _at(when: datetime) -> str:
    return f"{when:%a %d %b %H:%M}"


def _london(when: datetime) -> str:
    try:
        return _at(when.astimezone(ZoneInfo("Europe/London")))
    except ZoneInfoNotFoundError:
        return "?"


def _failed(pipeline: Pipeline) -> RunRecord:
    from dagkit.local.files import recorded

    run = next((each for each in recorded(pipeline.state) if not each.passed), None)
    if run is None:
        raise UsageError(
            "No run failed here", fix="Notebook 3 breaks one on purpose: take_out(), then run()."
        )
    return run


def _releases(here: Guide) -> Iterator[tuple[str, str, str, str]]:
    """For each of the pipeline's DAGs in the DAG repository: a mark, where, its RELEASE, what there is."""
    from dagkit import names
    from dagkit.git import git
    from dagkit.guide.submitting import chosen_address
    from dagkit.submit.remote import cloned

    pipeline = here.need()
    tags = git(pipeline.root, "tag", "--list").split()
    for environment in names.ENVIRONMENTS:
        branch = names.branch(environment, pipeline.project, pipeline.name)
        path = f"environments/{environment}/dags/{pipeline.project}/{pipeline.name}.py"
        with cloned(chosen_address(here), branch) as clone:
            for place, ref in ((clone.default, "HEAD"), (branch, clone.tip)):
                text = clone.files(ref, f"environments/{environment}").get(path) if ref else None
                if text is None:
                    continue
                said = dagfile.settings(text, pipeline.dag()).get(dagfile.RELEASE, "")
                there = said in tags
                yield "✓" if there else "✗", f"{environment}, on {place}", said, said if there else "no tag"


@check("5.update", title="The update is settled, and nothing of yours is lost")
def _updated(here: Guide) -> Seen:
    made = rehearsal.at(here.folder)
    made.need()
    if conflicts := made.conflicts():
        raise NotYet(f"Still in conflict: {', '.join(conflicts)}", todo='here.settle("mine")')
    if made.version != rehearsal.AFTER:
        raise NotYet(f"The copy is of {made.version} still", todo="here.update_copy()")
    if left := list(rehearsal.changes(made)):
        raise NotYet(f"Not committed in the copy: {left[0][1]}", todo='here.settle("mine")')
    if rehearsal.OWN_LINE not in (made.copy / "README.md").read_text(encoding="utf-8"):
        raise NotYet("Your line in README.md is gone", todo="Begin anew: here.rehearse()")
    both = made.contested
    text = (made.copy / both.path).read_text(encoding="utf-8")
    kept = [line.strip(" \\\n") for line in (both.mine, both.theirs) if line in text]
    return Seen(
        f"{made.copy} is of {made.version}, has your line in README.md, and in {both.path}: {' '.join(kept)}"
    )


@check("5.packages", title="Every package that you ask for is locked")
def _packages(here: Guide) -> Seen:
    pipeline = here.need()
    if not pipeline.has_image:
        return Seen("the image is made elsewhere, and its packages with it")
    missing = packages.unlocked(pipeline.root, pipeline.language)
    if missing:
        how = "renv::snapshot() in R" if pipeline.language == "r" else "the commands in docs/working-here.md"
        raise NotYet(f"Asked for, and not locked: {', '.join(missing)}", todo=f"Lock them: {how}")
    have = packages.locked(pipeline.root, pipeline.language)
    wanted = packages.asked(pipeline.root, pipeline.language)
    file = "renv.lock" if pipeline.language == "r" else packages.LOCKED
    return Seen(f"{file} has {', '.join(wanted)}, and {len(have) - len(wanted)} that they need")


@check("5.failure", title="You can tell why a run failed")
def _failure(here: Guide) -> Seen:
    run = _failed(here.need())
    task = reading.first_failure(run)
    read = reading.explain("\n".join(task.last_lines)) if task else None
    if task is None or read is None:
        raise NotYet(
            f"The last failed run, {run.run_id}, has none of the known signs in its log",
            todo=f"Read {run.folder}/report.md; look for the first line that says error.",
        )
    return Seen(f"the run {run.run_id} failed at {task.name}: {read.meaning} ({read.sign})")


@check("5.releases", title="The images that your DAGs name were released")
def _released(here: Guide) -> Seen:
    found = list(_releases(here))
    if not found:
        raise NotYet("The DAG repository has no DAG of yours yet", todo="Submit it, in notebook 4.")
    wrong = [each for each in found if each[0] != "✓"]
    if wrong:
        _, where, said, _ = wrong[0]
        raise NotYet(
            f"In {where} the DAG names {said}, and there is no such tag: no pod could start",
            todo=f"Publish the release {said}, or submit one that there is.",
        )
    return Seen("; ".join(f"{where}: {said}" for _, where, said, _ in found))
