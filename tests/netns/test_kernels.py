"""Kernels that lack something: an error that names it and its mend, or a fallback that is named.

    simulated: on this kernel, whose answers are made those of one without the feature (support/seccomp.py)
    real:      in the machine of tests/kernels/run.sh, with the module away; it must come out the same
"""

import contextlib
import json
import os

import pytest

from support import modules, seccomp, tables
from support.engine import nfsteer, service
from support.traffic import http_names

pytestmark = pytest.mark.skipif(not seccomp.SUPPORTED, reason=seccomp.REASON)

QUEUE, CONNTRACK = 3, 1  # nfnetlink's subsystems
IP6_TABLES = ("ip6table_raw", "ip6table_mangle", "ip6table_nat", "ip6table_filter", "ip6table_security", "ip6_tables")
IP_TABLES = ("iptable_raw", "iptable_mangle", "iptable_nat", "iptable_filter", "iptable_security", "ip_tables")

WEB = service("web", "10.0.0.40", ["10.0.0.20", "10.0.0.30"], protocol="tcp", port=80)
SIX = service("six", "fd00::40", ["fd00::20"], protocol="tcp", port=80)
BOTH = [WEB, SIX]

# name: (the feature as seccomp.Lacking takes it, the modules that are it, services, words of the error)
REFUSED = {
    "IPv4 tables": (("table", 4), IP_TABLES, [WEB], ("legacy IPv4 table nat", "iptable_nat", "CONFIG_IP_NF_NAT")),
    "IPv6 tables": (("table", 6), IP6_TABLES, BOTH, ("legacy IPv6 table nat", "ip6table_nat", "CONFIG_IP6_NF_NAT")),
    "IPv4 nat": (("table", 4, "nat"), ("iptable_nat",), [WEB], ("legacy IPv4 table nat", "iptable_nat")),
    "IPv6 nat": (("table", 6, "nat"), ("ip6table_nat",), BOTH, ("legacy IPv6 table nat", "ip6table_nat")),
    "IPv4 mangle": (("table", 4, "mangle"), ("iptable_mangle",), [WEB], ("legacy IPv4 table mangle", "iptable_mangle")),
    "NETMAP": (("target", 4, "NETMAP"), ("xt_NETMAP",), [WEB], ("IPv4 target NETMAP", "xt_NETMAP")),
    "NETMAP, IPv6": (("target", 6, "NETMAP"), None, [SIX], ("IPv6 target NETMAP", "xt_NETMAP")),
    "NFQUEUE": (("target", 4, "NFQUEUE"), ("xt_NFQUEUE",), [WEB], ("IPv4 target NFQUEUE", "xt_NFQUEUE")),
    "NFQUEUE, older": (("target", 4, "NFQUEUE", "older"), None, [WEB],
                       ("IPv4 target NFQUEUE revision 3", "load kernel module xt_NFQUEUE")),
    "conntrack": (("match", 4, "conntrack"), None, [WEB], ("IPv4 match conntrack", "xt_conntrack")),
    "statistic": (("match", 4, "statistic"), ("xt_statistic",), [WEB], ("IPv4 match statistic", "xt_statistic")),
    "recent": (("match", 4, "recent"), ("xt_recent",), [{**WEB, "affinity": "client"}],
               ("IPv4 match recent", "xt_recent")),
    "user space queues": (("netlink", "sendmsg", QUEUE), ("nfnetlink_queue",), [WEB],
                          ("NFQUEUE", "this kernel does not have it", "nfnetlink_queue")),
}
HOW = ["simulated", *(["real"] if modules.GUEST else [])]
REFUSED_CASES = [(how, name) for how in HOW for name in REFUSED if how == "simulated" or REFUSED[name][1]]


class Without:
    """A kernel without one feature: .preexec for what is started on it."""

    def __init__(self):
        self.preexec = None


@contextlib.contextmanager
def kernel_without(how, feature, names):
    made = Without()
    if how == "real":
        with modules.hidden(*names):
            yield made
        return
    lacking = seccomp.Lacking(feature)
    made.preexec = lacking.preexec
    try:
        yield made
    finally:
        lacking.close()


@pytest.mark.parametrize("how, name", REFUSED_CASES)
def test_what_services_need_is_an_error_with_its_mend(lab, how, name):
    feature, names, services, words = REFUSED[name]
    with kernel_without(how, feature, names) as kernel:
        host = lab.alone()
        before = tables.save(host)
        engine = lab.engine(None, services, host=host, preexec=kernel.preexec, start=False)
        outcome = engine.launch().outcome()
        assert outcome.code == 1, outcome
        error = outcome.stderr.splitlines()[-1]
        assert error.startswith("nfsteer: "), outcome
        for word in words:
            assert word in error, f"{word!r} is missing: {outcome}"
        assert tables.ours(host) == [] and not os.path.exists(engine.control), "something was installed"
        assert [line for line in tables.save(host) if line not in before and not line.startswith(("ip4 nat :",
                "ip4 mangle :", "ip6 nat :", "ip6 mangle :"))] == []


@pytest.mark.parametrize("how", HOW)
def test_ipv4_services_need_no_ipv6_tables(lab, how):
    with kernel_without(how, ("table", 6), IP6_TABLES) as kernel:
        top = lab.topology()
        backends = [top.backend(1), top.backend(2)]
        engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80)],
                            preexec=kernel.preexec)
        assert http_names(top.client, top.vip[4], requests=40).total() == 40
        refused = engine.api("POST", "/v1/services", service("six", top.vip[6], [top.backend(1, 6)]))
        assert refused.status >= 400 and "IPv6" in refused.text, refused
        assert http_names(top.client, top.vip[4], requests=40).total() == 40
        engine.stop()


@pytest.mark.parametrize("how", HOW)
def test_without_bpf_the_queues_are_spread_by_address(lab, how):
    with kernel_without(how, ("match", 4, "bpf"), ("xt_bpf",)) as kernel:
        top = lab.topology()
        engine = lab.engine(top, [service("web", top.vip[4], [top.backend(1), top.backend(2)])], preexec=kernel.preexec)
        assert "the kernel has no bpf match: all connections of one client go to one worker" in engine.stderr
        assert http_names(top.client, top.vip[4], requests=40).total() == 40
        workers = [worker["packets"] for worker in engine.status()["workers"]]
        assert sorted(map(bool, workers)) == [False, True], workers
        engine.stop()


# In a mount namespace of its own: /proc/sys/net/netfilter as a kernel without events has it.
NO_EVENTS = ["unshare", "--mount", "sh", "-c", """
    folder=$(mktemp -d) && cp /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max $folder &&
    mount --bind $folder /proc/sys/net/netfilter && exec "$0" "$@" """]

# name: (the feature as seccomp.Lacking takes it, modules, value of the sysctl, program that wraps, words of the warning)
UNCOUNTED = {
    "no table over netlink": (("netlink", "sendto", CONNTRACK), ("nf_conntrack_netlink",), 2, [],
                              ("this kernel does not tell of connections", "nf_conntrack_netlink")),
    "no events": (None, None, 2, NO_EVENTS, ("this kernel makes no events", "CONFIG_NF_CONNTRACK_EVENTS")),
    "events off": (None, None, 0, [], ("events of connections are switched off", "net.netfilter.nf_conntrack_events")),
}
UNCOUNTED_CASES = [(how, name) for how in HOW for name in UNCOUNTED if how == "simulated" or UNCOUNTED[name][1]]


@pytest.mark.parametrize("how, name", UNCOUNTED_CASES)
def test_connections_that_cannot_be_counted_are_steered(lab, how, name):
    feature, names, setting, wrap, words = UNCOUNTED[name]
    with (kernel_without(how, feature, names) if feature else contextlib.nullcontext(Without())) as kernel:
        top = lab.topology()
        top.client.run("iptables-legacy", "-w", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW")  # conntrack is on
        top.client.sysctl("net.netfilter.nf_conntrack_events", setting)
        engine = lab.engine(top, [service("web", top.vip[4], [top.backend(1), top.backend(2)],
                                          policy="least-connections")], preexec=kernel.preexec,
                            wrap=wrap)
        warning = next(line for line in engine.stderr.splitlines() if "connections are not counted" in line)
        for word in words:
            assert word in warning, engine.stderr
        names = http_names(top.client, top.vip[4], requests=60)
        assert names.total() == 60 and len(names) == 2, "least-connections, without counts, is still a policy"
        assert engine.status()["conntrack"]["followed"] is False
        assert "connections are not counted" in engine.command("status").stdout
        engine.kill9()
        assert http_names(top.client, top.vip[4], requests=20).total() == 20, "the ladder needs no counts"
        engine.start()
        engine.stop()


# ---- nfsteer probe

PROBED = {
    "IPv4 tables": (("table", 4), "table nat", "ipv4", False),
    "IPv6 tables": (("table", 6), "table nat", "ipv6", False),
    "NETMAP": (("target", 4, "NETMAP"), "target NETMAP", "ipv4", False),
    "recent": (("match", 6, "recent"), "match recent", "ipv6", True),
    "user space queues": (("netlink", "sendto", QUEUE), "queues for user space", None, False),
    "connections": (("netlink", "sendto", CONNTRACK), "table of connections", None, True),
}


def probe(host, *flags, **options):
    outcome = nfsteer(host, "probe", *flags, **options)
    return outcome, (json.loads(outcome.stdout) if "--json" in flags else outcome.stdout)


def test_probe_says_that_this_kernel_will_do_and_changes_nothing(lab):
    host = lab.alone()
    tables.make_all(host)
    before = tables.save(host)
    outcome, told = probe(host, "--json")
    assert outcome.code == 0 and not outcome.stderr, outcome
    assert told["kernel"] == os.uname().release and told["serves"] == {"ipv4": True, "ipv6": True}
    missing = {each["name"] for each in told["features"] if not each["available"]}
    assert missing <= {"queues that tell a packet's connection"}, missing
    if modules.GUEST:
        assert not missing, "Debian's kernel has everything"
    outcome, text = probe(host)
    assert outcome.code == 0 and text.startswith(f"Linux {os.uname().release}\n")
    assert text.splitlines()[-1] == "yes   yes   services in every mode"
    assert tables.save(host) == before


@pytest.mark.parametrize("name", PROBED)
def test_probe_names_what_is_missing_and_what_that_means(lab, name):
    feature, item, family, serves = PROBED[name]
    with kernel_without("simulated", feature, None) as kernel:
        outcome, told = probe(lab.alone(), "--json", preexec=kernel.preexec)
    found = [each for each in told["features"] if each["name"] == item and each["family"] == family]
    assert len(found) == 1 and not found[0]["available"] and found[0]["without"] and found[0]["mend"], found
    families = [family] if family else ["ipv4", "ipv6"]
    assert told["serves"] == {each: serves or each not in families for each in ("ipv4", "ipv6")}
    # Nothing can be served at all: that is the system's fault.
    assert outcome.code == (0 if any(told["serves"].values()) else 1), outcome


# What probe says of rules, by what `run` does without it: nothing at all is served, or an option is missing.
NEEDED = ("table nat", "table mangle", "target NFQUEUE", "target NETMAP", "target DNAT", "match conntrack",
          "match comment", "match statistic", "match tcp", "match udp")
OPTIONAL = ("table filter", "target REJECT", "target MASQUERADE", "match sctp", "match recent", "match bpf")


def test_probe_tells_each_missing_thing_and_whether_services_need_it(lab):
    host = lab.alone()
    for item in NEEDED + OPTIONAL:
        kind, name = item.split()
        with kernel_without("simulated", (kind, 4, name), None) as kernel:
            outcome, told = probe(host, "--json", preexec=kernel.preexec)
        missing = {(each["name"], each["family"]) for each in told["features"]
                   if not each["available"] and each["family"]}
        assert missing == {(item, "ipv4")}
        assert told["serves"] == {"ipv4": item in OPTIONAL, "ipv6": True} and outcome.code == 0, (item, outcome)


def test_probe_tells_whether_connections_make_events(lab):
    host = lab.alone()
    for setting, wrap, available, mend in ((2, [], True, ""), (0, [], False, "net.netfilter.nf_conntrack_events"),
                                           (2, NO_EVENTS, False, "CONFIG_NF_CONNTRACK_EVENTS")):
        host.sysctl("net.netfilter.nf_conntrack_events", setting)
        outcome, told = probe(host, "--json", wrap=wrap)
        events = next(each for each in told["features"] if each["name"] == "events of connections")
        assert events["available"] == available and mend in events["mend"], events
        assert all(told["serves"].values()) and outcome.code == 0, outcome


def test_probe_needs_the_privileges_of_an_engine(lab):
    drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    outcome = nfsteer(lab.alone(), "probe", wrap=drop)
    assert outcome.code == 1 and "CAP_NET_ADMIN" in outcome.stderr and outcome.stderr.count("\n") == 1, outcome


if modules.GUEST:
    def test_tables_that_nobody_has_loaded_are_loaded(lab):
        """As after a boot; up to Linux 6.3 with no more than the engine's two capabilities."""
        with modules.hidden(*IP_TABLES, *IP6_TABLES):
            pass
        assert not modules.loaded() & {"ip_tables", "ip6_tables"}
        confined = ["setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all"]
        old = tuple(map(int, os.uname().release.split(".")[:2])) < (6, 4)
        engine = lab.engine(None, BOTH, host=lab.alone(), start=False, wrap=confined if old else ())
        os.chmod(engine.folder, 0o777)  # root without CAP_DAC_OVERRIDE
        engine.start()
        assert modules.loaded() >= {"iptable_nat", "iptable_mangle", "ip6table_nat", "ip6table_mangle"}
