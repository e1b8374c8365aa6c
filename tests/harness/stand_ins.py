"""Stand-ins for the actions that workflows here use: each refuses what the action itself would refuse.

What an action does to this machine or to AWS, its stand-in does; what needs GitHub is checked and recorded.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from uv import find_uv_bin

from tests.harness.action import Action, ActionCall, ActionFailedError
from tests.harness.ecr import Ecr

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass
class StandIns:
    """The actions of one run of a workflow.

    Attributes:
        ecr: The ECR that a login leads to, where there is one.
        vulnerable: Whether scans find something.
        calls: Every call, in order.
        artifacts: What was uploaded: by name, each file's content by its path.
    """

    ecr: Ecr | None = None
    vulnerable: bool = False
    calls: list[ActionCall] = field(default_factory=list)
    artifacts: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def actions(self) -> Mapping[str, Action]:
        """What `run_workflow` takes."""
        by_name: dict[str, Action] = {
            "actions/checkout": self.checkout,
            "actions/upload-artifact": self.upload_artifact,
            "actions/download-artifact": self.download_artifact,
            "astral-sh/setup-uv": self.setup_uv,
            "aws-actions/configure-aws-credentials": self.configure_aws_credentials,
            "aws-actions/amazon-ecr-login": self.ecr_login,
            "anchore/sbom-action": self.sbom,
            "anchore/scan-action": self.scan,
            "actions/attest": self.attest,
            "actions/attest-build-provenance": self.attest,
        }
        return {name: self._recorded(action) for name, action in by_name.items()}

    def called(self, name: str) -> list[ActionCall]:
        """Return the calls of one action."""
        return [call for call in self.calls if call.uses.partition("@")[0] == name]

    def _recorded(self, action: Action) -> Action:
        def record(call: ActionCall) -> Mapping[str, str] | None:
            self.calls.append(call)
            return action(call)

        return record

    def checkout(self, call: ActionCall) -> None:
        """Fetch the commit that the event is about, without history."""
        _knows(call, "persist-credentials", "fetch-depth", "ref")
        call.needs_permission("contents", "read")
        ref = call.inputs.get("ref", call.event.sha)
        depth = [] if call.inputs.get("fetch-depth") == "0" else ["--depth=1"]
        for command in (
            ["init", "--quiet"],
            ["remote", "add", "origin", call.repository.as_uri()],
            ["fetch", "--quiet", *depth, "origin", ref],
            ["checkout", "--quiet", "FETCH_HEAD"],
        ):
            _run(["git", *command], call)

    def upload_artifact(self, call: ActionCall) -> None:
        """Keep a file, or all files of a folder, under a name that this run has not used yet."""
        _knows(call, "name", "path", "if-no-files-found", "retention-days")
        name, path = _required(call, "name"), call.workspace / _required(call, "path")
        if name in self.artifacts:
            raise ActionFailedError(f"an artifact with the name {name} already exists on the workflow run")
        if path.is_file():
            self.artifacts[name] = {path.name: path.read_bytes()}
        elif found := [file for file in path.rglob("*") if file.is_file()]:
            self.artifacts[name] = {file.relative_to(path).as_posix(): file.read_bytes() for file in found}
        elif call.inputs.get("if-no-files-found", "warn") == "error":
            raise ActionFailedError(f"No files were found with the provided path: {path}")

    def download_artifact(self, call: ActionCall) -> None:
        """Put the files of an artifact of this run into the work folder."""
        _knows(call, "name")
        name = _required(call, "name")
        if name not in self.artifacts:
            raise ActionFailedError(f"Unable to download artifact(s): Artifact not found for name: {name}")
        for path, content in self.artifacts[name].items():
            file = call.workspace / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

    def setup_uv(self, call: ActionCall) -> None:
        """Let later steps have uv, and this Python in place of the version they ask for."""
        _knows(call, "version", "python-version", "enable-cache")
        folder = call.workspace.parent / "uv"
        folder.mkdir()
        (folder / "uv").symlink_to(find_uv_bin())
        call.path.append(folder)
        if "python-version" in call.inputs:
            call.exported["UV_PYTHON"] = sys.executable

    def configure_aws_credentials(self, call: ActionCall) -> None:
        """Assume the role by OpenID Connect, and let later steps have its keys."""
        _knows(call, "role-to-assume", "aws-region", "role-session-name", "role-duration-seconds")
        role, region = _required(call, "role-to-assume"), _required(call, "aws-region")
        call.needs_permission("id-token", "write")
        sts = boto3.client(
            "sts",
            region_name=region,
            endpoint_url=call.env["AWS_ENDPOINT_URL"],
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        session = call.inputs.get("role-session-name", "GitHubActions")
        try:
            keys = sts.assume_role_with_web_identity(
                RoleArn=role, RoleSessionName=session, WebIdentityToken="a-token-of-github"
            )["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise ActionFailedError(str(error)) from error
        call.exported |= {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def ecr_login(self, call: ActionCall) -> dict[str, str]:
        """Ask ECR for a password with the keys in the environment, and log Docker in with it."""
        _knows(call, "mask-password")
        if self.ecr is None:
            raise ActionFailedError("this test has no ECR")
        try:
            data = _aws(call, "ecr").get_authorization_token()["authorizationData"][0]
        except (BotoCoreError, ClientError) as error:
            raise ActionFailedError(str(error)) from error
        user, _, password = b64decode(data["authorizationToken"]).decode().partition(":")
        login = ["docker", "login", "--username", user, "--password-stdin", self.ecr.registry]
        _run(login, call, stdin=password)
        return {"registry": self.ecr.registry}

    def sbom(self, call: ActionCall) -> None:
        """Write down what is in an image: here, only which image it is."""
        _knows(call, "image", "format", "output-file", "upload-artifact", "upload-release-assets")
        if call.inputs.get("upload-release-assets", "true") == "true":
            call.needs_permission("contents", "write")
        image = _required(call, "image")
        identity = _run(["docker", "image", "inspect", "--format", "{{.Id}}", image], call).strip()
        bill = {
            "spdxVersion": "SPDX-2.3",
            "name": image,
            "packages": [{"name": image, "versionInfo": identity}],
        }
        (call.workspace / _required(call, "output-file")).write_text(json.dumps(bill))

    def scan(self, call: ActionCall) -> None:
        """Look at an image, or at what is written down about one, and find what the test says there is."""
        _knows(call, "image", "sbom", "severity-cutoff", "only-fixed", "fail-build", "output-format")
        if ("image" in call.inputs) == ("sbom" in call.inputs):
            raise ActionFailedError("give either `image` or `sbom`")
        if "image" in call.inputs:
            _run(["docker", "image", "inspect", call.inputs["image"]], call)
        else:
            json.loads(_workspace_file(call, "sbom"))
        if self.vulnerable and call.inputs.get("fail-build", "true") == "true":
            cutoff = call.inputs.get("severity-cutoff", "medium")
            raise ActionFailedError(f"discovered vulnerabilities at or above the severity threshold {cutoff}")

    def attest(self, call: ActionCall) -> None:
        """Check that there is something to attest: the image of that digest, in the registry."""
        _knows(
            call, "subject-name", "subject-digest", "push-to-registry", "create-storage-record", "sbom-path"
        )
        call.needs_permission("id-token", "write")
        call.needs_permission("attestations", "write")
        if "true" == call.inputs.get("push-to-registry") == call.inputs.get("create-storage-record", "true"):
            call.needs_permission("artifact-metadata", "write")
        name, digest = _required(call, "subject-name"), _required(call, "subject-digest")
        if _DIGEST.fullmatch(digest) is None:
            raise ActionFailedError(f"subject-digest is not a digest: {digest!r}")
        if "sbom-path" in call.inputs:
            json.loads(_workspace_file(call, "sbom-path"))
        if call.inputs.get("push-to-registry") == "true" and self.ecr is not None:
            repository = name.removeprefix(f"{self.ecr.registry}/")
            connection = HTTPConnection(self.ecr.storage)
            connection.request("HEAD", f"/v2/{repository}/manifests/{digest}", headers={"Accept": "*/*"})
            if (status := connection.getresponse().status) != 200:
                raise ActionFailedError(f"{name}@{digest} is not in the registry: {status}")
            connection.close()


def _knows(call: ActionCall, *inputs: str) -> None:
    if unknown := sorted(set(call.inputs) - set(inputs)):
        raise ActionFailedError(f"Unexpected input(s) {', '.join(unknown)} for {call.uses}")


def _required(call: ActionCall, name: str) -> str:
    if not call.inputs.get(name):
        raise ActionFailedError(f"Input required and not supplied: {name}")
    return call.inputs[name]


def _workspace_file(call: ActionCall, name: str) -> str:
    path = call.workspace / call.inputs[name]
    if not path.is_file():
        raise ActionFailedError(f"{name}: there is no file {call.inputs[name]}")
    return path.read_text()


def _aws(call: ActionCall, service: str) -> Any:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION")
    if missing := [name for name in names if name not in call.env]:
        raise ActionFailedError(f"Credentials could not be loaded: {', '.join(missing)} not set")
    key, secret, token, region = (call.env[name] for name in names)
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=region,
        endpoint_url=call.env["AWS_ENDPOINT_URL"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


def _run(command: list[str], call: ActionCall, stdin: str = "") -> str:
    done = subprocess.run(
        command, cwd=call.workspace, env=dict(call.env), input=stdin, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ActionFailedError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
