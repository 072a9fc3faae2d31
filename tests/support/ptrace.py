"""Holds up one thread of a process, as a fault in it would: ptrace(2) stops single threads, a signal all of them."""

import contextlib
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def threads(pid):
    """Those that the program has started itself: not its first one, nor that which ThreadSanitizer starts before it."""
    with open(f"/proc/{pid}/exe", "rb") as program:
        before = 2 if b"__tsan_init" in program.read() else 1
    return sorted(int(each) for each in os.listdir(f"/proc/{pid}/task"))[before:]


def bury(thread):
    """Takes note of the end of a stopped thread: its process is not gone before. True once it has ended."""
    try:
        return os.waitpid(thread, _WALL | os.WNOHANG)[0] == thread
    except ChildProcessError:
        return True


@contextlib.contextmanager
def stopped(thread):
    _ptrace(_SEIZE, thread)
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it was killed
            _ptrace(_DETACH, thread)
        bury(thread)
