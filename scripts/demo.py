"""The main job, start to end, with nothing hidden: generate a pipeline, build it, run its DAG, show the file.

Called by `make demo`. Every line behind a `$` can be typed by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = {"project": "example", "pipeline": "hello", "owner": "octocat", "email": "octocat@example.com"}
PUBLIC_BASE = {"python": "python:3.13-slim", "r": "rocker/r-ver:4.5"}


def say(text: str) -> None:
    """A line of the demo's own, apart from what the commands print."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def run(*words: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Show a command, run it, and stop the demo with its exit code if it fails."""
    print(f"$ {shlex.join(words)}", flush=True)
    program = str(Path(sys.executable).parent / words[0]) if words[0] == "dagkit" else words[0]
    done = subprocess.run([program, *words[1:]], cwd=cwd, env={**os.environ, **(env or {})}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def base_image(language: str) -> str | None:
    """The image to build on: the public one, else one made here; None when neither can be had."""
    from docker.errors import DockerException

    from dagkit.image import docker_client

    client = docker_client()
    public = PUBLIC_BASE[language]
    try:
        client.images.get(public)
        return public
    except DockerException:
        pass
    try:
        print(f"fetching {public} …", flush=True)
        client.images.pull(public)
        return public
    except DockerException:
        print(f"{public} cannot be fetched from here: making a base image from Debian's packages instead")
    recipe = ROOT / "tests" / "images" / "build.sh"
    made = subprocess.run([str(recipe), language], stdout=subprocess.PIPE, text=True, check=False)
    return made.stdout.strip() if made.returncode == 0 else None


def main() -> None:
    """Run the demo in `demo/`, which is made afresh."""
    from dagkit.image import engine_available

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", choices=PUBLIC_BASE, default="python")
    language: str = parser.parse_args().language
    pipeline = ROOT / "demo" / f"{language}-pipeline"
    shutil.rmtree(pipeline, ignore_errors=True)
    pipeline.parent.mkdir(exist_ok=True)

    say("1. Generate a pipeline from the template")
    answers = {"language": language, **ANSWERS}
    data = [word for key, value in answers.items() for word in ("-d", f"{key}={value}")]
    run("dagkit", "new", str(pipeline.relative_to(ROOT)), "--defaults", *data)

    env: dict[str, str] = {}
    engine = "process"
    if engine_available():
        base = base_image(language)
        if base:
            engine = "docker"
            env["DAGKIT_BASE_IMAGE"] = base
            say("2. Build its image, and check that it will run on the cluster")
            run("dagkit", "build", cwd=pipeline, env=env)
    if engine == "process":
        say("2. No image to build with: the pipeline runs as a process, without Docker")

    say("3. Run its DAG: the real Airflow, a local AWS that enforces its role")
    run("dagkit", "run", "--engine", engine, cwd=pipeline, env=env)

    say("4. What it wrote")
    last = max((pipeline / ".dagkit" / "runs").iterdir())
    written = json.loads((last / "report.json").read_text())["written"]
    for item in written:
        print(f"{item['path']}  {item['size']} bytes")
        for line in (item["preview"] or "").splitlines():
            print(f"    {line}")
    say(f"Done. The pipeline is in {pipeline.relative_to(ROOT)}; the report of its run:")
    print(last.relative_to(ROOT) / "report.md")


if __name__ == "__main__":
    main()
