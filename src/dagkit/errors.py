"""The one family of errors that people read."""

from __future__ import annotations


class DagkitError(Exception):
    """Something a person can put right.

    Args:
        what: One sentence that says what is wrong.
        where: The file (with line), image, task or setting it is wrong in.
        fix: One sentence, or one command, that says what to do next.
        exit_code: 1 where the work found a problem, 2 where the call itself was wrong.
    """

    def __init__(
        self, what: str, *, where: str | None = None, fix: str | None = None, exit_code: int = 1
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.exit_code = exit_code

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  what to do: {self.fix}")
        return "\n".join(lines)


class UsageError(DagkitError):
    """The call was wrong: exit code 2."""

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix, exit_code=2)
