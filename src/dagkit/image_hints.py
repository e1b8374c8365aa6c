"""What usually is the matter when a build fails with certain words, and what to do about it."""

from __future__ import annotations

import re

_RENEW = "Renew the lock file with the command in its first lines"

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"package repository \S+ cannot be reached",
        "See that Docker reaches the repository, or name another for this build:"
        " RENV_CONFIG_REPOS_OVERRIDE=https://… dagkit build",
    ),
    (
        r"packages of renv\.lock cannot be installed",
        'Lock a version that the repository has. In R: renv::update("the package"), then renv::snapshot().',
    ),
    (
        r"pull access denied|manifest.*(unknown|not found)|repository does not exist|failed to resolve|"
        r"error pulling image|toomanyrequests|Get \"https?://",
        "The base image cannot be pulled. Take another with --base-image IMAGE or DAGKIT_BASE_IMAGE=IMAGE."
        " Behind a proxy: set it in Docker's own settings. A private image: docker login first.",
    ),
    (
        r"DO NOT MATCH THE HASHES|hash mismatch|hashes are required",
        f"A package is not the one that was locked. {_RENEW}, and read what changed before you commit it.",
    ),
    (r"no space left on device|disk quota", "The disk is full. See what Docker keeps with: docker system df"),
    (
        r"certificate.verify.failed|self.signed certificate",
        "The network inspects TLS. Take a base image that has the network's certificate, with --base-image.",
    ),
    (
        r"temporary failure in name resolution|could not resolve|name or service not known|"
        r"network is unreachable|NewConnectionError|connection (refused|timed out)|ConnectTimeout|ProxyError",
        "The step had no network. See that you are online. Behind a proxy: set it in Docker's own settings.",
    ),
    (
        r"no matching distribution found|ResolutionImpossible|could not find a version",
        f"A package of the lock file cannot be had for this Python. {_RENEW}.",
    ),
    (
        r"COPY failed|ADD failed|file not found in build context|excluded by \.dockerignore",
        "A file that is copied is not there. See its name, and that .dockerignore does not leave it out.",
    ),
    (
        r"requires? BuildKit|unknown flag: (mount|chmod|link)",
        "dagkit builds without BuildKit, as not every engine has it. Write the step without that option.",
    ),
    (
        r"parse error|unknown instruction|syntax error",
        "Correct that line of the Dockerfile. `hadolint Dockerfile` says more.",
    ),
)


def hint_for(output: str) -> str | None:
    """What to do about a failed build that wrote ``output``; None where nothing is known."""
    return next((hint for pattern, hint in HINTS if re.search(pattern, output, re.IGNORECASE)), None)
