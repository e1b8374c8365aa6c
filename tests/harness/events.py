"""What starts a workflow: a release, a pull request, a push, a person."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What an event starts where its workflow names no types.
_DEFAULT_TYPES = {"pull_request": ("opened", "synchronize", "reopened")}


@dataclass(frozen=True)
class Event:
    """One event, as GitHub would describe it.

    Attributes:
        name: ``release``, ``pull_request``, ``push``, ``workflow_dispatch``, ``schedule``.
        ref: ``refs/heads/main``, ``refs/tags/v1.2.3``, ``refs/pull/7/merge``.
        sha: The commit it is about.
        payload: ``github.event``.
        inputs: Of a workflow_dispatch.
        changed: The files that a push changes, for `paths:`.
        api_url: Where GitHub's API is.
    """

    name: str
    ref: str
    sha: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    repository: str = "moj-analytical-services/my-pipeline"
    actor: str = "an-analyst"
    head_ref: str = ""
    base_ref: str = ""
    changed: tuple[str, ...] = ()
    api_url: str = "https://api.github.com"

    def github_context(self) -> dict[str, Any]:
        """Return what the ``github`` context says about this event."""
        return {
            "action": "",
            "actor": self.actor,
            "api_url": self.api_url,
            "base_ref": self.base_ref,
            "event": self.payload,
            "event_name": self.name,
            "head_ref": self.head_ref,
            "ref": self.ref,
            "ref_name": re.sub(r"^refs/(heads|tags|pull)/", "", self.ref),
            "ref_type": "tag" if self.ref.startswith("refs/tags/") else "branch",
            "repository": self.repository,
            "repository_owner": self.repository.partition("/")[0],
            "run_attempt": "1",
            "run_id": "1001",
            "run_number": "1",
            "server_url": "https://github.com",
            "sha": self.sha,
            "triggering_actor": self.actor,
        }


def release(
    tag: str, sha: str, *, action: str = "published", prerelease: bool = False, name: str = ""
) -> Event:
    """Return the event of a release on GitHub."""
    body = {
        "tag_name": tag,
        "name": name or tag,
        "prerelease": prerelease,
        "draft": False,
        "target_commitish": "main",
    }
    return Event("release", f"refs/tags/{tag}", sha, {"action": action, "release": body})


def pull_request(
    number: int,
    head: str,
    sha: str,
    *,
    base: str = "main",
    base_sha: str = "",
    head_sha: str = "",
    action: str = "opened",
    title: str = "",
    draft: bool = False,
    fork: bool = False,
    api_url: str = Event.api_url,
) -> Event:
    """Return the event of a pull request from branch `head`.

    Args:
        number: Its number.
        head: Its branch.
        sha: The commit that the workflow runs on: the merge of both, where `head_sha` is given.
        base: The branch it goes into.
        base_sha: The newest commit of `base`.
        head_sha: The newest commit of `head`; `sha` if empty.
        action: What happened to it.
        title: Its title.
        draft: Whether it is a draft.
        fork: Whether the branch is in another repository than `base`.
        api_url: Where GitHub's API is.
    """
    repository = {"full_name": Event.repository, "fork": False}
    source = {"full_name": "somebody/my-pipeline", "fork": True} if fork else repository
    body = {
        "number": number,
        "title": title or f"Change {number}",
        "body": "",
        "draft": draft,
        "state": "closed" if action == "closed" else "open",
        "merged": action == "closed",
        "html_url": f"https://github.com/{Event.repository}/pull/{number}",
        "created_at": "2026-11-02T09:00:00Z",
        "head": {"ref": head, "sha": head_sha or sha, "repo": source},
        "base": {"ref": base, "sha": base_sha, "repo": repository},
        "user": {"login": Event.actor},
    }
    payload = {"action": action, "number": number, "pull_request": body}
    ref = f"refs/pull/{number}/merge"
    return Event("pull_request", ref, sha, payload, head_ref=head, base_ref=base, api_url=api_url)


def push(branch: str, sha: str, *changed: str) -> Event:
    """Return the event of a push to a branch that changes files."""
    payload = {"ref": f"refs/heads/{branch}", "after": sha}
    return Event("push", f"refs/heads/{branch}", sha, payload, changed=changed)


def dispatch(sha: str, *, branch: str = "main", **inputs: Any) -> Event:
    """Return the event of a person who starts the workflow by hand."""
    return Event("workflow_dispatch", f"refs/heads/{branch}", sha, {"inputs": inputs}, inputs=inputs)


def is_triggered(triggers: Mapping[str, Mapping[str, Any]], event: Event) -> bool:
    """Return whether a workflow with these triggers (``on:``) starts on ``event``.

    Raises:
        NotImplementedError: A trigger has a filter that is not understood here.
    """
    if event.name not in triggers:
        return False
    filters = dict(triggers[event.name])
    filters.pop("inputs", None)
    types = filters.pop("types", _DEFAULT_TYPES.get(event.name, ()))
    types = [types] if isinstance(types, str) else types
    if types and event.payload.get("action") not in types:
        return False
    branch, tag = event.base_ref, ""
    if event.name == "push":
        branch = event.ref.removeprefix("refs/heads/") if event.ref.startswith("refs/heads/") else ""
        tag = event.ref.removeprefix("refs/tags/") if event.ref.startswith("refs/tags/") else ""
    wanted = [(filters.pop("branches", None), branch), (filters.pop("tags", None), tag)]
    paths = filters.pop("paths", None)
    if paths is not None and not any(_fits(path, pattern) for path in event.changed for pattern in paths):
        return False
    if filters:
        raise NotImplementedError(f"on.{event.name}: {', '.join(filters)}")
    named = [(patterns, name) for patterns, name in wanted if patterns is not None]
    return not named or any(
        fnmatch.fnmatchcase(name, pattern) for patterns, name in named for pattern in patterns
    )


def _fits(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern of `paths:`, where `*` stops at a slash and `**` does not."""
    if re.search(r"[!?+\[\]]", pattern):
        raise NotImplementedError(f"paths: {pattern}")
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("**"))
    return re.fullmatch(".*".join(parts), path) is not None
