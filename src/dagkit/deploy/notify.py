"""One Slack message for a pull request that needs approval, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from dagkit.deploy import permissions
from dagkit.deploy.event import PullRequest
from dagkit.deploy.markdown import unseen
from dagkit.deploy.review import DagChange, Review

SLACK = "https://slack.com/api/"
EVENT_TYPE = "dagkit_pull_request"
UNREACHABLE = (SlackClientError, HTTPException, OSError)
"""What Slack being down looks like."""

_SECTION = 3000
_MOST = 10


@dataclass(frozen=True)
class Message:
    """What is said about a pull request.

    Attributes:
        text: For notifications and screen readers, in Slack's markup.
        blocks: For the channel. What people wrote stands in them as plain text: no mention, no link.
        metadata: What the message is found again by.
        news: Whether it is worth a message of its own, and not only a change to an earlier one.
    """

    text: str
    blocks: Sequence[dict[str, Any]]
    metadata: dict[str, Any]
    news: bool


def compose(pull: PullRequest, found: Review) -> Message:
    """The message for a pull request as it is now."""
    repository = pull.base.repo.full_name
    state = _state(pull, found)
    subject = f"{repository} #{pull.number}"
    title = " ".join(pull.title.split())
    lines = [title, f"by {pull.user.login}, into {pull.base.ref}"]
    blocks = [
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "text": f"*{state}*: <{pull.html_url}|{_escape(subject)}>",
                "verbatim": True,
            },
        },
        _plain("\n".join(lines)),
    ]
    blocks += [_plain(text) for text in (_changes(found), _widens(found), _who(found)) if text]
    return Message(
        f"{state}: {_escape(subject)} {_escape(title[:200])}",
        blocks,
        {
            "event_type": EVENT_TYPE,
            "event_payload": {"repository": repository, "number": pull.number},
        },
        pull.state == "open" and not pull.draft and bool(found.approvals.needed),
    )


def send(message: Message, channel: str, since: float, token: str, url: str = SLACK) -> str:
    """Post the message, or bring the earlier one about the same pull request up to date.

    Args:
        message: From `compose`.
        channel: `#name` of a public channel, or a channel's id.
        since: When the pull request was opened, in seconds since 1970: no message is older.
        token: The Slack app's bot token; it needs `chat:write`, `channels:read` and `channels:history`.
        url: Slack's address.

    Returns:
        What was done, in a sentence.

    Raises:
        SlackClientError: Slack refused it.
        OSError: Slack cannot be reached.
    """
    client = WebClient(
        token=token,
        base_url=url,
        timeout=10,
        retry_handlers=[
            ConnectionErrorRetryHandler(max_retry_count=2),
            RateLimitErrorRetryHandler(max_retry_count=2),
            ServerErrorRetryHandler(max_retry_count=2),
        ],
    )
    content: dict[str, Any] = {
        "text": message.text,
        "blocks": list(message.blocks),
        "metadata": message.metadata,
        "parse": "none",
        "link_names": False,
    }
    doubt = ""
    try:
        place = _channel_id(client, channel)
        earlier = _earlier(client, place, message.metadata, since) if place else None
        if place and earlier:
            client.chat_update(channel=place, ts=earlier, **content)
            return f"Slack: the message in {channel} is up to date"
        if place is None:
            doubt = " (no public channel of that name is known, so an earlier message was not looked for)"
    except SlackClientError as error:
        # being told twice is better than not at all
        doubt = f" (an earlier message could not be brought up to date: {words(error)})"
    if not message.news:
        return f"Slack: nothing to say in {channel}{doubt}"
    client.chat_postMessage(channel=channel, unfurl_links=False, unfurl_media=False, **content)
    return f"Slack: said in {channel}{doubt}"


def words(error: Exception) -> str:
    """Slack's error in one line."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 200)
    said = response.get("error") if response is not None and status < 400 else None
    if said is None and status >= 400:
        said = f"HTTP status {status}"
    return (" ".join(str(said or error).split()) or type(error).__name__)[:200]


def _channel_id(client: WebClient, channel: str) -> str | None:
    if not channel.startswith("#"):
        return channel
    cursor = ""
    while True:
        page = client.conversations_list(
            types="public_channel", exclude_archived=True, limit=1000, cursor=cursor or None
        )
        for known in page["channels"]:
            if known["name"] == channel[1:]:
                return str(known["id"])
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return None


def _earlier(client: WebClient, channel: str, metadata: dict[str, Any], since: float) -> str | None:
    """The timestamp that Slack knows the newest message about the same pull request by."""
    cursor = ""
    while True:
        page = client.conversations_history(
            channel=channel,
            oldest=f"{since:.6f}",
            include_all_metadata=True,
            limit=200,
            cursor=cursor or None,
        )
        for said in page["messages"]:
            if said.get("metadata") == metadata:
                return str(said["ts"])
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return None


def _state(pull: PullRequest, found: Review) -> str:
    if pull.merged:
        return "Merged"
    if pull.state != "open":
        return "Closed without a merge"
    if pull.draft:
        return "A draft again"
    return "Needs approval" if found.approvals.needed else "Needs no approval any more"


def _changes(found: Review) -> str:
    lines = [f"DAG {_dag(change)} in {change.environment}: {change.change}" for change in found.dags]
    lines += [f"role {role.name}: {role.change}" for role in found.roles]
    lines += [f"{path}" for path in found.files]
    return _listed("What changes:", lines)


def _dag(change: DagChange) -> str:
    view = change.after or change.before
    return str(view.dag_id if view else change.path)


def _widens(found: Review) -> str:
    lines = []
    for role in found.roles:
        if role.problem:
            lines.append(f"{role.name}: what it permits cannot be told")
        for row in role.rows:
            if row.widened:
                where = row.resource.removeprefix(permissions.S3)
                kinds = ", ".join(kind for kind in permissions.Kind if kind in row.widened)
                note = f" ({'; '.join(row.sensitive)})" if row.sensitive else ""
                lines.append(f"{role.name} may newly {kinds} {row.service} {where}{note}")
    return _listed("⚠ Wider access:", lines)


def _who(found: Review) -> str:
    return _listed("Approval of:", [" or ".join(owners) for owners in found.approvals.needed])


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n".join([title, *(f"• {line[:200]}" for line in lines[:_MOST]), *more])


def _plain(text: str) -> dict[str, Any]:
    shown = "".join("·" if unseen(character) and character != "\n" else character for character in text)
    return {"type": "section", "text": {"type": "plain_text", "text": shown[:_SECTION], "emoji": False}}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
