"""An image is started as a pod would be; what goes wrong is found, and named."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dagkit.containers import LABEL_PIPELINE, docker_client
from dagkit.image import build
from dagkit.image_checks import check_image
from tests.harness.languages import both_languages
from tests.image.conftest import Built, Make

pytestmark = pytest.mark.docker

PYTHON = 'COPY run.py /app/\nUSER 1000\nENTRYPOINT ["python", "/app/run.py"]'


@dataclass(frozen=True)
class Case:
    """An image and what is wrong with it: the checks that fail, and what is said of the first."""

    name: str
    instructions: str
    script: str
    failed: tuple[str, ...] = ()
    seen: str = ""
    fix: str = ""


CASES = (
    Case("ends well", PYTHON, "print('done')"),
    Case("ends badly, on its own account", PYTHON, "raise SystemExit('RUN is not set')"),
    Case("writes to /tmp", PYTHON, "open('/tmp/x', 'w').write('x')"),
    Case("is run by a shell", "COPY run.py /app/\nUSER 1000\nENTRYPOINT python /app/run.py", "pass",
         ("entry point",), "a shell runs it", "ENTRYPOINT ["),
    Case("runs as root", 'COPY run.py /app/\nENTRYPOINT ["python", "/app/run.py"]', "pass",
         ("not root",), "root", "USER 1337"),
    Case("has no command", "ENTRYPOINT []\nCMD []", "", ("entry point",), "none", "ENTRYPOINT"),
    Case("names no program", 'USER 1000\nENTRYPOINT ["pythn"]', "",
         ("starts",), "pythn: executable file not found", "not in the image"),
    Case("is not executable",
         'COPY run.py /app/\nRUN chmod 644 /app/run.py\nUSER 1000\nENTRYPOINT ["/app/run.py"]', "pass",
         ("starts",), "permission denied", "through its interpreter"),
    Case("names no interpreter",
         'COPY run.py /app/\nRUN chmod 755 /app/run.py\nUSER 1000\nENTRYPOINT ["/app/run.py"]', "print(1)",
         ("starts",), "exec format error", "through its interpreter"),
    Case("lacks a package", PYTHON, "import not_there_at_all",
         ("starts",), "ModuleNotFoundError", "lock file"),
    Case("lacks its script", 'USER 1000\nENTRYPOINT ["python", "/app/run.py"]', "",
         ("starts",), "can't open file", "COPY"),
    Case("may not be read", "COPY run.py /app/\nRUN chmod 600 /app/run.py\nUSER 1000\n"
         'ENTRYPOINT ["python", "/app/run.py"]', "pass",
         ("any user id",), "Permission denied", "chmod -R a+rX"),
    Case("asks who it is", PYTHON, "import getpass; getpass.getuser()",
         ("any user id",), "uid", "name or home"),
    Case("writes beside its code where all may", "RUN mkdir -m 777 /data\n" + PYTHON, "open('/data/x', 'w')",
         ("read-only files",), "Read-only file system", "/tmp only"),
    Case("writes beside its code", PYTHON, "open('/app/x', 'w')",
         ("any user id", "read-only files"), "Permission denied", "/tmp only"),
    Case("swallows the reason", PYTHON, "import os, sys; sys.exit(0 if os.getuid() == 0 else 4)",
         ("any user id",), "exit code 4 (as root: exit code 0)", "chmod"),
    Case("hides behind an error of its own", PYTHON,
         "try:\n    open('/data.txt', 'w')\nexcept OSError as error:\n    print(error)\nraise SystemExit(1)",
         ("any user id", "read-only files"), "Permission denied", "/tmp only"),
    Case("runs on and stops when asked", PYTHON,
         "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(143))\ntime.sleep(600)"),
    Case("runs on and does not stop", PYTHON, "import time; time.sleep(600)",
         ("stops when asked",), "still there", "SIGTERM"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_with_an_image_is_found(small: Make, case: Case) -> None:
    image = build(small(case.instructions, run__py=case.script))
    checks = check_image(image.tag)
    failed = {check.name: check for check in checks if check.passed is False}
    assert tuple(failed) == case.failed
    if case.failed:
        first = failed[case.failed[0]]
        assert case.seen in first.seen
        assert case.fix in (first.fix or "")
    assert all(check.fix is None for check in checks if check.passed is not False)


@both_languages
def test_the_generated_image_passes_every_check_and_is_seen_to_reach_its_own_code(built: Built) -> None:
    checks = {check.name: check for check in check_image(built[0].tag)}
    assert [name for name, check in checks.items() if check.passed] == [
        "entry point", "not root", "starts", "any user id", "read-only files", "no capabilities",
    ]  # fmt: skip
    assert "exit code 2" in checks["starts"].seen
    assert "RUN" in checks["starts"].seen


def test_checks_leave_no_container(small: Make) -> None:
    image = build(small('USER 1000\nENTRYPOINT ["sleep", "1"]'))
    check_image(image.tag, pipeline="dagkit.test.checks")
    client = docker_client()
    try:
        left = client.containers.list(all=True, filters={"label": f"{LABEL_PIPELINE}=dagkit.test.checks"})
        assert left == []
    finally:
        client.close()
