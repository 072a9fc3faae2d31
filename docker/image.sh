#!/usr/bin/env bash
# Makes a container image of the engine, from its Debian package.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: docker/image.sh [--tag NAME] [--no-build]

  --tag NAME   what the image is called; default nfsteer
  --no-build   pack what build/release holds already

Run it in the network namespace whose traffic it is to steer, with two
capabilities, nothing else, and nothing to write to but its own folder and the
lock that all users of the legacy tables share:

  touch /run/xtables.lock
  docker run -d --network host --cap-drop ALL --cap-add NET_ADMIN \
    --cap-add NET_RAW --security-opt no-new-privileges \
    --read-only --tmpfs /run/nfsteer:mode=0755 \
    --mount type=bind,src=/run/xtables.lock,dst=/run/xtables.lock \
    -v /etc/nfsteer:/etc/nfsteer:ro nfsteer

Linux 6.4 and later load no tables for it: modprobe -a ip_tables ip6_tables
TEXT
}

die() { echo "image.sh: $1" >&2; exit "${2:-1}"; }

here=$(dirname "$(readlink -f "$0")")
tag=nfsteer build=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --tag) tag=${2:?--tag needs a name}; shift ;;
    --no-build) build=(--no-build) ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument $1" 2 ;;
  esac
  shift
done
docker info >/dev/null 2>&1 || die "no Docker engine answers"

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
"$here/package.sh" --output "$context" --only engine "${build[@]}" >/dev/null
base=$("$here/base-image.sh")
version=$(dpkg-deb --field "$context"/nfsteer_*.deb Version)
docker build --quiet --build-arg "BASE=$base" --build-arg "VERSION=${version%-*}" --tag "$tag" \
  --file "$here/engine.Dockerfile" "$context" >/dev/null
echo "$tag"
