"""What the figures were measured on, and with; CPU time and memory as /proc tells them."""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

from support.engine import BINARY
from support.hosts import run

from . import ROOT

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds


def _first_line(*command):
    try:
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=10)
    except OSError:
        return None
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0] if lines and result.returncode == 0 else None


def machine():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {"cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "kernel": platform.release()}


def versions():
    commands = {
        "nfsteer": (BINARY, "--version"),
        "git": ("git", "-C", ROOT, "describe", "--always", "--dirty"),
        "iptables": ("iptables-legacy", "--version"),
        "nft": ("nft", "--version"),
        "nginx": ("nginx", "-v"),
        "haproxy": ("haproxy", "-v"),
        "ipvsadm": ("ipvsadm", "--version"),
    }
    return {name: line for name, command in commands.items()
            if shutil.which(str(command[0])) and (line := _first_line(*command))}


def pauses(build):
    """How much of each CPU's time others take, as bench/tools/pauses.cpp sees it while nothing else runs: seconds of
    watching, count, longest_ms, share (0..1)."""
    return json.loads(run(build / "bench/tools/pauses").stdout)


def _cpu_ticks():
    """user, nice, system, idle, iowait, irq, softirq, steal, of all CPUs together."""
    return [int(each) for each in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def busy_seconds():
    """CPU time of the whole machine, all but idle and waiting for disks."""
    user, nice, system, _idle, _iowait, irq, softirq, _steal = _cpu_ticks()
    return (user + nice + system + irq + softirq) * TICK


def stolen_seconds():
    """CPU time that a hypervisor gave to others, as far as it says so."""
    return _cpu_ticks()[7] * TICK


def process_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def resident_bytes(pid):
    match = re.search(r"^VmRSS:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match.group(1)) * 1024


def load_share(seconds=1.0):
    """What of the machine's CPU time others use, 0..1."""
    before = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / (seconds * os.cpu_count())


def connections_max():
    """Conntrack entries that a namespace may hold."""
    return int(pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
