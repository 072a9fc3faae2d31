"""Policies, as one worker of an engine has them."""

import collections
import threading

import pytest

import nfsteer
from nfsteer import Backend, BoundPolicy, Flow, Policy, Table, Weights

BACKENDS = [Backend("10.0.0.20", weight=1), Backend("10.0.0.30", weight=3), Backend("10.0.0.50", weight=0)]


def flows(count, clients=64):
    return [Flow(f"10.1.0.{n % clients}", "10.9.0.40", n, 80) for n in range(count)]


def shares(bound, count=20_000):
    picked = collections.Counter(bound.pick(flow) for flow in flows(count))
    return {index: picks / count for index, picks in picked.items()}


def policy(**members):
    return type("Mine", (Policy,), members)


def by_weight(self, backends):
    return Table([each for each in backends for _ in range(each.weight)])


def test_shares_are_those_of_the_table():
    # Five standard deviations: 5 * sqrt(0.25 * 0.75 / 20000) = 0.015.
    assert shares(BoundPolicy(policy(build=by_weight), BACKENDS)) == pytest.approx({0: 0.25, 1: 0.75}, abs=0.016)


def test_shares_are_those_of_the_weights_and_weight_0_stays_0():
    mine = policy(build=lambda self, backends: Weights([0.9, 0.1, 5]))
    assert shares(BoundPolicy(mine, BACKENDS)) == pytest.approx({0: 0.9, 1: 0.1}, abs=0.016)


def test_a_table_by_source_keeps_clients_together():
    bound = BoundPolicy(policy(build=lambda self, backends: Table([0, 1], by="source")), BACKENDS)
    homes = collections.defaultdict(set)
    for flow in flows(1000):
        homes[flow.source].add(bound.pick(flow))
    assert {len(each) for each in homes.values()} == {1}
    assert len(set.union(*homes.values())) == 2


def test_a_table_at_random_repeats_by_its_seed():
    mine = policy(build=lambda self, backends: Table([0, 1], by="random"))

    def choices(seed):
        bound = BoundPolicy(mine, BACKENDS, seed=seed)
        return [bound.pick(flow) for flow in flows(1)[:1] * 40]
    assert choices(3) == choices(3) != choices(4)


def test_a_builtin_may_be_what_is_built():
    mine = policy(build=lambda self, backends: nfsteer.builtin("weighted-random", backends))
    assert shares(BoundPolicy(mine, BACKENDS)) == pytest.approx({0: 0.25, 1: 0.75}, abs=0.016)


def test_a_builtin_over_some_backends_answers_with_their_own_indices():
    mine = policy(build=lambda self, backends: nfsteer.builtin("weighted-random", backends[1:]))
    assert set(shares(BoundPolicy(mine, BACKENDS), 200)) == {1}


def test_backends_know_their_places_and_data():
    seen = []

    def build(self, backends):
        seen.extend((each.index, each.address, each.weight, each.data) for each in backends)
        return Table([0])
    BoundPolicy(policy(build=build), [Backend("10.0.0.1", data="zone=a"), Backend("10.0.0.2", weight=0)])
    assert seen == [(0, "10.0.0.1", 1, "zone=a"), (1, "10.0.0.2", 0, "")]


def test_options_are_arguments_of_the_class():
    class Mine(Policy):
        def __init__(self, first="0"):
            self.first = int(first)

        def build(self, backends):
            return Table([self.first])
    assert shares(BoundPolicy(Mine, BACKENDS, first="1"), 10) == {1: 1}
    assert shares(BoundPolicy(Mine(first="1"), BACKENDS), 10) == {1: 1}


def test_without_a_usable_backend_nothing_is_asked():
    mine = policy(build=lambda self, backends: 1 / 0)
    assert BoundPolicy(mine, [Backend("10.0.0.1", weight=0)]).pick(flows(1)[0]) is None
    assert BoundPolicy(mine, []).pick(flows(1)[0]) is None


def test_per_flow_is_asked_for_each_flow():
    mine = policy(per_flow=True, pick=lambda self, flow: None if flow.source_port == 3 else flow.source_port % 2)
    assert [BoundPolicy(mine, BACKENDS).pick(flow) for flow in flows(5)] == [0, 1, 0, None, 0]


def test_per_flow_may_ask_builtins():
    class Mine(Policy):
        per_flow = True

        def build(self, backends):
            self.chance = nfsteer.builtin("weighted-random", backends)

        def pick(self, flow):
            return self.chance.pick(flow)
    assert shares(BoundPolicy(Mine, BACKENDS)) == pytest.approx({0: 0.25, 1: 0.75}, abs=0.016)


@pytest.mark.parametrize("answer, said", [(2, "weight 0"), (3, "there are 3 backends"), (-1, "there are 3 backends"),
                                          (1 << 80, "there are 3 backends"), (True, "returned True"),
                                          ("0", "returned '0'"), (1.0, "returned 1.0")])
def test_a_pick_that_is_no_usable_backend_fails(answer, said):
    bound = BoundPolicy(policy(per_flow=True, pick=lambda self, flow: answer), BACKENDS)
    with pytest.raises(nfsteer.Error, match=said):
        bound.pick(flows(1)[0])


@pytest.mark.parametrize("members, said", [
    ({"build": lambda self, backends: [0, 1]}, "returned <class 'list'>"),
    ({"build": lambda self, backends: None}, "per_flow = True"),
    ({"build": lambda self, backends: None, "pick": lambda self, flow: 0}, "per_flow = True"),
    ({"pick": lambda self, flow: 0}, "Mine has pick\\(\\), .* only with per_flow = True"),
    ({}, "has no build\\(\\)"),
    ({"per_flow": True}, "has per_flow = True, and no pick"),
    ({"per_flow": True, "pick": lambda self, flow: 0, "build": by_weight}, "keep what build\\(\\) makes in self"),
    ({"build": lambda self, backends: Table([0, 3])}, "entry 1 is 3; there are 3 backends"),
    ({"build": lambda self, backends: Table([0, 2])}, "entry 1 is backend 2, of weight 0"),
    ({"build": lambda self, backends: Weights([1])}, "returned 1 Weights; there are 3 backends"),
    ({"build": lambda self, backends: Weights([0, 0, 1])}, "are 0 for every backend"),
    ({"build": lambda self, backends: nfsteer.builtin("weighted-random", BACKENDS)}, "not made from the backends"),
    ({"build": by_weight, "refresh_s": 0.5}, "refresh_s = 0.5"),
    ({"build": by_weight, "refresh_s": True}, "refresh_s = True"),
    ({"build": by_weight, "refresh_s": "1"}, "refresh_s = '1'"),
])
def test_what_a_policy_says_wrong_is_refused_with_a_reason(members, said):
    with pytest.raises(nfsteer.Error, match=said) as refused:
        BoundPolicy(policy(**members), BACKENDS)
    assert "\n" not in str(refused.value)


def test_what_is_no_policy_is_refused():
    for other in (3, object, object()):
        with pytest.raises(nfsteer.Error, match="derive the class from it"):
            BoundPolicy(other, BACKENDS)


def test_a_replaced_policys_backends_and_builtins_can_be_kept_but_not_used():
    kept = {}

    def build(self, backends):
        kept["backends"], kept["builtin"] = backends, nfsteer.builtin("weighted-random", backends)
        return Table([0])
    bound = BoundPolicy(policy(build=build), BACKENDS)
    assert kept["builtin"].pick(flows(1)[0]) in (0, 1)
    del bound
    assert not kept["backends"][0].live and kept["backends"][0].active == 0
    with pytest.raises(nfsteer.Error, match="has been replaced"):
        kept["builtin"].pick(flows(1)[0])
    with pytest.raises(nfsteer.Error, match="not those of one policy"):
        nfsteer.builtin("weighted-random", kept["backends"])


def test_build_is_called_again_by_refresh_and_an_error_leaves_the_table():
    class Mine(Policy):
        refresh_s = 1

        def __init__(self):
            self.builds = 0

        def build(self, backends):
            self.builds += 1
            if self.builds == 3:
                raise ValueError("the third time")
            return Table([self.builds % 2])
    bound = BoundPolicy(Mine, BACKENDS)
    assert bound.pick(flows(1)[0]) == 1
    bound.refresh()
    assert bound.pick(flows(1)[0]) == 0
    with pytest.raises(nfsteer.Error, match="ValueError: the third time"):
        bound.refresh()
    assert bound.pick(flows(1)[0]) == 0


def test_python_threads_may_pick_at_once():
    bound = BoundPolicy(policy(per_flow=True, pick=lambda self, flow: flow.source_port % 2), BACKENDS)
    wrong = []

    def work():
        for flow in flows(2000):
            if bound.pick(flow) != flow.source_port % 2:
                wrong.append(flow)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
