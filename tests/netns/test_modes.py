"""Mode switches while traffic flows: nothing breaks, and each is one commit per table.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2      VIP 10.9.0.40
"""

import json

import pytest

from support.engine import MODES, service
from support.poll import wait_until
from support.traffic import HttpConnection, Load, Transfer, udp_ask


def every_transition():
    """The four modes in an order that has each of the twelve switches exactly once (an Eulerian circuit)."""
    left = {mode: [other for other in MODES if other != mode] for mode in MODES}
    stack, circuit = [MODES[1]], []
    while stack:
        if left[stack[-1]]:
            stack.append(left[stack[-1]].pop())
        else:
            circuit.append(stack.pop())
    assert len(circuit) == 13
    return circuit[::-1]


@pytest.mark.parametrize("kind,family", [("local", 4), ("routed", 4), ("routed", 6)])
def test_all_twelve_switches_under_load_break_nothing(lab, kind, family):
    top = lab.topology(kind)
    engine = lab.web(top, family, weights=(1, 1))
    vip = top.vip[family]
    transfers = [Transfer(top.client, vip) for _ in range(4)]
    kept = Load(top.client, vip, keep_alive=True, threads=2, pause=0.005)
    load = Load(top.client, vip, threads=2, pause=0.002)
    wait_until(lambda: load.done > 20 and kept.done > 20, "load is running")
    retransmitted = top.client.counter("TcpExt.TCPSynRetrans")
    for mode in every_transition()[1:]:
        before = engine.status()["rules"]["commits"]
        engine.mode(mode)
        commits = engine.status()["rules"]["commits"] - before
        assert commits == 1, f"to {mode}: {commits} commits, though only the queue rules change"
        assert engine.service()["mode"] == mode
        reached = load.done
        wait_until(lambda: load.done >= reached + 60 or load.failures, f"requests go on in {mode} mode")
    assert {transfer.result() for transfer in transfers} <= {"server1", "server2"}
    load.stop().assert_flawless("new connections")
    kept.stop().assert_flawless("kept connections")
    assert top.client.counter("TcpExt.TCPSynRetrans") == retransmitted, "a switch lost SYNs"


@pytest.mark.parametrize("reverse", [[], ["-R"]], ids=["upload", "download"])
def test_an_iperf_stream_lives_through_every_mode(lab, reverse):
    top = lab.topology("routed", servers=1, web=False)
    top.servers[0].start("iperf3", "-s", "-1", "-p", "5201")
    wait_until(lambda: ":1451 " in top.servers[0].read("/proc/net/tcp6"), "iperf3 listens")
    engine = lab.engine(top, [service("iperf", top.vip[4], [top.backend(1)], protocol="tcp", port=5201)])
    stream = top.client.start("iperf3", "-c", top.vip[4], "-t", "4", "-b", "400M", "--json", *reverse)
    for mode in every_transition()[1:]:
        seen = engine.total("packets")
        engine.mode(mode, "iperf")
        if mode in ("inspect", "rewrite"):
            wait_until(lambda: engine.total("packets") > seen + 20 or not stream.running(),
                       f"the stream's packets reach the engine in {mode} mode")
            assert stream.running()
    assert stream.wait() == 0, stream.stdout
    report = json.loads(stream.stdout)
    seconds = [interval["sum"]["bits_per_second"] for interval in report["intervals"]]
    assert min(seconds) > 10e6, f"the stream stood still: {seconds}"


def test_what_the_engine_sees_in_each_mode(lab):
    """DESIGN: dnat nothing, connection the first packet, inspect and rewrite every packet from client to VIP."""
    top = lab.topology("routed", servers=1)
    engine = lab.web(top, weights=(1,))
    for mode in MODES:
        engine.mode(mode)
        before = engine.status()
        with top.client.inside():
            connection = HttpConnection(top.vip[4])
            for _ in range(20):
                connection.name()
            connection.close()
        after = engine.status()
        seen, rewritten = (sum(w[field] for w in after["workers"]) - sum(w[field] for w in before["workers"])
                           for field in ("packets", "rewritten"))
        if mode == "dnat":
            assert seen == 0
        elif mode == "connection":
            assert (seen, rewritten) == (1, 1)
        else:
            assert seen >= 22, f"{mode}: SYN, ACK and twenty requests at least, not {seen}"
            assert rewritten == 1 if mode == "inspect" else rewritten >= 22, f"{mode}: {rewritten} of {seen} rewritten"


def test_inspect_copies_headers_only(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    groups = {each["queue"]: each["group"] for each in engine.status()["queues"]}
    for line in top.client.read("/proc/net/netfilter/nfnetlink_queue").splitlines():
        queue, copied = int(line.split()[0]), int(line.split()[4])
        if queue not in groups:
            continue  # the claim
        if groups[queue] == "inspect":
            assert copied <= 128, f"queue {queue}: {copied} bytes"
        else:
            assert copied > 65500, f"queue {queue}: {copied} bytes, though packets go back whole"


def test_udp_flows_keep_their_server_across_switches(lab):
    top = lab.topology("routed", web=False, udp=True)
    engine = lab.web(top, weights=(1, 1), protocol="udp", port=5000)
    owners = {}
    for mode in every_transition():
        engine.mode(mode)
        for port in range(40000, 40020):
            with top.client.inside():
                name, _ = udp_ask(top.vip[4], source=("", port))
            assert owners.setdefault(port, name) == name, f"flow {port} moved in {mode} mode"
    assert set(owners.values()) == {"server1", "server2"}
