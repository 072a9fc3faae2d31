"""When things go wrong: crashes, stops under load, full queues, a second engine.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2      VIP 10.9.0.40
"""

import collections
import errno
import signal
import socket
import struct
import threading
import time

import pytest

from support import packets, seccomp, tables
from support.continuous import Continuous
from support.engine import MODES, service
from support.faults import vip_fails_soon
from support.poll import wait_until
from support.servers import UdpServer
from support.stats import assert_shares
from support.topology import address
from support.traffic import HttpConnection, ask, http_names, udp_flow, udp_names

EVEN = {"server1": 1, "server2": 1}
WEIGHTS = {"server1": 1, "server2": 3}
KINDS = pytest.mark.parametrize("kind", ["local", "routed"])
QUEUED = pytest.mark.parametrize("mode", ["connection", "inspect", "rewrite"])


@KINDS
@QUEUED
def test_kill_9_under_load_and_restart(lab, kind, mode):
    """Open connections go on, new ones take the ladder, and the next engine takes over without losing one."""
    top = lab.topology(kind)
    engine = lab.web(top, mode=mode)
    load = Continuous(top, flows=0, big=2)
    engine.kill9()
    load.more("requests go on without an engine")
    assert_shares(http_names(top.client, top.vip[4], requests=200), WEIGHTS, "the ladder alone")
    engine.start()
    load.more("requests go on with the next engine")
    picks = engine.service()["picks"]
    assert_shares(http_names(top.client, top.vip[4], requests=200), WEIGHTS, "the next engine")
    assert engine.service()["picks"] >= picks + 200
    load.assert_flawless("kill -9 and restart")


@KINDS
@pytest.mark.parametrize("mode", MODES)
def test_sigterm_under_load_fails_no_request(lab, kind, mode):
    top = lab.topology(kind)
    engine = lab.web(top, mode=mode)
    load = Continuous(top, flows=0, big=2)
    retransmitted = top.client.counter("TcpExt.TCPSynRetrans")
    engine.stop()
    load.more("requests go on after the stop")
    engine.start()
    load.more("requests go on after the start")
    load.assert_flawless("stop and start")
    assert top.client.counter("TcpExt.TCPSynRetrans") == retransmitted, "a stop or start lost SYNs"


@pytest.mark.parametrize("mode", MODES)
def test_sigterm_under_load_that_removes_the_rules_spares_what_had_begun(lab, mode):
    """Every request started before the stop, and every open connection; only later ones find the VIP gone.

    Conntrack, which carries them, works in a network namespace only while some rule asks for it; where ours were the
    only ones, removing them ends every translation. So this host has another, as one with a stateful firewall does.
    """
    top = lab.topology(lab.random.choice(["local", "routed"]))
    top.engine_host.run("iptables-legacy", "-w", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID")
    engine = lab.web(top, mode=mode, engine={"on_stop": "remove"})
    vip_fails_soon(top.engine_host)
    load = Continuous(top, flows=0, big=2)
    stopped = time.monotonic()
    engine.stop()
    kept = load.parts["kept"]
    goal = kept.done + 40
    wait_until(lambda: kept.done >= goal or kept.failures, "kept connections go on")
    load.assert_flawless("had begun", excuse=lambda failure: failure.kind == "new" and failure.started >= stopped)
    assert not tables.ours(top.engine_host)


class NewFlows:
    """A stream of datagrams, each of a flow of its own, from a raw socket; the servers' sinks tell which arrived."""

    def __init__(self, top):
        self.sent = 0
        self._over = threading.Event()
        self._task = top.client.spawn(self._send, address(4, 10, segment=0 if top.kind == "local" else 1), top.vip[4])

    def _send(self, source, vip):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as each:
            for port in range(1024, 65536):
                if self._over.is_set():
                    return
                datagram = struct.pack("!HHHH", port, 5000, 12, 0) + b"new?"
                each.sendto(packets.ipv4(source, vip, socket.IPPROTO_UDP, datagram), (vip, 0))
                self.sent += 1
                time.sleep(0.00002)  # lets the other threads of this process in
        raise AssertionError("the source ports did not last")

    def more(self, count=1000):
        goal = self.sent + count
        wait_until(lambda: self.sent >= goal or not self._task.is_alive(), "the stream goes on", interval=0.001)

    def finish(self):
        self._over.set()
        self._task.result()


@KINDS
@pytest.mark.parametrize("mode", ["connection", "rewrite"])
def test_starts_and_stops_lose_not_one_packet(lab, kind, mode):
    """Nobody sends a datagram again, so one that is lost in a queue shows."""
    top = lab.topology(kind, web=False)
    sinks = [UdpServer(server, 5000, answers=False) for server in top.servers]
    engine = lab.web(top, protocol="udp", port=5000, mode=mode)
    flows = NewFlows(top)
    flows.more()
    assert engine.service()["picks"] > 0
    for _ in range(4):
        engine.stop()
        flows.more()
        engine.start()
        flows.more()
    flows.finish()
    wait_until(lambda: sum(len(sink.seen) for sink in sinks) == flows.sent,
               lambda: f"{flows.sent} flows sent, {sum(len(sink.seen) for sink in sinks)} arrived")
    assert engine.service()["picks"] > 0


@pytest.mark.parametrize("on_stop", ["keep", "remove"])
def test_a_stop_answers_what_still_waits_in_the_queue(lab, on_stop):
    top = lab.topology("routed", web=False)
    sinks = [UdpServer(server, 5000, answers=False) for server in top.servers]
    engine = lab.web(top, weights=(1, 1), protocol="udp", port=5000,
                     engine={"queues": 1, "queue_length": 16384, "on_stop": on_stop})
    engine.freeze()
    flows = NewFlows(top)
    flows.more(12000)
    flows.finish()
    waiting = sum(queue["waiting"] for queue in queue_lines(top.gateway))
    assert waiting == flows.sent, "all of them wait"
    engine.process.signal(signal.SIGTERM)
    engine.thaw()
    assert engine.outcome().code == 0
    wait_until(lambda: sum(len(sink.seen) for sink in sinks) == flows.sent,
               lambda: f"{flows.sent} flows sent, {sum(len(sink.seen) for sink in sinks)} arrived")


def test_sigint_stops_as_sigterm_does_and_sighup_reloads(lab):
    top = lab.topology()
    engine = lab.web(top)
    engine.configure([service("web", top.vip[4], [top.backend(2)], protocol="tcp", port=80)])
    engine.process.signal(signal.SIGHUP)
    wait_until(lambda: len(engine.service()["backends"]) == 1, "the reload")
    assert http_names(top.client, top.vip[4], requests=20) == {"server2": 20}
    engine.file.write_text("services: [nonsense")
    engine.process.signal(signal.SIGHUP)
    refused = engine.command("reload")
    assert refused.code == 2 and str(engine.file) in refused.stderr, refused
    assert http_names(top.client, top.vip[4], requests=20) == {"server2": 20}, "a bad file changes nothing"
    engine.stop(with_signal=signal.SIGINT)


def test_reloads_under_load_break_nothing(lab):
    top = lab.topology("routed")
    engine = lab.web(top)
    load = Continuous(top, flows=0)
    for number in range(8):
        engine.configure([service("web", top.vip[4], [{"address": top.backend(1), "weight": 1 + number},
                                                      {"address": top.backend(2), "port": 8080 if number % 2 else 80}],
                                  protocol="tcp", port=80, mode=MODES[number % 4]),
                          *([service("other", "10.9.0.41", [top.backend(1)])] if number % 3 else [])])
        engine.reload()
        load.more("requests go on")
    load.assert_flawless("reloads")


@KINDS
@pytest.mark.parametrize("family", [4, 6])
def test_a_full_queue_falls_through_to_the_ladder_and_is_counted(lab, kind, family):
    top = lab.topology(kind)
    engine = lab.web(top, family, weights=(1, 1), engine={"queue_length": 4, "queues": 1})
    engine.freeze()
    tasks = [top.client.spawn(lambda: ask(top.vip[family])[0]) for _ in range(60)]
    wait_until(lambda: sum(not task.is_alive() for task in tasks) >= 60 - 4, "all but those in the queue are answered")
    engine.thaw()
    names = collections.Counter(task.result() for task in tasks)
    assert_shares(names, EVEN, "through the ladder")
    web = engine.service()
    # Up to four SYNs waited in the queue, and each sent again finds it full as well.
    assert web["ladder"] >= 60 - 4, f"{web['ladder']} through the ladder, {web['picks']} picks"
    assert http_names(top.client, top.vip[family], requests=40).total() == 40
    assert engine.service()["ladder"] == web["ladder"], "with room in the queue the ladder is not used"


SO_RCVBUF, SO_RCVBUFFORCE = 8, 33


@pytest.mark.smoke
@pytest.mark.skipif(not seccomp.SUPPORTED, reason=seccomp.REASON)
def test_a_receive_overflow_never_ends_the_engine(lab):
    """The engine gets the small buffer that the kernel starts with, and more packets than fit, while it does not read."""
    top = lab.topology(udp=True)
    small = seccomp.refuse(*(("setsockopt", {1: socket.SOL_SOCKET, 2: option}, errno.EPERM)
                             for option in (SO_RCVBUF, SO_RCVBUFFORCE)))
    engine = lab.engine(top, [service("all", top.vip[4], [top.backend(1), top.backend(2)])], preexec=small,
                        engine={"queue_length": 4096, "queues": 1})
    data = b"x" * 1400
    with top.client.inside():
        for _ in range(3):
            picked = engine.service("all")
            engine.freeze()
            flows = [udp_flow(top.vip[4]) for _ in range(600)]
            for flow in flows:
                flow.send(data)
            waiting = sum(queue["waiting"] for queue in queue_lines(top.client))
            assert 0 < waiting < 600, "no overflow happened: the test proves nothing"
            engine.thaw()
            for flow in flows:
                assert flow.recv(2000).endswith(data)
                flow.close()
            now = engine.service("all")
            assert now["picks"] - picked["picks"] == waiting
            assert now["ladder"] - picked["ladder"] == 600 - waiting, "those that found no room took the ladder"
    assert sum(udp_names(top.client, top.vip[4], flows=100).values()) == 100
    with top.client.inside():
        ask(top.vip[4])


def queue_lines(host):
    """/proc/net/netfilter/nfnetlink_queue: number, port id, waiting, copy mode, range, dropped, user dropped, id."""
    for line in host.read("/proc/net/netfilter/nfnetlink_queue").splitlines():
        words = line.split()
        yield {"queue": int(words[0]), "owner": int(words[1]), "waiting": int(words[2])}


def test_connections_open_before_the_start_of_an_engine_are_left_alone(lab):
    """The ladder of an earlier run carries them; a new engine with other weights does not move them."""
    top = lab.topology()
    engine = lab.web(top, weights=(1, 0))
    with top.client.inside():
        connection = HttpConnection(top.vip[4])
    assert connection.name() == "server1"
    engine.stop()
    assert connection.name() == "server1"
    engine.configure([service("web", top.vip[4], [{"address": top.backend(1), "weight": 0}, top.backend(2)],
                              protocol="tcp", port=80, mode="rewrite")])
    engine.start()
    for _ in range(10):
        assert connection.name() == "server1"
    assert http_names(top.client, top.vip[4], requests=20) == {"server2": 20}
    connection.close()


def test_a_foreign_rule_that_leads_into_our_chain_is_named_and_left(lab):
    """Our chain cannot go while it is in use; what is not ours is never deleted."""
    top = lab.topology()
    engine = lab.web(top, engine={"on_stop": "remove"})
    rule = ["OUTPUT", "-d", "192.0.2.1", "-j", "NFSTEER"]
    top.client.run("iptables-legacy", "-w", "-t", "nat", "-A", *rule)
    engine.process.signal(signal.SIGTERM)
    outcome = engine.outcome()
    assert outcome.code == 1, outcome
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("nfsteer: ") and "nat" in last and "OUTPUT" in last, last
    assert not [line for line in tables.ours(top.client) if "NFQUEUE" in line], "nothing is queued for nobody"
    engine.start()
    with top.client.inside():
        ask(top.vip[4])
    top.client.run("iptables-legacy", "-w", "-t", "nat", "-D", *rule)
    engine.stop()
