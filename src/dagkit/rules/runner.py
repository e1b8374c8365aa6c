"""Runs the rules: hands each what it asks for, by name, and knows nothing about any of them."""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dagkit.rules import load, switches
from dagkit.rules.base import Finding, Rule
from dagkit.rules.changes import Touched
from dagkit.rules.facts import DagFile
from dagkit.rules.history import History
from dagkit.rules.reading import complete
from dagkit.rules.registry import all_rules
from dagkit.rules.subject import Subject
from dagkit.rules.switches import Switch

EACH = ("dag_file", "python", "dag", "task", "pod", "role", "switch")
"""Inputs that are one of many: a rule that asks for one is called for each."""


@dataclass(frozen=True)
class Report:
    """What a validation found.

    Attributes:
        root: The repository.
        findings: What is wrong, in the order of files and lines.
        switched_off: What would be, were it not switched off, with the switch and its reason.
        dags: How many DAG files were checked.
        roles: How many roles were checked.
        not_checked: Each thing that was not checked, and why.
    """

    root: Path
    findings: tuple[Finding, ...]
    switched_off: tuple[tuple[Finding, Switch], ...] = ()
    dags: int = 0
    roles: int = 0
    not_checked: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        """How many findings are errors: a validation with one has failed."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors


def validate(
    subject: Subject,
    *,
    touched: Touched | None = None,
    static: bool = False,
    ecr: Callable[[str], bool | None] | None = None,
    loader: load.Loader | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a repository.

    Args:
        subject: The repository.
        touched: What to check of it; all of it when None.
        static: Whether only the files are looked at.
        ecr: Says whether an image is in Amazon ECR (None where it cannot be asked); not checked when None.
        loader: Airflow; nothing that only it can tell is checked when None.
        on_progress: Told how many DAG files are checked, of how many.

    Raises:
        DagkitError: Airflow is there but cannot be imported.
    """
    rules = [rule() for rule in all_rules().values()]
    notes: list[str] = []
    if static:
        notes.append("what only Airflow can tell (--static)")
    elif loader is None:
        notes.append("what only Airflow can tell: it is not installed (pip install 'dagkit[local]')")
    if ecr is None:
        rules = [rule for rule in rules if rule.needs != "network"]
    run = _Run(subject, rules, touched, ecr, on_progress)
    with _no_collecting():
        if loader is not None and not static:
            run.with_airflow(loader)
        else:
            run.files_alone()
    return run.report(notes)


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Leave garbage be: looking for it among the trees of a thousand files takes a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Run:
    """One validation."""

    def __init__(
        self,
        subject: Subject,
        rules: list[Rule],
        touched: Touched | None,
        ecr: Callable[[str], bool | None] | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.subject = subject
        self.touched = touched
        self.on_progress = on_progress or (lambda _done, _all: None)
        self.rules = [(rule, tuple(inspect.signature(rule.check).parameters)) for rule in rules]
        self.found: dict[Finding, None] = {}
        self.takers: dict[tuple[str, int], list[tuple[Rule, dict[str, Any]]]] = {}
        self.dag_files: dict[str, DagFile] = {}
        self.checked: list[DagFile] = []
        self.once: dict[str, Any] = {
            "codes": all_rules(),
            "subject": subject,
            "settings": subject.rules,
            "registry": subject.registry,
            "history": History(subject.root),
        }
        if ecr is not None:
            self.once["ecr"] = ecr

    def files_alone(self) -> None:
        """Check what the files say."""
        self._before()
        for file in self._wanted:
            self._dag_file(file)
        self._after()

    def with_airflow(self, loader: load.Loader) -> None:
        """Check what the files say, completed by what Airflow says."""
        self._before()
        wanted = {self.subject.root / file.path: file for file in self._wanted}
        # Airflow itself would only say again that it is not Python
        readable = [path for path, file in wanted.items() if file.source.problem is None]
        environments = self.subject.environments
        batches = [[path for path in readable if wanted[path].environment == each] for each in environments]
        with self.subject.search() as search:
            for path, loaded in loader.load(batches, search):
                if loader.compute is not None:
                    self.once["compute"] = loader.compute
                self._dag_file(complete(wanted[path], loaded))
        for file in wanted.values():
            if file.source.problem is not None:
                self._dag_file(file)
        self._after()

    @cached_property
    def _wanted(self) -> list[DagFile]:
        files = self.subject.dag_files.values()
        return [file for file in files if self.touched is None or file.path in self.touched.paths]

    def _before(self) -> None:
        self.once["roles"] = self.subject.roles
        self.once["modules"] = self.subject.modules
        if self.subject.layout is not None:
            self.once["layout"] = self.subject.layout
        self.dag_files = dict(self.subject.dag_files)

    def _dag_file(self, file: DagFile) -> None:
        self.dag_files[file.path] = file
        self.checked.append(file)
        self._each("dag_file", [file])
        self._each("python", [file])
        self._each("dag", file.dags)
        self._each("task", file.tasks)
        self._each("pod", [task.pod for task in file.tasks if task.pod])
        self.on_progress(len(self.checked), len(self._wanted))

    def _after(self) -> None:
        """What needs to know every DAG."""
        for file in self.subject.other_environments():
            self._each("task", file.tasks)
            self._each("pod", [task.pod for task in file.tasks if task.pod])
        self.once["dag_files"] = tuple(self.dag_files.values())
        wanted = self.touched.paths if self.touched is not None else None
        self._each("python", [m for m in self.subject.modules.values() if wanted is None or m.path in wanted])
        roles = [role for found in self.subject.roles.values() for role in found.values()]
        self.roles = [role for role in roles if wanted is None or role.path in wanted]
        self._each("role", self.roles)
        self.switches = list(self._switches())
        self._each("switch", self.switches)
        for rule, asked in self.rules:
            if not set(asked) & set(EACH) and all(name in self.once for name in asked):
                self.found.update(dict.fromkeys(rule.check(**{name: self.once[name] for name in asked})))

    def _each(self, name: str, things: Iterable[Any]) -> None:
        """Call every rule that asks for one of these with each of them."""
        for thing in things:
            loaded = _loaded(name, thing)
            for rule, others in self._takers(name):
                if loaded or rule.needs != "dag":
                    self.found.update(dict.fromkeys(rule.check(**others, **{name: thing})))

    def _takers(self, name: str) -> list[tuple[Rule, dict[str, Any]]]:
        """The rules that ask for an input, with what else they ask for.

        What is not to be had here (the layout of an image repository …) is not checked.
        """
        key = (name, len(self.once))
        if key not in self.takers:
            found = self.takers[key] = []
            for rule, asked in self.rules:
                others = [other for other in asked if other != name]
                if name in asked and all(other in self.once for other in others):
                    found.append((rule, {other: self.once[other] for other in others}))
        return self.takers[key]

    def _switches(self) -> Iterator[Switch]:
        yield from switches.in_settings(self.subject.root, self.subject.rules)
        for file in self.checked:
            yield from switches.in_text(file.path, file.source.text)
        for module in self.subject.modules.values():
            yield from switches.in_text(module.path, module.source.text)
        for found in self.subject.roles.values():
            for role in found.values():
                yield from switches.in_text(role.path, role.source.text)

    def report(self, notes: list[str]) -> Report:
        """What was found and asked for; what is switched off; not what another rule says better."""
        findings = [finding for finding in _explained(self.found) if self._asked_for(finding)]
        kept, off = [], []
        for finding in sorted(findings, key=lambda each: each.sort_key):
            switch = next((each for each in self.switches if each.covers(finding)), None)
            if switch is None or finding.code.startswith("DK0"):
                kept.append(finding)
            else:
                off.append((finding, switch))
        return Report(
            self.subject.root, tuple(kept), tuple(off), len(self.checked), len(self.roles), tuple(notes)
        )

    def _asked_for(self, finding: Finding) -> bool:
        return self.touched is None or self.touched.includes(finding.path, *finding.related)


def _loaded(name: str, thing: Any) -> bool:
    if name == "pod":
        return thing.task.facts is not None
    return getattr(thing, "loaded" if name in ("dag_file", "python") else "facts", None) is not None


def _explained(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Leave out what repeats Airflow's words where another rule says the same better."""
    findings = list(findings)
    patterns = {rule.code: rule.explains for rule in all_rules().values() if rule.explains}
    codes: dict[str, set[str]] = {}
    for finding in findings:
        codes.setdefault(finding.path, set()).add(finding.code)
    for finding in findings:
        others = (patterns[code] for code in codes[finding.path] if code in patterns and code != finding.code)
        if finding.cause is None or not any(re.search(pattern, finding.cause) for pattern in others):
            yield finding
