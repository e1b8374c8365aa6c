"""`dagkit notify`: one message for a pull request, and Slack never in the way of a merge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagkit.cli import main
from tests.deploy.conftest import DAG, HELLO, HELLO_ROLE, ROLE, SETTINGS, Repository
from tests.deploy.slack import TOKEN, Slack, running_slack


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with running_slack() as workspace:
        monkeypatch.setenv("DAGKIT_SLACK_URL", workspace.url)
        yield workspace


class Pull:
    """A pull request with a role that may do more, and the event file that GitHub writes about it."""

    def __init__(self, repository: Repository, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repository = repository
        self.base = repository.git("rev-parse", "HEAD")
        self.file = folder / "event.json"
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(self.file))
        self.facts: dict[str, Any] = {
            "number": 12,
            "title": "Read more data",
            "html_url": "https://github.com/example/airflow/pull/12",
            "user": {"login": "an-analyst"},
            "state": "open",
            "merged": False,
            "draft": False,
            "created_at": "2026-11-20T10:00:00Z",
            "base": {"sha": self.base, "ref": "main", "repo": {"full_name": "example/airflow"}},
            "head": {"sha": repository.commit({HELLO_ROLE: ROLE.replace("in/*", "*")})},
        }

    def notify(self, *words: str, **facts: Any) -> int:
        """Call `dagkit notify` for the pull request as it is now."""
        self.facts |= facts
        self.file.write_text(json.dumps({"action": "synchronize", "pull_request": self.facts}))
        return main(["notify", *words])

    def commit(self, files: dict[str, str | None]) -> int:
        """Push a commit, and notify."""
        return self.notify(head={"sha": self.repository.commit(files)})


@pytest.fixture
def pull(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pull:
    return Pull(repository, tmp_path, monkeypatch)


def text_of(message: dict[str, Any]) -> str:
    return "\n".join(block["text"]["text"] for block in message["blocks"])


def test_who_wants_what_and_what_widens_is_said_once(pull: Pull, slack: Slack) -> None:
    assert pull.notify() == 0
    (message,) = slack.said
    said = text_of(message)
    assert "*Needs approval*: <https://github.com/example/airflow/pull/12|example/airflow #12>" in said
    assert "Read more data\nby an-analyst, into main" in said
    assert "role airflow_dev_example_hello: changed" in said
    assert "airflow_dev_example_hello may newly read s3 alpha-data/* (a whole bucket)" in said
    assert "Approval of:\n• @example/data-engineering" in said


def test_the_message_is_updated_rather_than_repeated(pull: Pull, slack: Slack) -> None:
    slack.said.append({"ts": "1999999999.000100", "text": "something else"})
    assert pull.notify() == 0
    slack.said.append({"ts": "2000000099.000100", "text": "something newer"})
    assert pull.commit({HELLO_ROLE: ROLE.replace("in/*", "other/*")}) == 0
    assert len(slack.said) == 3
    assert "alpha-data/other/*" in text_of(slack.said[1])
    assert slack.called.count("chat.postMessage") == 1


def test_two_pull_requests_have_a_message_each(pull: Pull, slack: Slack) -> None:
    assert pull.notify() == 0
    assert pull.notify(number=13) == 0
    assert len(slack.said) == 2


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"state": "closed", "merged": True}, "*Merged*"),
        ({"state": "closed"}, "*Closed without a merge*"),
        ({"draft": True}, "*A draft again*"),
    ],
)
def test_the_end_of_a_pull_request_is_said_in_its_message(
    pull: Pull, slack: Slack, facts: dict[str, Any], said: str
) -> None:
    assert pull.notify() == 0
    assert pull.notify(**facts) == 0
    (message,) = slack.said
    assert said in text_of(message)


def test_what_needs_no_approval_is_not_said(pull: Pull, slack: Slack) -> None:
    assert pull.commit({HELLO_ROLE: ROLE, HELLO: DAG + "\n"}) == 0
    assert slack.said == []
    assert pull.commit({HELLO_ROLE: ROLE.replace("in/*", "*")}) == 0
    assert pull.commit({HELLO_ROLE: ROLE}) == 0
    (message,) = slack.said
    assert "*Needs no approval any more*" in text_of(message)


def test_a_draft_is_not_said(pull: Pull, slack: Slack) -> None:
    assert pull.notify(draft=True) == 0
    assert slack.said == []


def test_nothing_that_people_wrote_mentions_or_links(pull: Pull, slack: Slack) -> None:
    title = "<!channel> <https://evil.example|click> & *bold* \u202e"
    assert pull.notify(title=title) == 0
    (message,) = slack.said
    for block in message["blocks"]:
        if "evil" in block["text"]["text"] or "channel" in block["text"]["text"]:
            assert block["text"]["type"] == "plain_text"
    assert "\u202e" not in text_of(message)
    assert "&lt;!channel&gt; &lt;https" in message["text"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("500", "HTTP status 500"),
        ("429", "429"),
        ("garbage", ""),
        ("hang up", ""),
        ("invalid_auth", "invalid_auth"),
    ],
)
def test_slack_being_down_fails_nothing_and_is_said(
    pull: Pull, slack: Slack, how: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.broken = {"*": how}
    assert pull.notify() == 0
    error = capsys.readouterr().err
    assert error.startswith("warning: nobody was told on Slack: Slack says: ")
    assert said in error
    assert "Traceback" not in error


def test_a_slack_that_is_not_there_fails_nothing(
    pull: Pull, slack: Slack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGKIT_SLACK_URL", "http://127.0.0.1:1/api/")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert pull.notify() == 0
    said = capsys.readouterr()
    assert "nobody was told on Slack" in said.err
    assert said.out.startswith("::warning title=Slack::")


@pytest.mark.parametrize("method", ["conversations.list", "conversations.history", "chat.update"])
def test_where_the_earlier_message_cannot_be_had_there_is_a_new_one(
    pull: Pull, slack: Slack, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull.notify() == 0
    slack.broken = {method: "missing_scope"}
    assert pull.notify() == 0
    assert len(slack.said) == 2
    assert "could not be brought up to date: missing_scope" in capsys.readouterr().out


def test_no_token_is_said_and_fails_nothing(
    pull: Pull, slack: Slack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    assert pull.notify() == 0
    assert "SLACK_BOT_TOKEN is not set" in capsys.readouterr().err
    assert slack.called == []


def test_no_channel_is_said_and_fails_nothing(
    pull: Pull, slack: Slack, capsys: pytest.CaptureFixture[str]
) -> None:
    pull.repository.write({"dagkit.toml": SETTINGS[: SETTINGS.index("[slack]")]})
    assert pull.notify() == 0
    assert "names no channel" in capsys.readouterr().err
    assert pull.notify("--channel", "C002") == 0
    assert len(slack.said) == 1


def test_nothing_of_the_pull_request_is_run(pull: Pull, slack: Slack, tmp_path: Path) -> None:
    witness = tmp_path / "was-run"
    bad = f"import pathlib\npathlib.Path({str(witness)!r}).touch()\n" + DAG.replace(
        "write >> copy", "exec('')"
    )
    assert (
        pull.commit({HELLO: bad, "imports/pipeline_pod.py": bad, HELLO_ROLE: ROLE.replace("in/*", "*")}) == 0
    )
    assert len(slack.said) == 1
    assert not witness.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "not one of a pull request"),
        ('{"action": "push"}', "pull_request: Field required"),
    ],
)
def test_an_event_of_something_else(
    pull: Pull, slack: Slack, text: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        pull.file.write_text(text)
    assert main(["notify"]) == 2
    assert said in capsys.readouterr().err


def test_no_event_at_all(
    pull: Pull, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH")
    assert main(["notify"]) == 2
    assert "--event" in capsys.readouterr().err
