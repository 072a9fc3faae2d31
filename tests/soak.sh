#!/usr/bin/env bash
# A soak: the engine under full load and constant change for as long as you like. Says what it held, and fails if
# anything was lost or grew. Its seed is printed; NFSTEER_TEST_SEED=... repeats it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
  cat <<'TEXT'
usage: tests/soak.sh [--minutes N] [--engine PROGRAM]

  --minutes N       how long; default 10
  --engine PROGRAM  another build, for instance build/asan/engine/nfsteer; default: builds build/release
TEXT
}

die() { echo "soak.sh: $*" >&2; exit "${2:-1}"; }

minutes=10 engine=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    --engine) engine=$(readlink -f "${2:?--engine needs a program}"); shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" 2 ;;
  esac
  shift
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "--minutes $minutes is not a number; write one such as 10 or 0.5" 2
[[ -z $engine || -x $engine ]] || die "--engine $engine is no program; name a build's engine/nfsteer" 2
[[ $(id -u) -eq 0 ]] || die "needs root for network namespaces, packages and rules; run: sudo tests/soak.sh"

docker/install.sh build server hosts test bench
cmake --preset release -DNFSTEER_TESTS=ON -DNFSTEER_BENCH=ON >/dev/null
cmake --build build/release --target nfsteer connload >/dev/null
[[ -n $engine ]] || engine=$PWD/build/release/engine/nfsteer

export PYTHONDONTWRITEBYTECODE=1 NFSTEER_BIN=$engine NFSTEER_TOOLS=$PWD/build/release/bench/tools
NFSTEER_SOAK_SECONDS=$(awk "BEGIN { print $minutes * 60 }")
export NFSTEER_SOAK_SECONDS
exec /usr/bin/python3 -m pytest -p no:cacheprovider -rA -q --show-capture=stdout tests/netns/test_soak.py
