"""System calls that fail as a kernel without a feature, or a stricter one, would have them fail."""

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading

_MACHINES = {"x86_64": (0xC000003E, {"socket": 41, "sendto": 44, "sendmsg": 46, "setsockopt": 54,
                                         "getsockopt": 55, "seccomp": 317}),
             "aarch64": (0xC00000B7, {"socket": 198, "sendto": 206, "sendmsg": 211, "setsockopt": 208,
                                          "getsockopt": 209, "seccomp": 277})}
SUPPORTED = platform.machine() in _MACHINES
REASON = f"support/seccomp.py has no system call numbers of {platform.machine()}"

# Classic BPF over struct seccomp_data: number at 0, architecture at 4, six 64-bit arguments from 16 on (seccomp(2)).
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO, _NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2


def _program(rules):
    machine, numbers = _MACHINES[platform.machine()]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _ALLOW)]
    for call, arguments, error in rules:
        checks = [(0, numbers[call]), *((16 + 8 * index, value) for index, value in arguments.items())]
        for position, (offset, value) in enumerate(checks):
            past_this_rule = 2 * (len(checks) - position - 1) + 1
            steps += [(_LOAD, 0, 0, offset), (_EQUAL, 0, past_this_rule, value)]
        steps.append((_RETURN, 0, 0, _ERRNO | error))
    steps.append((_RETURN, 0, 0, _ALLOW))
    return len(steps), b"".join(struct.pack("<HBBI", *step) for step in steps)


def refuse(*rules):
    """A preexec function. A rule is (call, {argument index: value}, errno): such a call fails with errno."""
    length, program = _program(rules)
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        buffer = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("<HxxxxxxQ", length, ctypes.addressof(buffer))
        if (libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                or libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(header), 0, 0)):
            raise OSError(ctypes.get_errno(), "seccomp")
    return install


# ---- a kernel that lacks something, by name

_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1  # linux/seccomp.h, ioctls of seccomp_notif and seccomp_notif_resp
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_PIDFD_GETFD = 438  # on every machine
_FREE_SUBSYSTEM = 200  # of nfnetlink; no kernel has it


class Lacking:
    """A kernel without some features, for the processes that start with .preexec: their calls are judged here, one by one
    (seccomp_unotify(2)), so that what they ask for can be told apart by its name. The features:

        ("table", family, name)      a legacy table; without a name, all of the family: no ip_tables module
        ("target", family, name)     an extension; family 4 or 6
        ("match", family, name)
        ("match", family, name, "older")  as of a kernel that has only earlier revisions of it; targets, too
        ("netlink", call, subsystem) an nfnetlink subsystem, in what is sent by `call`, sendto or sendmsg. The kernel itself
                                     answers that it is missing: the message is made one for a subsystem there is not.
    """

    def __init__(self, *features):
        self._features = features
        calls = {"table": "getsockopt", "target": "getsockopt", "match": "getsockopt"}
        self._calls = {feature[1] if feature[0] == "netlink" else calls[feature[0]] for feature in features}
        self._ours, self._theirs = socket.socketpair()
        self._closed = False
        self._judges = []
        self._fetcher = threading.Thread(target=self._fetch, daemon=True)
        self._fetcher.start()

    def preexec(self):
        machine, numbers = _MACHINES[platform.machine()]
        steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
        for call in self._calls:
            steps += [(_EQUAL, 0, 1, numbers[call]), (_RETURN, 0, 0, _NOTIFY)]
        steps.append((_RETURN, 0, 0, _ALLOW))
        program = b"".join(struct.pack("<HBBI", *step) for step in steps)
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(buffer))
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        listener = libc.syscall(numbers["seccomp"], _SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, ctypes.c_char_p(header))
        if listener < 0:
            raise OSError(ctypes.get_errno(), "seccomp")
        # No call that may be judged: the one who judges fetches the listener, and says so.
        os.write(self._theirs.fileno(), struct.pack("<ii", os.getpid(), listener))
        os.read(self._theirs.fileno(), 1)
        os.close(listener)

    def close(self):
        self._closed = True
        self._ours.shutdown(socket.SHUT_RDWR)
        for thread in (self._fetcher, *self._judges):
            thread.join(5)
        self._ours.close()
        self._theirs.close()

    def _fetch(self):
        libc = ctypes.CDLL(None, use_errno=True)
        while told := self._ours.recv(8):
            process = os.pidfd_open(struct.unpack("<ii", told)[0])
            listener = libc.syscall(_PIDFD_GETFD, process, struct.unpack("<ii", told)[1], 0)
            os.close(process)
            judge = threading.Thread(target=self._judge, args=(listener,), daemon=True)
            judge.start()
            self._judges.append(judge)
            self._ours.send(b"x")

    def _judge(self, listener):
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        with os.fdopen(listener, "rb"):
            while not self._closed:
                told = poll.poll(200)
                if not told:
                    continue
                if not told[0][1] & select.POLLIN:
                    return  # hung up: nobody is left who could ask
                request = bytearray(80)
                try:
                    fcntl.ioctl(listener, _RECEIVE, request)
                except OSError as error:
                    if error.errno in (errno.EINTR, errno.ENOENT):
                        continue  # who asked is gone
                    return
                identity, pid, _, number, _, _, *arguments = struct.unpack("<QIIiIQ6Q", request)
                refusal = self._verdict(pid, number, arguments)
                answer = struct.pack("<QqiI", identity, 0, -refusal, 0 if refusal else _CONTINUE)
                try:
                    fcntl.ioctl(listener, _SEND, answer)
                except OSError:
                    pass  # who asked is gone

    def _verdict(self, pid, number, arguments):
        """The errno, or 0: the call is made."""
        numbers = _MACHINES[platform.machine()][1]
        call = next(name for name in self._calls if numbers[name] == number)
        try:
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                return max((self._judged(memory, call, arguments, feature) for feature in self._features), default=0)
        except OSError:
            return 0  # who asked is gone

    @staticmethod
    def _judged(memory, call, arguments, feature):
        def read(address, size):
            memory.seek(address)
            return memory.read(size)

        kind, *what = feature
        if call == "getsockopt" and kind in ("table", "target", "match"):
            level, option, name = {4: 0, 6: 41}[what[0]], arguments[2], what[1] if len(what) > 1 else None
            # IPT_SO_GET_INFO, _ENTRIES, _REVISION_MATCH, _REVISION_TARGET; IPv6 has the last two at 68 and 69.
            options = {"table": (64, 65), "match": (66, 68), "target": (67, 69)}[kind]
            if arguments[1] != level:
                return 0
            if name is None:
                return errno.ENOPROTOOPT if 64 <= option <= 69 else 0
            asked = read(arguments[3], 32).split(b"\0")[0].decode()
            if option not in options or asked != name:
                return 0
            return errno.EPROTONOSUPPORT if what[2:] == ["older"] else errno.ENOENT
        if kind == "netlink" and call == what[0]:
            address = arguments[1]
            if call == "sendmsg":  # struct msghdr: the first of its buffers
                address = struct.unpack("<Q", read(struct.unpack("<Q", read(arguments[1] + 16, 8))[0], 8))[0]
            if read(address + 5, 1)[0] == what[1]:
                memory.seek(address + 5)
                memory.write(bytes([_FREE_SUBSYSTEM]))
        return 0
