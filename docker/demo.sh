#!/usr/bin/env bash
# The three-host demo: a client that runs the engine, two web servers, and a virtual IP that the engine steers to them.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: docker/demo.sh [--keep] [--docker | --namespaces] [--no-build]
       docker/demo.sh --client COMMAND...    in a demo that was kept
       docker/demo.sh --down                 ends a demo that was kept

  --keep         leave the hosts and the engine up, to play on
  --docker       the hosts are containers; default where a Docker engine is
  --namespaces   the hosts are network namespaces; default elsewhere
  --no-build     use what the last run has built
TEXT
}

die() { echo "demo.sh: $*" >&2; exit "${2:-1}"; }

repo=$(dirname "$(dirname "$(readlink -f "$0")")")
state=/run/nfsteer-demo  # one demo at a time: its hosts have fixed addresses
keep=no build=yes kind=auto wrong=0

# shellcheck source=docker/demo/show.sh
source "$repo/docker/demo/show.sh"
# shellcheck source=docker/demo/story.sh
source "$repo/docker/demo/story.sh"
# shellcheck disable=SC1090,SC1091
use_hosts() { source "$repo/docker/demo/$1.sh"; }

in_kept() {
  [[ -e $state/kept ]] || die "no demo was kept; docker/demo.sh --keep leaves one up"
  use_hosts "$(cat "$state/kind")"
  in_client "$@"
}

take_down() {
  [[ -e $state/kind ]] && { use_hosts "$(cat "$state/kind")"; hosts_down || true; }
  rm -rf "$state"
}

on_exit() {
  local status=$?
  trap '' INT TERM HUP
  [[ -e $state/kept ]] || take_down
  exit "$status"
}

choose_hosts() {
  local refused
  use_hosts containers
  refused=$(containers_refused)
  if [[ $kind == docker && -n $refused ]]; then die "--docker: $refused; use --namespaces"; fi
  if [[ $kind == docker || ( $kind == auto && -z $refused ) ]]; then
    echo containers >"$state/kind"
    hosts_prepare && return
    [[ $kind == auto ]] || die "the images cannot be built (above: why); use --namespaces"
    refused="the images cannot be built"
  fi
  [[ $kind == namespaces ]] || say "$refused: the hosts are network namespaces instead."
  use_hosts namespaces
  echo namespaces >"$state/kind"
  hosts_prepare || die "the engine cannot be built (above: why)"
}

while [[ $# -gt 0 ]]; do
  case $1 in
    --keep) keep=yes ;;
    --docker | --namespaces) kind=${1#--} ;;
    --no-build) build=no ;;
    --client) action=client; shift; break ;;
    --down) action=down ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" 2 ;;
  esac
  shift
done
[[ $(id -u) -eq 0 ]] || die "needs root for network namespaces, packages and rules; run: sudo docker/demo.sh"
case ${action:-} in
  client) in_kept "$@"; exit ;;
  down) take_down; exit ;;
esac

if ! mkdir "$state" 2>/dev/null; then
  if [[ -e $state/kept ]]; then die "a demo was kept; docker/demo.sh --down ends it"; fi
  if kill -0 "$(cat "$state/pid" 2>/dev/null)" 2>/dev/null; then die "a demo is running already"; fi
  take_down  # of one that was killed
  mkdir "$state"
fi
echo $$ >"$state/pid"
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
choose_hosts
tell
