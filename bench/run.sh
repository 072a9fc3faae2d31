#!/usr/bin/env bash
# run.sh [OPTION...]: the benchmark, from a clean checkout to a table of ratios. --help lists the options.
#
# Builds the engine and the load tools (release preset), makes its network namespaces, runs every path in interleaved
# rounds, and writes a results folder: results.json, table.md. Leaves nothing else behind.
# NFSTEER_BENCH_BUILD=DIR takes a build folder as it is, built with -DNFSTEER_BENCH=ON, instead of building.
set -euo pipefail

fail() { echo "bench/run.sh: $*" >&2; exit 1; }

here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")
python=/usr/bin/python3
command=$(printf '%s\n' bench/run.sh "$@")

out=
arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h|--help) PYTHONPATH=$here exec $python -m harness --build . --help ;;
    --out) [[ $# -gt 1 ]] || fail "--out needs a folder"; out=$2; shift 2 ;;
    --out=*) out=${1#--out=}; shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done
[[ $(id -u) -eq 0 ]] || fail "network namespaces and NFQUEUE need root; run it with sudo"
out=$(readlink -m "${out:-$here/results/$(date +%Y-%m-%d-%H%M%S)}")

export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
# A wrong command line is told before minutes of building.
$python -m harness --build . --out "$out" --parse-only "${arguments[@]}" || exit $?

build=${NFSTEER_BENCH_BUILD:-}
if [[ -z $build ]]; then
  build=$root/build/release
  "$root/docker/install.sh" build bench
  echo "building in $build"
  log=$(mktemp)
  if ! { cd "$root" && cmake --preset release -DNFSTEER_BENCH=ON &&
         cmake --build --preset release --target nfsteer flowgen connload streamload nfqaccept; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "the build failed (above: its last lines)"
  fi
  rm -f "$log"
fi
build=$(readlink -m "$build")
[[ -x $build/engine/nfsteer && -x $build/bench/tools/flowgen ]] ||
  fail "$build has no engine or no load tools; build it with -DNFSTEER_BENCH=ON"

# In the background, so that this shell takes signals at once and hands them on; it waits until all is removed.
NFSTEER_BIN=$build/engine/nfsteer NFSTEER_BENCH_COMMAND=$command \
  $python -m harness --build "$build" --out "$out" "${arguments[@]}" &
child=$!
trap 'kill -TERM $child 2>/dev/null || true' INT TERM HUP
code=0
wait $child || code=$?
while kill -0 $child 2>/dev/null; do
  code=0
  wait $child || code=$?
done
trap - INT TERM HUP
# 3: some samples failed; the others are worth a report.
[[ $code -eq 0 || $code -eq 3 ]] || exit "$code"

$python -m report "$out"
echo "results: $out"
exit "$code"
