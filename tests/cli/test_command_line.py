"""The command line itself: help, errors, and what it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dagkit.cli import VERBS, main

OWN = ("new", "doctor", "build", "test", "run")
SLOW = ("airflow", "boto3", "copier", "docker", "moto", "pydantic", "rich", "yaml")


def loaded(*arguments: str) -> set[str]:
    """The slow packages that a call imports."""
    program = (
        "import sys; from dagkit.cli import main; code = main(sys.argv[1:]);"
        f"print('LOADED', *sorted(set({SLOW!r}) & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_lists_every_verb_and_imports_nothing_slow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {verb} " in out for verb in VERBS)
    assert loaded("--help") == set()


@pytest.mark.parametrize("verb", OWN)
def test_a_verbs_help_imports_nothing_slow(verb: str) -> None:
    assert loaded(verb, "--help") == set()


def test_a_mistyped_verb_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["biuld"]) == 2
    assert capsys.readouterr().err == (
        "error: There is no verb 'biuld' (did you mean 'build'?)\n"
        "  what to do: See them all with: dagkit --help\n"
    )


@pytest.mark.parametrize("verb", OWN)
def test_an_unknown_option_is_a_wrong_call(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--no-such-option"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagkit", "build", "/", "--debug"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "UsageError" in done.stderr
