"""A UDP client that sends from one port for as long as it lives must not be held to a backend that is gone.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
    routed:  client --- gateway (engine) --+-- server1, server2
"""

import socket

import pytest

from support.engine import MODES, service
from support.held_packets import HeldPackets
from support.poll import wait_until
from support.tables import ours

FAMILIES = pytest.mark.parametrize("family", [4, 6])


class UdpClient:
    """One socket, connected to the VIP."""

    def __init__(self, host, address, port=5000):
        with host.inside():
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.settimeout(1.0)
            self.socket.connect((address, port))

    def name(self):
        self.socket.send(b"who?")
        return self.socket.recv(100).split(b" ")[0].decode()

    def answered(self):
        try:
            return self.name()
        except OSError:
            return None


def clients(host, address, count=12):
    return [UdpClient(host, address) for _ in range(count)]


@pytest.mark.parametrize("kind", ["local", "routed"])
@pytest.mark.parametrize("mode", MODES)
@FAMILIES
def test_clients_of_a_removed_backend_move_on_and_the_others_stay(lab, kind, mode, family):
    top = lab.topology(kind, web=False, udp=True)
    vip, first, second = top.vip[family], top.backend(1, family), top.backend(2, family)
    engine = lab.engine(top, [service("echo", vip, [first, second], protocol="udp", port=5000, mode=mode)])
    everybody = clients(top.client, vip)
    before = [each.name() for each in everybody]
    assert set(before) == {"server1", "server2"}
    assert [each.name() for each in everybody] == before, "a flow stays where it is"
    assert engine.command("backend", "remove", "echo", first).code == 0
    assert [each.name() for each in everybody] == ["server2"] * len(everybody)
    assert engine.command("backend", "add", "echo", first).code == 0
    assert [each.name() for each in everybody] == ["server2"] * len(everybody), "a new backend takes nobody away"
    moved = before.count("server1")
    assert f"forgot {moved} flow" in engine.stderr


@FAMILIES
def test_when_the_last_backend_goes_its_clients_are_told_and_come_back_with_the_next(lab, family):
    top = lab.topology(web=False, udp=True)
    vip, first, second = top.vip[family], top.backend(1, family), top.backend(2, family)
    engine = lab.engine(top, [service("echo", vip, [first], protocol="udp", port=5000)])
    client = UdpClient(top.client, vip)
    assert client.name() == "server1"
    assert engine.command("backend", "remove", "echo", first).code == 0
    assert client.answered() is None, "on_no_backend: reject"
    assert engine.command("backend", "add", "echo", second).code == 0
    wait_until(lambda: client.answered() == "server2", "the client is answered by the new backend")


@pytest.mark.parametrize("kind", ["local", "routed"])
def test_a_client_that_sent_before_its_service_was_there_is_balanced_with_it(lab, kind):
    """By an engine that starts, and by a service that comes later. Something else had conntrack follow it meanwhile."""
    top = lab.topology(kind, web=False, udp=True)
    vip, backends = top.vip[4], [top.backend(1), top.backend(2)]
    top.engine_host.run("iptables-nft", "-w", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID")
    early, late = UdpClient(top.client, vip), UdpClient(top.client, vip, port=5001)
    assert early.answered() is None and late.answered() is None
    assert top.engine_host.run("conntrack", "-L", "-p", "udp", "--orig-dst", vip).stdout.count("UNREPLIED") == 2
    engine = lab.engine(top, [service("echo", vip, backends, protocol="udp", port=5000)])
    wait_until(early.answered, "the client is balanced by the engine that has started")
    assert late.answered() is None
    added = service("late", vip, [{"address": each, "port": 5000} for each in backends], protocol="udp", port=5001)
    assert engine.api("POST", "/v1/services", added).status == 201
    wait_until(late.answered, "the client is balanced by the service that has come")


def test_a_packet_that_somebody_held_meanwhile_does_not_hold_its_flow(lab):
    """It had passed the old rules, and comes on when the engine has looked for such flows already: at its start, and at
    a service that comes later."""
    top = lab.topology("routed", web=False, udp=True)
    host, vip, backends = top.engine_host, top.vip[4], [top.backend(1), top.backend(2)]
    host.run("iptables-nft", "-w", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID")

    def held_during(change, client):
        with HeldPackets(host, "-p", "udp") as held:
            client.socket.send(b"early")
            held.wait_for(1)
            change()
            held.release()
    early, late = UdpClient(top.client, vip), UdpClient(top.client, vip, port=5001)
    engine = lab.engine(top, [service("echo", vip, backends, protocol="udp", port=5000)], start=False)
    held_during(engine.start, early)
    wait_until(early.answered, "the client is balanced by the engine that has started")
    added = service("late", vip, [{"address": each, "port": 5000} for each in backends], protocol="udp", port=5001)
    held_during(lambda: engine.api("POST", "/v1/services", added), late)
    wait_until(late.answered, "the client is balanced by the service that has come")


def test_a_removed_service_lets_go_of_its_clients(lab):
    top = lab.topology(web=False, udp=True)
    vip = top.vip[4]
    engine = lab.engine(top, [service("echo", vip, [top.backend(1)], protocol="udp", port=5000),
                              service("rest", vip, [top.backend(2)])])
    client = UdpClient(top.client, vip)
    assert client.name() == "server1"
    engine.configure([service("rest", vip, [top.backend(2)])])
    engine.reload()
    assert client.name() == "server2", "the wider service takes it"


@pytest.mark.parametrize("mode", MODES)
def test_a_restart_with_fewer_backends_lets_go_of_clients_too(lab, mode):
    """Killed, the engine leaves the ladder with both; the next start knows only what conntrack knows."""
    top = lab.topology(web=False, udp=True)
    vip, first, second = top.vip[4], top.backend(1), top.backend(2)
    engine = lab.engine(top, [service("echo", vip, [first, second], protocol="udp", port=5000, mode=mode)])
    everybody = clients(top.client, vip)
    assert {each.name() for each in everybody} == {"server1", "server2"}
    engine.kill9()
    assert ours(engine.host)
    engine.configure([service("echo", vip, [second], protocol="udp", port=5000, mode=mode)])
    engine.start()
    assert {each.name() for each in everybody} == {"server2"}


def test_a_change_that_leaves_nothing_stale_forgets_nothing(lab):
    top = lab.topology(web=False, udp=True)
    vip, first, second = top.vip[4], top.backend(1), top.backend(2)
    engine = lab.engine(top, [service("echo", vip, [first, second], protocol="udp", port=5000)])
    everybody = clients(top.client, vip)
    before = [each.name() for each in everybody]
    for words in (("weight", "echo", first, "0"), ("mode", "echo", "dnat"), ("mode", "echo", "rewrite"),
                  ("weight", "echo", first, "5")):
        assert engine.command(*words).code == 0
        assert [each.name() for each in everybody] == before, words
    engine.kill9()
    engine.start()
    assert [each.name() for each in everybody] == before
    assert "forgot" not in engine.log()
