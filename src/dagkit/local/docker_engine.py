"""The `docker` engine: a pod becomes a container of this machine's Docker engine."""

from __future__ import annotations

import codecs
import contextlib
import ipaddress
import re
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagkit import names
from dagkit.containers import docker_client
from dagkit.errors import DagkitError
from dagkit.local.engines import Ground, Outcome, Reach, Say
from dagkit.local.pods import XCOM_FOLDER, PodRun

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container
    from docker.models.images import Image

RUN_LABEL = "dagkit.run"
PIPELINE_LABEL = "dagkit.pipeline"
TASK_LABEL = "dagkit.task"
HOST = "host.docker.internal"

_SIGNALS = {137: "killed (SIGKILL)", 139: "crashed (segmentation fault)", 143: "stopped (SIGTERM)"}


class DockerEngine:
    """Containers with the image, user, limits and capabilities of the pod."""

    name = "docker"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._stopping = False
        self._starting = threading.Lock()

    @cached_property
    def _client(self) -> docker.DockerClient:
        # a container may be silent for hours while its log is followed
        client = docker_client()
        client.api.timeout = None  # type: ignore[assignment]  # None is "for ever", which its stub leaves out
        return client

    def reach(self) -> Reach:
        """Loopback, and the engine's own bridge where that is an address of this machine (Linux)."""
        bridge = self._client.networks.get("bridge").attrs
        gateways = [_gateway(config) for config in (bridge.get("IPAM") or {}).get("Config") or []]
        return Reach(HOST, ("127.0.0.1", *(each for each in gateways if each and _is_ours(each))))

    def prepare(self, say: Say, build: bool) -> tuple[str, ...]:
        """Build the repository's image, or see that it is there."""
        if not self._ground.has_image:
            return ()
        from docker.errors import ImageNotFound

        tag = names.local_image(self._ground.repository)
        if build:
            from dagkit import image
            from dagkit.pipeline import Pipeline

            shown = 0

            def on_event(event: image.BuildEvent) -> None:
                nonlocal shown
                # a step that has something to do says so; one whose result is there does not
                if event.text and event.step > shown and not event.cached:
                    shown = event.step
                    say(f"image, step {event.step} of {event.steps}: {event.instruction}")

            built = image.build(
                Pipeline.load(self._ground.folder),
                base_image=self._ground.base_image or None,
                on_event=on_event,
            )
            say(f"image {built.tag}: built in {built.seconds:.1f} s")
            return ()
        try:
            self._client.images.get(tag)
            return ()
        except ImageNotFound as error:
            raise DagkitError(
                f"The image {tag} has not been built on this machine",
                where=str(self._ground.folder / self._ground.dockerfile),
                fix="Leave out --no-build, or build it first: dagkit build",
            ) from error

    def run(self, pod: PodRun, environment: Mapping[str, str], log: Say, note: Say) -> Outcome:
        """Run one pod as a container, which is removed at its end, however that comes."""
        import docker

        image = self._image(pod, note)
        _check_user(pod, image)
        container = None
        try:
            with self._starting:
                if self._stopping:
                    return Outcome(143, "the run was stopped")
                container = self._client.containers.create(image, **self._settings(pod, environment, note))
                container.start()
            for line in lines(container.logs(stream=True, follow=True)):
                log(line)
            return self._outcome(pod, container)
        except docker.errors.APIError as error:
            if self._stopping:
                return Outcome(143, "the run was stopped")
            raise _not_started(pod, error) from error
        finally:
            if container is not None:
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)

    def stop(self) -> None:
        """Remove every container of this run."""
        import docker

        self._stopping = True
        with self._starting:
            found = self._client.containers.list(
                all=True, ignore_removed=True, filters={"label": f"{RUN_LABEL}={self._ground.run_id}"}
            )
            for container in found:
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)

    def _settings(self, pod: PodRun, environment: Mapping[str, str], note: Say) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "name": f"dagkit-{pod.name}",
            "environment": dict(environment),
            "labels": {
                RUN_LABEL: self._ground.run_id,
                PIPELINE_LABEL: self._ground.dag_id,
                TASK_LABEL: pod.task,
            },
            "extra_hosts": {HOST: "host-gateway"},
            "cap_drop": list(pod.drop),
            "cap_add": list(pod.add),
            "group_add": [str(group) for group in pod.groups],
            "read_only": pod.read_only,
            "security_opt": [] if pod.new_privileges else ["no-new-privileges:true"],
            # Kubernetes' empty folders are writable for everyone and may hold programs; Docker's would not
            "tmpfs": {
                path: "rw,exec,mode=1777" + (f",size={size}" if size else "")
                for path, size in pod.empty_dirs.items()
            },
            "log_config": {"Type": "json-file"},
        }
        if pod.command:
            settings["entrypoint"] = list(pod.command)
        if pod.args:
            settings["command"] = list(pod.args)
        if pod.working_dir:
            settings["working_dir"] = pod.working_dir
        if pod.user is not None:
            settings["user"] = f"{pod.user}:{pod.group}" if pod.group is not None else str(pod.user)
        if pod.xcom:
            settings["volumes"] = {str(self._xcom_folder(pod)): {"bind": XCOM_FOLDER, "mode": "rw"}}
        if pod.privileged:
            note("the pod asks to be privileged: the cluster refuses such a pod, and here it runs without")
        return {**settings, **self._limits(pod, note)}

    def _limits(self, pod: PodRun, note: Say) -> dict[str, Any]:
        limits: dict[str, Any] = {}
        machine = self._client.info()
        if pod.memory:
            # swap counts too, so that the limit is the limit
            limits["mem_limit"] = limits["memswap_limit"] = pod.memory
            if pod.memory > machine["MemTotal"]:
                note(
                    f"the pod may use {memory(pod.memory)} of memory;"
                    f" Docker has {memory(machine['MemTotal'])} here"
                )
        if pod.cpus:
            if pod.cpus > machine["NCPU"]:
                note(
                    f"the pod may use {pod.cpus:g} CPUs; Docker has {machine['NCPU']} here, and it gets those"
                )
            limits["nano_cpus"] = int(min(pod.cpus, machine["NCPU"]) * 1e9)
        return limits

    def _image(self, pod: PodRun, note: Say) -> Image:
        import docker

        own = f"{self._ground.registry}/{names.ecr_repository(self._ground.repository)}"
        built_here = self._ground.has_image and pod.image.rpartition(":")[0] == own
        tag = names.local_image(self._ground.repository) if built_here else pod.image
        try:
            return self._client.images.get(tag)
        except docker.errors.ImageNotFound:
            pass
        note(f"pulling {tag}")
        try:
            self._client.api.pull(tag)
            return self._client.images.get(tag)
        except docker.errors.APIError as error:
            raise DagkitError(
                f"The image of the task {pod.task} is not on this machine and cannot be pulled: {tag}"
                f"\n  {error.explanation or error}",
                where=f"task {pod.task}",
                fix=f"See that the name is right, and that you may pull it: {_login(tag)}docker pull {tag}",
            ) from error

    def _outcome(self, pod: PodRun, container: Container) -> Outcome:
        code = int(container.wait()["StatusCode"])
        container.reload()
        reason = _SIGNALS.get(code)
        if container.attrs["State"].get("OOMKilled"):
            limit = memory(pod.memory) if pod.memory else "this machine's memory"
            reason = f"out of memory: the task needed more than its limit, {limit} (OOMKilled)"
        elif self._stopping:
            reason = "the run was stopped"
        return Outcome(code, reason, self._result(pod) if pod.xcom and code == 0 else None)

    def _xcom_folder(self, pod: PodRun) -> Path:
        folder = Path(self._ground.scratch) / "xcom" / pod.name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # the pod's user is not this one
        return folder

    def _result(self, pod: PodRun) -> str | None:
        path = self._xcom_folder(pod) / "return.json"
        return path.read_text(encoding="utf-8") if path.is_file() else None


def _login(tag: str) -> str:
    """The command that logs Docker in to the Amazon ECR that an image is in; empty for other registries."""
    found = re.match(r"\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?=/)", tag)
    if found is None:
        return ""
    password = f"aws ecr get-login-password --region {found['region']}"
    return f"{password} | docker login --username AWS --password-stdin {found[0]} && "


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream of bytes, each as soon as it is whole; what is not UTF-8 is shown as such."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (line.rstrip("\r") for line in whole)
    if rest := rest + decoder.decode(b"", final=True):
        yield rest.rstrip("\r")


def memory(size: int) -> str:
    """Bytes as Kubernetes counts memory: ``64 MiB``, ``1.5 GiB``."""
    number, unit = (size / 1024**3, "GiB") if size >= 1024**3 else (size / 1024**2, "MiB")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"


def _gateway(config: Mapping[str, str]) -> str:
    """The IPv4 address of this machine in one of the engine's networks; empty where that has none.

    An engine that chose the address itself does not always say it: it is the first of the network then.
    """
    network = ipaddress.ip_network(config["Subnet"])
    return (config.get("Gateway") or str(network[1])) if network.version == 4 else ""


def _is_ours(address: str) -> bool:
    """Whether this machine has the address: on Docker Desktop, the engine's bridge is in its own machine."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _check_user(pod: PodRun, image: Image) -> None:
    """What Kubernetes checks before it starts a container that must not run as root."""
    if not pod.non_root:
        return
    user = str(pod.user) if pod.user is not None else str(image.attrs["Config"].get("User") or "0")
    name = user.partition(":")[0]
    if not name.isdigit():
        raise DagkitError(
            f"The cluster would refuse the pod: runAsNonRoot, and the image's user '{name}' is not a number",
            where=f"task {pod.task}",
            fix="Give the pod a user id: PipelinePodOperator sets one.",
        )
    if int(name) == 0:
        raise DagkitError(
            "The cluster would refuse the pod: runAsNonRoot, and it would run as root",
            where=f"task {pod.task}",
            fix="Give the pod a user id other than 0: PipelinePodOperator sets one.",
        )


def _not_started(pod: PodRun, error: docker.errors.APIError) -> DagkitError:
    explanation = str(error.explanation or error)
    if "executable file not found" in explanation or "no such file or directory" in explanation:
        program = " ".join(pod.command) or "its ENTRYPOINT"
        return DagkitError(
            f"The container cannot start: the image has no program for {program}\n  {explanation}",
            where=f"task {pod.task}",
            fix="Correct the command in the DAG (cmds), or the ENTRYPOINT in the Dockerfile.",
        )
    return DagkitError(f"Docker could not run the container: {explanation}", where=f"task {pod.task}")
