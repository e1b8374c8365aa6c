"""Images are built by a real engine: what is shown, what is kept, and what a failure says."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.errors import DagkitError
from dagkit.image import BuildEvent, build, docker_client
from dagkit.pipeline import Pipeline
from tests.harness.languages import both_languages
from tests.image.conftest import Built, Make

pytestmark = pytest.mark.docker


INSTALL = {"python": "RUN pip ", "r": "RUN Rscript renv/restore.R"}
"""How the instruction begins that installs what is locked."""
LARGE = {"python": "RUN pip ", "r": "RUN apt-get "}
"""How the one of a large layer begins. The base image of these tests has all that is locked for R."""
CODE = {"python": "scripts/run.py", "r": "scripts/run.R"}


@both_languages
def test_the_generated_image_is_tagged_for_this_machine_and_its_layers_are_the_dockerfiles(
    language: str, built: Built
) -> None:
    image, _ = built
    assert image.tag == f"dagkit-test-generated-{language}:local"
    own = [layer for layer in image.layers if not layer.base]
    assert any(layer.base for layer in image.layers)
    assert any(layer.instruction.startswith(LARGE[language]) and layer.size > 10**6 for layer in own)
    assert any(layer.instruction == "COPY scripts scripts" for layer in own)
    assert sum(layer.size for layer in image.layers) == image.size
    client = docker_client()
    try:
        assert client.images.get(image.tag).id == image.id
    finally:
        client.close()


@both_languages
def test_every_step_is_told_with_its_instruction_and_stages_for_tests_are_not_built(built: Built) -> None:
    _, events = built
    steps = dict.fromkeys(event.step for event in events)
    assert list(steps) == list(range(1, events[0].steps + 1))
    instructions = [event.instruction for event in events]
    assert "FROM base AS final" in instructions
    assert not any(
        word in instruction for word in ("requirements-dev", "COPY tests") for instruction in instructions
    )


@both_languages
def test_a_change_of_the_code_keeps_the_installed_packages(
    language: str, generated: Pipeline, built: Built, base_image: str
) -> None:
    script = generated.root / CODE[language]
    before = script.read_text(encoding="utf-8")
    events: list[BuildEvent] = []
    try:
        script.write_text(
            f"{before}\n# {uuid.uuid4()}: an earlier session left no such layer\n", encoding="utf-8"
        )
        image = build(generated, base_image=base_image, on_event=events.append)
    finally:
        script.write_text(before, encoding="utf-8")
    assert image.id != built[0].id
    cached = {event.instruction for event in events if event.cached}
    assert any(instruction.startswith(INSTALL[language]) for instruction in cached)
    assert "COPY scripts scripts" not in cached


def test_what_dockerignore_names_stays_out_of_the_image(small: Make) -> None:
    pipeline = small("COPY . /all/", __dockerignore="# comment\nsecret.txt\n", secret__txt="s", kept__txt="k")
    (pipeline.state / "env").mkdir(parents=True)
    (pipeline.state / "env" / "large").touch()
    image = build(pipeline)
    client = docker_client()
    try:
        listed = client.containers.run(image.tag, ["ls", "-A", "/all"], remove=True).decode().split()
    finally:
        client.close()
    assert "kept.txt" in listed
    assert "secret.txt" not in listed
    assert ".dagkit" not in listed


def test_the_base_image_of_the_environment_counts_and_that_of_the_call_counts_more(
    small: Make, python_base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = small("RUN true")
    text = (pipeline.root / "Dockerfile").read_text(encoding="utf-8")
    missing = "dagkit-test/nowhere:1"
    (pipeline.root / "Dockerfile").write_text(text.replace(python_base_image, missing), encoding="utf-8")
    monkeypatch.setenv("DAGKIT_BASE_IMAGE", python_base_image)
    assert build(pipeline).tag == "dagkit-test-small:local"
    with pytest.raises(DagkitError, match="built on cannot be had"):
        build(pipeline, base_image=missing)


@pytest.mark.parametrize(
    ("instructions", "line", "said", "fix"),
    [
        ("RUN echo before\nRUN echo why >&2 && exit 3", 4, "(exit code 3)", "build again"),
        ("COPY not-there.txt /", 3, "COPY not-there.txt /", "A file that is copied is not there"),
        ("USER 0\nRUNN x", 4, "unknown instruction: RUNN", "hadolint Dockerfile"),
        (
            "RUN echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' && exit 1",
            3,
            "exit code 1",
            "not the one that was locked",
        ),
        ("RUN --mount=type=cache,target=/x true", 3, "requires BuildKit", "without that option"),
    ],
)
def test_a_step_that_fails_shows_its_line_and_what_to_do(
    small: Make, instructions: str, line: int, said: str, fix: str
) -> None:
    pipeline = small(instructions)
    with pytest.raises(DagkitError) as failed:
        build(pipeline)
    assert said in failed.value.what
    assert failed.value.where == f"{pipeline.root / 'Dockerfile'}:{line}"
    assert fix in (failed.value.fix or "")


def test_a_step_that_fails_shows_the_last_lines_it_wrote(small: Make) -> None:
    with pytest.raises(DagkitError) as failed:
        # one stream: two may be mixed. And a pause: an engine may stop reading when the step ends
        build(small("RUN seq 100 && echo the reason && sleep 1 && exit 1"))
    shown = [line.strip() for line in failed.value.what.splitlines() if line.startswith("  | ")]
    assert shown[-1] == "| the reason"
    assert shown[-2] == "| 100"
    assert len(shown) == 15


def test_a_failed_build_leaves_no_container(small: Make) -> None:
    client = docker_client()
    try:
        with pytest.raises(DagkitError):
            build(small("RUN echo dagkit-test-marker && exit 1"))
        left = [c for c in client.containers.list(all=True) if "dagkit-test-marker" in str(c.attrs["Args"])]
        assert left == []
    finally:
        client.close()


@both_languages
def test_the_verb_shows_steps_size_and_checks(
    language: str, generated: Pipeline, base_image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(generated.root), "--base-image", base_image]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^step  1/\d+  ARG BASE_IMAGE", out, re.MULTILINE)
    assert re.search(rf"^Built dagkit-test-generated-{language}:local in ", out, re.MULTILINE)
    assert re.search(r"^ +[\d.]+ MB  the base image$", out, re.MULTILINE)
    assert re.search(r"^ +[\d.]+ MB  altogether$", out, re.MULTILINE)
    assert len(re.findall(r"^  pass  ", out, re.MULTILINE)) == 6
    assert "FAIL" not in out


def test_the_verb_gives_json_and_fails_where_a_check_does(
    small: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = small('ENTRYPOINT ["true"]')
    assert main(["build", str(pipeline.root), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["image"]["tag"] == "dagkit-test-small:local"
    assert [check["name"] for check in answer["checks"] if check["passed"] is False] == ["not root"]
    assert main(["build", str(pipeline.root), "--json", "--no-checks"]) == 0


def test_outside_a_repository_there_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", str(tmp_path)]) == 2
    assert "is not in an image repository" in capsys.readouterr().err
