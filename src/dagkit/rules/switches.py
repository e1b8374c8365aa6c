"""Rules switched off: for a line, a file, or the repository, and only with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from dagkit.dagrepo import SETTINGS_FILE, RuleSettings, setting_line
from dagkit.rules import examples
from dagkit.rules.base import Finding, Place, Rule

COMMENT = re.compile(
    r"#\s*dagkit:\s*(?P<kind>off-file|off)\b(?P<codes>[\s,A-Za-z0-9]*?)\s*(?:--+\s*(?P<reason>.*?))?\s*$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Switch:
    """A rule switched off.

    Attributes:
        place: Where it is switched off.
        code: The rule; empty where none is named.
        reason: Why; empty where it is not said.
        scope: A line, a file, or files by a pattern.
        pattern: The pattern of the files, for the last.
    """

    place: Place
    code: str
    reason: str
    scope: str
    pattern: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether it switches this finding off."""
        if finding.code != self.code or not self.reason:
            return False
        if self.scope == "files":
            return not self.pattern or fnmatch(finding.path, self.pattern)
        return finding.path == self.place.path and self.scope in ("file", f"line {finding.line}")


def in_text(path: str, text: str) -> Iterator[Switch]:
    """The switches in the comments of a file.

    A comment counts for the line it stands on; one that stands alone counts for the next line that does not.
    """
    if "dagkit:" not in text:
        return
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if match := COMMENT.search(line):
            covered = number
            if not line[: match.start()].strip():
                rest = lines[number:]
                covered += next((n for n, after in enumerate(rest, 1) if _says(after)), 1)
            scope = "file" if match["kind"] == "off-file" else f"line {covered}"
            place = Place(path, number, match.start() + 1)
            for code in re.findall(r"\w+", match["codes"]) or [""]:
                yield Switch(place, code.upper(), (match["reason"] or "").strip(), scope)


def _says(line: str) -> bool:
    """Whether there is more on a line than a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def in_settings(root: Path, rules: RuleSettings) -> Iterator[Switch]:
    """The switches of dagkit.toml."""
    if not rules.off:
        return
    text = (root / SETTINGS_FILE).read_text(encoding="utf-8")
    for index, off in enumerate(rules.off):
        place = Place(SETTINGS_FILE, setting_line(text, ("rules", "off", index, "code")))
        yield Switch(place, off.code, off.reason.strip(), "files", off.path or "")


class OffWithoutReason(Rule):
    """A rule can be switched off only with a reason."""

    code = "DK001"
    name = "off-without-reason"
    why = "Whoever comes next cannot tell an exception that was agreed from one that was forgotten."
    bad = examples.in_dag("catchup=True,  # dagkit: off DK207")
    good = examples.in_dag("catchup=True,  # dagkit: off DK207 -- every day since January is wanted")

    def check(self, switch: Switch) -> Iterator[Finding]:
        """Each switch has to have one."""
        if not switch.reason:
            what = switch.code or "a rule"
            where = 'reason = "…"' if switch.scope == "files" else "-- and the reason, on the same line"
            yield self.finding(
                switch.place,
                f"{what} is switched off without a reason, so it stays on",
                f"Add {where}.",
            )


class UnknownCode(Rule):
    """Only rules that exist can be switched off."""

    code = "DK002"
    name = "off-unknown-rule"
    why = "A comment with a mistyped code switches nothing off, and looks as if it did."
    bad = examples.in_dag("catchup=False,  # dagkit: off DK2007 -- every day since January is wanted")
    good = examples.in_dag("catchup=True,  # dagkit: off DK207 -- every day since January is wanted")

    def check(self, switch: Switch, codes: Mapping[str, type[Rule]]) -> Iterator[Finding]:
        """Each switch has to name one."""
        if switch.code not in codes or switch.code.startswith("DK0"):
            said = f"there is no rule '{switch.code}'" if switch.code else "no rule is named"
            if switch.code in codes:
                said = f"{switch.code} cannot be switched off"
            yield self.finding(
                switch.place, f"Nothing is switched off: {said}", "Name a rule that `dagkit rule` lists."
            )
