#!/usr/bin/env bash
# private-dockerd.sh COMMAND...: runs COMMAND with DOCKER_HOST naming a Docker engine of its own, and ends that engine
# with everything it made.
#
#   this machine                 | network, mount and process namespaces of the engine
#   slirp4netns (user-mode TCP) -+- tap0: the uplink that image builds need
#                                | dockerd, containerd, bridges, containers; data in a temporary folder
#
# The machine keeps its own addresses, rules and mounts: ending the first process of the process namespace ends all of
# the engine, and the mounts go with their namespace. Where memory allows, images and containers are kept there: faster,
# and gone with the mount.
#
# Where no engine can be started COMMAND runs all the same, with the reason in NFSTEER_NO_DOCKER.
set -euo pipefail

[[ $# -gt 0 ]] || { echo "usage: private-dockerd.sh COMMAND..." >&2; exit 2; }

dir=
netns=nfsteer-dockerd-$$
cgroup=nfsteer-dockerd-$$
engine_pid=
uplink_pid=

end() {
  if [[ -n $engine_pid ]]; then
    # The child of unshare is the first process of the namespaces. dockerd stops its containers first.
    pkill -TERM -P "$engine_pid" || true
    for _ in {1..150}; do kill -0 "$engine_pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
  fi
  if [[ -n $uplink_pid ]]; then
    kill "$uplink_pid" 2>/dev/null || true
    wait "$uplink_pid" 2>/dev/null || true
  fi
  ip netns del "$netns" 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
  [[ -z $dir ]] || rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# True once an engine answers on $dir/docker.sock. The reason why not goes to $reason.
start() {
  local tool
  for tool in dockerd docker slirp4netns ip nsenter unshare; do
    command -v "$tool" >/dev/null || { reason="$tool is not installed"; return 1; }
  done
  [[ $(id -u) -eq 0 ]] || { reason="only root can start one"; return 1; }
  grep -qw overlay /proc/filesystems || { reason="the kernel has no overlay file system"; return 1; }
  dir=$(mktemp -d /tmp/nfsteer-dockerd.XXXXXX)
  ip netns add "$netns" 2>"$dir/log" || {
    reason="no network namespace can be made: $(tail -n 1 "$dir/log")"
    return 1
  }

  slirp4netns --configure --mtu=1500 --disable-host-loopback --netns-type=path "/run/netns/$netns" tap0 \
    >"$dir/uplink.log" 2>&1 &
  uplink_pid=$!

  # nsenter, not `ip netns exec`, which mounts a /sys without cgroups.
  # shellcheck disable=SC2016  # $1 is the inner shell's
  nsenter --net="/run/netns/$netns" unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    sh -c '
      dir=$1 cgroup=$2
      ip link set lo up
      mkdir "$dir/data"
      [ "$(awk "/^MemAvailable:/ { print \$2 }" /proc/meminfo)" -lt 12000000 ] ||
        mount -t tmpfs -o size=6g nfsteer-dockerd "$dir/data"
      dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
              --host "unix://$dir/docker.sock" --storage-driver overlay2 --cgroup-parent "/$cgroup" &
      trap "kill $!" TERM
      while ! wait $!; do kill -0 $! 2>/dev/null || exit 1; done
    ' private-dockerd "$dir" "$cgroup" >"$dir/dockerd.log" 2>&1 &
  engine_pid=$!

  for _ in {1..300}; do
    DOCKER_HOST=unix://$dir/docker.sock docker info >/dev/null 2>&1 && return 0
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.1
  done
  reason="dockerd does not start: $(grep -vi 'level=info' "$dir/dockerd.log" | tail -n 1)"
  return 1
}

reason=
if start; then
  export DOCKER_HOST=unix://$dir/docker.sock
else
  export NFSTEER_NO_DOCKER=$reason
fi
status=0
"$@" || status=$?
exit "$status"
