#!/usr/bin/env bash
# Makes the Debian packages nfsteer, python3-nfsteer and nfsteer-dev.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: docker/package.sh [--output DIR] [--only COMPONENT] [--no-build]

  --output DIR   where the .deb files go; default build/packages
  --only COMPONENT
                 one of them: engine, python or dev
  --no-build     pack what build/release holds already

DEBFULLNAME and DEBEMAIL are the maintainer's name and address in them, and
SOURCE_DATE_EPOCH is the date of their files; default: the commit's.
TEXT
}

die() { echo "package.sh: $1" >&2; exit "${2:-1}"; }

repo=$(dirname "$(dirname "$(readlink -f "$0")")")
tree=$repo/build/release
output=$repo/build/packages build=yes only=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --output) output=$(realpath -m "${2:?--output needs a folder}"); shift ;;
    --only)
      [[ ${2:-} =~ ^(engine|python|dev)$ ]] || die "--only: no component '${2:-}'; there are engine, python and dev" 2
      only=(-D "CPACK_COMPONENTS_ALL=$2")
      shift ;;
    --no-build) build=no ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" 2 ;;
  esac
  shift
done

"$repo/docker/install.sh" build package
cd "$repo"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() {
  "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; die "failed (above: its last lines): $*"; }
}
if [[ $build == yes ]]; then
  quietly cmake --preset release
  quietly cmake --build "$tree" --target nfsteer nfsteer_python_host
fi
[[ -x $tree/engine/nfsteer ]] || die "$tree has no engine; leave out --no-build"
# What was packed shall not depend on who packs, or where: cpack installs below $work with this mask.
umask 022
quietly cpack --config "$tree/CPackConfig.cmake" -B "$work/packages" "${only[@]}"
mkdir -p "$output"
for package in "$work"/packages/*.deb; do
  mv "$package" "$output/"
  echo "$output/${package##*/}"
done
