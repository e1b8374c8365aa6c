"""The command line: `dagkit VERB …`.

A verb is a module of its own, imported only when it is called: that is what keeps `dagkit --help` as fast
as Python itself. A verb's module has one typer command called `app`.
"""

from __future__ import annotations

import os
import sys

VERBS = {
    "new": "make a pipeline's repository from the template",
    "doctor": "what this machine can do, and what to do about what it cannot",
    "build": "build the image and check that it will run on the cluster",
    "test": "run the repository's own tests, inside the image",
    "run": "run the DAG here, with its role enforced",
    "ui": "the real Airflow here: its scheduler and web page, pods as in a run",
    "validate": "check the rules that the DAG repository asks to be kept",
    "submit": "open the pull request that brings DAG and role into the DAG repository",
    "adopt": "bring an image repository that exists already under the template",
    "update": "bring in the template's next version; what you changed stays",
    "guide": "put the notebooks in front of you that explain and do all of this",
    "review": "what a pull request changes: permissions and DAGs, for the reviewer",
    "deploy": "bring roles and DAGs from the DAG repository to AWS",
    "fleet": "every repository made from the template: where it stands, and its next update",
    "notify": "tell Slack which pull request needs approval",
    "rule": "explain a rule: why it is there, a bad example, a good one",
}

DEBUG = "--debug"
INTERRUPTED = 130


def usage() -> str:
    """The text of `dagkit --help`."""
    verbs = "\n".join(f"  {verb:<10} {summary}" for verb, summary in VERBS.items())
    return f"""\
Usage: dagkit VERB [OPTIONS]

From `copier copy` to a tested, reviewed, scheduled Airflow pipeline.

Verbs, in the order you need them:
{verbs}

Options:
  --help     this text; `dagkit VERB --help` explains one verb
  --version  the version
  --debug    with any verb: show the traceback of an error
"""


def _leave_r() -> None:
    """Start again without R's libraries, where R started this: `system("dagkit run")` in the R console.

    R puts folders of its own into LD_LIBRARY_PATH, and a Python that finds its libraries there may not work.
    """
    home, libraries = os.environ.get("R_HOME"), os.environ.get("LD_LIBRARY_PATH", "")
    if home and libraries.startswith(home):
        rest = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], rest)  # noqa: S606 - this very program


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: The words after `dagkit`; those of this process when None.

    Returns:
        0 done, 1 the work found a problem, 2 the call was wrong, 130 interrupted.
    """
    if argv is None:
        _leave_r()
    args = list(sys.argv[1:] if argv is None else argv)
    debug = DEBUG in args
    args = [arg for arg in args if arg != DEBUG]
    verb = args[0] if args else "--help"
    if verb in ("--help", "-h", "help"):
        sys.stdout.write(usage())
        return 0 if args else 2
    if verb in ("--version", "-V"):
        from dagkit import __version__

        sys.stdout.write(f"dagkit {__version__}\n")
        return 0
    from dagkit.errors import DagkitError, UsageError

    try:
        if verb not in VERBS:
            from dagkit.names import closest

            raise UsageError(
                f"There is no verb '{verb}'{closest(verb, VERBS)}", fix="See them all with: dagkit --help"
            )
        return _run(verb, args[1:])
    except DagkitError as error:
        if debug:
            raise
        sys.stdout.flush()
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        sys.stderr.write("\nstopped\n")
        return INTERRUPTED


def _run(verb: str, args: list[str]) -> int:
    import importlib
    import signal
    from contextlib import suppress

    import typer

    # whoever ends us, what we started is put away; handlers can only be set in the main thread
    with suppress(ValueError):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    app = importlib.import_module(f"dagkit.cli.{verb}").app
    try:
        result = typer.main.get_command(app)(args, prog_name=f"dagkit {verb}", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except Exception as error:
        # usage errors of the command line itself know how to show themselves
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()
            return int(error.exit_code)
        raise
    if result == INTERRUPTED:
        raise KeyboardInterrupt  # which typer has turned into an exit code
    return result if isinstance(result, int) else 0
