"""Clients that keep their backends: with the engine, without it, and over everything that changes in between.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30 ...        VIP 10.0.0.40
    routed:  client 10.1.0.10 --- gateway (engine) --+-- server1, server2 ...                 VIP 10.9.0.40

The client host has more addresses, one for each client: 10.0.0.<n> or 10.1.0.<n>, and their IPv6 mirrors.
"""

import collections
import re
import socket
import threading
import time

import pytest

from support import tables
from support.engine import MODES, nfsteer, service
from support.poll import wait_until
from support.stats import assert_shares
from support.topology import address
from support.traffic import open_tcp, udp_ask

FAMILIES = pytest.mark.parametrize("family", [4, 6])
QUEUED = [mode for mode in MODES if mode != "dnat"]
FIRST = 120  # the last part of the first client's address


def plain_ask(vip, source, port=80):
    """The server's name, asked from an address of the client host."""
    with open_tcp(vip, port, source=source) as each:
        each.sendall(b"GET / HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := each.recv(4096):
            answer += piece
        return re.search(rb"X-Server: (\w+)", answer)[1].decode()


class Clients:
    """Addresses of the client host, and where each of them went last."""

    def __init__(self, top, family=4, count=12, first=FIRST):
        self.top, self.vip = top, top.vip[family]
        segment = 0 if top.kind == "local" else 1
        self.sources = [address(family, last, segment) for last in range(first, first + count)]
        bits = 24 if family == 4 else 64
        top.client.ip(*(f"addr replace {source}/{bits} dev eth0 {'nodad' if family == 6 else ''}"
                        for source in self.sources))

    def ask(self, rounds=1, sources=None):
        """Who answers each source, which has to be the same server in every round."""
        def main():
            names = {}
            for _ in range(rounds):
                for source in sources or self.sources:
                    name = plain_ask(self.vip, source)
                    assert names.setdefault(source, name) == name, f"{source} was moved from {names[source]} to {name}"
            return names
        return self.top.client.spawn(main).result()

    def shares(self):
        return collections.Counter(self.ask().values())


def affine(lab, top, family=4, servers=2, weights=None, affinity="client", start=True, engine=None, **fields):
    backends = [{"address": top.backend(n, family), "weight": (weights or [1] * servers)[n - 1]}
                for n in range(1, servers + 1)]
    fields = {"protocol": "tcp", "port": 80, "affinity": affinity, **fields}
    return lab.engine(top, [service("web", top.vip[family], backends, **fields)], start=start, engine=engine)


def lists(host):
    """The kernel's lists by name: addresses."""
    names = host.run("sh", "-c", "ls /proc/net/xt_recent").stdout.split()
    return {name: re.findall(r"^src=(\S+)", host.read(f"/proc/net/xt_recent/{name}"), re.M) for name in names}


@pytest.mark.parametrize("kind", ["local", "routed"])
@pytest.mark.parametrize("mode", MODES)
@FAMILIES
def test_a_client_keeps_its_backend(lab, kind, mode, family):
    top = lab.topology(kind)
    engine = affine(lab, top, family, mode=mode)
    clients = Clients(top, family, count=20)
    names = clients.ask(rounds=12)
    assert set(names.values()) == {"server1", "server2"}
    seen = engine.service()
    if mode == "dnat":
        assert seen["ladder"] > 11 * 20
    else:
        # A connection or two may have had the port of an earlier one, which conntrack or a flow cache still knew.
        assert seen["picks"] > 11 * 20 and seen["ladder"] == 0
        assert engine.total("affinity_hits") == seen["picks"] - 20, "each client is placed once"


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_clients_spread_by_weight(lab, mode):
    top = lab.topology("routed")
    affine(lab, top, mode=mode, weights=(1, 3))
    assert_shares(Clients(top, count=120).shares(), {"server1": 1, "server2": 3})


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_a_reload_that_adds_a_backend_moves_nobody(lab, mode):
    top = lab.topology("routed", servers=3)
    engine = affine(lab, top, mode=mode)
    clients = Clients(top)
    names = clients.ask()
    [web] = engine.services
    engine.configure([{**web, "backends": [*web["backends"], {"address": top.backend(3), "weight": 50}]}])
    engine.reload()
    assert clients.ask(rounds=3) == names
    assert set(Clients(top, first=200, count=20).ask().values()) >= {"server3"}


@FAMILIES
@pytest.mark.parametrize("other", ["inspect", "dnat", "rewrite"])
def test_a_switch_of_the_mode_moves_nobody(lab, family, other):
    top = lab.topology("routed")
    engine = affine(lab, top, family)
    early = Clients(top, family)
    names = early.ask()
    engine.mode(other)
    late = Clients(top, family, first=150)
    names.update(late.ask())
    sources = early.sources + late.sources
    assert early.ask(sources=sources) == names
    engine.mode("connection")
    assert early.ask(rounds=2, sources=sources) == names
    assert engine.total("affinity_hits") > 1.8 * len(sources)


def test_changes_under_load_move_nobody(lab):
    """Clients, old and new, open connections all the time; none of them ever meets another server."""
    top = lab.topology("routed")
    engine = affine(lab, top)
    over = threading.Event()
    groups = [Clients(top, count=40, first=first) for first in (20, 80, 140)]

    def ask_on(clients):
        names = {}
        while not over.is_set():
            known = clients.sources[:2 + len(names)]  # one more in every round
            for source, name in clients.ask(sources=known).items():
                assert names.setdefault(source, name) == name, f"{source} was moved from {names[source]} to {name}"
        return names
    tasks = [top.client.spawn(ask_on, clients) for clients in groups]
    for mode in ("dnat", "connection", "inspect", "dnat", "rewrite", "connection"):
        engine.mode(mode)
        time.sleep(0.3)
    engine.kill9()
    time.sleep(0.3)
    engine.start()
    time.sleep(0.3)
    engine.stop()
    engine.start()
    over.set()
    assert {name for task in tasks for name in task.result().values()} == {"server1", "server2"}


@FAMILIES
@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_neither_an_engines_end_nor_the_next_ones_start_moves_anybody(lab, family, end):
    top = lab.topology("routed")
    engine = affine(lab, top, family)
    early = Clients(top, family)
    names = early.ask()
    getattr(engine, end)()
    assert early.ask(rounds=2) == names, "the ladder alone"
    late = Clients(top, family, first=150)
    names.update(late.ask())
    engine.start()
    assert early.ask(rounds=2, sources=early.sources + late.sources) == names, "the next engine"
    assert engine.total("affinity_hits") == engine.service()["picks"] > 40, "the engine steers again, and knows them all"


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_affinity_ends_after_its_time(lab, mode):
    top = lab.topology("routed")
    affine(lab, top, mode=mode, affinity={"timeout": "2s"})
    clients = Clients(top, count=24)
    names = clients.ask()
    # One client stays at work, which keeps it; the others are at rest for longer than the time.
    busy, *idle = clients.sources
    since = time.monotonic()
    while time.monotonic() < since + 4:
        assert clients.ask(sources=[busy]) == {busy: names[busy]}
        time.sleep(0.2)
    moved = sum(clients.ask(sources=[source])[source] != names[source] for source in idle)
    assert moved > 0, "each stays with one chance in two: nobody of 23 moves once in eight million runs"


@pytest.mark.parametrize("mode", ["dnat", "connection"])
@pytest.mark.parametrize("how", ["remove", "weight"])
def test_clients_of_a_lost_backend_move_once_and_stay(lab, mode, how):
    top = lab.topology("routed", servers=3)
    engine = affine(lab, top, mode=mode, servers=3)
    clients = Clients(top, count=18)
    names = clients.ask()
    lost = top.backend(1)
    assert engine.command(*(["backend", "remove", "web", lost] if how == "remove" else
                            ["backend", "weight", "web", lost, "0"])).code == 0
    after = clients.ask(rounds=2)
    assert "server1" not in after.values()
    assert all(after[source] == name for source, name in names.items() if name != "server1"), "the others stay"
    assert engine.command(*(["backend", "add", "web", lost] if how == "remove" else
                            ["backend", "weight", "web", lost, "1"])).code == 0
    assert clients.ask(rounds=2) == after, "nobody is sent back"


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_a_new_backend_does_not_inherit_the_clients_of_a_removed_one(lab, mode):
    """The new one gets the removed one's number in the engine."""
    top = lab.topology("routed", servers=3)
    engine = affine(lab, top, mode=mode, weights=(1, 1))
    clients = Clients(top, count=70)
    of_first = [source for source, name in clients.ask().items() if name == "server1"]
    assert engine.command("backend", "remove", "web", top.backend(1)).code == 0
    assert engine.command("backend", "add", "web", top.backend(3)).code == 0
    assert len(set(clients.ask(sources=of_first).values())) == 2, "they are placed anew, by weight"


@pytest.mark.parametrize("mode", ["dnat", "connection"])
@FAMILIES
def test_a_prefix_groups_clients(lab, mode, family):
    top = lab.topology("routed", servers=4)
    engine = affine(lab, top, family, servers=4, mode=mode, affinity={"ipv4_prefix": 24, "ipv6_prefix": 64})
    assert len(set(Clients(top, family, count=20).ask().values())) == 1
    kept = {client for clients in lists(top.engine_host).values() for client in clients}
    assert kept == {"10.1.0.0" if family == 4 else "fd01:0000:0000:0000:0000:0000:0000:0000"}
    assert engine.running()


@pytest.mark.parametrize("mode", MODES)
def test_udp_clients_keep_their_backends(lab, mode):
    top = lab.topology("routed", web=False, udp=True)
    engine = affine(lab, top, mode=mode, protocol="udp", port=5000)
    clients = Clients(top, count=24)

    def ask(ports):
        names = {}
        for port in ports:
            for source in clients.sources:
                name, _ = udp_ask(clients.vip, source=(source, port))
                assert names.setdefault(source, name) == name
        return names
    names = top.client.spawn(ask, range(20000, 20020)).result()
    assert set(names.values()) == {"server1", "server2"}
    engine.kill9()
    assert top.client.spawn(ask, range(20020, 20023)).result() == names


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_one_of_many_backends(lab, mode):
    """More than the ladder asks one by one: the kernel keeps their clients in groups, too."""
    top = lab.topology("routed", web=False, udp=True)
    backends = []
    for number, server in enumerate(top.servers, 1):
        more = [f"10.0.{number}.{last}" for last in range(1, 41)]
        server.ip(*(f"addr add {each}/32 dev lo" for each in more))
        top.engine_host.ip(*(f"route add {each} via {top.backend(number)}" for each in more))
        backends += more
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="udp", port=5000, mode=mode,
                                      affinity="client")])
    clients = Clients(top, count=40)

    def ask(port):
        for source in clients.sources:
            udp_ask(clients.vip, source=(source, port))

    def places():
        return {client: name for name, known in lists(top.engine_host).items() for client in known
                if "group" not in name}
    top.client.spawn(ask, 20000).result()
    before = places()
    assert len(before) == 40 and len(set(before.values())) > 15
    for port in range(20001, 20004):
        top.client.spawn(ask, port).result()
    engine.kill9()
    for port in range(20004, 20007):
        top.client.spawn(ask, port).result()
    assert places() == before
    known = [client for each in lists(top.engine_host).values() for client in each]
    assert len(known) == 80, "each client in one list of a backend and one of a group"


@FAMILIES
def test_affinity_to_a_backends_port(lab, family):
    """Backends that differ by their port only, bound by one rule each."""
    top = lab.topology("local")
    at = top.backend(1, family)
    engine = lab.engine(top, [service("web", top.vip[family], [{"address": at, "port": 80}, {"address": at, "port": 8080},
                                                               top.backend(2, family)],
                                      protocol="tcp", port=80, affinity="client")])
    clients = Clients(top, family, count=60)
    names = clients.ask(rounds=3)
    assert len(lists(top.engine_host)) == 3 and all(len(each) > 0 for each in lists(top.engine_host).values())
    engine.kill9()
    assert clients.ask(rounds=2) == names


def test_what_passes_a_full_queue_is_learnt(lab):
    """The ladder places the clients while the engine stands still and its queue is full; the engine keeps them there."""
    top = lab.topology("routed")
    engine = affine(lab, top, engine={"queues": 1, "queue_length": 1})
    clients = Clients(top, count=20)
    engine.freeze()
    with top.client.inside(), socket.socket() as stuck:  # the one packet that the queue holds
        stuck.setblocking(False)
        stuck.connect_ex((clients.vip, 80))
        wait_until(lambda: re.search(r"^ *0 +\d+ +1 ", top.engine_host.read("/proc/net/netfilter/nfnetlink_queue"), re.M),
                   "the queue is full")
        names = clients.ask()
    engine.thaw()
    known = {source for each in lists(top.engine_host).values() for source in each}
    assert set(clients.sources) <= known
    time.sleep(2.5)  # the engine asks the kernel once a second
    assert clients.ask(rounds=2) == names
    assert engine.total("affinity_hits") > 1.8 * len(names)


def test_a_client_in_two_lists_ends_up_in_the_younger_one(lab):
    top = lab.topology("routed")
    engine = affine(lab, top, mode="dnat")
    clients = Clients(top, count=1)
    [source] = clients.sources
    clients.ask()
    first, second = sorted(lists(top.engine_host))
    host = top.engine_host
    host.run("sh", "-c", f"echo -{source} > /proc/net/xt_recent/{second}; echo +{source} > /proc/net/xt_recent/{first}")
    wait_until(lambda: lists(host) == {first: [source], second: []}, "the kernel has it where it was put")
    time.sleep(1.1)  # the engine's times are seconds
    host.run("sh", "-c", f"echo +{source} > /proc/net/xt_recent/{second}")
    wait_until(lambda: lists(host) == {first: [], second: [source]}, "the older entry goes", seconds=5)
    assert engine.running()


@FAMILIES
def test_rules_with_affinity_are_what_the_command_shows_and_stay_untouched(lab, family):
    host = lab.alone()
    services = [service("web", "10.0.0.40" if family == 4 else "fd00::40",
                        [address(family, 20), {"address": address(family, 30), "port": 8080, "weight": 3},
                         {"address": address(family, 31), "weight": 0}],
                        protocol="tcp", port=80,
                        affinity={"timeout": "3h", "ipv4_prefix": 24, "ipv6_prefix": 56})]
    engine = lab.engine(None, services, host=host)
    shown = nfsteer(host, "rules", "-c", str(engine.file)).stdout
    installed = "\n".join(line.split(" ", 2)[2] for line in tables.ours(host))
    for line in shown.splitlines():
        if line.startswith("-A NFSTEER"):
            assert line in installed, line
    assert installed.count(" --update ") == 2 and installed.count(" --set ") == 4
    commits = engine.status()["rules"]["commits"]
    engine.reload()
    assert engine.status()["rules"]["commits"] == commits, "nothing to change"
    engine.kill9()
    engine.start()
    assert engine.status()["rules"]["commits"] == 0, "nothing to change after a restart"
