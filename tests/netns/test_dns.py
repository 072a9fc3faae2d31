"""A real DNS server behind the VIP: dnsmasq, over UDP and TCP.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import contextlib
import shutil
import struct

import pytest

from support.engine import MODES, service
from support.hosts import new_folder, wait_listening
from support.poll import wait_until
from support.traffic import open_tcp, udp_flow

QUERY_ID = b"\x12\x34"


def question(name="who.test", kind=16):
    """A query for TXT records (RFC 1035 section 4)."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return QUERY_ID + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def text_in(answer):
    """Of the one TXT record of an answer without errors."""
    assert answer[:2] == QUERY_ID and answer[3] & 15 == 0 and struct.unpack("!H", answer[6:8]) == (1,), answer
    data = answer[len(question()) + 12:]  # name, type, class, time to live, length
    return data[1:1 + data[0]].decode()


def escaped(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


class Dnsmasq:
    """Answers who.test TXT with its host's name."""

    def __init__(self, host):
        self.folder = new_folder("dnsmasq")
        host.servers.append(self)
        self.process = host.start("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                                  "--user=root", f"--pid-file={self.folder}/pid", f"--txt-record=who.test,{host.name}")
        wait_listening(host, 53, "udp")

    def close(self):
        self.process.close()
        shutil.rmtree(self.folder, ignore_errors=True)


QUICK = {"interval": "200ms", "timeout": "200ms", "fall": 1, "rise": 1, "jitter": 0, "backoff_max": "200ms"}
BY_QUERY = {**QUICK, "type": "udp", "send": escaped(question()), "expect": escaped(QUERY_ID)}


def asked_over_udp(flow):
    flow.send(question())
    return text_in(flow.recv(512))


def asked_over_tcp(address):
    with open_tcp(address, 53, 10) as each:
        each.sendall(struct.pack("!H", len(question())) + question())
        stream = each.makefile("rb")
        return text_in(stream.read(*struct.unpack("!H", stream.read(2))))


@pytest.mark.parametrize("mode", MODES)
def test_resolvers_follow_the_health_of_the_servers(lab, mode):
    """Senders that never change their port: they stay while their server lives, and move on when it ends."""
    top = lab.topology(web=False)
    servers = [Dnsmasq(each) for each in top.servers]
    backends = [top.backend(1), top.backend(2)]
    engine = lab.engine(top, [service("dns", top.vip[4], backends, protocol="udp", port=53, mode=mode, health=BY_QUERY),
                              service("dns-tcp", top.vip[4], backends, protocol="tcp", port=53, mode=mode,
                                      health={**QUICK, "type": "tcp"})])

    def down(name):
        return engine.api("GET", f"/v1/services/{name}/backends/{top.backend(1)}/status").json["state"] == "down"
    with top.client.inside(), contextlib.ExitStack() as stack:
        flows = [stack.enter_context(udp_flow(top.vip[4], 53)) for _ in range(24)]
        before = [asked_over_udp(each) for each in flows]
        assert set(before) == {"server1", "server2"}
        assert [asked_over_udp(each) for each in flows] == before
        assert {asked_over_tcp(top.vip[4]) for _ in range(24)} == {"server1", "server2"}
        servers[0].close()
        wait_until(lambda: down("dns") and down("dns-tcp"), "server1 is down")
        assert {asked_over_udp(each) for each in flows} == {"server2"}
        assert {asked_over_tcp(top.vip[4]) for _ in range(12)} == {"server2"}
        Dnsmasq(top.servers[0])
        wait_until(lambda: not down("dns") and not down("dns-tcp"), "server1 is back")
        assert {asked_over_udp(each) for each in flows} == {"server2"}, "a server that comes back takes nobody away"
        fresh = [stack.enter_context(udp_flow(top.vip[4], 53)) for _ in range(24)]
        assert {asked_over_udp(each) for each in fresh} == {"server1", "server2"}
