"""Clients that count every failed or wrong answer, and who answered."""

import collections
import hashlib
import itertools
import random
import select
import socket
import threading
import time

from . import servers
from .poll import SLOWNESS

REQUEST_SECONDS = 12.0  # longer than three retransmissions of a SYN (1, 2 and 4 s)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class WrongAnswer(Exception):
    pass


def open_tcp(address, port=80, seconds=REQUEST_SECONDS, options=(), source=None):
    """A connected socket of the calling thread's namespace.

    The handshake's last ACK waits for the data and goes with it: one packet instead of two that two processors may bring
    to the server at once, of which the kernel resets one in some hundred thousand (tests/kernels/handshake_race.py).
    """
    opened = socket.socket(_family(address), socket.SOCK_STREAM)
    try:
        opened.settimeout(seconds)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        for option in options:
            opened.setsockopt(*option)
        if source:
            opened.bind((source, 0))
        opened.connect((address, port))
    except BaseException:
        opened.close()
        raise
    return opened


class HttpConnection:
    """HTTP/1.1 over one TCP connection made by the calling thread, in its namespace."""

    def __init__(self, address, port=80, seconds=REQUEST_SECONDS, options=()):
        self.socket = open_tcp(address, port, seconds, options)
        self.headers = {}
        self._read = b""  # of the body, with the header

    def begin(self, path, last=False):
        """Sends a request and reads the header of its answer into .headers (names in lower case); the body's length."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: vip\r\n{'Connection: close' if last else 'X: y'}\r\n\r\n"
                            .encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(4096)
        head, self._read = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        if lines[0] != "HTTP/1.1 200 OK":
            raise WrongAnswer(lines[0])
        self.headers = dict((key.lower(), value) for key, value in (line.split(": ", 1) for line in lines[1:]))
        return int(self.headers["content-length"])

    def read(self, size):
        """At most `size` bytes of the body, at least one."""
        data, self._read = (self._read[:size], self._read[size:]) if self._read else (self._more(size), b"")
        return data

    def get(self, path="/", last=False):
        """The whole body."""
        missing, pieces = self.begin(path, last), []
        while missing:
            pieces.append(self.read(missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _more(self, size):
        data = self.socket.recv(size)
        if not data:
            raise WrongAnswer("connection ended in the middle of an answer")
        return data

    def name(self, path="/", last=False):
        return self.get(path, last).decode().strip()

    def close(self):
        self.socket.close()


def ask(address, port=80, seconds=REQUEST_SECONDS, options=()):
    """One request on a connection of its own: (server's name, server's port)."""
    connection = HttpConnection(address, port, seconds, options)
    try:
        name = connection.name(last=True)
        return name, int(connection.headers["x-port"])
    finally:
        connection.close()


def http_names(host, address, port=80, requests=400, threads=4):
    """Who answered `requests` requests, each on a new connection; any failure is raised."""
    def some(count):
        return collections.Counter(ask(address, port)[0] for _ in range(count))
    tasks = [host.spawn(some, (requests + first) // threads) for first in range(threads)]
    return sum((task.result() for task in tasks), collections.Counter())


_source_ports = itertools.cycle(range(10000, 32000))  # below those the kernel hands out


def udp_flow(address, port=5000):
    """A connected socket of a flow that is new, made in the calling thread's namespace."""
    flow = socket.socket(_family(address), socket.SOCK_DGRAM)
    flow.settimeout(10)
    try:
        flow.bind(("", next(_source_ports)))
        flow.connect((address, port))
    except OSError:
        flow.close()
        raise
    return flow


def udp_names(host, address, port=5000, flows=400, data=b"who?", seconds=5.0, options=(), kernel_ports=False):
    """Who answered the first datagram of `flows` flows; an unanswered flow counts under None, a wrong answer raises.

    Source ports are new each time, since one that conntrack still remembers would go where it went before;
    kernel_ports leaves the choice to the kernel all the same.
    """
    def main():
        counts = collections.Counter()
        for start in range(0, flows, 200):
            waiting = {}
            poll = select.poll()
            for _ in range(min(200, flows - start)):
                each = socket.socket(_family(address), socket.SOCK_DGRAM)
                for option in options:
                    each.setsockopt(*option)
                if not kernel_ports:
                    each.bind(("", next(_source_ports)))
                each.connect((address, port))  # from now on only the VIP's answers are taken
                poll.register(each, select.POLLIN)
                waiting[each.fileno()] = each
                each.send(data)
            deadline = time.monotonic() + seconds
            while waiting and (left := deadline - time.monotonic()) > 0:
                for number, _ in poll.poll(left * 1000):
                    name, _, echo = waiting[number].recv(65536).partition(b" ")
                    if echo != data:
                        raise WrongAnswer(f"{len(echo)} bytes came back, not the {len(data)} sent")
                    counts[name.decode()] += 1
                    poll.unregister(number)
                    waiting.pop(number).close()
            counts[None] += len(waiting)
            for each in waiting.values():
                each.close()
        return +counts
    return host.spawn(main).result()


def udp_ask(address, port=5000, data=b"who?", seconds=5.0, options=(), source=None):
    """One datagram, in the calling thread's namespace: (name, echo)."""
    with socket.socket(_family(address), socket.SOCK_DGRAM) as each:
        for option in options:
            each.setsockopt(*option)
        if source:
            each.bind(source)
        each.settimeout(seconds)
        each.connect((address, port))
        each.send(data)
        name, _, echo = each.recv(65536).partition(b" ")
        return name.decode(), echo


class Load:
    """Requests without pause from several threads of a host until stop(); counts and failures are exact.

    keep_alive: one connection per thread for the whole time, and each must always be answered by the same server.
    """

    Failure = collections.namedtuple("Failure", "started ended error")

    def __init__(self, host, address, port=80, threads=2, keep_alive=False, pause=0.0, seconds=REQUEST_SECONDS):
        self.names = collections.Counter()
        self.failures = []
        self.slowest = 0.0  # seconds
        self._arguments = (address, port, seconds)
        self._keep_alive, self._pause = keep_alive, pause
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._tasks = [host.spawn(self._client) for _ in range(threads)]

    def _client(self):
        connection, first = None, None
        while not self._over.is_set():
            started = time.monotonic()
            try:
                if self._keep_alive:
                    connection = connection or HttpConnection(*self._arguments)
                    name = connection.name()
                    first = first or name
                    if name != first:
                        raise WrongAnswer(f"{name} answered on a connection of {first}")
                else:
                    name, _ = ask(*self._arguments)
            except (OSError, WrongAnswer, ValueError, KeyError) as error:
                with self._lock:
                    self.failures.append(self.Failure(started, time.monotonic(), repr(error)))
                if connection:
                    connection.close()
                connection = first = None
                self._over.wait(0.05)
                continue
            with self._lock:
                self.names[name] += 1
                self.slowest = max(self.slowest, time.monotonic() - started)
            if self._pause:
                self._over.wait(self._pause)
        if connection:
            connection.close()

    @property
    def done(self):
        return sum(self.names.values())

    def stop(self):
        self._over.set()
        for task in self._tasks:
            task.result(30)
        return self

    def assert_flawless(self, note=""):
        assert not self.failures, (f"{note}: {len(self.failures)} of {self.done + len(self.failures)} requests failed, "
                                   f"the first: {self.failures[0]}")
        assert self.done > 0, f"{note}: no request was made"


class Transfer:
    """A download over one connection that lasts until result() is asked for: until then the client reads slowly, which
    holds the server back, then it takes the rest. Every byte is checked; the result is the server's name."""

    def __init__(self, host, address, port=80, bytes_per_second=1 << 20):
        self._hurry = threading.Event()
        self._step = bytes_per_second // (50 * SLOWNESS)
        self._task = host.spawn(self._main, address, port)

    def _main(self, address, port):
        connection = HttpConnection(address, port)
        try:
            digest, missing = hashlib.sha256(), connection.begin("/big")
            while missing:
                size = min(missing, 1 << 18 if self._hurry.is_set() else self._step)
                data = connection.read(size)
                digest.update(data)
                missing -= len(data)
                self._hurry.wait(0.02)
        finally:
            connection.close()
        if digest.digest() != servers.big_digest():
            raise WrongAnswer("the bytes received are not the file")
        return connection.headers["x-server"]

    def over(self):
        return not self._task.is_alive()

    def whole(self):
        """Of one that is over: the server's name, or the error that ended it."""
        return self._task.result()

    def result(self, seconds=60):
        """The transfer must have lasted until now, or it proves nothing."""
        if self.over():
            self._task.result()
            raise AssertionError("the transfer was over too soon")
        self._hurry.set()
        return self._task.result(seconds)


def upload(address, port=5001, size=1 << 20, fast_open=False):
    """Sends `size` random bytes, checks the server's digest of them; returns (server, TCP_INFO of the connection)."""
    data = random.randbytes(size)
    with socket.socket(_family(address), socket.SOCK_STREAM) if fast_open else open_tcp(address, port) as each:
        each.settimeout(REQUEST_SECONDS)
        sent = each.sendto(data, socket.MSG_FASTOPEN, (address, port)) if fast_open else 0
        each.sendall(data[sent:])
        each.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := each.recv(4096):
            answer += piece
        name, _, digest = answer.decode().partition(" ")
        if digest != hashlib.sha256(data).hexdigest():
            raise WrongAnswer(f"the server read something else: {answer!r}")
        return name, each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
