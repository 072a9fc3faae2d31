"""Who gets how much, and that it is the engine (or, in dnat mode, the ladder) who decides.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40, on the segment
                                         +-- server2 10.0.0.30
                                         +-- server3 10.0.0.103 and so on, where a test asks for more

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2      VIP 10.9.0.40
"""

import collections

import pytest

from support.engine import MODES, service
from support.stats import assert_shares
from support.traffic import HttpConnection, ask, http_names, udp_names

WEIGHTS = {"server1": 1, "server2": 3}


def check_path(engine, name, mode, before, connections):
    """The engine picked for every connection, or in dnat mode the ladder did."""
    now = engine.service(name)
    picked, laddered = now["picks"] - before["picks"], now["ladder"] - before["ladder"]
    assert (picked, laddered) == ((0, connections) if mode == "dnat" else (connections, 0)), \
        f"{name} in {mode} mode: {connections} connections, {picked} picks, {laddered} through the ladder"


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["local", "routed"])
def test_shares_match_the_weights_in_every_mode(lab, kind, family):
    top = lab.topology(kind, udp=True)
    vip = top.vip[family]
    backends = [{"address": top.backend(1, family), "weight": 1}, {"address": top.backend(2, family), "weight": 3}]
    engine = lab.engine(top, [service("web", vip, backends, protocol="tcp", port=80),
                              service("echo", vip, backends, protocol="udp", port=5000)])
    for mode in MODES:
        engine.mode(mode, "web")
        engine.mode(mode, "echo")
        web, echo = engine.service("web"), engine.service("echo")
        assert_shares(http_names(top.client, vip, requests=400), WEIGHTS, f"TCP, {mode}")
        assert_shares(udp_names(top.client, vip, flows=600), WEIGHTS, f"UDP, {mode}")
        check_path(engine, "web", mode, web, 400)
        check_path(engine, "echo", mode, echo, 600)


@pytest.mark.parametrize("mode", MODES)
def test_local_and_routed_clients_at_once(lab, mode):
    top = lab.topology("routed")
    engine = lab.web(top, mode=mode)
    before = engine.service()
    tasks = [host.spawn(http_names, host, top.vip[4], 80, 400, 2) for host in (top.client, top.gateway)]
    for task, which in zip(tasks, ("routed", "local")):
        assert_shares(task.result(), WEIGHTS, f"{which} client, {mode}")
    check_path(engine, "web", mode, before, 800)


def test_status_reports_picks_shares_and_bytes(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 3), mode="rewrite")
    names = http_names(top.client, top.vip[4], requests=200)
    web = engine.service()
    by_address = {each["address"]: each for each in web["backends"]}
    assert web["picks"] == 200
    for number, name in ((1, "server1"), (2, "server2")):
        backend = by_address[top.backend(number)]
        assert backend["picks"] == names[name]
        assert backend["share"] == pytest.approx(names[name] / 200)
        assert backend["expected_share"] == pytest.approx(WEIGHTS[name] / 4)
        # SYN, request and FIN at least of each connection, each of 40 bytes at least
        assert backend["packets"] >= 3 * names[name] and backend["bytes"] >= 40 * backend["packets"]
    interfaces = {each["name"]: each["packets"] for each in engine.status()["interfaces"]}
    assert sum(interfaces.values()) == engine.total("packets"), interfaces


@pytest.mark.parametrize("mode", ["dnat", "connection"])
def test_weights_of_1_to_1000_and_of_0(lab, mode):
    top = lab.topology(servers=3, web=False, udp=True)
    weights = (1, 1000, 0)
    lab.web(top, weights=weights, protocol="udp", port=5000, mode=mode)
    names = udp_names(top.client, top.vip[4], flows=6000)
    assert_shares(names, {f"server{n}": weight for n, weight in enumerate(weights, 1)}, mode)


def test_weight_changes_while_running(lab):
    top = lab.topology(udp=True, web=True)
    engine = lab.web(top, weights=(1, 1))
    with top.client.inside():
        kept = [HttpConnection(top.vip[4]) for _ in range(12)]
    owners = [connection.name() for connection in kept]
    assert set(owners) == {"server1", "server2"}
    for mode in ("connection", "dnat"):
        engine.mode(mode)
        for weight in (9, 0):
            engine.weight(top.backend(2), weight)
            assert_shares(http_names(top.client, top.vip[4], requests=400), {"server1": 1, "server2": weight},
                          f"{mode}, 1 to {weight}")
            # Weight 0 means no new connections, not the end of the old ones.
            assert [connection.name() for connection in kept] == owners
    for connection in kept:
        connection.close()


def test_the_same_seed_gives_the_same_sequence(lab):
    top = lab.topology()

    def sequence(seed):
        engine = lab.web(top, weights=(1, 1), engine={"seed": seed, "queues": 1})
        with top.client.inside():
            names = [ask(top.vip[4])[0] for _ in range(64)]
        engine.stop()
        return names
    first, again, other = sequence(7), sequence(7), sequence(8)
    assert first == again
    assert first != other


def test_workers_of_one_seed_pick_each_for_itself(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1), engine={"queues": 2})
    names, seen = ([], []), [0, 0]
    while min(map(len, names)) < 24:
        with top.client.inside():
            name = ask(top.vip[4])[0]
        now = [worker["packets"] for worker in engine.status()["workers"]]
        names[now[1] > seen[1]].append(name)
        seen = now
    assert names[0][:24] != names[1][:24]


@pytest.mark.parametrize("kind", ["local", "routed"])
@pytest.mark.parametrize("protocol,queues", [("tcp", 4), ("udp", 4), ("tcp", 13)])
def test_one_busy_client_uses_every_queue(lab, kind, protocol, queues):
    top = lab.topology(kind, udp=True)
    engine = lab.web(top, protocol=protocol, port=80 if protocol == "tcp" else 5000, engine={"queues": queues})
    if protocol == "tcp":
        http_names(top.client, top.vip[4], requests=800)
    else:
        udp_names(top.client, top.vip[4], flows=800, kernel_ports=True)
    packets = [worker["packets"] for worker in engine.status()["workers"]]
    assert len(packets) == queues
    assert min(packets) >= sum(packets) / queues / 2, f"packets by worker: {packets}"


def test_shares_of_many_backends(lab):
    """The ladder is a tree of probabilities: each leaf must come out right, whatever its depth."""
    top = lab.topology(servers=7, web=False, udp=True)
    weights = (5, 1, 0, 2, 7, 1, 3)
    engine = lab.web(top, weights=weights, protocol="udp", port=5000)
    for mode in ("dnat", "connection"):
        engine.mode(mode)
        names = udp_names(top.client, top.vip[4], flows=4000)
        assert_shares(names, {f"server{n}": weight for n, weight in enumerate(weights, 1)}, mode)


def test_equal_weights_through_the_flags(lab):
    top = lab.topology()
    engine = lab.engine(top, flags=["--vip", top.vip[4], "--backend", top.backend(1), "--backend",
                                    f"{top.backend(2)},weight=3"])
    assert_shares(collections.Counter(http_names(top.client, top.vip[4])), WEIGHTS)
    only = engine.status()["services"][0]
    assert (only["vip"], only["protocol"], only["port"], only["mode"]) == (top.vip[4], "any", 0, "connection")
