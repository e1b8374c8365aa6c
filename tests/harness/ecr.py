"""Amazon ECR on this machine: moto's control API, and a real OCI registry that keeps to it.

ECR's registry refuses a push without a login, to a repository that was not created, and of a tag that exists
where tags are immutable. A plain registry does none of that, so a small front door asks moto first. Layers do
not pass through it: the client is sent to the registry behind for them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

REGION = "eu-west-1"
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)")


@dataclass(frozen=True)
class Ecr:
    """One AWS account's ECR.

    Attributes:
        registry: Where images are pushed to, after a login: ``127.0.0.1:<port>``.
        storage: The registry behind it, which asks for no login: to look at what was pushed.
        endpoint: The URL of the AWS API.
        account: Whose ECR this is.
    """

    registry: str
    storage: str
    endpoint: str
    account: str

    def client(self) -> Any:
        """Return a boto3 client of ECR's control API in this account."""
        return _client(self.endpoint, self.account)


@contextlib.contextmanager
def running_ecr(endpoint: str, storage: str, account: str) -> Iterator[Ecr]:
    """Open the front door of an ECR with its API at ``endpoint`` and its images in registry ``storage``."""
    handler = type("Handler", (_FrontDoor,), {"storage": storage, "ecr": _client(endpoint, account)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Ecr(f"127.0.0.1:{server.server_port}", storage, endpoint, account)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _client(endpoint: str, account: str) -> Any:
    """Return a client whose calls moto counts as this account's, also after a reset."""
    client = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def as_account(request: Any, **_: object) -> None:
        request.headers["x-moto-account-id"] = account

    client.meta.events.register("before-send.ecr", as_account)
    return client


class _FrontDoor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: str
    ecr: Any

    def do_GET(self) -> None:
        if not self.logged_in():
            self.refuse(401, "UNAUTHORIZED", "Not Authorized")
        elif self.path == "/v2/":
            self.answer(200, b"{}")
        else:
            self.answer(307, b"", Location=f"http://{self.storage}{self.path}")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        if not self.logged_in():
            self.refuse(401, "UNAUTHORIZED", "Not Authorized")
            return
        repository = re.sub(r"^/v2/(.+)/blobs/uploads/.*", r"\1", self.path)
        if self.repository(repository) is not None:
            self.forward(b"")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = _MANIFEST.fullmatch(urlsplit(self.path).path)
        if not self.logged_in():
            self.refuse(401, "UNAUTHORIZED", "Not Authorized")
            return
        if wanted is None:
            self.refuse(404, "UNSUPPORTED", self.path)
            return
        name, tag = wanted["repository"], wanted["reference"]
        repository = self.repository(name)
        if repository is None:
            return
        if repository["imageTagMutability"] == "IMMUTABLE" and self.has(name, tag):
            self.refuse(
                400,
                "TAG_INVALID",
                f"The image tag '{tag}' already exists in the '{name}' repository "
                "and cannot be overwritten because the tag is immutable.",
            )
            return
        if self.forward(body) == http.client.CREATED:
            self.ecr.put_image(
                repositoryName=name,
                imageManifest=body.decode(),
                imageManifestMediaType=self.headers["Content-Type"],
                imageDigest=f"sha256:{hashlib.sha256(body).hexdigest()}",
                imageTag=tag,
            )

    def logged_in(self) -> bool:
        token = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        sent = self.headers.get("Authorization", "")
        # The client encodes user and password itself; moto's token is that encoding already.
        return sent == f"Basic {token}" or base64.b64decode(sent[6:] or b"") == base64.b64decode(token)

    def repository(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        except ClientError as error:
            self.refuse(404, "NAME_UNKNOWN", error.response["Error"]["Message"])
            return None
        return found

    def has(self, repository: str, tag: str) -> bool:
        images = self.ecr.list_images(repositoryName=repository)["imageIds"]
        return any(image.get("imageTag") == tag for image in images)

    def forward(self, body: bytes) -> int:
        connection = http.client.HTTPConnection(self.storage, timeout=60)
        headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
        connection.request(self.command, self.path, body=body, headers=headers)
        response = connection.getresponse()
        kept = ("Location", "Docker-Content-Digest", "Docker-Upload-UUID", "Range")
        self.answer(response.status, response.read(), **{k: v for k, v in response.getheaders() if k in kept})
        connection.close()
        return response.status

    def refuse(self, status: int, code: str, message: str) -> None:
        challenge = {"WWW-Authenticate": 'Basic realm="ecr"'} if status == http.client.UNAUTHORIZED else {}
        self.answer(
            status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), **challenge
        )

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the test's output to itself."""
