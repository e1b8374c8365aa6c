"""`dagkit validate`, called as people and workflows call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagkit.cli import main
from dagkit.rules.examples import DAG, DAG_PATH, ROLE_PATH, SETTINGS
from tests.rules.conftest import Make

LATEST = DAG.replace('"v1.0.0"', '"latest"')
PROD_ROLE = "environments/prod/roles/airflow_prod_x_y.yaml"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main(["validate", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_correct_repository_is_done(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, make())
    assert (code, out) == (0, "1 DAG file and 1 role checked: all rules kept\n")


def test_a_broken_rule_is_a_problem_found(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, make({DAG_PATH: LATEST}))
    assert code == 1
    assert out.startswith(f"{DAG_PATH}\n")
    assert "1 error" in out


def test_warnings_alone_fail_nothing(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    name = "airflow_dev_example_" + "x" * 40
    files = {
        ROLE_PATH: None,
        f"environments/dev/roles/{name}.yaml": f"iam_role_name: {name}\n",
        DAG_PATH: DAG.replace('f"airflow_{ENVIRONMENT}_example_daily"', f'"{name}"'),
    }
    code, out, _ = run(capsys, make(files), "--static")
    assert code == 0
    assert "1 warning" in out


def test_the_folder_it_is_called_in(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make({DAG_PATH: LATEST}) / "environments" / "prod")
    code, _, _ = run(capsys, "--static")
    assert code == 0, "what lies elsewhere in the repository was not asked for"
    monkeypatch.chdir("../..")
    assert run(capsys, "--static")[0] == 1


def test_files_as_pre_commit_names_them(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "environments/dev/dags/example/other.py"
    root = make({DAG_PATH: LATEST, other: LATEST})
    monkeypatch.chdir(root)
    _, out, _ = run(capsys, "--static", "--format", "json", other, ROLE_PATH)
    content = json.loads(out)
    assert {finding["path"] for finding in content["findings"]} == {other}
    assert (content["dags"], content["roles"]) == (1, 1)


def test_fix_says_what_it_did_and_what_is_left(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = make({DAG_PATH: LATEST.replace("    catchup=False,\n", "")})
    code, out, err = run(capsys, "--fix", root)
    assert code == 1
    assert "1 put right" in err
    assert "DK209" not in out
    assert "DK305" in out
    assert "catchup=False" in (root / DAG_PATH).read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "There is no file or folder 'nowhere'"),
        (["--format", "txet"], "did you mean 'text'"),
        (["--changed-since", "HEAD"], "not a git repository"),
        (["environments", "--changed-since", "HEAD"], "checks a whole repository"),
    ],
)
def test_a_wrong_call(
    words: list[str],
    said: str,
    make: Make,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(make())
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "what to do" in err or "git" in err


def test_two_repositories_at_once(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, make(), make())
    assert code == 2
    assert "several repositories" in err


def test_a_folder_that_is_no_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, tmp_path)
    assert code == 2
    assert "neither in a DAG repository" in err


def test_settings_that_are_not_understood(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, make({"dagkit.toml": SETTINGS.replace("cluster =", "clutser =", 1)}))
    assert code == 2
    assert "did you mean 'cluster'" in err
    assert "dagkit.toml:7" in err


def test_the_files_alone_are_checked_without_importing_airflow(make: Make) -> None:
    root = make()
    code = (
        "import sys\nfrom dagkit.cli import main\n"
        "main(['validate', '--static', sys.argv[1]])\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "dagkit.rules.runner" in modules
    assert not {"airflow", "boto3", "moto", "docker", "kubernetes", "copier"} & modules


def test_online_asks_amazon_ecr(
    make: Make, moto_server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "MOTO_ACCOUNT_ID": "189157455002",
    }.items():
        monkeypatch.setenv(name, value)
    ecr = boto3.client("ecr", region_name="eu-west-1")
    account = ecr.create_repository(repositoryName="my-pipeline")["repository"]["registryId"]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    ecr.put_image(repositoryName="my-pipeline", imageManifest=json.dumps(manifest), imageTag="v1.0.0")
    settings = SETTINGS.replace("189157455002", account)
    there = make({"dagkit.toml": settings})
    for tag, expected in (("v1.0.0", 0), ("v1.0.1", 1)):
        files = {"dagkit.toml": settings, DAG_PATH: DAG.replace("v1.0.0", tag)}
        code, out, _ = run(capsys, make(files), "--static", "--online")
        assert code == expected, out
        assert ("is not in Amazon ECR" in out) == bool(expected)
    ecr.delete_repository(repositoryName="my-pipeline", force=True)
    assert run(capsys, there, "--static", "--online")[0] == 1


def test_online_without_an_answer_is_one_clear_error(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code, _, err = run(capsys, make(), "--static", "--online")
    assert code == 1
    assert "Amazon ECR does not say" in err
    assert "--online" in err


def test_interrupted_nothing_is_left(make: Make, tmp_path: Path) -> None:
    import signal
    import time

    root = make()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "dagkit", "validate", str(root)], env=environment)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("dagkit-rules-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not list(tmp_path.glob("dagkit-rules-*"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_only_what_has_changed(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = make({DAG_PATH: LATEST})
    git = ["git", "-C", str(root), "-c", "user.name=T", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *words], check=True)
    (root / "README.md").write_text("# changed\n")
    code, out, _ = run(capsys, "--changed-since", "HEAD", "--static", root)
    assert (code, out.splitlines()[-1]) == (0, "0 DAG files and 0 roles checked: all rules kept")
