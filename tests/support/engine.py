"""nfsteer as a process in a host."""

import functools
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket

from .hosts import new_folder, run
from .poll import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("NFSTEER_BIN", str(ROOT / "build/release/engine/nfsteer"))
MODES = ("dnat", "connection", "inspect", "rewrite")
REPORT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|WARNING: ThreadSanitizer")


@functools.cache
def sanitized():
    """Built with a sanitizer, which uses descriptors, memory and time of its own."""
    program = pathlib.Path(BINARY).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def service(name="web", vip=None, backends=(), **fields):
    """A service of the configuration; a backend is an address, or a dictionary of its fields."""
    return {"name": name, "vip": vip, **fields,
            "backends": [{"address": each} if isinstance(each, str) else each for each in backends]}


class Answer:
    """Of the control API."""

    def __init__(self, response):
        self.status, self.headers, self.text = response.status, dict(response.getheaders()), response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def etag(self):
        return self.headers.get("ETag")

    def __repr__(self):
        return f"{self.status} {self.text[-2000:]}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, seconds):
        super().__init__("nfsteer", timeout=seconds)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Outcome:
    """How a command ended."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    def __repr__(self):
        return f"exit {self.code}, stdout {self.stdout[-500:]!r}, stderr {self.stderr[-2000:]!r}"


class Engine:
    """`services` (dictionaries, see service()) become a configuration file; `flags` are given as they are."""

    def __init__(self, host, services=None, flags=(), engine=None, wrap=(), preexec=None, program=BINARY):
        self.host, self._wrap, self._preexec, self._program = host, wrap, preexec, program
        self.folder = pathlib.Path(new_folder("engine"))
        self.control = str(self.folder / "control.sock")
        self.file = self.folder / "nfsteer.yaml"
        self.flags = [str(flag) for flag in flags]
        self.settings = {"queues": 2, **(engine or {})}
        self.process = None
        self._past = []  # of earlier starts
        if services is not None:
            self.configure(services)
            self.flags = ["-c", str(self.file), *self.flags]

    def configure(self, services):
        """Writes the file (JSON is YAML); reload() or the next start reads it."""
        self.services = services
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"engine": self.settings, "services": services}, indent=1))
        fresh.replace(self.file)

    def launch(self):
        """Starts without waiting."""
        if self.process:
            self._past.append(self.process)
        self.process = self.host.start(*self._wrap, self._program, "run", *self.flags, "--control", self.control,
                                       preexec=self._preexec)
        return self

    def start(self, seconds=20.0):
        self.launch()
        wait_until(lambda: self._said("ready:") or not self.process.running(), "the engine says ready:", seconds)
        assert self.process.running(), f"the engine ended: {self.outcome()}"
        return self

    def _said(self, text):
        return text in self.process.stderr or text in self.process.stdout

    @property
    def stderr(self):
        return self.process.stderr

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """Their ids, without that of the process that starts them."""
        ids = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(each) for each in ids if self._name(each) not in ("nfsteer-spawner", None)]

    def spawner(self):
        """The id of the process that runs programs for it."""
        ids = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return next(int(each) for each in ids if self._name(each) == "nfsteer-spawner")

    @staticmethod
    def _name(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            return None

    def running(self):
        return self.process is not None and self.process.running()

    def outcome(self, seconds=20.0):
        """Waits for the end."""
        return Outcome(self.process.wait(seconds), self.process.stdout, self.process.stderr)

    def stop(self, seconds=20.0, with_signal=signal.SIGTERM):
        """A clean stop: exit 0 and nothing from a sanitizer."""
        self.process.signal(with_signal)
        outcome = self.outcome(seconds)
        assert outcome.code == 0, f"a clean stop must end with exit 0: {outcome}"
        assert not REPORT.search(outcome.stderr), outcome.stderr
        return outcome

    def kill9(self):
        self.process.signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL

    def freeze(self):
        self.process.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", "the engine is stopped", interval=0.001)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def _state(self):
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

    def command(self, *words, seconds=20.0):
        """A command that speaks to this engine."""
        result = run(BINARY, *words, "--control", self.control, check=False, timeout=seconds)
        return Outcome(result.returncode, result.stdout, result.stderr)

    def _must(self, *words):
        outcome = self.command(*words)
        assert outcome.code == 0, f"nfsteer {' '.join(words)}: {outcome}"
        return outcome

    def status(self):
        return json.loads(self._must("status", "--json").stdout)

    def service(self, name="web"):
        return next(each for each in self.status()["services"] if each["name"] == name)

    def picks(self, name="web"):
        """By address."""
        return {each["address"]: each["picks"] for each in self.service(name)["backends"]}

    def total(self, field):
        """A worker counter, of all workers."""
        return sum(worker[field] for worker in self.status()["workers"])

    def mode(self, mode, name="web"):
        self._must("mode", name, mode)

    def weight(self, backend, weight, name="web"):
        self._must("weight", name, backend, str(weight))

    def reload(self):
        self._must("reload")

    def api(self, method, path, body=None, headers=None, seconds=20.0):
        """One request; `body` is sent as JSON, or as it is if it is bytes."""
        connection = _UnixConnection(self.control, seconds)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def open(self, seconds=5.0):
        """A socket that is connected to the control socket."""
        each = socket.socket(socket.AF_UNIX)
        each.settimeout(seconds)
        each.connect(self.control)
        return each

    def speak(self, request, seconds=5.0):
        """Raw bytes to the control socket, and what comes back."""
        with self.open(seconds) as each:
            each.sendall(request)
            answer = b""
            try:
                while piece := each.recv(65536):
                    answer += piece
            except TimeoutError:
                pass
            return answer

    def log(self):
        return "".join(f"--- {process.command} exit {process.child.poll()}\n{process.stderr}"
                       for process in [*self._past, *([self.process] if self.process else [])])

    def close(self):
        for process in [*self._past, *([self.process] if self.process else [])]:
            process.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def nfsteer(host, *words, preexec=None, seconds=30.0, wrap=()):
    """A command that ends by itself, run in the host."""
    process = host.start(*wrap, BINARY, *words, preexec=preexec)
    try:
        return Outcome(process.wait(seconds), process.stdout, process.stderr)
    finally:
        process.close()
