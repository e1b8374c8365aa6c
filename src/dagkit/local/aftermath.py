"""What a run left in local AWS, and what it was refused: read from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagkit.local.record import RefusedCall, TaskRecord, WrittenObject
from dagkit.local.suggest import Advice, advise
from dagkit.pipeline import RoleFile

if TYPE_CHECKING:
    from dagkit.local.aws import LocalAWS
    from dagkit.local.ledger import Call, Judged

PREVIEWS = 20
PREVIEW_SIZE = 4096
PREVIEW_TEXT = 200

UNREACHED = (
    "no call reached local AWS, and a task could not connect: a firewall may stop containers from reaching"
    " this machine; allow connections from Docker's bridge (docker0), or run with --engine process"
)

# Values of keys that are no lists.
_VALUES = ("true", "false", "read", "readwrite")


def written(aws: LocalAWS, calls: Sequence[Call]) -> tuple[WrittenObject, ...]:
    """The objects that tasks wrote and that are still there, sorted by path."""
    tasks: dict[tuple[str, str], dict[str, None]] = {}
    for call in calls:
        for each in call.written:
            tasks.setdefault((each.bucket, each.key), {})[call.session] = None
    sizes = {
        (bucket, stored.key): stored.size
        for bucket in {bucket for bucket, _ in tasks}
        for stored in aws.objects(bucket)
    }
    found = sorted(place for place in tasks if place in sizes)
    return tuple(
        WrittenObject(
            path=f"s3://{bucket}/{key}",
            size=sizes[bucket, key],
            tasks=tuple(tasks[bucket, key]),
            preview=_preview(aws, bucket, key, sizes[bucket, key]) if number < PREVIEWS else None,
        )
        for number, (bucket, key) in enumerate(found)
    )


def refused(calls: Sequence[Call], role: RoleFile) -> tuple[RefusedCall, ...]:
    """What was refused: each permission of each task once, in the order in which it was first refused."""
    times: Counter[tuple[str, str, str]] = Counter()
    needs: dict[tuple[str, str, str], Judged | None] = {}
    reasons: dict[tuple[str, str, str], str] = {}
    for call in calls:
        found = call.refusals if call.refused else ()
        for need in found:
            key = (call.session, need.action, need.resource or "?")
            needs.setdefault(key, need)
            reasons.setdefault(key, need.decision.reason)
            times[key] += 1
        if call.refused and not found:
            key = (call.session, f"{call.service}:{call.operation or '?'}", "?")
            needs.setdefault(key, None)
            reasons.setdefault(key, call.refused)
            times[key] += 1
    judged = [need for need in needs.values() if need is not None]
    advice = [(each, _lines(each)) for each in advise(role.config, judged)]
    record = []
    for key, known in needs.items():
        task, action, resource = key
        helps = next(((each, lines) for each, lines in advice if known in each.needs), None)
        lines = helps[1] if helps else ""
        text = helps[0].text if helps and not lines else ""
        record.append(
            RefusedCall(task, action, resource, reasons[key], times[key], str(role.path), lines, text)
        )
    return tuple(record)


def unreached(calls: Sequence[Call], tasks: Sequence[TaskRecord]) -> bool:
    """Whether tasks failed because nothing of them came through to local AWS."""
    text = "\n".join(line for task in tasks for line in task.last_lines)
    return not calls and any(sign in text for sign in ("Could not connect", "Connect timeout", "timed out"))


def _lines(advice: Advice) -> str:
    """The lines of YAML that an advice is about, each under its keys; empty where no line helps."""
    if not advice.section:
        return ""
    *above, last = advice.section.split(".")
    lines = [f"{'  ' * depth}{key}:" for depth, key in enumerate(above)]
    indent = "  " * len(above)
    if advice.entry in _VALUES:
        return "\n".join([*lines, f"{indent}{last}: {advice.entry}"])
    return "\n".join([*lines, f"{indent}{last}:", f"{indent}  - {_scalar(advice.entry)}"])


def _scalar(text: str) -> str:
    """A text as YAML writes it: quoted only where it has to be."""
    import yaml

    written: str = yaml.safe_dump(text, width=10_000, allow_unicode=True)
    return written.removesuffix("\n").removesuffix("\n...")


def _preview(aws: LocalAWS, bucket: str, key: str, size: int) -> str | None:
    if not 0 < size <= PREVIEW_SIZE:
        return None
    body: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if any(not (c.isprintable() or c in "\n\r\t") for c in text):
        return None
    return text if len(text) <= PREVIEW_TEXT else text[: PREVIEW_TEXT - 1] + "…"
