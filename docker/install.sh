#!/usr/bin/env bash
# install.sh SECTION...: installs the packages of these sections of packages.txt that are missing. Asks apt only when
# something is missing, starts no service, and leaves none enabled that was not.
set -euo pipefail

fail() { echo "install.sh: $*" >&2; exit 1; }

here=$(dirname "$(readlink -f "$0")")
[[ $# -gt 0 ]] || fail "no section named; see $here/packages.txt"

packages_of() {
  awk -v section="[$1]" '/^\[/ { on = ($1 == section); found += on; next }
                         on && NF && $1 !~ /^#/ { print $1 }
                         END { exit !found }' "$here/packages.txt"
}

missing=()
for section in "$@"; do
  packages=$(packages_of "$section") || fail "no section '$section' in packages.txt"
  for package in $packages; do
    [[ " ${missing[*]} " != *" $package "* ]] || continue
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

command -v apt-get >/dev/null || fail "needs ${missing[*]}; no apt-get here, install them by hand (names of Debian 12)"
[[ $(id -u) -eq 0 ]] || fail "needs ${missing[*]}; run as root to install them"

# A package's installation starts its service unless this program says 101: "action forbidden by policy".
policy=/usr/sbin/policy-rc.d
own_policy=
# What systemd starts at boot is a link in one of these folders.
links() { find /etc/systemd/system -path '*.wants/*' -type l 2>/dev/null | sort; }
links_before=$(links)
restore() {
  [[ -z $own_policy ]] || rm -f "$policy"
  comm -13 <(echo "$links_before") <(links) | xargs -r rm -f
}
trap restore EXIT
if [[ ! -e $policy ]]; then
  own_policy=yes
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
echo "installing: ${missing[*]}"
log=$(mktemp)
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
     </dev/null >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  rm -f "$log"
  fail "apt-get could not install them (above: its last lines)"
fi
rm -f "$log"
