"""DK4, second half: roles. The paths that they grant."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from dagkit.rules import examples
from dagkit.rules.base import Finding, Rule
from dagkit.rules.facts import WRITES, Role, S3Path, pattern_matches


def _s3(*lines: str) -> examples.Example:
    """A role with these lines under s3."""
    body = "".join(f"  {line}\n" for line in lines)
    return examples.role(f"iam_role_name: airflow_dev_example_daily\n\ns3:\n{body}")


PREFIX = re.compile(r"^(?:s3a?:/*|arn:aws[a-z-]*:s3:::|/+)", re.IGNORECASE)


class PathPrefix(Rule):
    """A path is `bucket/folder/*`, and nothing stands before it."""

    code = "DK408"
    name = "path-prefix"
    why = (
        "The path goes into an ARN as it is: with `s3://` before it, it grants something that does not exist."
    )
    bad = _s3("read_write:", "  - s3://alpha-example/dev/*")
    good = _s3("read_write:", "  - alpha-example/dev/*")

    def check(self, role: Role) -> Iterator[Finding]:
        """Neither s3://, nor an ARN, nor a slash."""
        for path in role.paths:
            right = PREFIX.sub("", path.text)
            if right != path.text:
                quote = (
                    path.node.style
                    if isinstance(path.node, yaml.ScalarNode) and path.node.style in ("'", '"')
                    else ""
                )
                yield self.finding(
                    path.place,
                    f"'{path.text}' is not a path of bucket/folder/*",
                    f"Write: {right}",
                    role.source.replace(path.node, f"{quote}{right}{quote}"),
                )


class WholeBucketWrite(Rule):
    """No role may write to a whole bucket."""

    code = "DK409"
    name = "whole-bucket-write"
    why = "One mistake in the code overwrites or deletes what all others keep there."
    bad = _s3("read_write:", "  - alpha-example/*")
    good = _s3("read_write:", "  - alpha-example/dev/*")

    def check(self, role: Role) -> Iterator[Finding]:
        """Of each path that may be written."""
        for path in role.paths:
            if path.grant not in WRITES or PREFIX.match(path.text):
                continue
            if re.search(r"[*?]", path.bucket):
                yield self.finding(
                    path.place,
                    f"'{path.text}' lets the role write to every bucket whose name fits",
                    "Name the bucket, and a folder in it: bucket/folder/*.",
                )
            elif not path.key.strip("*?/"):
                yield self.finding(
                    path.place,
                    f"'{path.text}' lets the role write to the whole bucket '{path.bucket}'",
                    f"Name a folder: {path.bucket}/{role.name.removeprefix('airflow_')}/*.",
                )


class SamePathTwice(Rule):
    """A path is granted once."""

    code = "DK411"
    name = "path-granted-twice"
    why = "Who takes one of the two away believes that the access is gone."
    bad = _s3("read_only:", "  - alpha-example/dev/*", "read_write:", "  - alpha-example/dev/*")
    good = _s3("read_only:", "  - alpha-shared/lookups/*", "read_write:", "  - alpha-example/dev/*")

    def check(self, role: Role) -> Iterator[Finding]:
        """Among all but what is denied."""
        seen: dict[str, S3Path] = {}
        for path in role.paths:
            if path.grant == "deny":
                continue
            first = seen.setdefault(path.text, path)
            if first is not path:
                yield self.finding(
                    path.place,
                    f"'{path.text}' is already granted as {first.grant} in line {first.place.line}",
                    "Keep the one that is needed: read_write is both reading and writing.",
                )


class VoidGrant(Rule):
    """Nothing is granted that is denied below."""

    code = "DK412"
    name = "void-grant"
    why = "Denying wins: the grant looks like access and is none."
    bad = _s3("read_write:", "  - alpha-example/dev/*", "deny:", "  - alpha-example/*")
    good = _s3("read_write:", "  - alpha-example/dev/*", "deny:", "  - alpha-example/dev/raw/*")

    def check(self, role: Role) -> Iterator[Finding]:
        """Where a denied path holds all of a granted one."""
        denied = [path for path in role.paths if path.grant == "deny"]
        for path in role.paths:
            void = next((each for each in denied if pattern_matches(each.text, path.text)), None)
            if path.grant != "deny" and void is not None:
                yield self.finding(
                    path.place,
                    f"'{path.text}' is granted, and '{void.text}' in line {void.place.line} denies all of it",
                    "Remove the grant, or deny less.",
                )
