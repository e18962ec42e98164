#!/bin/sh
# Record all that needs a GPU, in this order:
#   1. every setting on every workload, and the way to the fastest step (python -m halfbits.benchmark)
#   2. the solved lessons of Units 4 to 7
#   3. the table of what autocast does, on the device itself
# A step that fails does not stop the others; the exit status is 1 if one did.
#
# Usage: sh benchmarks/gpu.sh [--device cuda] [--quick] [--units "04 05 06 07"] [--out benchmarks/results]
# To try it without a GPU: sh benchmarks/gpu.sh --device cpu --quick --out /tmp/recorded
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
device=cuda quick="" units="" out=benchmarks/results
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2; shift ;;
    --quick) quick=--quick ;;
    --units) units=$2; shift ;;
    --out) out=$2; shift ;;
    *) echo "gpu.sh: no option $1; see the top of benchmarks/gpu.sh" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$units" ]; then
  for unit in 04 05 06 07; do
    if ls solutions/"$unit"_*/"$unit"_*.py > /dev/null 2>&1; then units="$units $unit"; fi
  done
fi

failed=""
step() {  # a name, then the command
  name=$1; shift
  echo "== $name: $*" >&2
  "$@" || failed="$failed $name"
}
lessons() {
  "$python" benchmarks/lessons.py --device "$device" $units > "$out/lessons_$device.log"
  status=$?
  tail -n 1 "$out/lessons_$device.log" > "$out/lessons_$device.json"
  sed '$d' "$out/lessons_$device.log"
  rm "$out/lessons_$device.log"
  return $status
}

mkdir -p "$out"
name=training_$device${quick:+_quick}
step training "$python" -m halfbits.benchmark --device "$device" $quick --tune --out "$out/$name.json"
step lessons lessons
step autocast "$python" tools/autocast_tables.py --confirm "$device"
if [ -n "$failed" ]; then echo "failed:$failed" >&2; exit 1; fi
echo "all recorded in $out" >&2
