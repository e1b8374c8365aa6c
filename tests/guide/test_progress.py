"""Progress is kept on the disk as a whole or not at all, and survives what happens to files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dagkit import guide
from dagkit.errors import DagkitError
from dagkit.guide import checks
from dagkit.guide.chapters import CHAPTERS
from dagkit.guide.progress import FOLDER_FILE, Outcome, Progress
from tests.harness.generate import generate

GREEN = Outcome(True, "a file", None, "2026-01-01T00:00:00+00:00")
RED = Outcome(False, "no file", "make one", "2026-01-01T00:00:00+00:00")


def test_before_there_is_a_pipeline_outcomes_are_kept_beside_the_notebooks(tmp_path: Path) -> None:
    Progress(tmp_path).record("1.created", RED)
    assert Progress(tmp_path).outcomes() == {"1.created": RED}
    assert (tmp_path / FOLDER_FILE).is_file()


def test_outcomes_are_kept_with_the_pipeline_and_count_more_than_those_from_before_it(tmp_path: Path) -> None:
    notebooks, pipeline = tmp_path / "guide", tmp_path / "my-pipeline"
    notebooks.mkdir()
    pipeline.mkdir()
    progress = Progress(notebooks)
    progress.record("1.created", RED)
    progress.remember(pipeline)
    progress.record("1.created", GREEN)
    progress.record("0.machine", GREEN)
    assert progress.outcomes() == {"1.created": GREEN, "0.machine": GREEN}
    kept = json.loads((pipeline / ".dagkit" / "guide.json").read_text())
    assert kept["checks"].keys() == {"1.created"}, "what the machine can do is no matter of one pipeline"


def test_notebooks_and_pipeline_may_move_together(tmp_path: Path) -> None:
    for name in ("guide", "my-pipeline"):
        (tmp_path / "old" / name).mkdir(parents=True)
    Progress(tmp_path / "old" / "guide").remember(tmp_path / "old" / "my-pipeline")
    (tmp_path / "old").rename(tmp_path / "new")
    assert Progress(tmp_path / "new" / "guide").pipeline == tmp_path / "new" / "my-pipeline"


def test_a_pipeline_that_is_gone_is_no_pipeline(tmp_path: Path) -> None:
    (tmp_path / "my-pipeline").mkdir()
    progress = Progress(tmp_path)
    progress.remember(tmp_path / "my-pipeline")
    (tmp_path / "my-pipeline").rmdir()
    assert progress.pipeline is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"checks": 3}', '{"checks": {"1.a": {"ok": true}}}', "\0"]
)
def test_a_broken_file_costs_only_marks(tmp_path: Path, content: str) -> None:
    (tmp_path / FOLDER_FILE).write_text(content)
    progress = Progress(tmp_path)
    assert progress.outcomes() == {}
    assert progress.pipeline is None
    progress.record("0.machine", GREEN)
    assert progress.outcomes() == {"0.machine": GREEN}


def test_where_nothing_can_be_written_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DagkitError, match="Progress cannot be kept") as raised:
        Progress(tmp_path / "file").record("0.machine", GREEN)
    assert raised.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_whoever_reads_finds_a_whole_file_even_if_the_writer_is_killed(tmp_path: Path) -> None:
    Progress(tmp_path).record("0.machine", GREEN)
    script = (
        "import sys\nfrom pathlib import Path\nfrom dagkit.guide.progress import Outcome, Progress\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    Progress(Path(sys.argv[1])).record('0.machine', Outcome(True, 'x' * 200_000, None, ''))\n"
    )
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            for _ in range(50):
                assert "0.machine" in Progress(tmp_path).outcomes()
                time.sleep(0.002)
            writer.send_signal(signal.SIGKILL)
        assert "0.machine" in Progress(tmp_path).outcomes()


def test_every_check_belongs_to_a_notebook_and_says_what_is_so_when_it_is_green() -> None:
    every = checks.all_checks()
    assert {check.notebook for check in every.values()} <= {chapter.number for chapter in CHAPTERS}
    assert all(check.title and not check.title.endswith(".") for check in every.values())


def test_a_notebook_opened_again_in_a_new_kernel_knows_where_the_reader_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = generate(tmp_path / "court-hearings", owner="octocat", project="courts", pipeline="daily")
    notebooks = tmp_path / "guide"
    notebooks.mkdir()
    guide.open(1, folder=notebooks, pipeline="../court-hearings", engine="process").check("created")
    capsys.readouterr()
    script = "import sys; from dagkit import guide; guide.open(2, folder=sys.argv[1], engine='process')"
    said = subprocess.run(
        [sys.executable, "-c", script, str(notebooks)], capture_output=True, text=True, check=True
    ).stdout
    assert "◐ 1 Create 1/2" in said
    assert "[○ 2 Build 0/3]" in said
    assert f"courts.daily, in Python, at {pipeline}" in said
