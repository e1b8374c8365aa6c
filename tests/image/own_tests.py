"""Tests that the tests of `dagkit test` put into a repository, in each language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OwnTests:
    """A file of tests in one language.

    Attributes:
        path: Where it lies in the repository.
        alone: The arguments that choose this file alone.
        passed: What is printed when tests have passed, as a pattern.
        confined: Looks at the container it runs in, and passes where that is one like a pod's.
        wrong: Fails.
        failed: What is printed when it has.
        slow: Takes ten minutes.
        no_credentials: Passes where the shell's credentials are not to be seen.
        none: Arguments that choose no test at all.
        no_tests: The exit code of the test runner for those.
    """

    path: str
    alone: tuple[str, ...]
    passed: str
    confined: str
    wrong: str
    failed: str
    slow: str
    no_credentials: str
    none: tuple[str, ...]
    no_tests: int


PYTHON = OwnTests(
    path="tests/test_extra.py",
    alone=("-q", "tests/test_extra.py"),
    passed=r"\d+ passed",
    confined='''\
"""What the tests see of the container they run in."""

import os
import pathlib

import pytest


def test_confined():
    assert os.getuid() == 1337
    with pytest.raises(OSError, match="Read-only file system"):
        pathlib.Path("/x").touch()
    pathlib.Path("/tmp/x").touch()
    status = pathlib.Path("/proc/self/status").read_text()
    assert "CapBnd:\\t0000000000000000" in status
    assert "NoNewPrivs:\\t1" in status
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
''',
    wrong="def test_wrong():\n    assert 1 == 2\n",
    failed="1 failed",
    slow="import time\n\n\ndef test_slow():\n    time.sleep(600)\n",
    no_credentials="""\
import os


def test_no_credentials():
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ and "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
""",
    none=("-k", "no_test_is_called_this"),
    no_tests=5,
)

R = OwnTests(
    path="tests/testthat/test-extra.R",
    alone=("extra",),
    passed=r"══ DONE ",
    confined="""\
test_that("the container is confined", {
  status <- readLines("/proc/self/status")
  expect_match(grep("^Uid:", status, value = TRUE), "\\t1337\\t1337\\t")
  expect_warning(expect_false(file.create("/x")), "Read-only file system")
  expect_true(file.create("/tmp/x"))
  expect_true("CapBnd:\\t0000000000000000" %in% status)
  expect_true("NoNewPrivs:\\t1" %in% status)
  expect_equal(Sys.getenv("AWS_DEFAULT_REGION"), "eu-west-1")
})
""",
    wrong='test_that("this is wrong", expect_equal(1, 2))\n',
    failed="this is wrong",
    slow='test_that("this is slow", Sys.sleep(600))\n',
    no_credentials="""\
test_that("there are no credentials", {
  expect_equal(Sys.getenv("AWS_SECRET_ACCESS_KEY", NA), NA_character_)
  expect_equal(Sys.getenv("AWS_PROFILE", NA), NA_character_)
  expect_equal(Sys.getenv("AWS_DEFAULT_REGION"), "eu-west-1")
})
""",
    none=("no_test_is_called_this",),
    no_tests=1,
)

IN = {"python": PYTHON, "r": R}
