#!/bin/sh
# stage.sh ROOT PACKAGE VERSION MAINTAINER SOURCE: makes the installed files under ROOT those of a Debian package. Run by
# cpack (stage.cmake), with SOURCE_DATE_EPOCH in the environment.
set -eu
root=$1 package=$2 version=$3 maintainer=$4 source=$5
here=$(dirname "$0")
doc=$root/usr/share/doc/$package
mkdir -p "$doc"

# The module lies where Debian's Python looks for it. What hosts policies of the engine stays: it finds it there, too.
if [ -d "$root/usr/lib/nfsteer/nfsteer" ]; then
  mkdir -p "$root/usr/lib/python3/dist-packages"
  rm -rf "$root/usr/lib/python3/dist-packages/nfsteer"
  mv "$root/usr/lib/nfsteer/nfsteer" "$root/usr/lib/python3/dist-packages/"
fi

cp "$here/copyright" "$doc/copyright"
gzip -9nc "$source/CHANGELOG.md" >"$doc/changelog.gz"
gzip -9nc >"$doc/changelog.Debian.gz" <<END
nfsteer ($version) unstable; urgency=medium

  * Packed from the sources of this version: changelog.gz says what is new.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
find "$root/usr/share/man" -name '*.[1-9]' -exec gzip -9n {} + 2>/dev/null || true

find "$root" -type d -exec chmod 755 {} +
find "$root/usr/share" "$root/usr/lib" -type f -exec chmod 644 {} + 2>/dev/null || true
