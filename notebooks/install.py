"""Puts what the guide needs into the Python of the notebook that runs this; asks first.

A notebook's cell runs it with `%run -i install.py`. Nothing of dagkit is needed for it.
"""

import importlib
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

DOING = {"Collecting", "Downloading", "Installing", "Resolved", "Prepared", "Building"}
"""How a line begins that says what is being done."""
NOT_OURS = ("externally-managed-environment", "externally managed", "Permission denied")
"""What is said by a Python that may not be changed."""
NEEDED = ("dagkit", "apache-airflow", "moto", "ipywidgets", "nbformat")
OLDEST, NEWEST = (3, 11), (3, 13)


def missing():
    """Return the packages of `NEEDED` that this Python has not."""
    importlib.invalidate_caches()
    return [name for name in NEEDED if not any(distributions(name=name))]


def requirement():
    """Return what to install: this checkout of dagkit where the notebooks lie in one, else the package."""
    checkout = Path.cwd().parent
    here = (checkout / "copier.yml").is_file() and (checkout / "src" / "dagkit").is_dir()
    return f"{checkout if here else 'dagkit'}[local,guide]"


def agreed(answer, lacking):
    """Return whether to install: as the parameter `install` says, or else as the reader does."""
    if answer is not None:
        return bool(answer)
    print(f"Not in this notebook's Python yet: {', '.join(lacking)}.")
    print(f"To be installed: {requirement()}, for {sys.executable} (about 600 MB, one to ten minutes).")
    try:
        return input("Install it? Type yes and press Enter: ").strip().lower() in ("y", "yes")
    except (EOFError, NotImplementedError, RuntimeError):  # nobody is there to be asked
        return False


def installer():
    """Return the command that installs: uv where it may write into this Python, else this Python's pip."""
    writable = os.access(sysconfig.get_path("purelib"), os.W_OK)
    if shutil.which("uv") and (writable or find_spec("pip") is None):
        return ["uv", "pip", "install", "--python", sys.executable]
    if find_spec("pip") is None:
        return None
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]


def run_installer():
    """Install, and show on one line what is being done; return what was said where it failed."""
    command = installer()
    if command is None:
        return ["This Python has neither pip nor uv."]
    said = []
    with subprocess.Popen(
        [*command, requirement()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            said.append(line.rstrip())
            words = line.split()
            if words and words[0] in DOING:
                print(f"\r{' '.join(words)[:90]:<90}", end="", flush=True)
    print("\r" + " " * 90 + "\r", end="")
    # pip makes a folder of the user's own where it may not write into Python's
    if site.ENABLE_USER_SITE:
        site.addsitedir(site.getusersitepackages())
    return said if process.returncode else []


def main(answer):
    """Install what is missing, if the reader agrees; say how it stands."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        print(f"This notebook's Python is {version[0]}.{version[1]}; dagkit works on 3.11 to 3.13.")
        print("Choose another kernel: menu Kernel, Change Kernel.")
        return
    lacking = missing()
    if not lacking:
        print("Everything is there.")
        return
    if not agreed(answer, lacking):
        print("Nothing was installed. Run this cell again when you are ready.")
        return
    print("Installing; this line changes as it goes on.", flush=True)
    said = run_installer()
    if not missing():
        print("Installed. If a later cell says that a package is too old, restart the kernel once.")
        return
    print("It could not be installed:")
    print("\n".join(f"  {line}" for line in said[-8:]))
    if any(word in line for line in said for word in NOT_OURS):
        print("This Python is not yours to change. Give the guide one of its own, in a terminal:")
        print("  python3 -m venv ~/dagkit-python && ~/dagkit-python/bin/pip install ipykernel")
        print("  ~/dagkit-python/bin/python -m ipykernel install --user --name dagkit")
        print("Then reload this page, and choose it: menu Kernel, Change Kernel, dagkit.")


main(globals().get("install"))
