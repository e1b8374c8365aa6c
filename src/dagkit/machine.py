"""What kind of machine this is, and how something is installed on it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

_APT = {
    "docker": "sudo apt-get install docker.io",
    "git": "sudo apt-get install git",
    "gh": "sudo apt-get install gh",
    "r": "sudo apt-get install r-base-core",
    "aws": "sudo apt-get install awscli, or where there is none: sudo snap install aws-cli --classic",
    "python": "sudo apt-get install python3.13 python3.13-venv",
}
_BREW = {
    "docker": "brew install --cask docker",
    "git": "xcode-select --install",
    "gh": "brew install gh",
    "r": "brew install r",
    "aws": "brew install awscli",
    "python": "brew install python@3.13",
}


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        name: Its operating system, as people call it.
        system: ``macos``, ``debian`` (Debian, Ubuntu and the like) or ``linux``.
        container: It is itself a container, like the platform's JupyterLab and RStudio: there is no Docker.
    """

    name: str
    system: str
    container: bool

    def install(self, what: str) -> str:
        """The command that installs ``docker``, ``git``, ``gh``, ``r``, ``aws`` or ``python``."""
        if self.system == "macos":
            return _BREW[what]
        if self.system == "debian":
            return _APT[what]
        return f"install {what} with this system's package manager"

    @property
    def start_docker(self) -> str:
        """The command that starts Docker."""
        if self.system == "macos":
            return "open -a Docker"
        return "sudo systemctl start docker" if shutil.which("systemctl") else "sudo dockerd &"


def this_machine() -> Machine:
    """Look at this machine."""
    if sys.platform == "darwin":
        return Machine(f"macOS {platform.mac_ver()[0]}", "macos", container=False)
    container = "KUBERNETES_SERVICE_HOST" in os.environ or any(
        Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")
    )
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        return Machine(platform.system(), "linux", container)
    family = {about["ID"], *about.get("ID_LIKE", "").split()}
    system = "debian" if family & {"debian", "ubuntu"} else "linux"
    return Machine(about.get("PRETTY_NAME") or about["NAME"], system, container)
