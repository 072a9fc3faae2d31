#!/usr/bin/env bash
# All tests. Ends with the line "N passed, N failed, N skipped"; exit 0 only if none failed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

stages_all=(unit netns soak kernel demo bench docker fuzz sanitizers)
stages_more=(valgrind)

usage() {
  cat <<'TEXT'
usage: tests/run.sh [--quick] [--only STAGE]... [--thorough] [-k FILTER] [--fuzz-seconds N]

  --quick           the stages unit and netns
  --only STAGE      this stage; may be repeated:
                      unit         format, build with g++, unit tests, tests of the Python module
                      netns        real traffic in network namespaces
                      soak         two minutes at full rate while everything is changed; tests/soak.sh is that for hours
                      kernel       boots Debian's own kernel in a virtual machine and asks it for what the engine needs;
                                   tests/kernels/run.sh runs the namespace tests on it
                      demo         docker/demo.sh with network namespaces
                      bench        bench/run.sh for some seconds: the shape of its results, not the speed
                      docker       docker/demo.sh with containers of a private Docker engine
                      fuzz         build with clang, each fuzz target for some seconds
                      sanitizers   unit tests and a namespace run with ASan + UBSan, and with TSan
                    and, only when named:
                      valgrind     unit tests and a namespace run under valgrind's memcheck
  --thorough        the stage sanitizers runs every namespace test, not only the short run: an hour or more
  -k FILTER         only unit and namespace tests whose name contains FILTER
  --fuzz-seconds N  per fuzz target, default 20
TEXT
}

die() { echo "run.sh: $*" >&2; exit "${2:-1}"; }

stages=() filter='' fuzz_seconds=20 smoke=(-m smoke) namespace_seconds=1500
while [[ $# -gt 0 ]]; do
  case $1 in
    --quick) stages+=(unit netns) ;;
    --only)
      [[ " ${stages_all[*]} ${stages_more[*]} " == *" ${2:-} "* ]] ||
        die "--only: no stage '${2:-}'; there are ${stages_all[*]} ${stages_more[*]}" 2
      stages+=("$2")
      shift ;;
    --thorough) smoke=() namespace_seconds=7200 ;;
    -k) filter=${2:?-k needs a filter}; shift ;;
    --fuzz-seconds) fuzz_seconds=${2:?--fuzz-seconds needs a number}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" 2 ;;
  esac
  shift
done
[[ ${#stages[@]} -gt 0 ]] || stages=("${stages_all[@]}")
wanted() { [[ " ${stages[*]} " == *" $1 "* ]]; }
[[ $(id -u) -eq 0 ]] || die "needs root for network namespaces, packages and rules; run: sudo tests/run.sh"

results=$PWD/build/test-results
rm -rf "$results"
mkdir -p "$results"
passed=0 failed=0 skipped=0 child='' ahead='' beside=''
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3  # the one that the packages belong to
trap '[[ -z $child ]] || { kill "$child" 2>/dev/null; wait "$child"; }; end_ahead; end_beside; exit 130' INT TERM HUP
trap 'end_ahead; end_beside' EXIT

# run LOG SECONDS COMMAND...: in a process group of its own, so that a time-out ends all of it.
run() {
  local log=$1 limit=$2 status=0
  shift 2
  timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null &
  child=$!
  wait "$child" || status=$?
  child=
  [[ $status -ne 124 ]] || echo "run.sh: not done after $limit s" >>"$log"
  return "$status"
}

report() { printf '%-8s %s (%s s)\n' "$1" "$2" "$3"; }

# check NAME SECONDS COMMAND...: one test, passed if the command succeeds.
check() {
  local name=$1 start=$SECONDS log=$results/${1//[ \/]/_}.log
  if run "$log" "${@:2}"; then
    passed=$((passed + 1))
    report ok "$name" $((SECONDS - start))
  else
    failed=$((failed + 1))
    report FAILED "$name" $((SECONDS - start))
    tail -n 60 "$log" | sed 's/^/      /'
    return 1
  fi
}

skip() { skipped=$((skipped + 1)); printf '%-8s %s: %s\n' skipped "$1" "$2"; }

# suite NAME SECONDS COMMAND...: many tests; the command writes them to the JUnit file $results/NAME.xml.
suite() {
  local start=$SECONDS status=0
  run "$results/$1.log" "${@:2}" || status=$?
  count_suite "$1" "$status" $((SECONDS - start))
}

# suite_beside NAME SECONDS COMMAND...: the same, while what follows goes on. At most one at a time; join_beside waits for
# it and counts it.
suite_beside() {
  # shellcheck disable=SC2016  # the inner shell's
  bash -c 'trap '\''kill $!; wait'\'' TERM; status=0
    timeout --kill-after=20 "$2" "${@:3}" >"$1.log" 2>&1 </dev/null & wait $! || status=$?
    [[ $status -ne 124 ]] || echo "run.sh: not done after $2 s" >>"$1.log"
    echo "$status $SECONDS" >"$1.status"' suite_beside "$results/$1" "${@:2}" &
  beside=$!
}
join_beside() {  # NAME
  local ended
  wait "$beside" || true
  beside=''
  read -ra ended <"$results/$1.status" 2>/dev/null || ended=(1 0)
  count_suite "$1" "${ended[@]}"
}
end_beside() {
  [[ -n $beside ]] || return 0
  kill "$beside" 2>/dev/null || true
  wait "$beside" 2>/dev/null || true
  beside=''
}

# NAME STATUS SECONDS: of a suite that has ended.
count_suite() {
  local name=$1 status=$2 summary counts
  local log=$results/$name.log
  summary=$("$python" tests/support/junit.py "$results/$name.xml" 2>/dev/null) || summary="0 0 0"
  read -ra counts <<<"${summary%%$'\n'*}"
  # Ended badly without a failed test: a crash, a sanitizer's report, a time-out. 5 is pytest's "no test selected".
  if [[ $status -ne 0 && ${counts[1]} -eq 0 && ! ( $status -eq 5 && -n $filter ) ]]; then
    counts[1]=1
    summary+=$'\n'"    FAILED   $name as a whole: exit status $status"$'\n'$(tail -n 60 "$log" | sed 's/^/      /')
  fi
  passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
  report "$([[ ${counts[1]} -eq 0 ]] && echo ok || echo FAILED)" \
    "$name: ${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped" "$3"
  tail -n +2 <<<"$summary"
}

# build PRESET [CMAKE ARGUMENT...] -- [TARGET...]: as one test.
build() {
  local preset=$1 configure=()
  shift
  while [[ $1 != -- ]]; do configure+=("$1"); shift; done
  shift
  # shellcheck disable=SC2016  # the inner shell's
  check "build $preset" 1500 bash -c 'preset=$1; shift; n=$1; shift
    cmake --preset "$preset" "${@:1:n}" && cmake --build "build/$preset" --target "${@:n+1}"' \
    build "$preset" "${#configure[@]}" "${configure[@]}" "$@"
}

# Threads meet in the engine and in the layers that workers run in; the others have one thread.
tsan_targets=(nfsteer unit_core unit_policy unit_tracking unit_control unit_python)
[[ ${#smoke[@]} -gt 0 ]] || tsan_targets=(all)  # --thorough

# Namespace tests mostly wait. Meanwhile the sanitizers' builds take what processor time nobody wants (SCHED_IDLE: every
# other process goes first); build() then finds them done, or goes on where they were.
start_ahead() {
  # shellcheck disable=SC2016  # the inner shell's
  setsid chrt --idle 0 bash -c 'cmake --preset fuzz -DNFSTEER_TESTS=ON && cmake --build build/fuzz --target all
    cmake --preset tsan && cmake --build build/tsan --target "$@"' ahead "${tsan_targets[@]}" \
    >"$results/ahead.log" 2>&1 </dev/null &
  ahead=$!
}
end_ahead() {
  [[ -n $ahead ]] || return 0
  kill -TERM -- -"$ahead" 2>/dev/null || true
  wait "$ahead" 2>/dev/null || true
  ahead=''
}

# The address layout that the sanitizers of these compilers know: newer kernels randomize more bits than they expect.
fixed_addresses=()
if setarch --addr-no-randomize true 2>/dev/null; then fixed_addresses=(setarch --addr-no-randomize); fi

# PROGRAM LABEL RESULTS [FILTER]: one program of unit tests. Leaves RESULTS/LABEL-PROGRAM.xml, .log and .status: exit
# status and seconds.
unit_one() {
  local name=$2-${1##*/} status=0 start=$SECONDS
  timeout --kill-after=20 600 "$1" --gtest_output="xml:$3/$name.xml" ${4:+"--gtest_filter=*$4*"} \
    >"$3/$name.log" 2>&1 </dev/null || status=$?
  echo "$status $((SECONDS - start))" >"$3/$name.status"
}
export -f unit_one

unit_tests() {  # preset [label]
  local program name ended programs=() label=${2:-$1}
  for program in build/"$1"/tests/unit/unit_*; do
    [[ -f $program && -x $program ]] || continue
    programs+=("$program")
  done
  if [[ ${#programs[@]} -eq 0 ]]; then check "$1 has unit tests" 1 false || true; return; fi
  # One for each processor at a time.
  # shellcheck disable=SC2016  # the inner shell's
  run "$results/$label-units.log" 1200 "${fixed_addresses[@]}" bash -c \
    'printf "%s\0" "${@:4}" | xargs -0 -P "$(nproc)" -I{} bash -c "unit_one \"\$@\"" unit_one {} "$1" "$2" "$3"' \
    units "$label" "$results" "$filter" "${programs[@]}" || true
  for program in "${programs[@]}"; do
    name=$label-${program##*/}
    read -ra ended <"$results/$name.status" 2>/dev/null || ended=(1 0)
    count_suite "$name" "${ended[@]}"
  done
}

namespace_tests() {  # name engine pytest-arguments
  # They mostly wait, so two processes of them take little more time than half.
  suite "$1" "$namespace_seconds" env NFSTEER_BIN="$2" "${fixed_addresses[@]}" "$python" -m pytest -p no:cacheprovider -ra \
    -n 2 --dist loadfile \
    --junitxml="$results/$1.xml" -o junit_logging=system-out -o junit_log_passing_tests=false \
    ${filter:+-k "$filter"} "${@:3}" tests/netns
}

formatted() {
  local files
  files=$(find engine rules tests bindings bench -name '*.[ch]pp' -print0 2>/dev/null |
          xargs -0 clang-format --dry-run 2>&1 | grep -oE '^[^:]+:[0-9]+:' | sort -u)
  [[ -z $files ]] || { printf 'clang-format -i would change:\n%s\n' "$files"; return 1; }
}
export -f formatted

# PROGRAM SECONDS RESULTS: one fuzz target. Leaves what it said and its exit status as RESULTS/NAME.output and .status.
fuzz_one() {
  local name=${1##*/} status=0
  mkdir -p "$3/$name"
  timeout --kill-after=20 $(($2 + 120)) "$1" -max_total_time="$2" -print_final_stats=1 \
    -artifact_prefix="$3/$name-" "$3/$name" "tests/fuzz/corpus/${name#fuzz_}" >"$3/$name.output" 2>&1 || status=$?
  echo "$status" >"$3/$name.status"
}
export -f fuzz_one

echo "== packages"
docker/install.sh build package client server hosts test bench
if wanted docker; then docker/install.sh docker; fi
if wanted kernel && [[ $(uname -m) == x86_64 ]]; then docker/install.sh kernels; fi

release=no
if wanted unit || wanted netns || wanted soak || wanted kernel || wanted demo || wanted bench || wanted valgrind; then
  echo "== build with g++"
  build release -DNFSTEER_TESTS=ON -DNFSTEER_BENCH=ON -- all && release=yes
fi
if wanted unit; then
  echo "== unit"
  check "clang-format" 120 bash -c formatted || true
  check "mutations fit the sources" 60 tests/mutations/run.py --check || true
  if [[ $release == yes ]]; then unit_tests release; else skip "unit tests" "the build failed"; fi
fi
if wanted unit; then
  echo "== python"
  if [[ $release == yes ]]; then
    suite python 600 env NFSTEER_BUILD="$PWD/build/release" "$python" -m pytest -p no:cacheprovider -ra \
      --junitxml="$results/python.xml" ${filter:+-k "$filter"} tests/python
  else
    skip "Python tests" "the build failed"
  fi
fi
if wanted netns && wanted sanitizers; then start_ahead; fi
if wanted netns; then
  echo "== network namespaces"
  if [[ $release == yes ]]; then
    namespace_tests netns "$PWD/build/release/engine/nfsteer" --ignore=tests/netns/test_soak.py
  else
    skip "namespace tests" "the build failed"
  fi
fi
if wanted soak; then
  echo "== soak"
  if [[ $release == yes ]]; then
    check "soak for 2 min" 400 tests/soak.sh --minutes 2 || true
  else
    skip "soak" "the build failed"
  fi
fi
if wanted kernel; then
  echo "== Debian's kernel"
  if [[ $(uname -m) != x86_64 ]]; then
    skip "Debian's kernel" "tests/kernels/run.sh makes an x86-64 machine; this host is $(uname -m)"
  elif [[ $release == yes ]]; then
    # shellcheck disable=SC2016  # the inner shell's
    check "probe on Debian's kernel" 300 tests/kernels/run.sh --clock real --minutes 4 --command '"$NFSTEER_BIN" probe' || true
  else
    skip "Debian's kernel" "the build failed"
  fi
fi
if wanted demo; then
  echo "== demo in network namespaces"
  if [[ $release == yes ]]; then
    suite demo 900 "$python" -m pytest -p no:cacheprovider -ra \
      --junitxml="$results/demo.xml" -m 'not docker' tests/docker
  else
    skip "demo" "the build failed"
  fi
fi
end_ahead
# It mostly waits, too. (The demo of the stage before has the same folder of state.)
if wanted docker; then
  suite_beside docker 1500 tests/docker/private-dockerd.sh "$python" -m pytest -p no:cacheprovider -ra \
    --junitxml="$results/docker.xml" -m docker tests/docker
fi
if wanted bench; then
  echo "== benchmark"
  if [[ $release == yes ]]; then
    suite bench 300 env NFSTEER_BENCH_BUILD="$PWD/build/release" "$python" -m pytest -p no:cacheprovider -ra \
      --junitxml="$results/bench.xml" tests/bench
  else
    skip "benchmark" "the build failed"
  fi
fi
# One build with clang serves four ends: the second compiler's warnings, the fuzz targets, and the unit tests and the
# engine with ASan + UBSan.
clang=no
if wanted fuzz || wanted sanitizers; then
  echo "== build with clang, ASan and UBSan"
  build fuzz -DNFSTEER_TESTS=ON -- all && clang=yes
fi
if wanted fuzz; then
  echo "== fuzz"
  if [[ $clang == yes ]]; then
    targets=()
    for program in build/fuzz/tests/fuzz/fuzz_*; do
      [[ -f $program && -x $program ]] || continue
      targets+=("$program")
    done
    # One for each processor at a time.
    # shellcheck disable=SC2016  # the inner shell's
    run "$results/fuzz.log" $((${#targets[@]} * (fuzz_seconds + 120))) "${fixed_addresses[@]}" bash -c \
      'printf "%s\0" "${@:3}" | xargs -0 -P "$(nproc)" -I{} bash -c "fuzz_one \"\$@\"" fuzz_one {} "$1" "$2"' \
      fuzz "$fuzz_seconds" "$results" "${targets[@]}" || true
    for program in "${targets[@]}"; do
      name=${program##*/}
      # shellcheck disable=SC2016  # the inner shell's
      check "$name for $fuzz_seconds s" 10 bash -c 'cat "$1.output"; exit "$(<"$1.status")"' \
        check "$results/$name" || true
    done
  else
    skip "fuzz targets" "the build failed"
  fi
fi
if wanted docker; then
  echo "== demo in containers"
  join_beside docker
fi
if wanted sanitizers; then
  echo "== sanitizers"
  if [[ $clang == yes ]]; then
    unit_tests fuzz asan-ubsan
    NFSTEER_TEST_SLOWNESS=3 namespace_tests asan-ubsan-netns "$PWD/build/fuzz/engine/nfsteer" "${smoke[@]}"
  else
    skip "unit and namespace tests with ASan and UBSan" "the build failed"
  fi
  if build tsan -- "${tsan_targets[@]}"; then
    unit_tests tsan
    NFSTEER_TEST_SLOWNESS=3 namespace_tests tsan-netns "$PWD/build/tsan/engine/nfsteer" "${smoke[@]}"
  else
    skip "unit and namespace tests with TSan" "the build failed"
  fi
fi

if wanted valgrind; then
  echo "== valgrind"
  if [[ $release == yes ]]; then
    memcheck=(valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
              --suppressions="$PWD/tests/support/valgrind.supp")
    # Left out: what judges time, and what a hundred thousand rounds of an emulated processor would take an hour for.
    for program in core netlink tracking plugin config rules api; do
      suite "valgrind-unit_$program" 1500 "${memcheck[@]}" "build/release/tests/unit/unit_$program" \
        --gtest_output="xml:$results/valgrind-unit_$program.xml" --gtest_filter='-*StayInteractive*'
    done
    # valgrind 3.19 does not know seccomp(2).
    # shellcheck disable=SC2016  # the script's own
    printf '#!/bin/sh\n[ "$1" != run ] || set -- "$@" --seccomp=off\nexec %s --log-file=%s "%s" "$@"\n' \
      "${memcheck[*]}" "$results/valgrind-%p.log" "$PWD/build/release/engine/nfsteer" >"$results/nfsteer"
    chmod +x "$results/nfsteer"
    NFSTEER_TEST_SLOWNESS=5 namespace_tests valgrind-netns "$results/nfsteer" -m smoke
    # What it says, it says in files: a process that is killed has no exit status.
    # shellcheck disable=SC2016  # the inner shell's
    check "valgrind says nothing of the engine" 10 bash -c '! grep -h . "$1"/valgrind-*[0-9].log' check "$results" || true
  else
    skip "valgrind" "the build failed"
  fi
fi

echo "== $((SECONDS / 60)) min $((SECONDS % 60)) s; logs in build/test-results"
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
