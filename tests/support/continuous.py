"""Continuous traffic of every kind through a VIP, in which each failed or wrong answer is counted, with time and cause.

    new    TCP: a request on a connection of its own, again and again
    kept   TCP: requests on connections that last, each always answered by the same server
    flows  UDP: flows of some datagrams each; each datagram is answered, as it was sent, by the flow's server
    big    TCP: downloads that last as long as the traffic does, every byte checked

A fault may cost none of that, but for what assert_flawless() is told to excuse.
"""

import collections
import select
import threading
import time

from .engine import service
from .poll import SLOWNESS, wait_until
from .traffic import Load, Transfer, udp_flow

Failure = collections.namedtuple("Failure", "kind started ended error")
Mark = collections.namedtuple("Mark", "what began ended")


def steered(top, family=4, mode="connection", weights=(1, 3), **fields):
    """The services of this traffic: "web" (TCP, port 80) and "dns" (UDP, port 5000)."""
    backends = [{"address": top.backend(number, family), "weight": weight} for number, weight in enumerate(weights, 1)]
    return [service(name, top.vip[family], backends, protocol=protocol, port=port, mode=mode, **fields)
            for name, protocol, port in (("web", "tcp", 80), ("dns", "udp", 5000))]


class UdpFlows:
    """One thread that keeps some flows going. A flow has one datagram under way at a time, so none overtakes another.

    A datagram counts as lost only if no answer has come by the end of all, at least `patience` seconds after it: what
    merely waits somewhere, for an engine that is stopped, is no failure. Meanwhile another flow takes its place.
    """

    class _Flow:
        def __init__(self, socket):
            self.socket, self.server, self.number, self.sent = socket, None, 0, 0.0

        def send(self):
            self.number += 1
            self.sent = time.monotonic()
            self.socket.send(self.data())

        def data(self):
            return b"%d of %d" % (self.number, self.socket.getsockname()[1])

    def __init__(self, host, address, port=5000, flows=8, datagrams=6, pause=0.01, patience=3.0):
        self.names = collections.Counter()
        self.failures = []  # (started, ended, error)
        self._make = lambda: self._Flow(udp_flow(address, port))
        self._datagrams, self._pause, self._patience = datagrams, pause, patience
        self._over = threading.Event()
        self._task = host.spawn(self._main, flows)

    def _main(self, count):
        flows = {}  # by descriptor, all that wait for an answer
        poll = select.poll()

        def begin():
            try:
                flow = self._make()
            except OSError as error:  # no route to the VIP
                self.failures.append((time.monotonic(), time.monotonic(), f"beginning a flow: {error!r}"))
                return
            flows[flow.socket.fileno()] = flow
            poll.register(flow.socket, select.POLLIN)
            if not self._send(flow):
                end(flow)

        def end(flow):
            poll.unregister(flow.socket)
            del flows[flow.socket.fileno()]
            flow.socket.close()

        while not self._over.wait(self._pause):
            prompt = sum(time.monotonic() - flow.sent < 0.5 for flow in flows.values())
            for _ in range(count - prompt):
                begin()
            for descriptor, _ in poll.poll(100):
                flow = flows[descriptor]
                goes_on = self._receive(flow) and flow.number < self._datagrams
                if not goes_on or not self._send(flow):
                    end(flow)
        while any(time.monotonic() - flow.sent < self._patience for flow in flows.values()):
            for descriptor, _ in poll.poll(100):
                self._receive(flows[descriptor])
                end(flows[descriptor])
        for flow in list(flows.values()):
            self._fail(flow, "no answer")
            end(flow)

    def _send(self, flow):
        try:
            flow.send()
        except OSError as error:
            return self._fail(flow, f"sending: {error!r}")
        return True

    def _receive(self, flow):
        """False: the flow has failed."""
        try:
            name, _, echo = flow.socket.recv(2048).partition(b" ")
        except OSError as error:
            return self._fail(flow, repr(error))
        if echo != flow.data():
            return self._fail(flow, f"{echo!r} came back, not {flow.data()!r}")
        flow.server = flow.server or name
        if name != flow.server:
            return self._fail(flow, f"{name.decode()} answered in a flow of {flow.server.decode()}")
        self.names[name.decode()] += 1
        return True

    def _fail(self, flow, error):
        self.failures.append((flow.sent, time.monotonic(), f"datagram {flow.number} of its flow: {error}"))
        return False

    @property
    def done(self):
        if not self._task.is_alive() and not self._over.is_set():
            self._task.result()
        return sum(self.names.values())

    def stop(self):
        self._over.set()
        self._task.result(30)
        return self


class Continuous:
    """All of it, from `host` (the topology's client) until stop(). A part is left out by the number 0."""

    def __init__(self, top, family=4, new=2, kept=2, flows=8, big=1, host=None):
        host, vip = host or top.client, top.vip[family]
        self._began = time.monotonic()
        self.flows = flows
        self.marks = []  # what was done to it meanwhile
        self.parts = {}
        if new:
            self.parts["new"] = Load(host, vip, threads=new, pause=0.002)
        if kept:
            self.parts["kept"] = Load(host, vip, threads=kept, keep_alive=True, pause=0.005)
        if flows:
            self.parts["flows"] = UdpFlows(host, vip, flows=flows)
        self._transfer = lambda: Transfer(host, vip)
        self.transfers = [self._transfer() for _ in range(big)]
        self.downloads = 0  # that are over, every byte of them right
        self._stopped = False
        self.more("the traffic runs")

    def done(self):
        """Right answers so far, by kind."""
        return {kind: part.done for kind, part in self.parts.items()} | {"big": self.downloads}

    def failures(self):
        failed = [Failure(kind, *each) for kind, part in self.parts.items() for each in part.failures]
        return sorted(failed, key=lambda each: each.started)

    def more(self, what="the traffic goes on", answers=30, seconds=20.0):
        """Until each kind has got so many more answers."""
        goal = {kind: part.done + answers for kind, part in self.parts.items()}
        wait_until(lambda: all(part.done >= goal[kind] for kind, part in self.parts.items()),
                   lambda: f"{what}: {self.done()}, wanted {goal}; {self._tell(self.failures())}", seconds)
        for index, transfer in enumerate(self.transfers):
            if transfer.over():  # a download lasts half a minute
                transfer.whole()
                self.downloads += 1
                self.transfers[index] = self._transfer()

    def mark(self, what, began, ended=None):
        self.marks.append(Mark(what, began, ended or time.monotonic()))

    def stop(self):
        """A download that ends by itself just now has lasted for as long as its client let it."""
        if not self._stopped:
            self._stopped = True
            for transfer in self.transfers:
                transfer.whole() if transfer.over() else transfer.result()
                self.downloads += 1
            for part in self.parts.values():
                part.stop()
        return self

    def assert_flawless(self, note="", excuse=lambda failure: False):
        """Stops; no failure but those that excuse(failure) is true of, see lost_in_queue() and open_at()."""
        self.stop()
        bad = [each for each in self.failures() if not excuse(each)]
        assert not bad, f"{note}: {self._tell(bad)}"
        silent = [kind for kind, done in self.done().items() if not done and (kind != "big" or self.transfers)]
        assert not silent, f"{note}: no traffic: {silent}"
        return self

    def _tell(self, failures):
        def line(failure):
            before = [mark for mark in self.marks if mark.began <= failure.ended]
            last = (f"; last before its end: {before[-1].what}, {before[-1].began - self._began:.3f} to "
                    f"{before[-1].ended - self._began:.3f} s") if before else ""
            return (f"{failure.kind}, {failure.started - self._began:.3f} to {failure.ended - self._began:.3f} s: "
                    f"{failure.error}{last}")
        text = "\n  ".join(line(each) for each in failures[:10])
        return f"{len(failures)} failures beside {sum(self.done().values())} right answers\n  {text}"


def lost_in_queue(kills, most_each, waited_max=2.0 * SLOWNESS):
    """Excuses UDP datagrams that waited in the queue when an engine was killed; TCP sends again what it lost.

    `kills`: marks. A datagram is excused if it was on its way when a kill began, sent at most `waited_max` seconds before;
    at most `most_each` of each kill.
    """
    room = collections.Counter()

    def excuse(failure):
        if failure.kind != "flows" or not failure.error.endswith("no answer"):
            return False
        for number, kill in enumerate(kills):
            if kill.began - waited_max < failure.started <= kill.ended <= failure.ended and room[number] < most_each:
                room[number] += 1
                return True
        return False
    return excuse


def open_at(marks):
    """Excuses what was under way while something happened that may break it, and nothing that began later."""
    return lambda failure: any(failure.started <= mark.ended and failure.ended >= mark.began for mark in marks)
