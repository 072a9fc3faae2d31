"""Packets of every kind through the VIP.

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1 10.0.0.20    VIP 10.9.0.40
             fd01::10            fd01::1                     fd00::1  +-- server2 10.0.0.30        fd09::40
                                                                      +-- router 10.0.0.50 == far 10.2.0.20
                                                                                       MTU 1300
    local:   client 10.0.0.10 (engine) --+-- server1, server2                          VIP 10.0.0.40 (fd00::40)
                                         +-- owner: a host that really has the VIP, to see what passes unchanged
"""

import socket
import struct

import pytest

from support import packets
from support.engine import MODES, service
from support.poll import wait_until
from support.servers import RawServer, Sniffer, TcpServer, UdpServer
from support.stats import assert_shares
from support.topology import address
from support.traffic import ask, udp_ask, udp_names, upload

EVEN = {"server1": 1, "server2": 1}
KINDS = pytest.mark.parametrize("kind", ["local", "routed"])
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def any_service(lab, top, family=4, **fields):
    """One service for every protocol and port of the VIP."""
    return lab.engine(top, [service("all", top.vip[family], [top.backend(1, family), top.backend(2, family)],
                                    **fields)])


def each_mode(engine, name="all"):
    for mode in MODES:
        engine.mode(mode, name)
        yield mode


def assert_path(engine, mode, before, flows, name="all"):
    """All new flows since `before` were given their server by the engine, or in dnat mode all by the ladder."""
    now = engine.service(name)
    picked, laddered = now["picks"] - before["picks"], now["ladder"] - before["ladder"]
    assert (picked, laddered) == ((0, flows) if mode == "dnat" else (flows, 0)), \
        f"{mode}: {flows} flows, {picked} picks, {laddered} through the ladder"


@KINDS
@FAMILIES
def test_icmp_echo_to_the_vip(lab, kind, family):
    top = lab.topology(kind, web=False)
    engine = any_service(lab, top, family)
    for mode in each_mode(engine):
        picks = engine.service("all")["picks"]
        for size in (56, 4000):  # 4000: fragments
            result = top.client.run("ping", "-c3", "-i0.02", "-W2", "-s", size, top.vip[family], check=False)
            assert "3 received, 0% packet loss" in result.stdout, f"{mode}, {size} bytes: {result.stdout}"
            assert f"from {top.vip[family]}" in result.stdout  # the VIP answers, not the server
        assert engine.service("all")["picks"] - picks == (0 if mode == "dnat" else 2), mode


def test_pings_are_spread_and_each_stays_with_its_server(lab):
    top = lab.topology(web=False)
    any_service(lab, top)
    for _ in range(40):
        before = [server.counter("Icmp.InEchos") for server in top.servers]
        top.client.run("ping", "-c3", "-i0.002", "-W2", top.vip[4])
        got = [server.counter("Icmp.InEchos") - old for server, old in zip(top.servers, before)]
        assert sorted(got) == [0, 3], f"one ping was split: {got}"
    totals = [server.counter("Icmp.InEchos") for server in top.servers]
    assert_shares(dict(zip(EVEN, (total // 3 for total in totals))), EVEN)


@KINDS
@FAMILIES
def test_sctp_on_an_all_protocol_vip(lab, kind, family):
    """INIT and INIT ACK with valid checksums; the addresses change, and SCTP's CRC32c covers none."""
    top = lab.topology(kind, web=False)
    for server in top.servers:
        RawServer(server, packets.SCTP, packets.sctp_reply)
    engine = any_service(lab, top, family)
    port = 3000
    for mode in each_mode(engine):
        picks = engine.service("all")["picks"]
        names = set()
        with top.client.inside():
            for _ in range(24):
                port += 1
                name, real_port = packets.sctp_ask(top.vip[family], port, 9)
                assert real_port == 9
                names.add(name)
        assert names == set(EVEN), mode
        assert engine.service("all")["picks"] - picks == (0 if mode == "dnat" else 24), mode


def test_sctp_port_mapping_keeps_the_checksum_right(lab):
    top = lab.topology("routed", web=False)
    for server in top.servers:
        RawServer(server, packets.SCTP, packets.sctp_reply)
    backends = [{"address": top.backend(1), "port": 10}, {"address": top.backend(2), "port": 11}]
    engine = lab.engine(top, [service("sig", top.vip[4], backends, protocol="sctp", port=9)])
    port = 4000
    for mode in each_mode(engine, "sig"):
        answers = set()
        with top.client.inside():
            for _ in range(24):
                port += 1
                answers.add(packets.sctp_ask(top.vip[4], port, 9))
        assert answers == {("server1", 10), ("server2", 11)}, mode


def test_an_sctp_service_of_one_port_takes_no_other(lab):
    top = lab.topology("routed", web=False)
    for server in top.servers:
        RawServer(server, packets.SCTP, packets.sctp_reply)
    engine = lab.engine(top, [service("sig", top.vip[4], [top.backend(1), top.backend(2)], protocol="sctp", port=9)])
    with top.client.inside():
        assert packets.sctp_ask(top.vip[4], 4000, 9)[1] == 9
        with pytest.raises(OSError):
            packets.sctp_ask(top.vip[4], 4000, 10)
    assert engine.total("packets") == 1


@KINDS
@FAMILIES
def test_other_protocols_on_an_all_protocol_vip(lab, kind, family):
    top = lab.topology(kind, web=False)
    for server in top.servers:
        for protocol in packets.OTHER_PROTOCOLS:
            RawServer(server, protocol,
                      lambda name, payload: f"{name} ".encode() + payload if payload.startswith(b"ask") else None)
    engine = any_service(lab, top, family)

    def accept(payload):
        return payload.decode().split()[0] if payload.endswith(b" ask me") else None
    with top.client.inside():
        # Without ports all packets of a protocol are one flow, so each mode gets a protocol of its own.
        for mode, protocol in zip(each_mode(engine), packets.OTHER_PROTOCOLS):
            picks = engine.service("all")["picks"]
            names = {packets.raw_ask(top.vip[family], protocol, b"ask me", accept) for _ in range(5)}
            assert len(names) == 1 and names <= set(EVEN), f"{mode}: {names}"
            assert engine.service("all")["picks"] - picks == (0 if mode == "dnat" else 1), mode


@KINDS
def test_ipv4_options(lab, kind):
    top = lab.topology(kind, udp=True)
    engine = any_service(lab, top)
    router_alert, timestamp = b"\x94\x04\x00\x00", b"\x44\x0c\x05\x00" + b"\0" * 8
    option = (socket.IPPROTO_IP, socket.IP_OPTIONS, timestamp + router_alert)
    seen = [Sniffer(server, lambda packet: packet[0] >> 4 == 4 and packet[0] & 15 == 9) for server in top.servers]
    for mode in each_mode(engine):
        before = sum(len(sniffer.packets) for sniffer in seen)
        assert_shares(udp_names(top.client, top.vip[4], flows=60, options=[option]), EVEN, f"UDP, {mode}")
        with top.client.inside():
            assert ask(top.vip[4], options=[option])[0] in EVEN
        wait_until(lambda: sum(len(sniffer.packets) for sniffer in seen) >= before + 60 + 3,
                   f"servers see the options in {mode} mode")
    for sniffer in seen:
        for packet in sniffer.packets:
            assert packet[20] == 0x44 and packet[32:36] == router_alert
            assert packets.internet_checksum(packet[:36]) == 0


@KINDS
def test_ipv6_extension_headers(lab, kind):
    top = lab.topology(kind, udp=True)
    engine = any_service(lab, top, 6)
    padding = b"\0\0\x01\x04\0\0\0\0"  # next header (filled in), 8 bytes long, PadN
    options = [(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, padding)]
    with_hop = options + [(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, padding)]
    seen = [Sniffer(server, lambda packet: packet[0] >> 4 == 6 and packet[6] in (0, 60)) for server in top.servers]
    for mode in each_mode(engine):
        for chain in (options, with_hop):
            before = sum(len(sniffer.packets) for sniffer in seen)
            picks = engine.service("all")["picks"]
            assert_shares(udp_names(top.client, top.vip[6], flows=60, options=chain), EVEN, f"UDP, {mode}")
            with top.client.inside():
                assert ask(top.vip[6], options=chain)[0] in EVEN
            wait_until(lambda: sum(len(sniffer.packets) for sniffer in seen) >= before + 60 + 3,
                       f"servers see the headers in {mode} mode")
            assert engine.service("all")["picks"] - picks == (0 if mode == "dnat" else 61), mode


@KINDS
@FAMILIES
def test_datagrams_of_60_kilobytes(lab, kind, family):
    top = lab.topology(kind, web=False, udp=True)
    engine = any_service(lab, top, family)
    data = lab.random.randbytes(60000)
    for mode in each_mode(engine):
        before = engine.service("all")
        names = udp_names(top.client, top.vip[family], flows=30, data=data)
        assert names[None] == 0 and sum(names.values()) == 30, f"{mode}: {names}"
        assert_path(engine, mode, before, 30)
        # A second datagram of a flow takes the way of later packets.
        with top.client.inside(), socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET,
                                                socket.SOCK_DGRAM) as flow:
            flow.settimeout(5)
            flow.connect((top.vip[family], 5000))
            answers = set()
            for _ in range(5):
                flow.send(data)
                name, _, echo = flow.recv(65536).partition(b" ")
                assert echo == data
                answers.add(name)
            assert len(answers) == 1, f"{mode}: one flow answered by {answers}"


@KINDS
def test_udp_checksum_zero_stays_zero(lab, kind):
    top = lab.topology(kind, web=False)
    for server in top.servers:
        UdpServer(server, 5000)
        UdpServer(server, 5009)
    seen = [Sniffer(server, lambda packet: packet[0] >> 4 == 4 and packet[9] == 17) for server in top.servers]
    backends = [top.backend(1), {"address": top.backend(2), "port": 5009}]
    engine = lab.engine(top, [service("echo", top.vip[4], backends, protocol="udp", port=5000)])
    for mode in each_mode(engine, "echo"):
        names = udp_names(top.client, top.vip[4], flows=60,
                          options=[(socket.SOL_SOCKET, packets.SO_NO_CHECK, 1)])
        assert_shares(names, EVEN, mode)
    wait_until(lambda: sum(len(sniffer.packets) for sniffer in seen) >= len(MODES) * 60, "every datagram is seen")
    datagrams = [packet for sniffer in seen for packet in sniffer.packets]
    assert {struct.unpack_from("!H", packet, 26)[0] for packet in datagrams} == {0}


@KINDS
@FAMILIES
def test_tcp_fast_open_data_in_the_syn(lab, kind, family):
    top = lab.topology(kind, web=False, tcp=True)
    top.client.sysctl("net.ipv4.tcp_fastopen", 0x1 | 0x4)  # data goes out without a cookie
    engine = any_service(lab, top, family)
    for mode in each_mode(engine):
        taken = sum(server.counter("TcpExt.TCPFastOpenPassive") for server in top.servers)
        before = engine.service("all")
        names = set()
        with top.client.inside():
            for _ in range(16):
                names.add(upload(top.vip[family], size=700, fast_open=True)[0])
        assert names == set(EVEN), mode
        assert sum(server.counter("TcpExt.TCPFastOpenPassive") for server in top.servers) == taken + 16, mode
        assert_path(engine, mode, before, 16)


@FAMILIES
def test_path_mtu_discovery_works_through_the_vip(lab, family):
    """ICMP "too big" of a router behind the gateway reaches the client and names the VIP, and the transfer adapts."""
    top = lab.topology("routed", servers=1, web=False)
    far = top.behind_router(mtu=1300)
    TcpServer(far)
    UdpServer(far)
    vip = top.vip[family]
    engine = lab.engine(top, [service("far", vip, [address(family, 20, segment=2)])])
    kind, code = (3, 4) if family == 4 else (2, 0)
    header = 20 if family == 4 else 40

    def too_big(packet):
        return (packet[0] >> 4 == family and packet[9 if family == 4 else 6] == (1 if family == 4 else 58)
                and tuple(packet[header:header + 2]) == (kind, code))
    seen = Sniffer(top.client, too_big)
    for mode in each_mode(engine, "far"):
        top.client.run("ip", "-4" if family == 4 else "-6", "route", "flush", "cache")
        seen.packets.clear()
        with top.client.inside():
            assert upload(vip, size=1 << 20)[0] == "far"
        wait_until(lambda: seen.packets, f"ICMP arrives in {mode} mode")
        for packet in seen.packets:
            inner = packet[header + 8:]
            destination = inner[16:20] if family == 4 else inner[24:40]
            assert socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, destination) == vip
        assert "mtu 1300" in top.client.run("ip", "route", "get", vip).stdout, mode

        top.client.run("ip", "-4" if family == 4 else "-6", "route", "flush", "cache")
        with top.client.inside():
            name, echo = udp_ask(vip, data=b"x" * 1250)
            assert name == "far"
            discover = ((socket.IPPROTO_IP, 10, 2) if family == 4 else (socket.IPPROTO_IPV6, 23, 2))  # *_PMTUDISC_DO
            with pytest.raises(OSError):  # the first is lost to the router, a later one fails here (EMSGSIZE)
                with socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as flow:
                    flow.setsockopt(*discover)
                    flow.connect((vip, 5000))
                    wait_until(lambda: flow.send(b"x" * 1400) == 0, "never true", seconds=5)


@KINDS
@FAMILIES
def test_port_unreachable_reaches_the_client(lab, kind, family):
    top = lab.topology(kind, web=False)
    engine = any_service(lab, top, family)
    with top.client.inside():
        for mode in each_mode(engine):
            with pytest.raises(ConnectionRefusedError):  # the kernel finds the socket only if the VIP is inside
                udp_ask(top.vip[family], port=7)
            with pytest.raises(ConnectionRefusedError):
                ask(top.vip[family], port=7)


TCP_HEAD = struct.pack("!HHII", 1000, 80, 1, 0)
MALFORMED_V4 = {
    "TCP cut in the header": (6, TCP_HEAD[:10]),
    "TCP cut before the flags": (6, TCP_HEAD),
    "TCP header shorter than 20": (6, TCP_HEAD + struct.pack("!BBHHH", 2 << 4, 2, 1024, 0, 0)),
    "TCP header longer than the packet": (6, TCP_HEAD + struct.pack("!BBHHH", 15 << 4, 2, 1024, 0, 0)),
    "UDP cut in the header": (17, b"\x10\x00\x00"),
    "UDP length below 8": (17, struct.pack("!HHHH", 1000, 80, 4, 0)),
    "UDP length above the packet": (17, struct.pack("!HHHH", 1000, 80, 900, 0)),
    "SCTP cut in the header": (132, b"\0\x09\0\x09\0\0"),
    "ICMP cut in the header": (1, b"\x08\0\0"),
}
MALFORMED_V6 = {
    "TCP cut in the header": (6, TCP_HEAD[:10]),
    "extension header cut": (60, b"\x11"),
    "extension header longer than the packet": (60, b"\x11\x20" + b"\0" * 6),
    "hop-by-hop behind another header": (60, b"\0\0\x01\x04\0\0\0\0" + b"\x11\x40\x01\x04\0\0\0\0"),
    "authentication header cut": (51, b"\x11\x10" + b"\0" * 6),
    "UDP length above the packet": (17, struct.pack("!HHHH", 1000, 80, 900, 0)),
}


@pytest.mark.smoke
@pytest.mark.parametrize("family,shapes", [(4, MALFORMED_V4), (6, MALFORMED_V6)], ids=["v4", "v6"])
def test_malformed_packets_are_counted_and_pass_unchanged(lab, family, shapes):
    """A foreign rule queues them, since conntrack calls most of them INVALID and our rules ask for NEW."""
    top = lab.topology(udp=True)
    owner = top.owner_of_vip()
    vip, client = top.vip[family], address(family, 10)
    engine = any_service(lab, top, family)
    command = "iptables-legacy" if family == 4 else "ip6tables-legacy"
    rule = ["OUTPUT", "-d", vip, "-m", "comment", "--comment", "foreign", "-j", "NFQUEUE", "--queue-num", "0"]
    top.client.run(command, "-w", "-t", "mangle", "-I", *rule)
    # Those that conntrack knows nothing of go to the VIP itself, others to a server by the ladder.
    arrived = [Sniffer(host, lambda packet: packet[0] >> 4 == family) for host in (owner, *top.servers)]
    build = packets.ipv4 if family == 4 else packets.ipv6
    for shape, (protocol, payload) in shapes.items():
        before = engine.total("malformed")
        sent = build(client, vip, protocol, payload)
        with top.client.inside():
            packets.send_raw(sent)
        wait_until(lambda: engine.total("malformed") == before + 1, f"{shape}: counted as malformed", seconds=3)
        wait_until(lambda: any(packet[-len(payload):] == payload for each in arrived for packet in each.packets),
                   f"{shape}: arrives unchanged", seconds=3)
    top.client.run(command, "-w", "-t", "mangle", "-D", *rule)
    assert_shares(udp_names(top.client, vip, flows=60), EVEN, "after all that")
