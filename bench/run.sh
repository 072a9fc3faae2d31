#!/usr/bin/env bash
# run.sh [OPTION...]: the benchmark, from a clean checkout to a table of ratios. --help lists the options.
#
# Builds the engine and the load tools (release preset), makes its network namespaces, runs every path in interleaved
# rounds, then the microbenchmarks, and writes a results folder: results.json, micro.json (nanoseconds), counts.json
# (instructions), table.md, plots/. Leaves nothing else behind.
# NFSTEER_BENCH_BUILD=DIR takes a build folder as it is, built with -DNFSTEER_BENCH=ON, instead of building.
set -euo pipefail

fail() { echo "bench/run.sh: $*" >&2; exit 1; }

here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")
python=/usr/bin/python3
command=$(printf '%s\n' bench/run.sh "$@")

help() {
  PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 $python -m harness --build . --help
  cat <<'TEXT'

Without --only the microbenchmarks follow: what the engine does in memory, in nanoseconds and instructions.
--only micro takes them alone, or adds them to what other --only options say.
TEXT
}

out=
arguments=() only=()
network=yes micro=yes quick=
while [[ $# -gt 0 ]]; do
  case $1 in
    -h|--help) help; exit 0 ;;
    --out) [[ $# -gt 1 ]] || fail "--out needs a folder"; out=$2; shift 2 ;;
    --out=*) out=${1#--out=}; shift ;;
    --only) [[ $# -gt 1 ]] || fail "--only needs PATH/MEASURE, or micro"; only+=("$2"); shift 2 ;;
    --only=*) only+=("${1#--only=}"); shift ;;
    --quick) quick=yes; arguments+=("$1"); shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done
if [[ ${#only[@]} -gt 0 ]]; then
  network='' micro=''
  for each in "${only[@]}"; do
    if [[ $each == micro ]]; then micro=yes; else network=yes; arguments+=(--only "$each"); fi
  done
fi
[[ $(id -u) -eq 0 ]] || fail "network namespaces and NFQUEUE need root; run it with sudo"
out=$(readlink -m "${out:-$here/results/$(date +%Y-%m-%d-%H%M%S)}")

export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
# A wrong command line is told before minutes of building.
$python -m harness --build . --out "$out" --parse-only "${arguments[@]}" || exit $?

build=${NFSTEER_BENCH_BUILD:-}
if [[ -z $build ]]; then
  build=$root/build/bench
  "$root/docker/install.sh" build bench
  echo "building in $build"
  log=$(mktemp)
  targets=(nfsteer flowgen connload streamload pauses nfqaccept nfsteer-micro policy_weighted_random)
  if ! { cd "$root" && cmake --preset release -B "$build" -DNFSTEER_TESTS=OFF -DNFSTEER_BENCH=ON &&
         cmake --build "$build" --target "${targets[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "the build failed (above: its last lines)"
  fi
  if grep -q '^NFSTEER_PYTHON:BOOL=ON' "$build/CMakeCache.txt"; then
    cmake --build "$build" --target nfsteer_python_host _nfsteer >>"$log" 2>&1 ||
      echo "policies in Python cannot be built, and are left out"
  fi
  rm -f "$log"
fi
build=$(readlink -m "$build")
[[ -x $build/engine/nfsteer && -x $build/bench/tools/flowgen && -x $build/bench/micro/nfsteer-micro ]] ||
  fail "$build lacks the engine, the load tools or nfsteer-micro; build all of it with -DNFSTEER_BENCH=ON"

child='' code=0 stopped=''
trap 'stopped=yes; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null || true' INT TERM HUP

# In the background, so that this shell takes signals at once and hands them on; it waits until all is removed. Leaves
# the command's exit status in `code`.
run() {
  code=130
  [[ -z $stopped ]] || return 0
  "$@" &
  child=$! code=0
  wait "$child" || code=$?
  while kill -0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
  done
  child=''
}

# Several repetitions, so that the report can tell a spread.
microbenchmarks() {
  local program=$build/bench/micro/nfsteer-micro repetitions=7 seconds=0.1
  [[ -z $quick ]] || repetitions=1 seconds=0.01
  mkdir -p "$out"
  echo "microbenchmarks: nanoseconds"
  run "$program" --benchmark_repetitions=$repetitions --benchmark_min_time=$seconds \
    --benchmark_enable_random_interleaving=true --benchmark_out="$out/micro.json" >"$1" 2>&1
  if [[ $code -ne 0 ]]; then
    rm -f "$out/micro.json"  # half of it
    return 0
  fi
  echo "microbenchmarks: instructions"
  run "$here/micro/count.py" "$program" --out "$out/counts.json" >"$1" 2>&1
}

status=0
if [[ -n $network ]]; then
  rm -f "$out/micro.json" "$out/counts.json"  # of an earlier run
  NFSTEER_BIN=$build/engine/nfsteer NFSTEER_BENCH_COMMAND=$command \
    run $python -m harness --build "$build" --out "$out" "${arguments[@]}"
  # 3: some samples failed; the others are worth a report.
  [[ $code -eq 0 || $code -eq 3 ]] || exit "$code"
  status=$code
fi
if [[ -n $micro ]]; then
  log=$(mktemp)
  microbenchmarks "$log"
  if [[ -n $stopped ]]; then
    echo "bench/run.sh: interrupted" >&2
    status=130
  elif [[ $code -ne 0 ]]; then
    tail -n 5 "$log" >&2
    echo "bench/run.sh: the microbenchmarks failed (above: their last lines)" >&2
    status=1
  fi
  rm -f "$log"
fi
if [[ -e $out/results.json ]]; then $python -m report "$out"; fi
echo "results: $out"
exit "$status"
