"""Health checks of real servers, and what the data path makes of them.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30, ...        VIP 10.0.0.40
"""

import os
import pathlib
import socket
import threading
import time

import pytest

from support.engine import MODES, service
from support.poll import holds_for, wait_until
from support.servers import Nginx, UdpServer
from support.traffic import Load, ask, http_names, udp_flow, udp_names

QUICK = {"interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 1, "jitter": 0, "backoff_max": "200ms"}
SLOW = {"interval": "1s", "timeout": "1s", "backoff_max": "1s"}  # a program takes its time to start
WITHIN = 0.4  # seconds: one interval and one timeout
SLACK = 0.6   # of a busy machine


def health_of(engine, address, name="web"):
    answer = engine.api("GET", f"/v1/services/{name}/backends/{address}/status")
    assert answer.status == 200, answer
    return answer.json


def state(engine, address, name="web"):
    return health_of(engine, address, name)["state"]


def wait_for_state(engine, address, wanted, name="web", seconds=10.0):
    wait_until(lambda: state(engine, address, name) == wanted,
               lambda: f"{address} is {wanted}: {health_of(engine, address, name)}", seconds)


def nginx_of(host):
    return next(each for each in host.servers if isinstance(each, Nginx))


def end(host):
    nginx_of(host).process.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("check", [{"type": "tcp"}, {"type": "http", "status": "200"}])
def test_a_server_that_ends_gets_nothing_new_within_an_interval_and_a_timeout(lab, mode, check):
    top = lab.topology()
    first, second = top.backend(1), top.backend(2)
    engine = lab.web(top, weights=(1, 1), mode=mode, health={**QUICK, **check})
    assert set(http_names(top.client, top.vip[4], requests=40)) == {"server1", "server2"}
    ended = time.monotonic()
    end(top.servers[0])
    wait_for_state(engine, first, "down")
    assert time.monotonic() - ended < WITHIN + SLACK
    load = Load(top.client, top.vip[4], threads=2)
    wait_until(lambda: load.done > 100, "requests")
    load.stop().assert_flawless("with one server down")
    assert set(load.names) == {"server2"}
    Nginx(top.servers[0])
    wait_for_state(engine, first, "active")
    assert set(http_names(top.client, top.vip[4], requests=40)) == {"server1", "server2"}
    assert state(engine, second) == "active"


def test_the_ladder_of_a_dead_engine_balances_over_the_healthy_only(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1), health={**QUICK, "type": "tcp"})
    end(top.servers[0])
    wait_for_state(engine, top.backend(1), "down")
    engine.kill9()
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server2"}


def test_a_restart_under_traffic_trusts_what_runs_and_learns_at_once_what_does_not(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1), health={**QUICK, "type": "tcp", "interval": "10s", "backoff_max": "10s",
                                                  "fall": 3})
    load = Load(top.client, top.vip[4], threads=2)
    wait_until(lambda: load.done > 50, "requests")
    engine.kill9()
    engine.start()
    holds_for(lambda: state(engine, top.backend(2)) == "active", "it is trusted", 0.5)
    load.stop().assert_flawless()
    end(top.servers[0])
    engine.kill9()
    engine.start()
    wait_for_state(engine, top.backend(1), "down", seconds=3)


def test_a_new_backend_takes_traffic_after_its_first_good_check(lab):
    top = lab.topology()
    third = top.on_bridge("server3", 60)
    engine = lab.web(top, weights=(1, 1), health={**QUICK, "type": "http"})
    load = Load(top.client, top.vip[4], threads=2)
    assert engine.command("backend", "add", "web", "10.0.0.60").code == 0
    wait_for_state(engine, "10.0.0.60", "down")
    assert "refused" in health_of(engine, "10.0.0.60")["health"]["last_result"]
    Nginx(third)
    wait_for_state(engine, "10.0.0.60", "active")
    wait_until(lambda: "server3" in load.names, "it takes connections")
    load.stop().assert_flawless("no connection met it before it was ready")


def test_until_the_first_check_is_over_who_ran_at_the_start_is_trusted_and_who_is_new_waits(lab):
    top = lab.topology()
    Nginx(top.on_bridge("server3", 60))
    engine = lab.web(top, weights=(1, 1), health={"type": "exec", "command": ["/bin/sleep", "2"], "timeout": "20s",
                                                  "interval": "30s"})

    def known(*addresses):
        said = [health_of(engine, each) for each in addresses]
        assert [each["health"]["checks_passed"] for each in said] == [0] * len(said), "too late to see it"
        return [each["state"] for each in said]
    assert known(top.backend(1), top.backend(2)) == ["active"] * 2
    assert engine.command("backend", "add", "web", "10.0.0.60").code == 0
    names = http_names(top.client, top.vip[4], requests=100)
    assert known("10.0.0.60") == ["starting"]
    assert set(names) == {"server1", "server2"}
    wait_for_state(engine, "10.0.0.60", "active")
    assert "server3" in http_names(top.client, top.vip[4], requests=60)


def test_a_wrong_status_a_slow_server_and_a_silent_one_are_down(lab):
    top = lab.topology(web=False)
    answers = {}

    def serve(host, number):
        listener = socket.create_server(("", 80))
        listener.settimeout(0.1)
        while not over.is_set():
            try:
                each, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=answer, args=(each, number), daemon=True).start()
        listener.close()

    def answer(each, number):
        with each:
            each.settimeout(5)
            try:
                each.recv(4096)
                over.wait(answers[number][0])
                each.sendall(answers[number][1])
            except OSError:
                pass
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    over = threading.Event()
    answers.update({1: (0, good), 2: (0, good)})
    tasks = [host.spawn(serve, host, n) for n, host in enumerate(top.servers, 1)]
    try:
        engine = lab.web(top, weights=(1, 1), health={**QUICK, "type": "http", "path": "/healthz"})
        wait_until(lambda: all(health_of(engine, top.backend(n))["health"]["checks_passed"] > 1 for n in (1, 2)),
                   "both are checked")
        for wrong, part in (((0, b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "500"), ((2, good), "200 ms"),
                            ((0, b"x"), ""), ((0, b""), "")):
            answers[1] = wrong
            wait_for_state(engine, top.backend(1), "down")
            assert part in health_of(engine, top.backend(1))["health"]["last_result"]
            assert state(engine, top.backend(2)) == "active"
            answers[1] = (0, good)
            wait_for_state(engine, top.backend(1), "active")
    finally:
        over.set()
        for task in tasks:
            task.result()


@pytest.mark.parametrize("family", [4, 6])
def test_udp_and_icmp_checks(lab, family):
    top = lab.topology(web=False, udp=True)
    first = top.backend(1, family)
    port = {"protocol": "udp", "port": 5000}
    engine = lab.engine(top, [
        service("echo", top.vip[family], [first, top.backend(2, family)],
                health={**QUICK, "type": "udp", "send": "hi\\n", "expect": "server"}, **port),
        service("ping", top.vip[family], [first, top.backend(2, family)], health={**QUICK, "type": "icmp"})])
    assert set(udp_names(top.client, top.vip[family])) == {"server1", "server2"}
    server = next(each for each in top.servers[0].servers if isinstance(each, UdpServer))
    server.answers = False
    wait_for_state(engine, first, "down", "echo")
    assert state(engine, first, "ping") == "active", "each service is checked on its own"
    assert set(udp_names(top.client, top.vip[family], flows=40)) == {"server2"}
    top.servers[0].ip("link set eth0 down")
    wait_for_state(engine, first, "down", "ping")
    top.servers[0].ip("link set eth0 up")
    if family == 6:
        top.servers[0].ip(f"addr replace {first}/64 dev eth0 nodad")  # an interface that goes down loses it
    server.answers = True
    wait_for_state(engine, first, "active", "ping")
    wait_for_state(engine, first, "active", "echo")


def test_udp_clients_of_a_server_that_falls_silent_move_on(lab):
    """A sender that never changes its port would be blackholed for as long as it sends."""
    top = lab.topology(web=False, udp=True)
    engine = lab.engine(top, [service("echo", top.vip[4], [top.backend(1), top.backend(2)], protocol="udp", port=5000,
                                      health={**QUICK, "type": "udp", "send": "hi"})])
    with top.client.inside():
        flows = [udp_flow(top.vip[4]) for _ in range(12)]

    def names():
        for each in flows:
            each.settimeout(0.5)
            each.send(b"who?")
        found = []
        for each in flows:
            try:
                found.append(each.recv(100).split(b" ")[0].decode())
            except TimeoutError:
                found.append(None)
        return found
    assert set(names()) == {"server1", "server2"}
    next(each for each in top.servers[0].servers if isinstance(each, UdpServer)).answers = False
    wait_for_state(engine, top.backend(1), "down", "echo")
    assert set(names()) == {"server2"}


def test_exec_checks_run_a_program_without_privileges(lab, tmp_path):
    top = lab.topology()
    script = tmp_path / "check"
    note = tmp_path / "note"
    note.touch()
    note.chmod(0o666)
    bad = tmp_path / "bad"
    script.write_text("#!/bin/sh\n"
                      f'echo "$NFSTEER_SERVICE $NFSTEER_ADDRESS $NFSTEER_PORT $(id -u)" >{note}\n'
                      f'test ! -e {bad}-"$NFSTEER_ADDRESS"\n')
    script.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != pathlib.Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    engine = lab.web(top, weights=(1, 1), health={**QUICK, "type": "exec", "command": [str(script)], **SLOW})
    wait_until(lambda: health_of(engine, top.backend(2))["health"]["checks_passed"] > 0,
               lambda: str(health_of(engine, top.backend(2))))
    pathlib.Path(f"{bad}-{top.backend(1)}").touch()
    wait_for_state(engine, top.backend(1), "down")
    assert "exit code 1" in health_of(engine, top.backend(1))["health"]["last_result"]
    said = note.read_text().split()
    assert said[0] == "web" and said[1] in (top.backend(1), top.backend(2)) and said[2] == "80"
    assert int(said[3]) != 0, "it does not run as root"
    assert set(http_names(top.client, top.vip[4], requests=40)) == {"server2"}
    pathlib.Path(f"{bad}-{top.backend(1)}").unlink()
    wait_for_state(engine, top.backend(1), "active")


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_passive_checks_see_connections_without_an_answer(lab, how):
    top = lab.topology()
    first = top.backend(1)
    engine = lab.web(top, weights=(1, 1), health={"type": "passive", "passive": 3, "interval": "30s"})
    assert set(http_names(top.client, top.vip[4], requests=40)) == {"server1", "server2"}
    if how == "refused":
        end(top.servers[0])
    else:
        top.servers[0].run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "80", "-j", "DROP")

    def try_some():
        def once():
            try:
                ask(top.vip[4], seconds=0.2)
            except OSError:
                pass
        tasks = [top.client.spawn(once) for _ in range(8)]
        for task in tasks:
            task.result()
        return state(engine, first) == "down"
    wait_until(try_some, lambda: str(health_of(engine, first)), seconds=20)
    assert health_of(engine, first)["connections"]["unanswered"] >= 3
    assert set(http_names(top.client, top.vip[4], requests=40)) == {"server2"}


def test_when_too_few_are_healthy_all_are_used(lab):
    top = lab.topology(servers=3)
    addresses = [top.backend(n) for n in (1, 2, 3)]
    engine = lab.engine(top, [service("web", top.vip[4], addresses, port=80,
                                      health={**QUICK, "type": "http", "port": 81, "panic_threshold": 50})])

    def block(host, action):
        host.run("iptables-legacy", action, "INPUT", "-p", "tcp", "--dport", "81", "-j", "REJECT")
    block(top.servers[0], "-A")
    wait_for_state(engine, addresses[0], "down")
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server2", "server3"}
    block(top.servers[1], "-A")
    wait_for_state(engine, addresses[1], "down")
    wait_until(lambda: engine.service()["panic"], "panic")
    assert set(http_names(top.client, top.vip[4], requests=90)) == {"server1", "server2", "server3"}
    block(top.servers[1], "-D")
    wait_until(lambda: not engine.service()["panic"], "no panic")
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server2", "server3"}


def test_checks_come_and_go_with_the_configuration(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1))
    end(top.servers[0])
    assert state(engine, top.backend(1)) == "active", "nobody checks"
    patch = engine.api("PATCH", "/v1/services/web", {"health": {**QUICK, "type": "tcp"}})
    assert patch.status == 200, patch
    wait_for_state(engine, top.backend(1), "down")
    assert engine.command("backend", "maintenance", "web", top.backend(1)).code == 0
    assert state(engine, top.backend(1)) == "maintenance"
    assert health_of(engine, top.backend(1))["health"]["checked"] is False
    assert engine.command("backend", "undrain", "web", top.backend(1)).code == 0
    wait_for_state(engine, top.backend(1), "down")
    assert engine.api("PATCH", "/v1/services/web", {"health": "none"}).status == 200
    assert state(engine, top.backend(1)) == "active"


def test_no_descriptor_and_no_process_is_left_over(lab):
    top = lab.topology()
    engine = lab.engine(top, [
        service(f"s{n}", f"10.0.0.{100 + n}", [top.backend(1), top.backend(2), "10.0.0.99"], port=80,
                health={**QUICK, **check})
        for n, check in enumerate(({"type": "tcp"}, {"type": "http"}, {"type": "icmp"},
                                   {"type": "udp", "send": "x"}, {"type": "exec", "command": ["/bin/true"]},
                                   {"type": "exec", "command": ["/bin/sleep", "10"]}))])

    def open_files():
        return len(os.listdir(f"/proc/{engine.pid}/fd"))
    wait_until(lambda: health_of(engine, top.backend(1), "s0")["health"]["checks_passed"] > 3, "checks")
    engine.configure([])
    engine.reload()
    wait_until(lambda: not engine.children(), "no child is left")
    few = open_files()
    engine.configure(engine.services or [service("x", "10.0.0.100", [top.backend(1)], port=80, health=QUICK)])
    engine.reload()
    wait_until(lambda: open_files() <= few + 8, "descriptors do not grow")
