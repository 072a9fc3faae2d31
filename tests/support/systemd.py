"""systemd as the first process of a machine of its own: own processes, mounts, cgroups and names, over a copy of this
root that is thrown away, in the network namespace of a host. Nothing of it reaches this machine's own systemd.

    host's namespace --- unshare(pid, mount, uts, ipc, cgroup) --- systemd --unit=test.target --- journald, the unit
"""

import functools
import os
import pathlib
import subprocess

from .hosts import new_folder, run
from .poll import wait_until

_SYSTEMD = "/lib/systemd/systemd"
_SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind "$2" "$1/root/mnt"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mkdir -p sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
for each in run tmp dev; do mount -t tmpfs tmpfs $each; done
mkdir run/changes
mount --bind "$1/upper" run/changes
for each in null zero full random urandom tty; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir dev/shm dev/pts dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
: > etc/machine-id
rm -rf etc/systemd/system
mkdir -p etc/systemd/system
cp -R mnt/. .
umount mnt
pivot_root . mnt
umount -l mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin SYSTEMD_LOG_TARGET=journal "$3" --system --unit=test.target
"""


def _cgroup2():
    """Where cgroups of version 2 are mounted, or None."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        if right.split()[0] == "cgroup2":
            return left.split()[4]
    return None


@functools.cache
def why_not():
    """Why there can be no such machine here; empty if there can."""
    if not os.access(_SYSTEMD, os.X_OK):
        return "systemd is not installed"
    mounted = _cgroup2()
    if not mounted:
        return "no cgroups of version 2 are mounted"
    probe = f"{mounted}/nfsteer-test-{os.getpid()}-probe"
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError as error:
        return f"no cgroup can be made: {error}"
    tried = subprocess.run(["unshare", "--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "true"],
                           capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else ""


class SystemdMachine:
    """`files` are put over its root: a folder with etc/systemd/system/... and whatever else the unit needs."""

    def __init__(self, host, files, unit):
        system = pathlib.Path(files) / "etc/systemd/system"
        system.mkdir(parents=True, exist_ok=True)
        (system / "test.target").write_text(f"[Unit]\nRequires=systemd-journald.service\nWants={unit}\n"
                                            f"After=systemd-journald.service {unit}\n")
        self.unit = unit
        self._cgroup = f"{_cgroup2()}/nfsteer-test-{os.getpid()}-{id(self)}"
        os.mkdir(self._cgroup)
        # The first shell joins the cgroup, which is the root of all that the new namespace sees.
        self._process = host.start(
            "sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', self._cgroup,
            "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--uts", "--ipc", "--cgroup",
            "sh", "-c", _SETUP, "setup", new_folder("machine"), files, _SYSTEMD)
        try:
            self._init = wait_until(self._find_init, lambda: f"systemd runs: {self._process.stderr}", 20)
            wait_until(lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip()
                       in ("running", "degraded"), "systemd is up", 30, interval=0.1)
        except BaseException:
            self.close()
            raise

    def _find_init(self):
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            if os.path.realpath(f"/proc/{child}/exe").endswith("systemd"):
                return int(child)
        return None

    def holds(self, pid):
        """Is that a process of this machine?"""
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{self._init}/ns/pid")

    def run(self, *command, check=True):
        return run("nsenter", "-t", self._init, "-a", "--", *command, check=check)

    def changes(self):
        """Paths that are not as on this machine, without the leading "/": what has come, is changed, or has gone."""
        found = self.run("find", "/run/changes", "-mindepth", "1", "-printf", "%P\\n").stdout
        return set(found.splitlines())

    def ctl(self, *words):
        """systemctl; the exit code and what it says."""
        done = self.run("systemctl", "--no-pager", *words, check=False)
        return done.returncode, done.stdout + done.stderr

    def show(self, name):
        return self.run("systemctl", "show", "-P", name, self.unit).stdout.strip()

    def journal(self, output="cat"):
        return self.run("journalctl", "--no-pager", "-o", output, "-u", self.unit).stdout

    def close(self):
        self._process.close()  # and with it everything inside
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            wait_until(functools.partial(self._removed, folder), f"{folder} is empty")

    @staticmethod
    def _removed(folder):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True
