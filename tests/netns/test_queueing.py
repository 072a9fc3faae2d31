"""What the engine makes of packets that wait in its queues together, and which ones come there at all.

    routed:  client 10.1.0.10 -- gateway (engine) --+-- server1 10.0.0.20, server2 10.0.0.30     VIP 10.9.0.40
    local:   client 10.0.0.10 (engine) --+-- server1, server2                                    VIP 10.0.0.40
"""

import socket

import pytest

from support.poll import wait_until
from support.servers import UdpServer
from support.traffic import udp_flow


@pytest.mark.parametrize("kind", ["local", "routed"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("mode", ["connection", "inspect", "rewrite"])
def test_a_burst_of_one_udp_flow_is_never_split(lab, kind, family, mode):
    """All packets of each flow are in the queue before the first has its verdict."""
    top = lab.topology(kind, web=False, udp=True)
    engine = lab.web(top, family, weights=(1, 1), protocol="udp", port=5000, mode=mode,
                     engine={"queue_length": 4096, "queues": 2})
    with top.client.inside():
        flows = [udp_flow(top.vip[family]) for _ in range(64)]
        flows[0].send(b"warm")  # addresses of neighbours are known from here on
        flows[0].recv(64)
        waiting = sum(queue["waiting"] for queue in engine.status()["queues"])
        assert waiting == 0
        engine.freeze()
        for number in range(12):
            for flow in flows[1:]:
                flow.send(str(number).encode())
        engine.thaw()
        for flow in flows[1:]:
            answers = [flow.recv(64).decode().split() for _ in range(12)]
            assert len({name for name, _ in answers}) == 1, f"a flow was split: {answers}"
            assert sorted(int(number) for _, number in answers) == list(range(12))
        for flow in flows:
            flow.close()
    assert engine.service()["picks"] == 64
    assert engine.total("cache_hits") >= 63 * 11


def test_packets_that_wait_together_are_answered_together(lab):
    """The verdicts of a batch go out in one send, not one by one."""
    top = lab.topology(web=False, udp=True)
    engine = lab.web(top, weights=(1, 1), protocol="udp", port=5000, engine={"queues": 1})
    with top.client.inside():
        flows = [udp_flow(top.vip[4]) for _ in range(257)]
        flows[0].send(b"warm")
        flows[0].recv(64)
        before = engine.total("batches")
        engine.freeze()
        for flow in flows[1:]:
            flow.send(b"who?")
        engine.thaw()
        for flow in flows:
            if flow is not flows[0]:
                flow.recv(64)
            flow.close()
    assert engine.total("packets") == 257
    assert engine.total("batches") - before <= 16, "sends for 256 packets"


@pytest.mark.parametrize("kind", ["local", "routed"])
def test_a_one_way_udp_flow_is_queued_once(lab, kind):
    """It stays NEW for conntrack until an answer comes; the engine must not see it again and again."""
    top = lab.topology(kind, web=False)
    sinks = [UdpServer(server, 5000, answers=False) for server in top.servers]
    engine = lab.web(top, protocol="udp", port=5000)
    with top.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.connect((top.vip[4], 5000))
        flow.send(b"first")
        wait_until(lambda: sum(sum(sink.seen.values()) for sink in sinks) == 1, "the first datagram arrives")
        for _ in range(50):
            flow.send(b"more")
    wait_until(lambda: sum(sum(sink.seen.values()) for sink in sinks) == 51, "every datagram arrives")
    assert sum(1 for sink in sinks if sink.seen) == 1, "the flow was split"
    assert engine.total("packets") == 1
    assert engine.service()["picks"] == 1
