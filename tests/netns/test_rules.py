"""The tables: ours come and go, everybody else's stay as they are, down to the counters.

    local:   client 10.0.0.10 (engine, foreign rules) --+-- server1, server2      VIP 10.0.0.40, fd00::40
    alone:   a host without a network, where counters stand still
"""

import fcntl
import re
import socket
import time

import pytest

from support import tables
from support.engine import MODES, nfsteer, service
from support.hosts import XTABLES_LOCK
from support.poll import SLOWNESS, holds_for, wait_until
from support.stats import assert_shares
from support.tables import lock_held
from support.traffic import ask, http_names

FOREIGN = """*raw
:PREROUTING ACCEPT [5:500]
:OUTPUT ACCEPT [6:600]
[7:700] -A PREROUTING -s 192.0.2.1/32 -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [11:1100]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [12:1200]
:POSTROUTING ACCEPT [0:0]
:mark-something - [0:0]
[13:1300] -A PREROUTING -s 192.0.2.2/32 -j mark-something
[14:1400] -A OUTPUT -d 192.0.2.3/32 -j MARK --set-xmark 0x1/0xffffffff
[15:1500] -A mark-something -j MARK --set-xmark 0x2/0xffffffff
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
:NFSTEERLING - [0:0]
[21:2100] -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
[22:2200] -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
[23:2300] -A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:40000
[24:2400] -A NFSTEERLING -m comment --comment "not NFSTEER's, whatever its name begins with" -j RETURN
COMMIT
*filter
:INPUT ACCEPT [31:3100]
:FORWARD DROP [32:3200]
:OUTPUT ACCEPT [33:3300]
[34:3400] -A INPUT -s 192.0.2.4/32 -j DROP
[35:3500] -A FORWARD -m comment --comment "a NFSTEER in words only" -j REJECT
COMMIT
"""


def with_foreign_rules(host):
    """Makes every table exist and puts the foreign rules in, counters included; returns the picture to compare."""
    tables.make_all(host)
    for command in tables.FAMILIES.values():
        text = FOREIGN if command.startswith("iptables") else "\n".join(
            line for line in FOREIGN.splitlines() if "." not in line or line[0] in "*:") + "\n"
        host.run(f"{command}-restore", "-w", "-c", input=text)
    return tables.save(host)



def both_families(lab, host, **options):
    return lab.engine(None, [
        service("web", "10.0.0.40", ["10.0.0.20", {"address": "10.0.0.30", "weight": 3}], protocol="tcp", port=80,
                masquerade=True),
        service("six", "fd00::40", ["fd00::20", "fd00::30"], mode="rewrite"),
        service("none", "10.0.0.41", [{"address": "10.0.0.20", "weight": 0}])], host=host, **options)


@pytest.mark.parametrize("on_stop", ["keep", "remove"])
def test_foreign_rules_and_counters_outlive_start_reload_modes_and_stop(lab, on_stop):
    host = lab.alone()
    before = with_foreign_rules(host)
    engine = both_families(lab, host, engine={"on_stop": on_stop})
    assert tables.ours(host)
    assert tables.foreign(host) == before, "start"
    for mode in MODES:
        engine.mode(mode)
        assert tables.foreign(host) == before, f"mode {mode}"
    engine.weight("10.0.0.30", 7)
    assert tables.foreign(host) == before, "weight"
    engine.configure(engine.services[1:])
    engine.reload()
    assert tables.foreign(host) == before, "reload"
    engine.stop()
    if on_stop == "keep":
        assert tables.foreign(host) == before, "stop"
        assert nfsteer(host, "cleanup").code == 0
    assert tables.save(host) == before, "nothing of ours is left"


def test_foreign_rules_and_counters_outlive_crash_and_cleanup(lab):
    host = lab.alone()
    before = with_foreign_rules(host)
    engine = both_families(lab, host)
    engine.kill9()
    assert tables.ours(host), "a crash leaves the ladder"
    assert tables.foreign(host) == before
    outcome = nfsteer(host, "cleanup")
    assert outcome.code == 0, outcome
    assert tables.save(host) == before
    again = nfsteer(host, "cleanup")  # nothing to do is no error
    assert again.code == 0, again
    assert tables.save(host) == before


def test_counters_of_foreign_rules_that_count_meanwhile_are_not_set_back(lab):
    """Commits while traffic passes a foreign rule must not lose what it counted."""
    top = lab.topology()
    engine = lab.web(top)
    # In a table that the engine changes, before our jump: it sees each of the client's packets.
    top.client.run("iptables-legacy", "-w", "-t", "mangle", "-I", "OUTPUT", "-d", "192.0.2.9", "-m", "comment",
                   "--comment", "counting", "-j", "RETURN")

    def counted():
        line = next(line for line in tables.save(top.client) if "counting" in line)
        return int(line.split("[")[1].split(":")[0])
    top.client.ip("route add 192.0.2.9/32 dev lo")
    with top.client.inside():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
            for number in range(1, 101):
                each.sendto(b"x", ("192.0.2.9", 9))
                if number % 10 == 0:
                    engine.mode("dnat" if number % 20 else "connection")
                    assert counted() == number


def test_what_the_ladder_has_counted_outlives_a_reload(lab):
    """Forty more services make a tree of the list that the rule of this one was in."""
    top = lab.topology()
    engine = lab.web(top, mode="dnat")
    http_names(top.client, top.vip[4], requests=40)
    assert engine.service()["ladder"] == 40
    engine.configure(engine.services + [service(f"other{n}", f"10.0.1.{n}", [top.backend(1)]) for n in range(1, 41)])
    engine.reload()
    assert engine.service()["ladder"] == 40


def test_foreign_rules_that_accept_everything_do_not_hide_ours(lab):
    top = lab.topology("routed")
    for table in ("mangle", "nat"):
        for chain in ("PREROUTING", "OUTPUT"):
            top.gateway.run("iptables-legacy", "-w", "-t", table, "-A", chain, "-j", "ACCEPT")
    engine = lab.web(top)
    for host in (top.client, top.gateway):
        assert http_names(host, top.vip[4], requests=20).total() == 20
    assert engine.service()["picks"] == 40


@pytest.mark.parametrize("damage", ["whole", "half", "stray"])
def test_a_start_heals_what_a_crash_left(lab, damage):
    top = lab.topology()
    before = with_foreign_rules(top.client)
    clean = both_families(lab, top.client, engine={"on_stop": "remove"})
    wanted = tables.ours(top.client)
    clean.stop()
    # The crashed one had other services, hence other chains.
    crashed = lab.engine(top, [service("old", top.vip[4], [top.backend(1)], protocol="tcp"),
                               service("web", top.vip[4], [top.backend(2)], protocol="tcp", port=80)])
    crashed.kill9()
    if damage == "half":
        for chain in ("PREROUTING", "OUTPUT"):
            top.client.run("iptables-legacy", "-w", "-t", "nat", "-D", chain, "-j", "NFSTEER")
        top.client.run("iptables-legacy", "-w", "-t", "mangle", "-F", "NFSTEER")
    elif damage == "stray":
        top.client.run("iptables-legacy", "-w", "-t", "nat", "-I", "NFSTEER", "-j", "ACCEPT")
        top.client.run("iptables-legacy", "-w", "-t", "nat", "-A", "OUTPUT", "-j", "NFSTEER")
        top.client.run("iptables-legacy", "-w", "-t", "nat", "-N", "NFSTEER-stray")
    healed = both_families(lab, top.client, engine={"on_stop": "remove"})
    assert tables.ours(top.client) == wanted
    assert_shares(http_names(top.client, top.vip[4], requests=200), {"server1": 1, "server2": 3})
    healed.stop()
    assert without_counters(tables.save(top.client)) == without_counters(before)


def without_counters(lines):
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in lines]


def test_rules_prints_exactly_what_a_start_installs_and_touches_nothing(lab):
    host = lab.alone()
    tables.make_all(host)
    before = tables.save(host)
    engine = both_families(lab, host, start=False)
    printed = nfsteer(host, "rules", "-c", engine.file)
    assert printed.code == 0 and not printed.stderr, printed
    assert tables.save(host) == before
    engine.start()
    installed = []
    for command in tables.FAMILIES.values():
        installed += [each for each in tables.parse_save(host.run(f"{command}-save").stdout)
                      if tables.OURS.search(each[1])]
    printed_rules = [each for each in tables.parse_save(printed.stdout) if each[1].startswith("-A")]
    installed_rules = [each for each in installed if each[1].startswith("-A")]
    assert sorted(printed_rules) == sorted(installed_rules)


def test_cleanup_leaves_a_running_engine_alone(lab):
    top = lab.topology()
    engine = lab.web(top)
    before = tables.ours(top.client)
    outcome = nfsteer(top.client, "cleanup", "--control", engine.control)
    assert outcome.code == 1 and outcome.stderr.count("\n") == 1, outcome
    assert tables.ours(top.client) == before
    with top.client.inside():
        ask(top.vip[4])


def test_a_stop_leaves_the_ladder_and_the_next_start_takes_it_over(lab):
    top = lab.topology()
    before = with_foreign_rules(top.client)
    engine = lab.web(top)
    assert "`nfsteer cleanup` removes it" in engine.stop().stderr
    assert not [line for line in tables.ours(top.client) if "NFQUEUE" in line]
    assert_shares(http_names(top.client, top.vip[4], requests=200), {"server1": 1, "server2": 3}, "ladder alone")
    engine.start()
    assert_shares(http_names(top.client, top.vip[4], requests=200), {"server1": 1, "server2": 3}, "engine again")
    assert engine.service()["picks"] == 200
    engine.stop()
    assert nfsteer(top.client, "cleanup").code == 0
    assert without_counters(tables.save(top.client)) == without_counters(before)


def test_a_start_waits_for_the_xtables_lock(lab):
    top = lab.topology()
    engine = lab.web(top, start=False)
    with lock_held():
        engine.launch()
        holds_for(engine.running, "the engine waits", 1.0)
        assert not tables.ours(top.client)
        assert "ready:" not in engine.stderr
    wait_until(lambda: "ready:" in engine.stderr, "the engine starts once the lock is free")
    with top.client.inside():
        ask(top.vip[4])


def test_requests_go_on_while_a_reload_waits_for_the_xtables_lock(lab):
    """Meanwhile the engine sends nobody to the new port, which no rule binds yet."""
    top = lab.topology()

    def on_port(port):
        return [service("web", top.vip[4], [{"address": top.backend(n), "port": port} for n in (1, 2)],
                        protocol="tcp", port=80)]
    engine = lab.engine(top, on_port(8080))
    retransmitted = top.client.counter("TcpExt.TCPSynRetrans")
    engine.configure(on_port(81))
    with top.client.inside():
        with lock_held():
            task = top.client.spawn(engine.reload)
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                assert ask(top.vip[4])[1] == 8080
            assert task.is_alive()
        task.result()
        assert {ask(top.vip[4])[1] for _ in range(20)} == {81}
    assert top.client.counter("TcpExt.TCPSynRetrans") == retransmitted, "SYNs went where no rule binds them"


def test_a_lock_held_too_long_is_an_error(lab):
    host = lab.alone()
    tables.make_all(host)
    before = tables.save(host)
    with lock_held():
        outcome = both_families(lab, host, start=False).launch().outcome(seconds=40)
    assert outcome.code == 1
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("nfsteer: ") and XTABLES_LOCK in last, outcome
    assert tables.save(host) == before


def test_the_lock_is_held_while_tables_change_and_free_otherwise(lab):
    """Other programs change tables all the time while modes switch; nobody's change gets lost.

    They replace a rule: the kernel refuses a commit that is based on an old reading only if the number of rules differs.
    The table is long, so that there is time between reading and commit.
    """
    top = lab.topology(web=False)
    engine = lab.web(top)
    rules = "".join(f"-A theirs -s 198.18.{n // 250}.{n % 250}/32\n" for n in range(3000))
    top.client.run("iptables-legacy-restore", "-w", "-n", input=f"*mangle\n:theirs - [0:0]\n{rules}COMMIT\n")

    def others():
        theirs = "198.18.0.0"
        for number in range(60):
            first = top.client.run("iptables-legacy", "-w", "20", "-t", "mangle", "-S", "theirs", "1").stdout
            assert f"-s {theirs}/32" in first, f"a change of another program was overwritten: {first}"
            theirs = f"192.0.2.{number + 1}"
            top.client.run("iptables-legacy", "-w", "20", "-t", "mangle", "-R", "theirs", "1", "-s", theirs)
    task = top.client.spawn(others)
    switches = 0
    while task.is_alive():
        engine.mode("dnat" if switches % 2 else "rewrite")
        switches += 1
    task.result()
    assert switches > 10 // SLOWNESS
    assert engine.status()["rules"]["errors"] == 0
    with open(XTABLES_LOCK) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: the engine keeps the lock
