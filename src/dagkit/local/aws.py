"""AWS on this machine: moto's services behind the guard, in this process."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import socket
import string
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dagkit.errors import DagkitError
from dagkit.local.backend import MotoBackend
from dagkit.local.guard import Guard
from dagkit.local.ledger import Call, Ledger

if TYPE_CHECKING:
    from dagkit.local.server import Server

LOOPBACK = "127.0.0.1"
# moto keeps its state per process, so two of these in one process would see each other's buckets.
_ONE_PER_PROCESS = threading.Lock()
_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_TWELVE_HOURS = 12 * 60 * 60


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of a role session, or a key pair without a token."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    def environment(self, endpoint: str, region: str) -> dict[str, str]:
        """Returns the environment variables with which every AWS SDK finds the local AWS."""
        variables = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
        }
        if self.session_token:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


@dataclass(frozen=True)
class StoredObject:
    """An object in a bucket; `size` in bytes, `etag` without quotes, `last_modified` in UTC."""

    key: str
    size: int
    etag: str
    last_modified: datetime


class LocalAWS:
    """AWS on this machine, with every call checked against the caller's role.

    Use it as a context manager, or call `start` and `stop`. It listens on loopback and on the addresses in
    `bind`, all on one port, and nowhere else. One per process; any number of processes.

    Args:
        account: The account id all resources belong to.
        region: The region of buckets and clients.
        bind: Addresses to listen on besides loopback: the Docker bridge's.
        port: 0 for any free one.

    Raises:
        DagkitError: On start: the port is taken, an address is not this machine's, or another LocalAWS runs
            in this process.
    """

    def __init__(
        self,
        *,
        account: str = "593291632749",
        region: str = "eu-west-1",
        bind: Sequence[str] = (LOOPBACK,),
        port: int = 0,
    ) -> None:
        if not re.fullmatch(r"\d{12}", account):
            raise DagkitError(f"{account!r} is not an AWS account id", fix="an account id has 12 digits")
        self.account = account
        self.region = region
        self._addresses = tuple(dict.fromkeys((LOOPBACK, *bind)))
        self._wanted_port = port
        self._port = 0
        self._servers: list[Server] = []
        self._ledger = Ledger()
        self._sessions: dict[str, str] = {}
        self._clients: dict[str, Any] = {}
        self._admin = _key_pair()

    # -- running --

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts listening."""
        if os.environ.get("MOTO_ACCOUNT_ID", self.account) != self.account:
            raise DagkitError(
                "the environment variable MOTO_ACCOUNT_ID names another account than this one",
                where=f"MOTO_ACCOUNT_ID={os.environ['MOTO_ACCOUNT_ID']}, account {self.account}",
                fix="unset MOTO_ACCOUNT_ID",
            )
        if not _ONE_PER_PROCESS.acquire(blocking=False):
            raise DagkitError(
                "a local AWS already runs in this process",
                fix="stop it first; two at once need two processes",
            )
        sockets: list[socket.socket] = []
        try:
            sockets, self._port = _listen(self._addresses, self._wanted_port)
            self._serve(sockets)
        except BaseException:
            # a notebook's kernel lives on when it is interrupted here: nothing may go on listening
            for server in self._servers:
                server.stop()
            self._servers = []
            for each in sockets:
                each.close()
            _ONE_PER_PROCESS.release()
            raise

    def _serve(self, sockets: list[socket.socket]) -> None:
        from dagkit.local.server import Server, moto_application

        _forget()
        app = Guard(
            moto_application(),
            MotoBackend(self.account),
            self._ledger,
            admin_key=self._admin.access_key_id,
            region=self.region,
            sessions=self._sessions,
        )
        self._servers = [Server(each, app) for each in sockets]
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        """Stops listening, ends every connection and thread, and forgets all that was stored."""
        if not self._servers:
            return
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        for server in self._servers:
            server.stop()
        self._servers = []
        _forget()
        _ONE_PER_PROCESS.release()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    def endpoint(self, host: str = LOOPBACK) -> str:
        """Returns the URL under which a client that calls this machine `host` finds it."""
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    # -- what is in it --

    def add_bucket(self, name: str) -> None:
        """Makes a bucket, unless it is there already."""
        if MotoBackend(self.account).has_bucket(name):
            return
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        self._asked(
            f"the bucket {name!r} could not be made",
            lambda: self.client("s3").create_bucket(
                Bucket=name, **({"CreateBucketConfiguration": place} if place else {})
            ),
        )

    def put_object(self, bucket: str, key: str, content: Path | str | bytes) -> None:
        """Puts a file (a path) or bytes into a bucket."""
        if isinstance(content, bytes):
            self._asked(
                f"s3://{bucket}/{key} could not be written",
                lambda: self.client("s3").put_object(Bucket=bucket, Key=key, Body=content),
            )
            return
        path = Path(content)
        if not path.is_file():
            raise DagkitError("there is no such file", where=str(path))
        with path.open("rb") as stream:
            self._asked(
                f"s3://{bucket}/{key} could not be written",
                lambda: self.client("s3").put_object(Bucket=bucket, Key=key, Body=stream),
            )

    def add_role(self, name: str, policy: Mapping[str, Any]) -> str:
        """Makes a role with one policy, or gives an existing one this policy.

        Returns:
            The role's ARN.
        """
        import json

        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }

        def make() -> str:
            try:
                made = iam.create_role(
                    RoleName=name,
                    AssumeRolePolicyDocument=json.dumps(trust),
                    MaxSessionDuration=_TWELVE_HOURS,
                )
                arn = str(made["Role"]["Arn"])
            except iam.exceptions.EntityAlreadyExistsException:
                arn = str(iam.get_role(RoleName=name)["Role"]["Arn"])
            # A role that may do nothing has a policy without statements, which IAM does not take.
            if policy.get("Statement"):
                iam.put_role_policy(RoleName=name, PolicyName="dagkit", PolicyDocument=json.dumps(policy))
            elif iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName="dagkit")
            return arn

        return str(self._asked(f"the role {name!r} could not be made", make))

    def credentials(self, role: str, session: str) -> Credentials:
        """Assumes a role with STS.

        Args:
            role: The role's name.
            session: What the calls are to be known by in the ledger: the task id.
        """
        name = _SESSION_NAME.sub("-", session)[:64]
        answer = self._asked(
            f"the role {role!r} could not be assumed",
            lambda: self.client("sts").assume_role(
                RoleArn=f"arn:aws:iam::{self.account}:role/{role}",
                RoleSessionName=name if len(name) > 1 else f"{name}-",
                DurationSeconds=_TWELVE_HOURS,
            ),
        )["Credentials"]
        self._sessions[answer["AccessKeyId"]] = session
        return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])

    def objects(self, bucket: str) -> list[StoredObject]:
        """Lists a bucket, sorted by key."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        listed = self._asked(
            f"the bucket {bucket!r} could not be listed",
            lambda: [entry for page in pages for entry in page.get("Contents", [])],
        )
        return [
            StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])
            for entry in listed
        ]

    @property
    def ledger(self) -> list[Call]:
        """Every call of a pod so far, in the order they ended."""
        return self._ledger.calls()

    # -- looking in, unguarded --

    def admin_environment(self) -> dict[str, str]:
        """Returns environment variables with which the AWS CLI may do everything here."""
        return self._admin.environment(self.endpoint(), self.region)

    def client(self, service: str) -> Any:
        """Returns a boto3 client that may do everything here and knows nothing of the user's AWS settings."""
        if service not in self._clients:
            from botocore.config import Config

            self._clients[service] = _session(self.region).client(
                service,
                endpoint_url=self.endpoint(),
                aws_access_key_id=self._admin.access_key_id,
                aws_secret_access_key=self._admin.secret_access_key,
                config=Config(proxies={}, retries={"total_max_attempts": 1}, use_fips_endpoint=False),
            )
        return self._clients[service]

    def _asked(self, what: str, ask: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        if not self._servers:
            raise DagkitError("the local AWS does not run", fix="start it first")
        try:
            return ask()
        except (BotoCoreError, ClientError) as error:
            raise DagkitError(f"{what}: {error}") from error


def _key_pair() -> Credentials:
    letters = string.ascii_uppercase + string.digits
    key = "AKIA" + "".join(secrets.choice(letters) for _ in range(16))
    return Credentials(key, secrets.token_urlsafe(30))


def _session(region: str) -> Any:
    """Returns a boto3 session without the user's profile, files and environment."""
    import boto3
    from botocore.session import Session

    alone = Session(
        {
            "profile": (None, [], None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
            "region": (None, None, region, None),
        }
    )
    return boto3.Session(botocore_session=alone)


def _listen(addresses: Sequence[str], port: int) -> tuple[list[socket.socket], int]:
    """Opens one listening socket an address, all on one port."""
    attempts = 1 if port else 20
    for attempt in range(attempts):
        opened: list[socket.socket] = []
        try:
            for address in addresses:
                number = opened[0].getsockname()[1] if opened else port
                opened.append(_open(address, number))
            return opened, int(opened[0].getsockname()[1])
        except OSError as error:
            for each in opened:
                each.close()
            if error.errno == errno.EADDRINUSE and attempt < attempts - 1:
                continue
            raise _cannot_listen(error, address, number) from error
    raise AssertionError("unreachable")


def _open(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen(128)
    except BaseException:
        opened.close()
        raise
    return opened


def _cannot_listen(error: OSError, address: str, port: int) -> DagkitError:
    if error.errno == errno.EADDRINUSE:
        return DagkitError(
            f"port {port} on {address} is taken",
            fix="stop the program that listens there, or choose another port",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return DagkitError(f"{address} is not an address of this machine", fix="leave it out")
    return DagkitError(f"cannot listen on {address}:{port}: {error.strerror or error}")


def _forget() -> None:
    """Empties moto. Its state is the process's, not this object's."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    BackendDict.reset()
    reset_model_data()


logging.getLogger("moto").addHandler(logging.NullHandler())
