"""A kernel that really lacks a module: for the machine that tests/kernels/run.sh makes, whose kernel is nobody else's."""

import contextlib
import os
import pathlib
import subprocess

from .poll import wait_until

GUEST = bool(os.environ.get("NFSTEER_KERNEL_GUEST"))
_HIDDEN = pathlib.Path("/etc/modprobe.d/nfsteer-test.conf")


def loaded():
    return {line.split()[0] for line in pathlib.Path("/proc/modules").read_text().splitlines()}


def _remove(names):
    """Those that need each other go in the order of their need; namespaces that have ended let go of them a moment later."""
    for name in names:
        subprocess.run(["rmmod", name], capture_output=True)
    return not loaded() & set(names)


@contextlib.contextmanager
def hidden(*names):
    """`names`: the last is the one that is missed; those that use it come before it."""
    assert GUEST, "the kernel of this machine is other people's, too"
    _HIDDEN.parent.mkdir(exist_ok=True)
    _HIDDEN.write_text("".join(f"install {name} /bin/false\n" for name in names))
    try:
        wait_until(lambda: _remove(names), lambda: f"{loaded() & set(names)} are gone", 30, 0.2)
        yield
    finally:
        _HIDDEN.unlink()
