"""System calls that fail as a kernel without a feature, or a stricter one, would have them fail."""

import ctypes
import platform
import struct

_MACHINES = {"x86_64": (0xC000003E, {"socket": 41, "setsockopt": 54, "getsockopt": 55}),
             "aarch64": (0xC00000B7, {"socket": 198, "setsockopt": 208, "getsockopt": 209})}
SUPPORTED = platform.machine() in _MACHINES
REASON = f"support/seccomp.py has no system call numbers of {platform.machine()}"

# Classic BPF over struct seccomp_data: number at 0, architecture at 4, six 64-bit arguments from 16 on (seccomp(2)).
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
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
