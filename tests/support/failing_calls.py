"""Calls of a running engine that fail on demand: failing_calls.c, a library that is loaded before the C library.

    calls = FailingCalls(lab.random)
    engine = lab.engine(top, services, wrap=calls.wrap)
    with calls.failing("sendmsg", errno.ENOBUFS, family=socket.AF_NETLINK, permille=100):
        ...                      # a tenth of the messages to the kernel is refused
    assert calls.failures("sendmsg") > 0
"""

import contextlib
import mmap
import pathlib
import struct

from .hosts import new_folder, run

CALLS = ("socket", "bind", "connect", "listen", "accept", "setsockopt", "getsockopt", "send", "sendto", "sendmsg", "recv",
         "recvfrom", "recvmsg", "open", "fopen", "read", "write", "writev", "epoll_create1", "epoll_ctl", "epoll_wait",
         "eventfd", "timerfd_create", "timerfd_settime", "pipe2", "memfd_create", "pthread_create", "poll", "socketpair",
         "getsockname", "inotify_init1")
SHORT = -1  # instead of an errno: the call is made, and gives back half of what came
SOURCE = pathlib.Path(__file__).with_suffix(".c")
_RULE = struct.Struct("IiIIIIQQQQ")  # as struct rule
_ARMED, _COUNTS = struct.Struct("I"), struct.Struct("QQ")
_COUNTS_AT = _RULE.size - _COUNTS.size


class FailingCalls:
    def __init__(self, random):
        self._random = random
        folder = new_folder("failing-calls")
        library, rules = f"{folder}/failing_calls.so", f"{folder}/rules"
        run("cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", library, SOURCE, "-ldl")
        with open(rules, "wb") as file:
            file.truncate(len(CALLS) * _RULE.size)
        with open(rules, "r+b") as file:
            self._rules = mmap.mmap(file.fileno(), 0)
        # Of the engine alone: neither of what starts it nor of what it starts.
        self.wrap = ("env", f"LD_PRELOAD={library}", f"NFSTEER_FAILING_CALLS={rules}")

    @staticmethod
    def _at(call):
        return CALLS.index(call) * _RULE.size

    def fail(self, call, error, first=0, most=0, permille=1000, family=0, option=0):
        """From now on: after `first` calls, `permille` of them, `most` of them (0: no limit) end with `error`.

        Only those of sockets of `family` are meant, and only those that set or ask `option` (0: any).
        """
        at = self._at(call)
        _ARMED.pack_into(self._rules, at, 0)
        _RULE.pack_into(self._rules, at, 0, error, family, permille, option, self._random.randrange(1 << 32), first, most,
                        0, 0)
        _ARMED.pack_into(self._rules, at, 1)

    def spare(self, call):
        _ARMED.pack_into(self._rules, self._at(call), 0)

    @contextlib.contextmanager
    def failing(self, call, error, **how):
        self.fail(call, error, **how)
        try:
            yield
        finally:
            self.spare(call)

    def reset(self):
        """Nothing fails, counters are 0."""
        for call in CALLS:
            self.spare(call)
        self._rules[:] = bytes(len(self._rules))

    def calls(self, call):
        """Made since it was armed, or since the reset."""
        return _COUNTS.unpack_from(self._rules, self._at(call) + _COUNTS_AT)[0]

    def failures(self, call):
        return _COUNTS.unpack_from(self._rules, self._at(call) + _COUNTS_AT)[1]
