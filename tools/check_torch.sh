#!/bin/sh
# Run the tests of all that measures with another torch, in an environment of its own, with no more
# than a machine that trains has: torch, numpy, tqdm, lazy-loader, and transformers for one test.
# Usage: sh tools/check_torch.sh PYTHON VERSION
set -eu
python=$1 version=$2
if [ -z "$version" ]; then
  echo "which torch? make check-torch TORCH=2.14.1" >&2
  exit 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check "torch==$version" \
  numpy tqdm lazy-loader "transformers>=5" pytest pytest-timeout
"$scratch/venv/bin/python" -c 'import torch; print("torch", torch.__version__)'
"$scratch/venv/bin/python" -m pytest -p no:cacheprovider -W ignore \
  tests/test_precision.py tests/test_models.py tests/test_training.py tests/test_benchmark.py \
  tests/test_trace.py tests/test_memory.py
