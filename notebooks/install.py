"""Puts what the guide needs into the Python of the notebook that runs this; asks first.

A notebook's cell runs it with `%run -i install.py`. Nothing of dagkit is needed for it.
"""

import importlib
import site
import subprocess
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

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
    print(f"To be installed: {requirement()}, into {sys.prefix} (about 600 MB, one to five minutes).")
    try:
        return input("Install it? Type yes and press Enter: ").strip().lower() in ("y", "yes")
    except (EOFError, NotImplementedError, RuntimeError):  # nobody is there to be asked
        return False


def run_installer():
    """Install with pip, or with uv where this Python has no pip; return what it said where it failed."""
    if find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    else:
        command = ["uv", "pip", "install", "--quiet", "--python", sys.executable]
    try:
        done = subprocess.run([*command, requirement()], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "This Python has neither pip nor uv."
    # pip makes a folder of the user's own where it may not write into Python's
    if site.ENABLE_USER_SITE:
        site.addsitedir(site.getusersitepackages())
    return done.stdout + done.stderr if done.returncode else ""


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
    print("Installing …", flush=True)
    said = run_installer()
    if not missing():
        print("Installed. If a later cell says that a package is too old, restart the kernel once.")
        return
    print("It could not be installed:")
    print("\n".join(f"  {line}" for line in said.splitlines()[-8:]))
    if "externally-managed-environment" in said:
        print("This Python belongs to the operating system. Give the guide one of its own, in a terminal:")
        print("  python3 -m venv ~/dagkit-python && ~/dagkit-python/bin/pip install ipykernel")
        print("  ~/dagkit-python/bin/python -m ipykernel install --user --name dagkit")
        print("Then reload this page, and choose it: menu Kernel, Change Kernel, dagkit.")


main(globals().get("install"))
