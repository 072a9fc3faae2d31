"""Flows, backends and what policies answer with."""

import ipaddress
from collections import Counter

import pytest

import nfsteer
from nfsteer import Backend, Flow, Table, Weights, builtin


def flows(count):
    return [Flow(f"10.1.{n % 16}.10", "10.9.0.40", 1024 + n, 80) for n in range(count)]


def test_a_flow_says_what_it_was_made_of():
    flow = Flow("10.1.0.10", ipaddress.ip_address("10.9.0.40"), 1234, 80, "udp")
    assert (flow.source, flow.destination, flow.source_port, flow.destination_port) == (
        "10.1.0.10", "10.9.0.40", 1234, 80)
    assert (flow.protocol, flow.family) == (17, 4)
    assert Flow("fd01::10", "fd09::40", protocol=58).family == 6
    assert "10.1.0.10:1234" in repr(flow)


def test_equal_flows_hash_alike_and_seeds_differ():
    one, same, other = Flow("10.1.0.10", "10.9.0.40", 1), Flow("10.1.0.10", "10.9.0.40", 1), Flow("10.1.0.10",
                                                                                                  "10.9.0.40", 2)
    assert one == same and one != other and one != "a flow"
    assert one.hash() == same.hash() == one.hash(seed=0) != other.hash()
    assert one.hash(1) != one.hash(2)
    assert len({one, same, other}) == 2


@pytest.mark.parametrize("arguments", [("10.1.0.300", "10.9.0.40"), ("10.1.0.10", "fd09::40"), ("", ""),
                                       ("10.1.0.10", "10.9.0.40", 1, 1, "carrier-pigeon")])
def test_a_flow_that_cannot_be_is_refused(arguments):
    with pytest.raises(nfsteer.Error):
        Flow(*arguments)
    with pytest.raises(TypeError):
        Flow("10.1.0.10", "10.9.0.40", 65536)


def test_a_backend_made_by_hand_has_no_live_state():
    backend = Backend("10.0.0.20", port=8080, weight=3, data="zone=a", index=5)
    assert (backend.address, backend.port, backend.weight, backend.data, backend.index) == (
        "10.0.0.20", 8080, 3, "zone=a", 5)
    assert not backend.live
    assert (backend.state, backend.active, backend.pending, backend.latency_us) == ("active", 0, 0, 0)
    with pytest.raises(AttributeError):
        backend.weight = 1


def test_a_table_takes_indices_and_backends():
    assert Table([0, Backend("10.0.0.1", index=2), 1]).indices == [0, 2, 1]
    assert Table(iter(range(3)), by="source", seed=9).by == "source"
    assert len(Table(range(1 << 20))) == 1 << 20


@pytest.mark.parametrize("entries, said", [([], "is empty"), ([0, -1], "entry 1 is -1"), ([1.5], "entry 0 is 1.5"),
                                           ([True], "entry 0 is True"), ([0, None], "entry 1 is None"),
                                           (["0"], "entry 0 is '0'"), ([1 << 40], "entry 0"),
                                           (range((1 << 20) + 1), "more than 1048576")])
def test_a_table_that_cannot_be_says_which_entry(entries, said):
    with pytest.raises(nfsteer.Error, match=said):
        Table(entries)


def test_a_table_is_found_by_what_is_known():
    with pytest.raises(nfsteer.Error, match='by="port" is unknown'):
        Table([0], by="port")


@pytest.mark.parametrize("weights", [[-1], [float("nan")], [float("inf")]])
def test_weights_are_numbers_from_zero(weights):
    with pytest.raises(nfsteer.Error, match="entry 0 is"):
        Weights(weights)


def test_every_builtin_picks_usable_backends():
    backends = [Backend("10.0.0.1", weight=1), Backend("10.0.0.2", weight=0), Backend("10.0.0.3", weight=3)]
    names = [row["name"] for row in nfsteer.catalogue()]
    assert "weighted-random" in names
    for name in names:
        picked = Counter(builtin(name, backends).pick(flow) for flow in flows(300))
        assert picked[1] == 0 and picked.total() == 300 and set(picked) <= {0, 2, None}, (name, picked)


def test_a_seed_repeats_a_builtins_choices():
    backends = [Backend(f"10.0.0.{n}") for n in range(5)]

    def choices(seed):
        chance = builtin("weighted-random", backends, seed=seed)
        return [chance.pick(flow) for flow in flows(50)]
    assert choices(7) == choices(7) != choices(8)


@pytest.mark.parametrize("spec", ["nonsense", "weighted-random,seed", "weighted-random,nothing=1", "/a/b.so", "a.py:B"])
def test_a_builtin_that_is_none_is_refused(spec):
    with pytest.raises(nfsteer.Error):
        builtin(spec, [Backend("10.0.0.1")])


def test_a_builtin_over_nothing_has_no_backend():
    assert builtin("weighted-random", []).pick(flows(1)[0]) is None
