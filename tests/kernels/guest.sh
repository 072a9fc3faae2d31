#!/bin/bash
# The rest of the start in the machine that run.sh makes: COMMAND-FILE is run, its output goes out as it comes, its exit
# status, the kernel's version and /run/results.xml, if it left one, at its end.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
mkdir -p /dev/pts /dev/shm /run/netns /run/lock
mount -t devpts -o mode=620,gid=5,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
hostname kernel-test
ip link set lo up

port() {  # NAME: the device of that virtio-serial port
  local each
  for each in /sys/class/virtio-ports/*; do
    [[ $(<"$each/name") != "$1" ]] || echo "/dev/${each##*/}"
  done
}
bash "$1" </dev/null >"$(port output)" 2>&1
echo $? >/run/exit
printf '%s (%s)\n' "$(uname -v | grep -oE '[0-9]+\.[0-9]+\.[0-9]+-[0-9]+' || uname -r)" "$(uname -r)" >/run/version
left=(exit version)
[[ ! -f /run/results.xml ]] || left+=(results.xml)
tar -C /run -cf - "${left[@]}" >"$(port results)"
sync
echo o >/proc/sysrq-trigger
sleep 60
