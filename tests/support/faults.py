"""Faults by name: each a function of a Scene that does it, and leaves an engine that steers again.

A new fault is such a function; a test gives it to Scene.inflict() and judges what the traffic says.
"""

import contextlib
import itertools
import os
import resource
import signal
import time

from . import conntrack_filler, other_programs, tables
from .continuous import Continuous, lost_in_queue, open_at, steered
from .poll import wait_until

# How often a test repeats its faults: a few times in a usual run; as many as one likes by hand.
ROUNDS = int(os.environ.get("NFSTEER_FAULT_ROUNDS", "0"))
MOMENT_SECONDS_MAX = 0.3


def rounds(usual):
    return ROUNDS or usual


class Scene:
    """An engine that steers "web" and "dns" in a topology, and traffic through it, to which faults happen."""

    def __init__(self, lab, kind="local", family=4, mode="connection", engine=None, traffic=None, wrap=(), ready=None,
                 **fields):
        """`fields`: of both services. `ready`: how to know of an engine that cannot say so that it steers."""
        self.lab, self.random, self.family, self.mode, self._fields = lab, lab.random, family, mode, fields
        self.top = lab.topology(kind, udp=True)
        self.engine = lab.engine(self.top, self.services(), engine=engine, start=ready is None, wrap=wrap)
        if ready:
            self.engine.launch()
            wait_until(lambda: ready(self.engine), "the engine steers")
        self.load = Continuous(self.top, family, **(traffic or {}))
        self.kills = []  # marks: what was queued then is lost
        self.holes = []  # marks: our rules, the network or room for connections were not there

    @property
    def host(self):
        """The engine's."""
        return self.top.engine_host

    def services(self, weights=(1, 3), mode=None):
        return steered(self.top, self.family, mode or self.mode, weights, **self._fields)

    def moment(self, most=MOMENT_SECONDS_MAX):
        """A while of random length: faults are to strike anywhere in what goes on."""
        time.sleep(self.random.uniform(0, most))

    @contextlib.contextmanager
    def marked(self, what):
        """The traffic's failures say what they happened after."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.load.mark(what, began)

    def inflict(self, fault):
        """At a random moment; then traffic of each kind must go on, and the engine must know all that it should, and
        decide: the ladder would carry the traffic without it."""
        self.moment()
        with self.marked(fault.__name__):
            fault(self)
        decided = self.engine.total("packets")
        self.load.more(f"traffic after {fault.__name__}")
        names = {each["name"] for each in self.engine.status()["services"]}
        assert names == {"web", "dns"}, f"after {fault.__name__}: {names}"
        if self.mode != "dnat":
            wait_until(lambda: self.engine.total("packets") > decided + 20, f"the engine decides after {fault.__name__}")

    def assert_flawless(self, note="", excuse=None):
        """But for datagrams that were queued when an engine was killed, one of each flow that was under way, and for
        connections and flows that began while others had removed our rules."""
        lost, missed = lost_in_queue(self.kills, most_each=self.load.flows), open_at(self.holes)
        # In this order: `lost` counts those that it excuses.
        self.load.assert_flawless(note, excuse or (lambda failure: failure.kind != "kept" and missed(failure)
                                                   or lost(failure)))
        print(f"{note}: {self.load.done()} right answers, {len(self.load.failures())} excused failures, "
              f"{len(self.load.marks)} faults")


# --- the engine's process -------------------------------------------------------------------------------------------

def _kill(scene):
    began = time.monotonic()
    scene.engine.kill9()
    scene.load.mark("kill -9", began)
    scene.kills.append(scene.load.marks[-1])


def kill_9(scene):
    _kill(scene)
    scene.moment()
    scene.engine.start()


def kill_9_while_it_starts(scene):
    """Wherever the start stands then: before the queues, between the tables, after them."""
    scene.engine.stop()
    scene.engine.launch()
    scene.moment(0.1)
    _kill(scene)
    scene.engine.start()


def kill_9_while_it_reloads(scene):
    scene.engine.configure(scene.services(weights=(2, 5)))
    scene.engine.process.signal(signal.SIGHUP)
    scene.moment(0.02)
    _kill(scene)
    scene.engine.configure(scene.services())
    scene.engine.start()


def sigterm(scene):
    scene.engine.stop()
    scene.moment()
    scene.engine.start()


def sighup_storm(scene, signals=40):
    """Each with another file behind it; the last one counts."""
    for number in range(signals):
        if number % 4 == 0:
            scene.engine.configure(scene.services(weights=(scene.random.randrange(1, 9), scene.random.randrange(1, 9))))
        scene.engine.process.signal(signal.SIGHUP)
        scene.moment(0.01)
    wanted = (7, 2)
    scene.engine.configure(scene.services(weights=wanted))
    scene.engine.process.signal(signal.SIGHUP)
    wait_until(lambda: tuple(each["weight"] for each in scene.engine.service()["backends"]) == wanted,
               "the last reload holds")


def sigstop(scene, least=0.3, most=1.5):
    """The queue fills, what finds no room falls through to the ladder, and what waited is answered afterwards."""
    scene.engine.freeze()
    time.sleep(scene.random.uniform(least, most))
    scene.engine.thaw()


PROCESS = (kill_9, kill_9_while_it_starts, kill_9_while_it_reloads, sigterm, sighup_storm, sigstop)


# --- other people's changes of the tables ---------------------------------------------------------------------------

def own_firewall(host):
    """What a host with a firewall of its own has beside the legacy tables: rules of nftables that ask conntrack.

    The kernel follows connections in a network namespace only while some rule asks for it; where only the engine's do,
    whoever removes those ends the open connections at once.
    """
    for command in ("iptables-nft", "ip6tables-nft"):
        host.run(command, "-w", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID")


def vip_fails_soon(host):
    """Without our rules nobody has the VIP: who asks for it then is to hear so after 0.15 seconds instead of 3."""
    for family in ("ipv4", "ipv6"):
        host.sysctl(f"net.{family}.neigh.eth0.retrans_time_ms", 50)


def _damage(scene, hurt):
    """hurt() harms our rules; returns when they are as before and the repair is counted."""
    before, repairs = tables.ours(scene.host), scene.engine.status()["rules"]["repairs"]
    began = time.monotonic()
    hurt()
    wait_until(lambda: scene.engine.status()["rules"]["repairs"] > repairs and tables.ours(scene.host) == before,
               lambda: f"repaired: {tables.ours(scene.host)}, wanted {before}", seconds=40)
    scene.load.mark("rules gone", began)
    scene.holes.append(scene.load.marks[-1])


def _iptables(scene, *commands):
    def hurt():
        for command in commands:
            scene.host.run(tables.FAMILIES[scene.family], "-w", *command.split())
    _damage(scene, hurt)


def flush_nat(scene):
    _iptables(scene, "-t nat -F")


def flush_mangle(scene):
    if scene.mode == "dnat":
        return  # nothing of ours is there
    _iptables(scene, "-t mangle -F")


def flush_everything(scene):
    """As the first lines of many a firewall script do."""
    _iptables(scene, *(f"-t {table} {flag}" for flag in ("-F", "-X") for table in ("filter", "nat", "mangle")))


def delete_a_jump(scene):
    table = "nat" if scene.mode == "dnat" else scene.random.choice(["mangle", "nat"])
    _iptables(scene, f"-t {table} -D {'OUTPUT' if scene.top.kind == 'local' else 'PREROUTING'} -j NFSTEER")


def empty_our_chain(scene):
    _iptables(scene, "-t nat -F NFSTEER")


def replace_the_tables(scene):
    """Another program puts back what it had saved before we came: whole tables, with rules of its own."""
    _damage(scene, lambda: other_programs.restore(scene.host, tables.FAMILIES[scene.family]))
    other_programs.assert_restored(scene.host, tables.FAMILIES[scene.family])


def replace_the_tables_of_nftables(scene):
    """The same by iptables-nft, whose tables are others than ours: nothing of ours is touched."""
    before, repairs = tables.ours(scene.host), scene.engine.status()["rules"]["repairs"]
    for program in ("iptables-nft", "ip6tables-nft"):
        other_programs.restore(scene.host, program)
        other_programs.assert_restored(scene.host, program)
    assert tables.ours(scene.host) == before
    assert scene.engine.status()["rules"]["repairs"] == repairs


RULES = (flush_nat, flush_mangle, flush_everything, delete_a_jump, empty_our_chain, replace_the_tables,
         replace_the_tables_of_nftables)


# --- the world around the engine ------------------------------------------------------------------------------------

def interface_down_and_up(scene):
    """The interface towards the servers, on the engine's host. IPv6 addresses and IPv4 routes go with it, and come back
    as an administrator has them come back."""
    routes = [line for line in scene.host.run("ip", "route", "show", "dev", "eth0").stdout.splitlines()
              if "kernel" not in line]
    addresses = scene.host.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").stdout.split()
    began = time.monotonic()
    scene.host.ip("link set eth0 down")
    scene.moment()
    scene.host.ip("link set eth0 up", *(f"route replace {route.strip()} dev eth0" for route in routes),
                  f"addr replace {addresses[addresses.index('inet6') + 1]} dev eth0 nodad",
                  *([f"route replace {scene.top.vip[6]} dev eth0"] if scene.top.kind == "routed" else []))
    _over(scene, "no network", began)


def carrier_lost_and_back(scene):
    """The cable out and in again: the engine's host keeps addresses and routes."""
    port = f"p{2 + len(scene.top.servers)}"  # of the bridge: its own host is the first
    began = time.monotonic()
    scene.top.bridge.ip(f"link set {port} down")
    scene.moment()
    scene.top.bridge.ip(f"link set {port} up")
    _over(scene, "no carrier", began)


def connection_table_full(scene):
    """No connection can be added for a while; those that conntrack has go on. What nobody has answered yet, and short
    UDP flows, may be dropped from the table for others (early_drop() in nf_conntrack_core.c)."""
    dropped = conntrack_drops(scene.host)
    began = time.monotonic()
    try:
        conntrack_filler.fill(scene.host)
        wait_until(lambda: conntrack_drops(scene.host) > dropped + 20, "connections are dropped")
    finally:
        conntrack_filler.empty(scene.host)
    _over(scene, "table full", began)


def conntrack_drops(host):
    """Column "drop", of all processors: packets of connections that found no room, or lost a race."""
    lines = host.read("/proc/net/stat/nf_conntrack").splitlines()
    column = lines[0].split().index("drop")
    return sum(int(line.split()[column], 16) for line in lines[1:])


def conntrack_flushed(scene):
    """What has a packet under way then may break: its answer finds no entry, and reaches the client untranslated."""
    began = time.monotonic()
    scene.host.run("conntrack", "-F")
    _over(scene, "conntrack -F", began)


def _over(scene, what, began):
    """New connections come to be again. What had begun before that may have failed by then."""
    scene.load.more(f"after {what}")
    scene.load.mark(what, began)
    scene.holes.append(scene.load.marks[-1])


class LimitedDescriptors:
    """The engine can open no file and no socket meanwhile; what it has open stays open."""

    def __init__(self, engine):
        self._pid = engine.pid

    def __enter__(self):
        used = {int(name) for name in os.listdir(f"/proc/{self._pid}/fd")}
        self._before = resource.prlimit(self._pid, resource.RLIMIT_NOFILE)
        lowest_free = next(number for number in itertools.count() if number not in used)
        resource.prlimit(self._pid, resource.RLIMIT_NOFILE, (lowest_free, self._before[1]))
        return self

    def __exit__(self, *_):
        resource.prlimit(self._pid, resource.RLIMIT_NOFILE, self._before)
