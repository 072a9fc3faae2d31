"""Others change the tables that hold our rules: beside us, thousands of times; or over us, and we put our rules right.

    local:   client 10.0.0.10 (engine, other programs' rules) --+-- server1, server2      VIP 10.0.0.40, fd00::40
    alone:   a host without a network, where counters stand still
"""

import datetime
import os
import re
import socket
import time

import pytest

from support import faults, tables
from support.engine import BINARY, MODES, service
from support.faults import Scene, own_firewall, rounds, vip_fails_soon
from support.other_programs import OtherPrograms, assert_restored, restore
from support.poll import holds_for, wait_until
from support.tables import lock_held
from support.traffic import udp_flow

# For a program that takes no heed of the lock.
NO_LOCK = {**os.environ, "XTABLES_LOCKFILE": "/dev/null"}


@pytest.mark.time_limit(90 + 90 * rounds(1))
@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_rules_that_others_remove_come_back_and_what_was_open_goes_on(lab, mode):
    """Connections that begin within that half second may fail: their first packet goes to the VIP, which nobody has."""
    kind, family = lab.random.choice(["local", "routed"]), lab.random.choice([4, 6])
    scene = Scene(lab, kind, family, mode)
    own_firewall(scene.host)
    vip_fails_soon(scene.host)
    for _ in range(rounds(1)):
        for fault in (*lab.random.sample(faults.RULES, 2), faults.kill_9):  # a new engine fights with nobody yet
            scene.inflict(fault)
    scene.assert_flawless(f"{mode}, {kind}, IPv{family}")


def one_service(lab, host, **settings):
    return lab.engine(None, [service("web", "10.0.0.40", ["10.0.0.20", "10.0.0.30"], protocol="tcp", port=80),
                             service("six", "fd00::40", ["fd00::20"], protocol="tcp", port=80)], host=host, **settings)


def repaired(engine, before, count=1):
    wait_until(lambda: engine.status()["rules"]["repairs"] >= before + count, "the repair", seconds=30)


def legacy(host, *words):
    return host.run("iptables-legacy", "-w", *words)


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_a_flow_that_began_meanwhile_is_balanced_after_the_repair(lab, mode):
    """Its client sends on from the same port, which would renew conntrack's entry of a flow to nowhere for ever."""
    scene = Scene(lab, "routed", mode=mode, traffic={"new": 0, "flows": 0, "big": 0})
    own_firewall(scene.host)
    with scene.top.client.inside(), udp_flow(scene.top.vip[4]) as flow:
        flow.settimeout(0.1)
        with lock_held():  # so that nobody repairs yet
            scene.host.run("iptables-legacy", "-t", "nat", "-F", "NFSTEER", env=NO_LOCK)
            wait_until(lambda: "cannot be put right yet" in scene.engine.stderr, "the repair waits")
            flow.send(b"0")
            with pytest.raises(TimeoutError):
                flow.recv(100)

        def answer():
            flow.send(b"1")
            try:
                return flow.recv(100)
            except TimeoutError:
                return None
        answered = wait_until(answer, "an answer in a flow that began without rules")
        assert answered in (b"server1 1", b"server2 1")
    scene.load.assert_flawless(mode)


def test_an_answer_that_comes_after_the_repair_holds_no_flow(lab):
    """It makes an entry of the backend's, untranslated; until Linux 6.12 the client's next packet, rewritten, would be
    taken for one of that and go round the rules for as long as it sends."""
    top = lab.topology("routed", web=False)
    vip, backend = top.vip[4], top.backend(1)
    engine = lab.engine(top, [service("dns", vip, [backend], protocol="udp", port=5000)])
    own_firewall(top.engine_host)
    with top.servers[0].inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, top.client.inside(), udp_flow(vip) as flow:
        server.bind((backend, 5000))
        server.settimeout(10)
        with lock_held():
            top.engine_host.run("iptables-legacy", "-t", "nat", "-F", "NFSTEER", env=NO_LOCK)
            wait_until(lambda: "cannot be put right yet" in engine.stderr, "the repair waits")
            flow.send(b"0")
            asked, sender = server.recvfrom(100)
            assert asked == b"0" and sender == flow.getsockname()
        repaired(engine, 0)

        def forgotten():
            return sum(map(int, re.findall(r"forgot (\d+) flow", engine.stderr)))
        wait_until(lambda: forgotten() == 1, "the client's entry is forgotten")
        server.sendto(b"0", sender)
        wait_until(lambda: forgotten() == 2, "the late answer's entry is forgotten")
        flow.send(b"1")
        asked, sender = server.recvfrom(100)
        server.sendto(b"one", sender)
        assert asked == b"1" and flow.recv(100) == b"one"


@pytest.mark.parametrize("damage, tables_hurt, told", [
    (["iptables-legacy -w -t nat -F"], 1, ["iptables table nat: the jump from PREROUTING is gone",
                                        "chain NFSTEER is empty"]),
    (["iptables-legacy -w -t mangle -D OUTPUT -j NFSTEER"], 1, ["iptables table mangle: the jump from OUTPUT is gone"]),
    (["iptables-legacy -w -t nat -A NFSTEER -j ACCEPT"], 1, ["iptables table nat: chain NFSTEER has other rules"]),
    (["iptables-legacy -w -t nat -A OUTPUT -j NFSTEER"], 1, ["iptables table nat: a jump from OUTPUT is one too many"]),
    (["iptables-legacy -w -t filter -N NFSTEER-old", "iptables-legacy -w -t mangle -N NFSTEER-old"], 2,
     ["iptables table mangle: chain NFSTEER-old is left over"]),
    (["ip6tables-legacy -w -t mangle -F", "ip6tables-legacy -w -t mangle -X"], 1,
     ["ip6tables table mangle: the jump from PREROUTING is gone", "chain NFSTEER is gone"]),
])
def test_a_repair_is_counted_and_told_and_touches_nothing_else(lab, damage, tables_hurt, told):
    host = lab.alone()
    legacy(host, "-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "-j", "MASQUERADE", "-c", "7", "700")
    engine = one_service(lab, host)
    ours = tables.ours(host)
    for command in damage:
        host.run(*command.split())
    theirs = tables.foreign(host)
    repaired(engine, 0, tables_hurt)
    assert tables.ours(host) == ours and tables.foreign(host) == theirs
    assert engine.status()["rules"] == {"commits": 4 + tables_hurt, "errors": 0, "repairs": tables_hurt}
    lines = [line for line in engine.stderr.splitlines() if "put right" in line]
    assert len(lines) == 1 and " warning " in lines[0] and all(text in lines[0] for text in told), lines


def test_a_change_that_keeps_every_size_is_found_by_and_by(lab):
    host = lab.alone()
    engine = one_service(lab, host)
    ours = tables.ours(host)
    first = legacy(host, "-t", "nat", "-S", "NFSTEER", "1").stdout.strip()
    assert first.startswith("-A NFSTEER ")
    legacy(host, "-t", "nat", "-R", "NFSTEER", "1", *first.replace('10.0.0.40', '10.0.0.41').split()[2:])
    assert tables.ours(host) != ours
    repaired(engine, 0)
    assert tables.ours(host) == ours


@pytest.mark.parametrize("program, hurt", [("iptables-legacy", 2), ("ip6tables-legacy", 2), ("iptables-nft", 0),
                                           ("ip6tables-nft", 0)])
def test_whole_tables_that_others_restore_hold_theirs_and_ours(lab, program, hurt):
    """The legacy tables are ours, too; those of nftables are not."""
    host = lab.alone()
    engine = one_service(lab, host)
    ours = tables.ours(host)
    restore(host, program)
    if hurt:
        repaired(engine, 0, hurt)
    holds_for(lambda: engine.status()["rules"]["repairs"] == hurt, "as many repairs as tables that were hurt", 0.5)
    assert tables.ours(host) == ours
    assert_restored(host, program)


def test_a_rule_before_our_jump_is_other_peoples_right(lab):
    """It is told once, and the next change of ours puts the jump first again."""
    host = lab.alone()
    engine = one_service(lab, host)
    legacy(host, "-t", "mangle", "-I", "OUTPUT", "-s", "192.0.2.1", "-j", "RETURN")
    before = tables.save(host)
    wait_until(lambda: "stand before our jump" in engine.stderr, "it is told")
    holds_for(lambda: tables.save(host) == before, "the order stays", 1)
    assert engine.status()["rules"]["repairs"] == 0
    assert engine.stderr.count("iptables table mangle OUTPUT") == 1
    engine.weight("10.0.0.20", 5)
    assert legacy(host, "-t", "mangle", "-S", "OUTPUT", "1").stdout.strip() == "-A OUTPUT -j NFSTEER"


def test_who_removes_our_rules_again_and_again_is_not_fought_and_the_log_says_so(lab):
    """In the end, when he has stopped, ours stand."""
    host = lab.alone()
    engine = one_service(lab, host)
    ours = tables.ours(host)

    def flush_once_repaired():
        repairs = engine.status()["rules"]["repairs"]
        legacy(host, "-t", "nat", "-F")
        repaired(engine, repairs)
    flush_once_repaired()
    flush_once_repaired()
    told = wait_until(lambda: re.search(r"(\S+) .*again and again: the next repair waits 1 s", engine.stderr),
                      "it is told")
    legacy(host, "-t", "nat", "-F")
    repaired(engine, 2)
    assert time.time() - datetime.datetime.fromisoformat(told[1]).timestamp() > 0.9, "the repair has waited"
    assert tables.ours(host) == ours


def test_a_repair_waits_for_the_lock_without_holding_up_the_engine(lab):
    host = lab.alone()
    engine = one_service(lab, host)
    ours = tables.ours(host)
    legacy(host, "-t", "nat", "-N", "NFSTEER-old")
    with lock_held():
        wait_until(lambda: engine.status()["rules"]["errors"] >= 3, "it is tried again")
        assert engine.status()["rules"]["repairs"] == 0
        assert "cannot be put right yet" in engine.stderr
    repaired(engine, 0)
    assert tables.ours(host) == ours
    assert "again and again" not in engine.stderr, "nobody has undone a repair"


# --- beside us ------------------------------------------------------------------------------------------------------

@pytest.mark.time_limit(120 + 60 * rounds(1))
def test_everybodys_commits_interleave_and_nothing_is_lost(lab):
    scene = Scene(lab, lab.random.choice(["local", "routed"]))
    engine = scene.engine
    others = OtherPrograms(scene.host, 250 * rounds(1))
    began, changes = engine.status()["rules"]["commits"], 0
    while others.running():
        if changes % 3:
            engine.mode(lab.random.choice(MODES))
        else:
            weights = (lab.random.randrange(1, 9), lab.random.randrange(1, 9))
            engine.configure(scene.services(weights, lab.random.choice(MODES)))
            engine.reload()
        changes += 1
    theirs = others.finish()
    engine.configure(scene.services())
    engine.reload()
    rules = engine.status()["rules"]
    print(f"{theirs} commits of others, {rules['commits'] - began} of ours in {changes} changes")
    assert rules["errors"] == 0 and rules["repairs"] == 0, rules
    printed = engine.host.run(BINARY, "rules", "-c", engine.file).stdout
    installed = []
    for command in tables.FAMILIES.values():
        installed += [each for each in tables.parse_save(scene.host.run(f"{command}-save").stdout)
                      if tables.OURS.search(each[1]) and each[1].startswith("-A")]
    assert sorted(installed) == sorted(each for each in tables.parse_save(printed) if each[1].startswith("-A"))
    scene.load.more()
    scene.assert_flawless("others' commits")
