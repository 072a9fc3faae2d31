#!/usr/bin/env bash
# Makes a container image of the engine, from its Debian package.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: docker/image.sh [--tag NAME] [--no-build]

  --tag NAME   what the image is called; default nfsteer
  --no-build   pack what build/release holds already

Run it in the network namespace whose traffic it is to steer, with two
capabilities and nothing else:

  docker run -d --network host --cap-drop ALL --cap-add NET_ADMIN \
    --cap-add NET_RAW --security-opt no-new-privileges \
    -v /etc/nfsteer:/etc/nfsteer:ro -v /run/xtables.lock:/run/xtables.lock \
    nfsteer
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
docker build --quiet --build-arg "BASE=$base" --tag "$tag" --file "$here/engine.Dockerfile" "$context" >/dev/null
echo "$tag"
