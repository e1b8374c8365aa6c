#!/usr/bin/env bash
# Makes .venv: the newest Python here that dagkit supports, every package locked with its hash, and dagkit itself, editable.
# `make` calls this when a lock file or pyproject.toml is newer than the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unset VIRTUAL_ENV CONDA_PREFIX PYTHONHOME
python=.venv/bin/python
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
seen=''

fail() {
  echo "setup: $*" >&2
  exit 1
}

make_venv() {
  local name version
  for name in python3.13 python3.12 python3.11 python3 python; do
    # Asked to run, not only looked for: a version manager's shim may name a Python that is not there.
    version=$("$name" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
    if ! "$name" -c "$supported"; then
      seen="$seen $name is $version;"
    elif ! "$name" -c 'import venv, ensurepip' 2>/dev/null; then
      seen="$seen $name ($version) has no venv module (Debian and Ubuntu: apt-get install python${version%.*}-venv);"
    else
      echo "setup: making .venv with $name ($version)"
      "$name" -m venv --clear .venv
      return
    fi
  done
  fail "dagkit needs Python 3.11, 3.12 or 3.13 with its venv module:${seen:- no Python was found;} install one, then try again."
}

"$python" -c "$supported" 2>/dev/null || make_venv
if ! "$python" -c 'import uv' 2>/dev/null; then
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
fi
"$python" -m uv pip install --quiet --python "$python" --require-hashes --requirements requirements/dev.txt
# hatchling is among the locked packages, so nothing unlocked is fetched to build dagkit.
"$python" -m uv pip install --quiet --python "$python" --no-build-isolation --no-deps --editable .
