"""Network namespaces as hosts, and the processes in them.

Names start with nfs<pid>-, so that runs side by side never meet; everything is removed when the interpreter ends, however
it ends (Host.close, atexit; the conftest turns SIGTERM into an ordinary end).
"""

import atexit
import contextlib
import ctypes
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading

from .poll import wait_until

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_serial = itertools.count(1)
_hosts = set()
_processes = set()


def run(*command, check=True, input=None, timeout=60, env=None):
    """Runs a command of this machine; the result has .stdout and .stderr as text."""
    result = subprocess.run([str(word) for word in command], input=input, capture_output=True, text=True,
                            timeout=timeout, env=env)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {result.returncode}: {result.stderr.strip()}")
    return result


def _set_namespace(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@functools.cache
def _scratch():
    return tempfile.mkdtemp(prefix="nfsteer-test-")


def new_folder(name):
    """A folder that everybody may read, removed with all others when the interpreter ends."""
    os.chmod(_scratch(), 0o755)
    folder = os.path.join(_scratch(), f"{name}-{next(_serial)}")
    os.mkdir(folder, 0o755)
    return folder


# The lock that every iptables program takes belongs to the machine, the tables to a namespace: with a lock of its own a
# run waits for nobody who works on other namespaces.
XTABLES_LOCK = os.environ["XTABLES_LOCKFILE"] = os.path.join(_scratch(), "xtables.lock")


class Process:
    """A child in a namespace; its output goes to files, so that it never blocks on a pipe."""

    def __init__(self, command, env=None, preexec=None, cwd=None):
        self.command = [str(word) for word in command]
        self._out = tempfile.TemporaryFile("w+")
        self._err = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err,
                                      env=env, preexec_fn=preexec, cwd=cwd)
        _processes.add(self)

    @property
    def pid(self):
        return self.child.pid

    @property
    def stdout(self):
        return self._text(self._out)

    @property
    def stderr(self):
        return self._text(self._err)

    @staticmethod
    def _text(file):
        # pread: the child shares the file's offset and writes at it.
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=20.0):
        """The exit code; negative for a signal."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s: {' '.join(self.command)}\n{self.stderr}")

    def close(self):
        if self.running():
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()
        self._out.close()
        self._err.close()
        _processes.discard(self)


class Task(threading.Thread):
    """A thread in a namespace whose result or exception is fetched with result()."""

    def __init__(self, host, function, *arguments):
        super().__init__(daemon=True)
        self._host, self._function, self._arguments = host, function, arguments
        self._value = self._error = None
        self.start()

    def run(self):
        try:
            with self._host.inside():
                self._value = self._function(*self._arguments)
        except BaseException as error:  # handed to whoever asks for the result
            self._error = error

    def result(self, seconds=60.0):
        self.join(seconds)
        assert not self.is_alive(), f"still running after {seconds:g} s: {self._function}"
        if self._error:
            raise self._error
        return self._value


class Host:
    """A network namespace."""

    def __init__(self, name):
        self.name = name
        self.namespace = f"nfs{os.getpid()}-{next(_serial)}-{name}"
        self.path = f"/run/netns/{self.namespace}"
        run("ip", "netns", "add", self.namespace)
        _hosts.add(self)
        self.processes = []
        self.servers = []  # closed with the host
        # No duplicate address detection: addresses are usable at once. All forwarding off, redirects neither sent nor
        # believed, so that packets take the way the drawing shows.
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv4.conf.all.send_redirects", 0)
        self.sysctl("net.ipv4.conf.default.send_redirects", 0)
        self.ip("link set lo up")

    def ip(self, *lines):
        """Commands of ip(8), one a line."""
        run("ip", "-n", self.namespace, "-batch", "-", input="\n".join(lines) + "\n")

    def sysctl(self, key, value=None):
        with self.inside():
            with open("/proc/sys/" + key.replace(".", "/"), "r" if value is None else "w") as file:
                return file.read().strip() if value is None else file.write(str(value))

    @contextlib.contextmanager
    def inside(self):
        """The calling thread lives in this namespace; sockets made there stay there."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _set_namespace(there)
            finally:
                os.close(there)
            try:
                yield self
            finally:
                _set_namespace(before)
        finally:
            os.close(before)

    def read(self, path):
        """A file of /proc as this namespace sees it; /proc/net is that of the main thread, so ask for thread-self/net."""
        with self.inside():
            with open(path.replace("/proc/net/", "/proc/thread-self/net/")) as file:
                return file.read()

    def run(self, *command, **options):
        return run("nsenter", f"--net={self.path}", "--", *command, **options)

    def start(self, *command, **options):
        # pdeathsig: whatever ends this interpreter, and wherever it stands then, ends the process too.
        process = Process(["setpriv", "--pdeathsig", "KILL", "--", "nsenter", f"--net={self.path}", "--", *command],
                          **options)
        self.processes.append(process)
        return process

    def spawn(self, function, *arguments):
        return Task(self, function, *arguments)

    def counter(self, name):
        """One counter of /proc/net/netstat or /proc/net/snmp, for instance TcpExt.TCPSynRetrans."""
        group, field = name.split(".")
        for file in ("/proc/net/netstat", "/proc/net/snmp"):
            lines = [line.split() for line in self.read(file).splitlines() if line.startswith(group + ":")]
            for names, values in zip(lines[::2], lines[1::2]):
                if field in names:
                    return int(values[names.index(field)])
        raise KeyError(name)

    def close(self):
        for server in self.servers:
            server.close()
        for process in self.processes:
            process.close()
        run("ip", "netns", "del", self.namespace, check=False)
        _hosts.discard(self)


def connect(left, left_interface, right, right_interface):
    """A veth pair between two hosts, both ends up."""
    run("ip", "-n", left.namespace, "link", "add", left_interface, "type", "veth", "peer", "name", right_interface,
        "netns", right.namespace)
    left.ip(f"link set {left_interface} up")
    right.ip(f"link set {right_interface} up")


def wait_listening(host, port, kind="tcp", seconds=10.0):
    """Until a TCP or UDP socket of the host is bound to `port`."""
    def bound():
        for file in (f"/proc/net/{kind}", f"/proc/net/{kind}6"):
            for line in host.read(file).splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if int(local.rsplit(":", 1)[1], 16) == port and (kind == "udp" or state == "0A"):
                    return True
        return False
    wait_until(bound, f"{kind} port {port} of {host.name}", seconds)


@atexit.register
def close_everything():
    for process in list(_processes):
        process.close()
    for host in list(_hosts):
        host.close()
    shutil.rmtree(_scratch(), ignore_errors=True)
