#!/usr/bin/env bash
# Builds and packs the last commit twice, as if by two people, and compares the packages byte by byte. Takes two full builds.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: docker/reproduce.sh

Two copies of the last commit, in folders of different depth, are built
without a compiler cache, with other umasks, time zones, users and job
counts. The last line is "N packages, all the same bytes"; exit 0 only then.
TEXT
}

die() { echo "reproduce.sh: $1" >&2; exit "${2:-1}"; }

case ${1:-} in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; die "unknown argument $1" 2 ;;
esac
repo=$(dirname "$(dirname "$(readlink -f "$0")")")
"$repo/docker/install.sh" build package
commit=$(git -C "$repo" rev-parse HEAD) || die "$repo is no checkout"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {  # NAME FOLDER JOBS; the packages go to $work/NAME
  local source=$2/nfsteer
  mkdir -p "$2"
  git clone --quiet "$repo" "$source"
  git -C "$source" -c advice.detachedHead=false checkout --quiet "$commit"
  {
    cmake -S "$source" -B "$source/build/release" --preset release &&
      cmake --build "$source/build/release" --target nfsteer nfsteer_python_host -j "$3" &&
      "$source/docker/package.sh" --no-build --output "$work/$1"
  } >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; die "failed (above: its last lines): the build in $source"; }
  rm -rf "$source"
}

export CCACHE_DISABLE=1
(umask 022; TZ=UTC build one "$work/a" 2)
(umask 027; TZ=Pacific/Auckland LC_ALL=C.UTF-8 USER=other HOME=$work build two "$work/somewhere/else" 3)
count=0
for package in "$work"/one/*.deb; do
  cmp "$package" "$work/two/${package##*/}" || die "not the same bytes: ${package##*/}"
  count=$((count + 1))
done
[[ $count -gt 0 ]] || die "no packages"
echo "$count packages, all the same bytes"
