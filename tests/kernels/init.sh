#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the machine that run.sh makes, in its initramfs. This host's files, read-only and under a layer
# of memory, become the machine's own; guest.sh goes on in them.
busybox=/bin/busybox
$busybox --install -s /bin
export PATH=/bin
stop() { echo "init: $*"; sleep 1; poweroff -f; }

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module" || stop "$module"; done
mount -t virtiofs -o ro host /host || stop "no files of the host"
mount -t tmpfs -o size=1500m,mode=755 over /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /new || stop "no overlay"
word() { sed -n "s/.*$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
command=$(word nfsteer.command)
modules=$(word nfsteer.modules)
mount -t proc proc /new/proc
mount -t sysfs sys /new/sys
mount -t devtmpfs dev /new/dev
mount -t tmpfs -o mode=755 run /new/run  # but not /tmp, where the project may lie
# The kernel's modules where everybody looks for them.
mkdir -p "/new/usr/lib/modules/$(uname -r)"
mount --bind "/new$modules" "/new/usr/lib/modules/$(uname -r)" || stop "no modules"
exec switch_root /new /bin/bash "$(word nfsteer.guest)" "$command"
