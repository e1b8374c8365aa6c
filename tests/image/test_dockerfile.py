"""A Dockerfile read: its stages, its steps, and what one target needs of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagkit import dockerfile
from dagkit.errors import DagkitError, UsageError

STAGES = """\
ARG BASE_IMAGE=python:3.13-slim
# what all stages need
FROM ${BASE_IMAGE} AS base
RUN echo one && \\
    echo two

FROM base AS test
RUN echo testing

FROM alpine AS tools
RUN echo tools

FROM base AS final
COPY --from=tools /etc/os-release /
CMD ["sh"]
"""


def read(tmp_path: Path, text: str, target: str = "final", **arguments: str) -> dockerfile.Dockerfile:
    path = tmp_path / "Dockerfile"
    path.write_text(text, encoding="utf-8")
    return dockerfile.read(path, target, arguments)


def test_a_stage_that_the_target_does_not_need_is_left_out_and_lines_keep_their_numbers(
    tmp_path: Path,
) -> None:
    read_ = read(tmp_path, STAGES)
    assert "echo testing" not in read_.text
    assert "FROM alpine AS tools" in read_.text
    lines = STAGES.splitlines()
    assert [read_.text.splitlines()[step.line - 1] for step in read_.steps] == [
        lines[step.line - 1] for step in read_.steps
    ]
    assert [(step.line, step.text.split()[0]) for step in read_.steps] == [
        (1, "ARG"), (3, "FROM"), (4, "RUN"), (10, "FROM"), (11, "RUN"), (13, "FROM"), (14, "COPY"),
        (15, "CMD"),
    ]  # fmt: skip


def test_the_layers_are_those_of_the_stages_below_the_target(tmp_path: Path) -> None:
    assert [step.text for step in read(tmp_path, STAGES).layers] == [
        "RUN echo one && echo two",
        "COPY --from=tools /etc/os-release /",
        'CMD ["sh"]',
    ]
    assert [step.text for step in read(tmp_path, STAGES, "test").layers] == [
        "RUN echo one && echo two",
        "RUN echo testing",
    ]


def test_the_base_image_is_that_of_the_build_argument(tmp_path: Path) -> None:
    assert read(tmp_path, STAGES).base_image == "python:3.13-slim"
    assert read(tmp_path, STAGES, BASE_IMAGE="another:1").base_image == "another:1"
    assert read(tmp_path, STAGES, "tools").base_image == "alpine"


def test_a_stage_named_by_number_keeps_every_stage(tmp_path: Path) -> None:
    text = "FROM a\nRUN one\nFROM b\nRUN two\nFROM c\nCOPY --from=0 /x /x\n"
    assert read(tmp_path, text).text == text


def test_final_is_the_last_stage_where_none_is_called_that(tmp_path: Path) -> None:
    read_ = read(tmp_path, "FROM a AS one\nRUN x\nFROM one\nRUN y\n")
    assert read_.target is None
    assert [step.text for step in read_.layers] == ["RUN x", "RUN y"]


@pytest.mark.parametrize(
    ("text", "target", "arguments", "said"),
    [
        (STAGES, "tset", {}, "no stage 'tset' (did you mean 'test'?)"),
        ("FROM a\n", "final", {"BASE_IMAGE": "b"}, "takes no build argument BASE_IMAGE"),
        ("# nothing\n", "final", {}, "starts from no image"),
    ],
)
def test_what_cannot_be_built_is_said(
    tmp_path: Path, text: str, target: str, arguments: dict[str, str], said: str
) -> None:
    with pytest.raises(DagkitError) as refused:
        read(tmp_path, text, target, **arguments)
    assert said in str(refused.value)
    assert str(tmp_path / "Dockerfile") in str(refused.value)


def test_a_missing_dockerfile_is_said(tmp_path: Path) -> None:
    with pytest.raises(DagkitError, match="The Dockerfile is missing") as refused:
        dockerfile.read(tmp_path / "Dockerfile", "final", {})
    assert not isinstance(refused.value, UsageError)
