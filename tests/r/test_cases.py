"""The worked example does the same in both languages: one table of cases against run.py and run.R."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from dagkit.image import BuiltImage
from dagkit.local.awscli import find_aws
from tests.harness.generate import REPOSITORY
from tests.harness.languages import each_language
from tests.template.test_run_script import SlowS3, serving

BUCKET = "my-bucket"
TEXT = "£5 naïve\n\"$(touch oops)\" 'quoted' \\ `id` 😀\r\n\ttab, and spaces  "
WRITE = {"RUN": "write", "TEXT": "hello", "OUTPATH": f"s3://{BUCKET}/folder/hello.txt"}
COPY = {"RUN": "copy", "FROM": f"s3://{BUCKET}/from.txt", "TO": f"s3://{BUCKET}/folder/to.txt"}
KEYS = [
    'a folder/it\'s "quoted" $(touch oops) `id` ${HOME}.txt',
    "ünï/😀 +%20&?x=1#y;z|w.txt",
    "a//b/../c/./d.txt",
    "-rf/--key *?[a]~.txt",
    " leading/back\\slash",
]


@dataclass(frozen=True)
class Ran:
    """What running the worked example gave."""

    code: int
    out: str
    err: str


Run = Callable[[Mapping[str, str]], Ran]


@dataclass(frozen=True)
class Local:
    """The worked example of one language on this machine: its command, where it runs, and its variables."""

    command: list[str]
    folder: Path
    environment: Mapping[str, str]

    def run(self, variables: Mapping[str, str]) -> Ran:
        """Run it to its end."""
        return ran(self.command, self.folder, {**self.environment, **variables})

    def start(self, variables: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start it as a terminal does: in a process group of its own."""
        return subprocess.Popen(
            self.command,
            cwd=self.folder,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def ran(command: list[str], folder: Path, environment: Mapping[str, str]) -> Ran:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def aws(moto_server: str) -> Mapping[str, str]:
    """What reaches a local S3."""
    return {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


@pytest.fixture
def s3(aws: Mapping[str, str]) -> Any:
    """A client of it; it holds one bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


@pytest.fixture
def python(aws: Mapping[str, str], tmp_path: Path) -> Local:
    """scripts/run.py with the Python of these tests."""
    script = REPOSITORY / "template-airflow-python" / "scripts" / "run.py"
    base = {"PATH": os.defpath, "HOME": str(tmp_path), **aws}
    return Local([sys.executable, str(script)], tmp_path, base)


@pytest.fixture
def run_python(python: Local) -> Run:
    """Run it."""
    return python.run


@pytest.fixture
def r(aws: Mapping[str, str], tmp_path: Path) -> Local:
    """scripts/run.R with the R of this machine, and processx where it has it."""
    found = find_aws()
    if found is None:
        pytest.skip("the AWS command line is not installed (Debian: apt-get install awscli)")
    found.install(tmp_path / "bin")
    template = REPOSITORY / "template-airflow-r"
    base = {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "RENV_CONFIG_AUTOLOADER_ENABLED": "FALSE",
        **aws,
    }
    return Local(["Rscript", "scripts/run.R"], template, base)


@pytest.fixture
def run_local_r(r: Local) -> Run:
    """Run it."""
    return r.run


@pytest.fixture
def run_r_without_processx(run_local_r: Run, tmp_path: Path) -> Run:
    """The same, where R has no packages but its own."""
    hidden = {name: str(tmp_path / "none") for name in ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE")}
    return lambda variables: run_local_r({**hidden, **variables})


@pytest.fixture
def run_r_image(aws: Mapping[str, str], built: BuiltImage) -> Run:
    """Run the image, as the cluster would."""
    confined = ["--rm", "--network=host", "--user=4242:4242", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"]

    def run(variables: Mapping[str, str]) -> Ran:
        environment = {**aws, **variables}
        names = [word for name in environment for word in ("--env", name)]
        command = ["docker", "run", *confined, *names, built.tag]
        return ran(command, Path.cwd(), {**os.environ, **environment})

    return run


@pytest.fixture(
    params=[
        "run_python",
        pytest.param("run_local_r", marks=pytest.mark.r),
        pytest.param("run_r_image", marks=pytest.mark.docker),
    ]
)
def run(request: pytest.FixtureRequest) -> Run:
    """Run the worked example with some variables: in each language, in each way."""
    found: Run = request.getfixturevalue(request.param)
    return found


@pytest.mark.r
def test_without_processx_every_argument_is_quoted(run_r_without_processx: Run, s3: Any) -> None:
    for key in KEYS:
        test_text_and_key_arrive_unchanged(key, run_r_without_processx, s3)
        for written in (key, f"copies/{key}"):
            s3.delete_object(Bucket=BUCKET, Key=written)
    refused = run_r_without_processx(COPY)
    assert refused.err.startswith(f"error: s3:GetObject on {COPY['FROM']} failed: An error occurred")
    assert refused.code == 1


@pytest.mark.parametrize("key", KEYS)
def test_text_and_key_arrive_unchanged(key: str, run: Run, s3: Any) -> None:
    path = f"s3://{BUCKET}/{key}"
    wrote = run({"RUN": "write", "TEXT": TEXT, "OUTPATH": path})
    assert wrote == Ran(0, f"wrote {len(TEXT.encode())} bytes to {path}\n", "")
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() == TEXT

    copied = run({"RUN": "copy", "FROM": path, "TO": f"s3://{BUCKET}/copies/{key}"})
    assert copied.out == f"copied {len(TEXT.encode())} bytes from {path} to s3://{BUCKET}/copies/{key}\n"
    assert s3.get_object(Bucket=BUCKET, Key=f"copies/{key}")["Body"].read().decode() == TEXT
    assert {o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]} == {key, f"copies/{key}"}


def test_an_empty_object_and_a_large_one_are_copied(run: Run, s3: Any) -> None:
    for body, said in ((b"", "0"), (os.urandom(20_000_000), "20,000,000")):
        s3.put_object(Bucket=BUCKET, Key="from.txt", Body=body)
        copied = run(COPY)
        assert copied == Ran(0, f"copied {said} bytes from {COPY['FROM']} to {COPY['TO']}\n", "")
        assert s3.get_object(Bucket=BUCKET, Key="folder/to.txt")["Body"].read() == body


WRONG: list[tuple[Mapping[str, str], str]] = [
    ({}, "the environment variable RUN is missing or empty"),
    ({"RUN": "delete"}, "RUN is 'delete', but must be 'write' or 'copy'"),
    ({"RUN": "two\nlines"}, "RUN is 'two\\nlines', but must be 'write' or 'copy'"),
    (WRITE | {"TEXT": ""}, "the environment variable TEXT is missing or empty"),
    (WRITE | {"OUTPATH": ""}, "the environment variable OUTPATH is missing or empty"),
    (COPY | {"FROM": ""}, "the environment variable FROM is missing or empty"),
    (COPY | {"TO": ""}, "the environment variable TO is missing or empty"),
    *(
        (
            COPY | {"TO": path},
            f"TO is '{path}', but must be a file in S3, such as s3://bucket/folder/file.txt",
        )
        for path in (
            "my-bucket/to.txt",
            "s3://my-bucket",
            "s3://my-bucket/f/",
            "s3://My_Bucket/a",
            "s3://a/b",
            "é",
        )
    ),
]


@pytest.mark.parametrize(("variables", "message"), WRONG)
def test_a_variable_that_is_missing_or_wrong_is_named(
    variables: Mapping[str, str], message: str, run: Run
) -> None:
    assert run(variables) == Ran(2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            WRITE | {"OUTPATH": "s3://no-bucket/a"},
            "s3:PutObject on s3://no-bucket/a failed: An error occurred",
        ),
        (
            COPY | {"FROM": f"s3://{BUCKET}/none"},
            f"s3:GetObject on s3://{BUCKET}/none failed: An error occurred",
        ),
        (COPY | {"TO": "s3://no-bucket/a"}, "s3:PutObject on s3://no-bucket/a failed: An error occurred"),
        (
            WRITE | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
            f"s3:PutObject on {WRITE['OUTPATH']} failed: Could not connect to the endpoint URL",
        ),
        (
            COPY | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
            f"s3:GetObject on {COPY['FROM']} failed: Could not connect to the endpoint URL",
        ),
        (
            WRITE
            | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
            f"s3:PutObject on {WRITE['OUTPATH']} failed: Unable to locate credentials",
        ),
    ],
)
def test_what_s3_refuses_is_named(variables: Mapping[str, str], message: str, run: Run, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=b"hello")
    done = run(variables)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {message}")
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1


@each_language
def test_ctrl_c_in_the_middle_of_an_upload_is_one_sentence(
    language: str, request: pytest.FixtureRequest
) -> None:
    local: Local = request.getfixturevalue(language)
    with serving(SlowS3(answers_uploads=False)) as server:
        process = local.start(WRITE | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"})
        assert server.waiting.wait(timeout=60)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert Ran(process.returncode, out, err) == Ran(130, "", "error: stopped by SIGINT\n")


@pytest.mark.docker
@pytest.mark.r
def test_a_200_mb_object_is_copied_within_less_memory_than_it_has(
    aws: Mapping[str, str], built: BuiltImage, s3: Any
) -> None:
    s3.put_object(Bucket=BUCKET, Key="from.txt", Body=b"x" * 200_000_000)
    names = [word for name in (*aws, *COPY) for word in ("--env", name)]
    limits = ["--memory=160m", "--memory-swap=160m", "--read-only", "--tmpfs=/tmp"]
    command = ["docker", "run", "--rm", "--network=host", *limits, *names, built.tag]
    done = ran(command, Path.cwd(), {**os.environ, **aws, **COPY})
    assert done.out.startswith("copied 200,000,000 bytes from"), done.err
    assert s3.head_object(Bucket=BUCKET, Key="folder/to.txt")["ContentLength"] == 200_000_000
