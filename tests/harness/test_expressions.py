"""Expressions mean what GitHub's documentation says they mean."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.expressions import evaluate, fill
from tests.harness.syntax import ExpressionError, parse

CONTEXTS: dict[str, Any] = {
    "github": {
        "ref_name": "v1.2.3",
        "ref": "refs/tags/v1.2.3",
        "event": {"pull_request": None, "labels": [{"name": "bug"}, {"name": "big one"}]},
    },
    "steps": {"build": {"outputs": {"image-tag": "v1", "flag": "false"}}},
    "env": {"EMPTY": ""},
}
STATUS = {"success": False, "failure": True, "always": True, "cancelled": False}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'it''s'", "it's"),
        ("0xff", 255),
        ("-9.2", -9.2),
        ("1e3 == 1000", True),
        ("null", None),
        ("github.ref_name", "v1.2.3"),
        ("GitHub['REF_NAME']", "v1.2.3"),
        ("steps.build.outputs.image-tag", "v1"),
        ("github.event.labels[1].name", "big one"),
        ("github.event.labels.*.name", ["bug", "big one"]),
        ("contains(github.event.labels.*.name, 'BUG')", True),
        ("github.event.pull_request.head.ref", None),
        ("github.event.pull_request.head.ref || github.ref_name", "v1.2.3"),
        ("'A' == 'a'", True),
        ("'A' != 'b'", True),
        ("null == 0", True),
        ("true == 1", True),
        ("'' == 0", True),
        ("'x' == 0", False),
        ("'10' > 9", True),
        ("3 < 2 < 1", True),
        ("!2 < 3", True),
        ("!(2 < 3)", False),
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("env.EMPTY && 'yes' || 'no'", "no"),
        # An output is a string, so 'false' is true: a classic mistake, kept.
        ("steps.build.outputs.flag && 'taken'", "taken"),
        ("startsWith(github.ref, 'refs/tags/v')", True),
        ("endsWith(github.ref, '.3')", True),
        ("format('{{{0}}} and {1}', 'a', 2)", "{a} and 2"),
        ("join(github.event.labels.*.name, '; ')", "bug; big one"),
        ("fromJSON('{\"a\": [1, 2]}').a[1]", 2),
        ("toJSON(null)", "null"),
        ("failure() && !cancelled()", True),
    ],
)
def test_an_expression_has_the_value_github_gives_it(expression: str, value: object) -> None:
    assert evaluate(parse(expression), CONTEXTS, STATUS) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("github.ref_nam", "there is no github.ref_nam; there is: ref_name, ref, event"),
        ("steps.biuld.outputs.tag", "there is no steps.biuld"),
        ("secrets.TOKEN", "there is no context 'secrets' here"),
        ("github.event.labels[7].name", "there is no github.event.labels"),
        ("hashfile('x')", "there is no function hashfile"),
        ("startsWith('x')", "does not work"),
        ("format('{1}', 'a')", "format() has no value for '{1}'"),
        ('"double quotes"', "cannot read"),
        ("github.ref_name ==", "out of place"),
        ("github.ref_name 'x'", "out of place"),
        ("(github.ref", "expected ')'"),
        ("", "out of place"),
    ],
)
def test_what_does_not_exist_is_an_error_and_never_empty(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate(parse(expression), CONTEXTS, STATUS)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no expression, $HOME and ${HOME} stay", "no expression, $HOME and ${HOME} stay"),
        ("${{ github.ref_name }}", "v1.2.3"),
        ("a ${{ 'b' }} c ${{ 4 }} ${{ true }} ${{ null }}.", "a b c 4 true ."),
        ("${{ format('{0}}}', 'closes }} late') }}", "closes }} late}"),
        ("${{ toJSON(github.event.labels[0]) }}", '{\n  "name": "bug"\n}'),
    ],
)
def test_text_around_expressions_stays_as_it_is(text: str, filled: str) -> None:
    assert fill(text, CONTEXTS) == filled


@pytest.mark.parametrize("text", ["${{ github.ref_name }", "${{ github.event }}", "${{ always() }}"])
def test_text_that_github_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        fill(text, CONTEXTS)
