"""The life of a backend: draining, slow start, maintenance, backups, removal; and live counts of its connections.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30, ...        VIP 10.0.0.40
"""

import contextlib
import json
import re
import time

import pytest

from support.engine import MODES, service
from support.poll import holds_for, wait_until
from support.traffic import HttpConnection, Load, WrongAnswer, ask, http_names, udp_flow

FAMILIES = pytest.mark.parametrize("family", [4, 6])


def backend(engine, address, name="web"):
    answer = engine.api("GET", f"/v1/services/{name}/backends/{address}/status")
    assert answer.status == 200, answer
    return answer.json


def active(engine, address, name="web"):
    return backend(engine, address, name)["connections"]["active"]


def told(engine, *words):
    outcome = engine.command(*words)
    assert outcome.code == 0, outcome
    return outcome


@contextlib.contextmanager
def open_connections(host, vip, count):
    """(connection, server's name) of each, all open at the same time."""
    made = []
    try:
        with host.inside():
            for _ in range(count):
                connection = HttpConnection(vip)
                made.append((connection, connection.name()))
        yield made
    finally:
        for connection, _ in made:
            connection.close()


@pytest.mark.smoke
@pytest.mark.parametrize("mode", MODES)
@FAMILIES
def test_connections_are_counted_whoever_balances_them(lab, mode, family):
    top = lab.topology()
    engine = lab.web(top, family, mode=mode)
    addresses = {f"server{n}": top.backend(n, family) for n in (1, 2)}

    def counts(field="active"):
        return {name: backend(engine, address)["connections"][field] for name, address in addresses.items()}
    with open_connections(top.client, top.vip[family], 40) as made:
        names = [name for _, name in made]
        expected = {name: names.count(name) for name in addresses}
        wait_until(lambda: counts() == expected, lambda: f"{counts()} is {expected}")
        assert counts("opened") == expected
        for connection, name in made[:15]:
            connection.close()
            expected[name] -= 1
        wait_until(lambda: counts() == expected, lambda: f"{counts()} is {expected}")
    wait_until(lambda: counts() == {"server1": 0, "server2": 0}, lambda: f"{counts()} is 0")


def test_counts_are_exact_over_a_kill_a_restart_and_the_ladders_own_connections(lab):
    top = lab.topology()
    engine = lab.web(top)
    addresses = {f"server{n}": top.backend(n) for n in (1, 2)}

    def counts():
        return {name: active(engine, address) for name, address in addresses.items()}
    with open_connections(top.client, top.vip[4], 20) as first:
        engine.kill9()
        with open_connections(top.client, top.vip[4], 20) as second:
            first[0][0].close()
            engine.start()
            names = [name for _, name in first[1:] + second]
            expected = {name: names.count(name) for name in addresses}
            wait_until(lambda: counts() == expected, lambda: f"{counts()} is {expected}")
            engine.command("mode", "web", "dnat")
            with open_connections(top.client, top.vip[4], 10) as third:
                for _, name in third:
                    expected[name] += 1
                wait_until(lambda: counts() == expected, lambda: f"{counts()} is {expected}")
    wait_until(lambda: counts() == {"server1": 0, "server2": 0}, lambda: f"{counts()} is 0")


@pytest.mark.parametrize("mode", MODES)
def test_a_draining_backend_gets_nothing_new_and_keeps_what_it_has(lab, mode):
    top = lab.topology()
    first, second = top.backend(1), top.backend(2)
    engine = lab.web(top, weights=(1, 1), mode=mode)
    kept = Load(top.client, top.vip[4], threads=8, keep_alive=True, pause=0.01)
    wait_until(lambda: kept.done > 200 and len(kept.names) == 2, "both servers have kept connections")
    told(engine, "backend", "drain", "web", first)
    assert backend(engine, first)["state"] == "draining"
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server2"}
    before = kept.names["server1"]
    wait_until(lambda: kept.names["server1"] > before + 20, "its connections go on")
    told(engine, "backend", "undrain", "web", first)
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server1", "server2"}
    kept.stop().assert_flawless()
    assert backend(engine, second)["state"] == "active"


def test_drain_waits_until_the_backend_is_empty_and_says_what_is_left(lab):
    top = lab.topology()
    first = top.backend(1)
    engine = lab.web(top, weights=(1, 0))
    with open_connections(top.client, top.vip[4], 3) as made:
        late = engine.command("backend", "drain", "web", first, "--wait", "--deadline", "1s")
        assert late.code == 1 and "3 connections are still open after 1 s" in late.stderr, late
        assert re.search(r"s  3 open connections$", late.stdout, re.M), late
        waiting = top.client.spawn(engine.command, "backend", "drain", "web", first, "--wait", "--json")
        for connection, _ in made[:2]:
            connection.close()
        wait_until(lambda: active(engine, first) == 1, "one is left")
        holds_for(waiting.is_alive, "it waits for the last one", 0.5)
        made[2][0].close()
        outcome = waiting.result()
    assert outcome.code == 0, outcome
    lines = [json.loads(line)["active"] for line in outcome.stdout.splitlines()]
    assert lines[-1] == 0 and lines == sorted(lines, reverse=True) and lines[0] >= 1, lines
    for words in (("--deadline", "5m"), ("--wait", "--deadline", "soon")):
        wrong = engine.command("backend", "drain", "web", first, *words)
        assert wrong.code == 2 and wrong.stderr.count("\n") == 1, wrong


def test_drain_wait_needs_counts(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, engine={"track_connections": False})
    assert engine.status()["conntrack"]["followed"] is False
    outcome = engine.command("backend", "drain", "web", top.backend(1), "--wait")
    assert outcome.code == 1 and "track_connections" in outcome.stderr, outcome


@pytest.mark.parametrize("on_backend_loss", ["keep", "reset"])
@pytest.mark.parametrize("words", [("remove",), ("maintenance",)])
def test_open_connections_of_a_lost_backend_are_kept_or_reset_as_configured(lab, on_backend_loss, words):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1), on_backend_loss=on_backend_loss)
    with open_connections(top.client, top.vip[4], 24) as made:
        assert {name for _, name in made} == {"server1", "server2"}
        told(engine, "backend", *words, "web", top.backend(1))
        for connection, name in made:
            if name == "server2" or on_backend_loss == "keep":
                assert connection.name() == name
            else:
                with pytest.raises((ConnectionResetError, WrongAnswer)):
                    connection.name()
        assert set(http_names(top.client, top.vip[4], requests=40)) == {"server2"}


@pytest.mark.parametrize("on_backend_loss", ["keep", "reset"])
def test_the_same_holds_when_the_last_backend_goes_and_after_a_restart(lab, on_backend_loss):
    top = lab.topology()
    engine = lab.web(top, weights=(1,), on_backend_loss=on_backend_loss)

    def assert_as_configured(connection):
        if on_backend_loss == "keep":
            assert connection.name() == "server1"
        else:
            with pytest.raises((ConnectionResetError, WrongAnswer)):
                connection.name()
    with open_connections(top.client, top.vip[4], 1) as [(connection, _)]:
        told(engine, "backend", "remove", "web", top.backend(1))
        assert_as_configured(connection)
    told(engine, "backend", "add", "web", top.backend(1))
    with open_connections(top.client, top.vip[4], 1) as [(connection, _)]:
        engine.kill9()
        engine.configure([{**engine.services[0], "backends": [{"address": top.backend(2)}]}])
        engine.start()
        assert_as_configured(connection)


def test_udp_flows_of_a_drained_backend_stay_and_leave_in_maintenance(lab):
    top = lab.topology(web=False, udp=True)
    engine = lab.engine(top, [service("echo", top.vip[4], [top.backend(1), top.backend(2)], protocol="udp",
                                      port=5000)])
    with top.client.inside():
        flows = [udp_flow(top.vip[4]) for _ in range(16)]

    def names():
        for each in flows:
            each.send(b"who?")
        return [each.recv(100).split(b" ")[0].decode() for each in flows]
    before = names()
    assert set(before) == {"server1", "server2"}
    told(engine, "backend", "drain", "echo", top.backend(1))
    assert names() == before
    assert active(engine, top.backend(1), "echo") == before.count("server1")
    told(engine, "backend", "maintenance", "echo", top.backend(1))
    assert set(names()) == {"server2"}
    wait_until(lambda: active(engine, top.backend(1), "echo") == 0, "nothing is left there")


def test_backups_take_over_only_when_nobody_else_can(lab):
    top = lab.topology(servers=3)
    addresses = [top.backend(n) for n in (1, 2, 3)]
    engine = lab.engine(top, [service("web", top.vip[4], [{"address": addresses[0]}, {"address": addresses[1]},
                                                          {"address": addresses[2], "backup": True}], port=80)])

    def names():
        return set(http_names(top.client, top.vip[4], requests=40))
    assert names() == {"server1", "server2"}
    assert backend(engine, addresses[2])["state"] == "standby"
    told(engine, "backend", "drain", "web", addresses[0])
    assert names() == {"server2"}
    told(engine, "backend", "weight", "web", addresses[1], "0")
    assert names() == {"server3"}
    assert engine.service()["on_backup"] is True
    engine.kill9()
    assert names() == {"server3"}, "the ladder knows it, too"
    engine.start()
    told(engine, "backend", "undrain", "web", addresses[0])


@pytest.mark.parametrize("mode", ["connection", "dnat"])
def test_a_backend_that_comes_back_takes_its_share_slowly(lab, mode):
    top = lab.topology()
    first, second = top.backend(1), top.backend(2)
    engine = lab.web(top, weights=(1, 1), mode=mode, slow_start="5s")
    assert backend(engine, first)["state"] == "active", "at the start nobody fills"
    told(engine, "backend", "drain", "web", first)
    told(engine, "backend", "undrain", "web", first)
    began = time.monotonic()
    state = backend(engine, first)
    assert state["state"] == "filling" and state["expected_share"] < 0.2
    shares = []

    def is_full():
        shares.append(backend(engine, first)["expected_share"])
        return backend(engine, first)["state"] == "active"
    early = http_names(top.client, top.vip[4], requests=200)
    took = time.monotonic() - began
    wait_until(is_full, "it is full")
    assert 4 <= time.monotonic() - began < 9
    assert shares == sorted(shares) and len(set(shares)) >= 4, shares
    if took < 2:
        assert early["server1"] < 80, early
    late = http_names(top.client, top.vip[4], requests=200)
    assert 60 <= late["server1"] <= 140, late
    assert backend(engine, second)["state"] == "active"


def test_a_backend_added_while_connections_go_on_is_counted_from_the_first(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1,))
    with open_connections(top.client, top.vip[4], 3):
        told(engine, "backend", "add", "web", f"{top.backend(2)},weight=65535")
        told(engine, "backend", "weight", "web", top.backend(1), "0")
        with open_connections(top.client, top.vip[4], 5):
            wait_until(lambda: active(engine, top.backend(2)) == 5, "five at the new one")
            assert active(engine, top.backend(1)) == 3
            told(engine, "backend", "remove", "web", top.backend(2))
            told(engine, "backend", "add", "web", top.backend(2))
            wait_until(lambda: active(engine, top.backend(2)) == 5, "those it had before count again")


def test_status_shows_states_and_counts(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1))
    told(engine, "backend", "drain", "web", top.backend(1))
    with open_connections(top.client, top.vip[4], 2):
        wait_until(lambda: active(engine, top.backend(2)) == 2, "two are open")
        text = engine.command("status").stdout
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  10.")}
    assert rows[f"{top.backend(1)}:80"][1] == "draining"
    assert rows[f"{top.backend(2)}:80"][1:4] == ["active", "1", "2"], text
    assert re.search(r"connection table: \d+ of \d+ entries", text)
    with top.client.inside():
        assert ask(top.vip[4])[0] == "server2"
