#!/bin/sh
# Record all that needs a GPU, step by step: sh benchmarks/gpu.sh --help
#
# On a machine with a PyTorch of its own and no network, from the archive of make gpu-bundle:
#   tar xf half-the-bits-gpu.tar.xz && cd half-the-bits && sh benchmarks/gpu.sh --bundle
# PYTHON names the Python that has torch; by default .venv/bin/python, with --bundle python3.
set -eu
here=$PWD
cd "$(dirname "$0")/.."
bundle="" left=$#
while [ "$left" -gt 0 ]; do  # take --bundle out, wherever it stands
  if [ "$1" = --bundle ]; then bundle=yes; else set -- "$@" "$1"; fi
  shift
  left=$((left - 1))
done
if [ -n "$bundle" ]; then
  "${PYTHON:-python3}" benchmarks/unpack.py || exit $?
  python=.gpu/bin/python
else
  python=${PYTHON:-.venv/bin/python}
fi
if ! command -v "$python" > /dev/null; then
  echo "gpu.sh: no $python here: run make doctor once, or PYTHON=/path/to/python sh benchmarks/gpu.sh" >&2
  exit 2
fi
case $python in /*) ;; */*) python=$PWD/$python ;; esac
script=$PWD/benchmarks/record.py
cd "$here"
exec "$python" "$script" "$@"
