"""Balancing policies on real traffic: every one of the catalogue, live state, options, shadow policies.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30, ...        VIP 10.0.0.40
"""

import collections
import contextlib
import json
import socket

import pytest

from support.engine import service
from support.poll import wait_until
from support.stats import assert_shares
from support.traffic import HttpConnection, Load, http_names, udp_names

# What each policy promises over many new connections that do not stay: shares by weight, by number of backends, all to
# one, or nothing but that every answer is right.
BY_WEIGHT = ("weighted-random", "weighted-round-robin", "power-of-two-choices", "peak-ewma")
BY_FLOW = ("flow-hash", "maglev", "rendezvous", "ring-hash")
BY_SOURCE = ("source-hash",)
EVENLY = ("round-robin",)
BY_LOAD = ("least-connections", "weighted-least-connections", "shortest-expected-delay", "never-queue", "overflow")
ONE = ("weighted-failover",)


def told(engine, *words, code=0):
    outcome = engine.command(*words)
    assert outcome.code == code, outcome
    return outcome


def picks(engine, name="web"):
    return [each["picks"] for each in engine.service(name)["backends"]]


@contextlib.contextmanager
def held(host, vip, count, port=80):
    """Connections that stay open; the names of those who answered."""
    made, names = [], []
    try:
        with host.inside():
            for _ in range(count):
                connection = HttpConnection(vip, port)
                made.append(connection)
                names.append(connection.name())
        yield names
    finally:
        for each in made:
            each.close()


def asked(vip, source_port, port=5000):
    """Who answers the first datagram from this port; in the calling thread's namespace."""
    with socket.socket(socket.AF_INET6 if ":" in vip else socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.settimeout(10)
        flow.bind(("", source_port))
        flow.connect((vip, port))
        flow.send(b"who?")
        return flow.recv(2048)


def test_the_lists_above_name_the_whole_catalogue(lab):
    named = {*BY_WEIGHT, *BY_FLOW, *BY_SOURCE, *EVENLY, *BY_LOAD, *ONE}
    top = lab.topology()
    engine = lab.web(top)
    answer = engine.api("GET", "/v1/policies")
    assert answer.status == 200, answer
    assert {each["name"] for each in answer.json["policies"]} == named


@pytest.mark.parametrize("policy", BY_WEIGHT + BY_FLOW)
def test_shares_of_new_connections_are_the_weights(lab, policy):
    top = lab.topology(udp=True)
    backends = [{"address": top.backend(1), "weight": 1}, {"address": top.backend(2), "weight": 3}]
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80, policy=policy),
                              service("echo", top.vip[4], backends, protocol="udp", port=5000, policy=policy)])
    weights = {"server1": 1, "server2": 3}
    names = collections.Counter(http_names(top.client, top.vip[4], requests=600))
    if policy == "power-of-two-choices":  # load has a say too
        assert names["server2"] > names["server1"] > 0, names
    elif policy != "peak-ewma":  # where latencies are those of a busy machine, they decide
        assert_shares(names, weights, policy)
        assert_shares(udp_names(top.client, top.vip[4], flows=800), weights, policy)
    assert sum(picks(engine)) == 600


@pytest.mark.parametrize("policy", BY_LOAD + EVENLY + ONE + BY_SOURCE)
def test_every_connection_is_answered_and_weight_zero_gets_none(lab, policy):
    top = lab.topology()
    backends = [{"address": top.backend(1), "weight": 0}, {"address": top.backend(2), "weight": 3}]
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80, policy=policy)])
    assert set(http_names(top.client, top.vip[4], requests=200)) == {"server2"}
    assert picks(engine) == [0, 200]


@pytest.mark.parametrize("alias, name", [("rr", "round-robin"), ("wrr", "weighted-round-robin"), ("sh", "source-hash"),
                                         ("mh", "maglev"), ("fo", "weighted-failover")])
def test_ipvs_names_stand_for_the_policies(lab, alias, name):
    top = lab.topology()
    engine = lab.web(top)
    told(engine, "policy", "web", alias)
    assert engine.service()["policy"] == name


def test_round_robin_takes_turns(lab):
    top = lab.topology()
    engine = lab.web(top, policy="round-robin", engine={"queues": 1})
    http_names(top.client, top.vip[4], requests=100)
    assert picks(engine) == [50, 50]


@pytest.mark.parametrize("policy", ("least-connections", "weighted-least-connections", "power-of-two-choices"))
def test_open_connections_count(lab, policy):
    """The backend that holds connections already gets fewer of the new ones."""
    top = lab.topology()
    engine = lab.web(top, policy=policy)
    first, second = top.backend(1), top.backend(2)
    told(engine, "weight", "web", second, "0")
    with held(top.client, top.vip[4], 40) as names:
        assert set(names) == {"server1"}
        wait_until(lambda: engine.service()["backends"][0]["connections"]["active"] == 40, "the 40 are counted")
        told(engine, "weight", "web", second, "1")
        with held(top.client, top.vip[4], 40) as later:
            got = collections.Counter(later)
            least = 40 if policy != "power-of-two-choices" else 25
            assert got["server2"] >= least - 2, got
    assert first  # both were configured all the time


def test_a_burst_is_spread_though_no_connection_of_it_is_known_yet(lab):
    """A hundred SYNs at once: conntrack tells of them later than the engine decides, pending picks bridge that."""
    top = lab.topology()
    engine = lab.web(top, policy="least-connections")
    with top.client.inside():
        sockets = [socket.socket() for _ in range(100)]
        for each in sockets:
            each.setblocking(False)
        for each in sockets:
            with contextlib.suppress(BlockingIOError):
                each.connect((top.vip[4], 80))
        wait_until(lambda: sum(picks(engine)) == 100, "all have been decided")
        counts = picks(engine)
        for each in sockets:
            each.close()
    assert min(counts) >= 40, counts


def test_pending_connections_do_not_pile_up(lab):
    top = lab.topology()
    engine = lab.web(top, policy="least-connections")
    http_names(top.client, top.vip[4], requests=300)
    wait_until(lambda: all(each["pending"] == 0 for each in engine.service()["backends"]),
               "no connection is pending once all are known")


def test_handshakes_are_measured(lab):
    top = lab.topology()
    engine = lab.web(top, policy="peak-ewma")
    assert [each["handshake_us"] for each in engine.service()["backends"]] == [0, 0]
    http_names(top.client, top.vip[4], requests=200)
    wait_until(lambda: all(0 < each["handshake_us"] < 1e6 for each in engine.service()["backends"]),
               "both backends' handshakes have been measured")


def test_overflow_fills_the_first_backend_before_the_next(lab):
    top = lab.topology()
    engine = lab.engine(top, [service("web", top.vip[4], [{"address": top.backend(1), "weight": 10},
                                                          {"address": top.backend(2), "weight": 5}],
                                      protocol="tcp", port=80, policy="overflow")])
    with held(top.client, top.vip[4], 10) as names:
        assert set(names) == {"server1"}
        wait_until(lambda: engine.service()["backends"][0]["connections"]["active"] == 10, "all ten are counted")
        with held(top.client, top.vip[4], 4) as names:
            assert set(names) == {"server2"}


@pytest.mark.parametrize("policy", BY_FLOW + BY_SOURCE)
@pytest.mark.parametrize("family", [4, 6])
def test_a_flow_has_one_backend_whatever_engine_decides(lab, policy, family):
    """Decided anew by an engine that knows nothing of the first decision: the same ports, the same backends."""
    top = lab.topology(udp=True)
    vip = top.vip[family]
    backends = [{"address": top.backend(n, family), "weight": n} for n in (1, 2)]
    services = [service("echo", vip, backends, protocol="udp", port=5000, policy=policy)]
    ports = range(21000, 21100)

    def answers():
        with top.client.inside():
            return [asked(vip, port) for port in ports]

    engine = lab.engine(top, services)
    before = answers()
    engine.stop()
    top.client.run("conntrack", "-F")
    services[0]["backends"].reverse()  # their order says nothing
    engine = lab.engine(top, services)
    assert answers() == before
    assert sum(picks(engine, "echo")) == len(ports), "the second engine decided on all of them"
    assert policy in BY_SOURCE or len(set(before)) == 2


def test_explain_names_the_backend_where_the_flow_decides(lab):
    top = lab.topology()
    engine = lab.web(top, policy="maglev")
    source = "10.0.0.10:31000"
    said = json.loads(told(engine, "explain", "tcp", source, f"{top.vip[4]}:80", "--json").stdout)
    assert said["choice"] and "maglev" in said["choice"]["reason"], said
    named = said["backends"][said["choice"]["backend"]]["address"]
    with top.client.inside(), socket.socket() as each:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("", 31000))
        each.connect((top.vip[4], 80))
        live = json.loads(told(engine, "explain", "tcp", source, f"{top.vip[4]}:80", "--live", "--json").stdout)
    assert named in json.dumps(live["live"]), (named, live["live"])


def test_options_are_taken_and_bad_ones_change_nothing(lab):
    top = lab.topology()
    engine = lab.web(top)
    told(engine, "policy", "web", "maglev,table_size=5003")
    assert engine.service()["policy"] == "maglev,table_size=5003"
    for bad, words in (("maglev,table_size=5000", "prime"), ("maglev,size=3", "no such option"), ("magleff", "unknown"),
                       ("maglev,table_size", "without a value"), ("./mine.so,", "without a value")):
        outcome = told(engine, "policy", "web", bad, code=2)
        assert words in outcome.stderr and len(outcome.stderr.splitlines()) == 1, outcome
    assert engine.service()["policy"] == "maglev,table_size=5003"
    assert len(http_names(top.client, top.vip[4], requests=20).keys()) == 2


def test_policies_change_under_load_without_a_failed_request(lab):
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4])
    for policy in BY_WEIGHT + BY_FLOW + BY_SOURCE + EVENLY + BY_LOAD + ONE:
        done = load.done
        told(engine, "policy", "web", policy)
        told(engine, "shadow", "web", BY_WEIGHT[0])
        wait_until(lambda: load.done >= done + 20, f"requests go on under {policy}")
    load.stop().assert_flawless("policies changed")


# --- shadow policies


def test_a_shadow_changes_nothing_and_counts_where_it_would_differ(lab):
    top = lab.topology()
    engine = lab.web(top, policy="round-robin", engine={"queues": 1})
    assert "shadow" not in engine.service()
    told(engine, "shadow", "web", "weighted-failover")
    http_names(top.client, top.vip[4], requests=100)
    now = engine.service()
    assert [each["picks"] for each in now["backends"]] == [50, 50], "round robin still takes turns"
    assert now["shadow"] == {"policy": "weighted-failover", "decisions": 100, "differ": 50, "no_backend": 0}
    one, other = (each["shadow"] for each in now["backends"])
    assert {one["picks"], other["picks"]} == {0, 100}
    taker, loser = (one, other) if one["picks"] else (other, one)
    assert (taker["gained"], taker["lost"], loser["gained"], loser["lost"]) == (50, 0, 0, 50)
    assert taker["share"] == 1 and loser["share"] == 0
    text = told(engine, "status").stdout
    assert "shadow weighted-failover: asked 100 times, would differ 50 times (50.0%)" in text


def test_the_counts_of_a_shadow_begin_where_it_begins(lab):
    top = lab.topology()
    engine = lab.web(top, policy="round-robin")
    told(engine, "shadow", "web", "weighted-failover")
    http_names(top.client, top.vip[4], requests=60)
    told(engine, "shadow", "web", "round-robin")
    assert engine.service()["shadow"]["decisions"] == 0
    assert [each["shadow"]["picks"] for each in engine.service()["backends"]] == [0, 0]
    http_names(top.client, top.vip[4], requests=40)
    told(engine, "weight", "web", top.backend(2), "7")  # the policies are built anew, the counts go on
    http_names(top.client, top.vip[4], requests=40)
    now = engine.service()
    assert now["shadow"]["decisions"] == 80
    assert sum(each["shadow"]["picks"] for each in now["backends"]) == 80
    told(engine, "shadow", "web", "none")
    assert "shadow" not in engine.service()


def test_decisions_are_the_same_with_and_without_a_shadow(lab):
    """The same seed, the same sequence of decisions: a shadow draws random numbers of its own."""
    top = lab.topology(udp=True)

    def sequence(**fields):
        engine = lab.engine(top, [service("echo", top.vip[4], [top.backend(1), top.backend(2)], protocol="udp",
                                          port=5000, **fields)], engine={"queues": 1, "seed": 7})
        with top.client.inside():
            names = [asked(top.vip[4], port) for port in range(22000, 22080)]
        engine.stop()
        top.client.run("conntrack", "-F")
        return names

    assert sequence() == sequence(shadow="weighted-random")


def test_metrics_of_a_shadow_are_there_while_it_is(lab):
    top = lab.topology()
    engine = lab.web(top, policy="round-robin")
    assert "nfsteer_service_shadow_decisions_total{" not in engine.api("GET", "/metrics").text
    told(engine, "shadow", "web", "maglev")
    http_names(top.client, top.vip[4], requests=32)
    text = engine.api("GET", "/metrics").text
    assert 'nfsteer_service_shadow_decisions_total{service="web"} 32' in text
    assert 'nfsteer_backend_shadow_picks_total{' in text
