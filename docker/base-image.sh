#!/usr/bin/env bash
# base-image.sh: prints the name of a Debian 12 image that the Docker engine has, for the Dockerfile's BASE.
# Takes debian:bookworm-slim where it is there or can be pulled. Else makes a minimal Debian with debootstrap, from the
# package mirror that this machine's apt is set to, and keeps it as nfsteer-demo-base.
set -euo pipefail

fail() { echo "base-image.sh: $*" >&2; exit 1; }

official=debian:bookworm-slim
own=nfsteer-demo-base
has() { docker image inspect "$1" >/dev/null 2>&1; }

for image in "$official" "$own"; do
  if has "$image"; then echo "$image"; exit 0; fi
done
if timeout 180 docker pull --quiet "$official" >/dev/null 2>&1; then echo "$official"; exit 0; fi

echo "$official cannot be pulled: making a base image with debootstrap" >&2
"$(dirname "$(readlink -f "$0")")/install.sh" docker >&2
# The first mirror of Debian itself in apt's configuration. The words with $ are apt's.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN)' 'Created-By: Packages' |
         awk '$2 ~ /^(bookworm|stable)$/ && $3 == "Debian" { print $1; exit }')
[[ -n $mirror ]] || fail "no registry, and apt names no mirror of Debian 12"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -n 5 "$root.log" >&2
  rm -f "$root.log"
  fail "debootstrap failed (above: its last lines)"
}
rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb
# As in the official image: no disk synchronization per package, which an image build does not need.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
tar -C "$root" -c . | docker import - "$own" >/dev/null
echo "$own"
