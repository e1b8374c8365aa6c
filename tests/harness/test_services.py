"""The fixtures that other tests stand on do what they say."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import boto3
import pytest


@pytest.mark.docker
def test_an_image_pushed_to_the_registry_can_be_pulled_again(oci_registry: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as root:
        root.add(__file__, arcname="file")
    tag = f"{oci_registry}/pushed:v1"
    made = docker("import", str(tmp_path / "root.tar"), tag)
    docker("push", "--quiet", tag)
    docker("image", "rm", tag)
    docker("pull", "--quiet", tag)
    pulled = docker("image", "inspect", "--format", "{{.Id}}", tag)
    docker("image", "rm", tag)
    assert pulled == made


def docker(*args: str) -> str:
    return subprocess.run(["docker", *args], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.mark.docker
def test_the_python_base_image_installs_packages_as_the_public_one_does(python_base_image: str) -> None:
    script = (
        "pip install --quiet six && python -c 'import six, sys; print(six.__file__, *sys.version_info[:2])'"
    )
    ran = subprocess.run(
        ["docker", "run", "--rm", python_base_image, "sh", "-c", script], capture_output=True, text=True
    )
    assert ran.stdout.strip() == "/usr/local/lib/python3.13/site-packages/six.py 3 13", ran.stderr


@pytest.mark.docker
def test_the_r_base_image_has_what_the_r_template_needs(r_base_image: str) -> None:
    packages = "c('renv', 'testthat', 'jsonlite', 'processx')"
    script = f"for (p in {packages}) loadNamespace(p); cat(format(getRversion()))"
    ran = subprocess.run(
        ["docker", "run", "--rm", r_base_image, "sh", "-c", f'aws --version && Rscript -e "{script}"'],
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("aws-cli/2."), ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("4.5."), ran.stderr


def test_airflow_2_11_is_what_it_is_called(airflow_211: Path) -> None:
    script = "import importlib.metadata as m; print(m.version('apache-airflow'))"
    ran = subprocess.run([str(airflow_211), "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("2.11.")


def test_the_aws_command_line_talks_to_the_local_aws_which_begins_empty(
    aws_cli: Path, moto_server: str
) -> None:
    environment = {
        "PATH": f"{aws_cli}:/usr/bin:/bin",
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    assert _buckets(moto_server) == []
    subprocess.run(["aws", "s3", "mb", "s3://made-by-the-command-line"], env=environment, check=True)
    assert _buckets(moto_server) == ["made-by-the-command-line"]


def _buckets(url: str) -> list[str]:
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
