"""The packet filter's tables as text, ours and everybody else's."""

import contextlib
import fcntl
import re

from .hosts import XTABLES_LOCK

OURS = re.compile(r":NFSTEER(?:-\S*)? |-[AgjI] NFSTEER(?:-\S*)?(?: |$)")  # our chains, and jumps to them
FAMILIES = {4: "iptables-legacy", 6: "ip6tables-legacy"}
TABLES = ("raw", "mangle", "nat", "filter", "security")


def make_all(host):
    """Makes every table exist, which reading a table does; so that later snapshots show the same set."""
    for command in FAMILIES.values():
        for table in TABLES:
            host.run(command, "-w", "-t", table, "-S", check=False)


def save(host, counters=True):
    """Every table of both families, one line a rule, without the comments that carry the time."""
    lines = []
    for family, command in FAMILIES.items():
        table = ""
        for line in host.run(f"{command}-save", *(["-c"] if counters else [])).stdout.splitlines():
            if line.startswith("#") or line == "COMMIT":
                continue
            if line.startswith("*"):
                table = line[1:]
                continue
            if not counters and line.startswith(":"):
                line = re.sub(r" \[\d+:\d+\]$", "", line)
            lines.append(f"ip{family} {table} {line}")
    return lines


def ours(host):
    return [line for line in save(host, counters=False) if OURS.search(line)]


def foreign(host):
    """Everything that is not ours, counters included."""
    return [line for line in save(host) if not OURS.search(line)]


def parse_save(text):
    """iptables-save text of one or both families as the set of (table, line); counters and time dropped."""
    result, table = [], ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line and not line.startswith("#") and line != "COMMIT":
            result.append((table, re.sub(r" ?\[\d+:\d+\] ?", "", line).strip()))
    return result


@contextlib.contextmanager
def lock_held():
    """Holds the lock that every iptables program takes."""
    with open(XTABLES_LOCK, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
