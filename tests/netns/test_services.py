"""What a service may be: mapped ports, a VIP shared with others, masqueraded, without a backend.

    local:        client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2, server3    VIP 10.0.0.40
                                              +-- owner 10.0.0.99, has the VIP itself, where a test lets packets pass

    routed:       client 10.1.0.10 -- gateway (engine) --+-- server1, server2, server3          VIP 10.9.0.40

    one segment:  client 10.0.0.10 --+-- gateway 10.0.0.1 (engine)       VIP 10.9.0.40, routed through the gateway
                                     +-- server1, server2 10.0.0.30      answers reach the client past the gateway
"""

import contextlib
import errno
import itertools
import socket
import time

import pytest

from support.engine import MODES, service
from support.servers import UdpServer
from support.stats import assert_shares
from support.traffic import HttpConnection, ask, http_names, udp_ask, udp_names

FAMILIES = pytest.mark.parametrize("family", [4, 6])
KINDS = pytest.mark.parametrize("kind", ["local", "routed"])


@KINDS
@FAMILIES
def test_port_mapping_to_different_ports(lab, kind, family):
    """VIP:80 -> server1:8080 and server2:81, and the same for UDP."""
    top = lab.topology(kind)
    UdpServer(top.servers[0], 6001)
    UdpServer(top.servers[1], 6002)
    vip, first, second = top.vip[family], top.backend(1, family), top.backend(2, family)
    engine = lab.engine(top, [
        service("web", vip, [{"address": first, "port": 8080}, {"address": second, "port": 81}], protocol="tcp",
                port=80),
        service("echo", vip, [{"address": first, "port": 6001}, {"address": second, "port": 6002}], protocol="udp",
                port=5000)])
    for mode in MODES:
        engine.mode(mode, "web")
        engine.mode(mode, "echo")
        with top.client.inside():
            answers = {ask(vip) for _ in range(40)}
            assert answers == {("server1", 8080), ("server2", 81)}, mode
            connection = HttpConnection(vip)
            assert len({connection.name() for _ in range(20)}) == 1, "later packets of a mapped connection"
            connection.close()
        assert_shares(udp_names(top.client, vip, flows=60), {"server1": 1, "server2": 1}, f"UDP, {mode}")


@FAMILIES
def test_mapped_and_unmapped_ports_in_one_service(lab, family):
    top = lab.topology("routed")
    engine = lab.engine(top, [service("web", top.vip[family],
                                      [{"address": top.backend(1, family), "port": 8080}, top.backend(2, family)],
                                      protocol="tcp", port=80)])
    for mode in MODES:
        engine.mode(mode)
        with top.client.inside():
            assert {ask(top.vip[family]) for _ in range(40)} == {("server1", 8080), ("server2", 80)}, mode


def test_two_ports_of_one_backend(lab):
    """The same address twice: told apart by the port alone."""
    top = lab.topology(servers=1)
    backend = top.backend(1)
    engine = lab.engine(top, [service("web", top.vip[4], [{"address": backend, "port": 8080, "weight": 3},
                                                           {"address": backend, "port": 81}], protocol="tcp", port=80)])
    for mode in MODES:
        engine.mode(mode)
        with top.client.inside():
            ports = [ask(top.vip[4])[1] for _ in range(200)]
        assert_shares({port: ports.count(port) for port in set(ports)}, {8080: 3, 81: 1}, mode)


def test_the_short_form_of_a_backend(lab):
    top = lab.topology()
    engine = lab.web(top, start=False)
    engine.file.write_text(f"""
engine: {{queues: 1}}
services:
  - name: web
    vip: {top.vip[4]}
    protocol: tcp
    port: 80
    backends:
      - {top.backend(1)}:8080
      - {top.backend(2)}:81,weight=3
  - name: web6
    vip: {top.vip[6]}
    port: 80
    backends: ["[{top.backend(1, 6)}]:8080"]
""")
    engine.start()
    assert_shares(http_names(top.client, top.vip[4]), {"server1": 1, "server2": 3})
    with top.client.inside():
        assert ask(top.vip[6]) == ("server1", 8080)


@KINDS
def test_the_most_specific_service_of_a_shared_vip_wins_in_any_mode(lab, kind):
    """A port before a protocol before any; a dnat service must not be taken by a queued one, nor the other way round."""
    top = lab.topology(kind, servers=3, udp=True)
    vip = top.vip[4]
    engine = lab.engine(top, [
        service("any", vip, [top.backend(1)]),
        service("tcp", vip, [top.backend(2)], protocol="tcp"),
        service("web", vip, [top.backend(3)], protocol="tcp", port=80)])
    for modes in itertools.product(("connection", "dnat"), repeat=3):
        for name, mode in zip(("any", "tcp", "web"), modes):
            engine.mode(mode, name)
        note = dict(zip(("any", "tcp", "web"), modes))
        before = {each["name"]: each for each in engine.status()["services"]}
        assert http_names(top.client, vip, 80, 12) == {"server3": 12}, note
        assert http_names(top.client, vip, 81, 12) == {"server2": 12}, note
        assert udp_names(top.client, vip, flows=12) == {"server1": 12}, note
        for after in engine.status()["services"]:
            field = "ladder" if note[after["name"]] == "dnat" else "picks"
            assert after[field] - before[after["name"]][field] == 12, f"{note}: {after['name']} {field}"


def test_the_most_specific_service_of_a_shared_ipv6_vip_wins(lab):
    """Both services take port 80, so that nothing but the protocol tells them apart."""
    top = lab.topology(servers=2)
    UdpServer(top.servers[0], 80)
    vip = top.vip[6]
    engine = lab.engine(top, [service("any", vip, [top.backend(1, 6)]),
                              service("web", vip, [top.backend(2, 6)], protocol="tcp", port=80)])
    for mode in MODES:
        engine.mode(mode, "any")
        engine.mode(mode, "web")
        assert http_names(top.client, vip, 80, 12) == {"server2": 12}, mode
        assert udp_names(top.client, vip, 80, flows=12) == {"server1": 12}, mode


@pytest.mark.parametrize("mode", ["inspect", "rewrite"])
def test_a_specific_service_beside_one_whose_every_packet_is_queued(lab, mode):
    top = lab.topology("routed", servers=2, udp=True)
    engine = lab.engine(top, [service("any", top.vip[4], [top.backend(1)], mode=mode),
                              service("web", top.vip[4], [top.backend(2)], protocol="tcp", port=80, mode="dnat")])
    assert http_names(top.client, top.vip[4], 80, 20) == {"server2": 20}
    assert engine.total("packets") == 0, "packets of a dnat service went to user space"
    assert udp_names(top.client, top.vip[4], flows=20) == {"server1": 20}
    assert engine.total("packets") == 20


@FAMILIES
def test_services_of_one_backend_set_on_many_vips(lab, family):
    """Connections to the same backends through different VIPs are bound by the VIP they came to."""
    top = lab.topology("routed")
    vips = [f"10.9.1.{n}" if family == 4 else f"fd09::1:{n}" for n in range(1, 5)]
    engine = lab.engine(top, [service(f"web{n}", vip, [top.backend(1 + n % 2, family)], protocol="tcp", port=80)
                              for n, vip in enumerate(vips)])
    for mode in MODES:
        for n in range(len(vips)):
            engine.mode(mode, f"web{n}")
        with top.client.inside():
            assert [ask(vip)[0] for vip in vips] == ["server1", "server2"] * 2, mode


@FAMILIES
def test_masquerade_where_answers_would_go_past_the_engine(lab, family):
    top = lab.topology("one-segment")
    vip = top.vip[family]
    plain = lab.web(top, family, weights=(1, 1))
    with top.client.inside(), pytest.raises(TimeoutError):  # the answer comes from a stranger: that is the problem
        ask(vip, seconds=1.2)
    plain.stop()
    engine = lab.web(top, family, weights=(1, 1), masquerade=True)
    for mode in MODES:
        engine.mode(mode)
        assert_shares(http_names(top.client, vip, requests=100), {"server1": 1, "server2": 1}, mode)
    assert engine.service()["masquerade"] is True


def test_masquerade_of_one_service_leaves_the_others_alone(lab):
    """A server sees the gateway's address through one service and the client's through the other."""
    top = lab.topology("routed", servers=1, web=False)
    hidden, plain = (UdpServer(top.servers[0], port) for port in (5000, 5002))
    # The hidden one is also the wider of the two: it must not hide what the other carries.
    lab.engine(top, [service("hidden", top.vip[4], [top.backend(1)], masquerade=True),
                     service("plain", top.vip[4], [top.backend(1)], protocol="udp", port=5002)])
    with top.client.inside():
        udp_ask(top.vip[4], 5000)
        udp_ask(top.vip[4], 5002)
    assert {sender[0] for sender in hidden.seen} == {"10.0.0.1"}
    assert {sender[0] for sender in plain.seen} == {"10.1.0.10"}


def udp_send_and_hear(address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.settimeout(2)
        each.connect((address, 5000))
        with contextlib.suppress(PermissionError):  # a packet rejected on its way out; the ICMP error follows
            each.send(b"who?")
        each.recv(64)


@KINDS
@FAMILIES
def test_without_a_backend_reject_refuses_at_once(lab, kind, family):
    top = lab.topology(kind, web=False)
    engine = lab.engine(top, [service("all", top.vip[family], [{"address": top.backend(1, family), "weight": 0}],
                                      on_no_backend="reject")])
    with top.client.inside():
        for mode in MODES:
            engine.mode(mode, "all")
            started = time.monotonic()
            with pytest.raises(ConnectionRefusedError):
                ask(top.vip[family])
            with pytest.raises(ConnectionRefusedError):
                udp_send_and_hear(top.vip[family])
            assert time.monotonic() - started < 0.9, f"{mode}: refused only after a retransmission"


@KINDS
@FAMILIES
def test_without_a_backend_drop_is_silent(lab, kind, family):
    top = lab.topology(kind)  # the servers do answer; nothing may reach them
    engine = lab.engine(top, [service("all", top.vip[family], [{"address": top.backend(1, family), "weight": 0}],
                                      on_no_backend="drop")])
    with top.client.inside():
        for mode in MODES:
            engine.mode(mode, "all")
            # A local socket may be told EPERM of a packet dropped on its way out; a remote one hears nothing.
            with pytest.raises((TimeoutError, PermissionError)):
                ask(top.vip[family], seconds=0.6)
            with pytest.raises((TimeoutError, PermissionError)):
                udp_ask(top.vip[family], seconds=0.3)


@KINDS
@FAMILIES
def test_without_a_backend_pass_lets_the_vip_itself_answer(lab, kind, family):
    top = lab.topology(kind)
    owner = top.owner_of_vip()
    UdpServer(owner)
    engine = lab.engine(top, [service("all", top.vip[family], [{"address": top.backend(1, family), "weight": 0}],
                                      on_no_backend="pass")])
    with top.client.inside():
        for mode in MODES:
            engine.mode(mode, "all")
            assert udp_ask(top.vip[family])[0] == "owner", mode
            with pytest.raises(ConnectionRefusedError):  # no web server there
                ask(top.vip[family])


@pytest.mark.parametrize("choice", ["reject", "drop", "pass"])
def test_no_backend_becomes_backend_and_back_while_running(lab, choice):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 0), on_no_backend=choice)
    with top.client.inside():
        assert ask(top.vip[4])[0] == "server1"
        engine.weight(top.backend(1), 0)
        with pytest.raises(OSError):
            ask(top.vip[4], seconds=0.6)
        engine.weight(top.backend(2), 5)
        assert ask(top.vip[4])[0] == "server2"


def test_the_engine_only_touches_its_vip_and_port(lab):
    top = lab.topology("routed")
    engine = lab.web(top, mode="rewrite")
    with top.client.inside():
        assert ask(top.backend(1))[0] == "server1"  # straight to a server
        with pytest.raises(OSError) as refused:  # another port of the VIP: nobody's business, and nobody there
            ask(top.vip[4], port=81, seconds=1.5)
    assert refused.value.errno in (errno.EHOSTUNREACH, None)
    assert engine.total("packets") == 0


def test_a_socket_bound_before_the_start_keeps_working(lab):
    """A UDP flow to the VIP's owner that existed before the engine is left where it was."""
    top = lab.topology(web=False, udp=True)
    owner = top.owner_of_vip()
    UdpServer(owner)
    # Conntrack only knows flows from the time on when some rule asks for it.
    top.client.run("iptables-legacy", "-w", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW")
    with top.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.settimeout(5)
        flow.connect((top.vip[4], 5000))

        def name():
            flow.send(b"who?")
            return flow.recv(64).split()[0].decode()
        assert name() == "owner"
        engine = lab.web(top, protocol="udp", port=5000)
        assert name() == "owner"
        assert engine.service()["picks"] == 0
        assert udp_ask(top.vip[4])[0] in ("server1", "server2")
