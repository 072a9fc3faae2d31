"""Policies in Python under virtual time: the same objects as in an engine."""

import json

import pytest

import nfsteer
from nfsteer import Policy, Table

SCENARIO = {"backends": [{"address": "10.0.0.1"}, {"address": "10.0.0.2", "weight": 3}],
            "workload": {"rate": 1000, "flows": 20_000}, "seed": 3}


class ByWeight(Policy):
    def build(self, backends):
        return Table([each for each in backends for _ in range(each.weight)], by="random")


def shares(report):
    decisions = [each["decisions"] for each in report["backends"]]
    return [each / sum(decisions) for each in decisions]


def test_classes_objects_files_and_builtins_run_side_by_side(policy_file):
    file = policy_file("class Mine(nfsteer.Policy):\n    def build(self, backends):\n"
                       "        return nfsteer.Weights([each.weight for each in backends])\n")
    reports = nfsteer.simulate(SCENARIO, [ByWeight, ByWeight(), f"{file}:Mine", "weighted-random"])
    assert [each["policy"] for each in reports] == ["ByWeight", "ByWeight", f"{file}:Mine", "weighted-random"]
    for report in reports:
        assert shares(report) == pytest.approx([0.25, 0.75], abs=0.016)
        assert report["metrics"]["decisions"] == 20_000
    assert reports[0] == reports[1], "the same policy and seed give the same report"
    assert reports[2]["backends"] == reports[3]["backends"], "Weights are weighted random"


def test_policies_may_stand_in_the_scenario():
    reports = nfsteer.simulate({**SCENARIO, "policies": [ByWeight, "weighted-random"]})
    assert [each["policy"] for each in reports] == ["ByWeight", "weighted-random"]


def test_a_scenario_may_be_a_file_or_text(tmp_path):
    text = json.dumps(SCENARIO, indent=1)
    (tmp_path / "scenario.yaml").write_text(text)
    assert nfsteer.simulate(text, [ByWeight]) == nfsteer.simulate(tmp_path / "scenario.yaml", [ByWeight])


def test_refresh_goes_by_virtual_time_and_sees_live_state():
    seen = []

    class Fresh(ByWeight):
        refresh_s = 2

        def build(self, backends):
            seen.append(sum(each.active for each in backends))
            assert all(each.live and each.state == "active" for each in backends)
            return super().build(backends)
    nfsteer.simulate({**SCENARIO, "probes": 0}, [Fresh])
    assert 9 <= len(seen) <= 11, "20 seconds of arrivals, each two seconds"
    assert any(seen), "connections were open"


def test_latencies_are_those_of_the_scenario():
    seen = []

    class Fresh(ByWeight):
        refresh_s = 1

        def build(self, backends):
            seen.append([each.latency_us for each in backends])
            return super().build(backends)
    slow = {"backends": [{"address": "10.0.0.1", "rtt": "5ms"}, {"address": "10.0.0.2", "rtt": "1ms"}],
            "workload": {"rate": 1000, "flows": 5000}, "probes": 0}
    nfsteer.simulate(slow, [Fresh])
    assert seen[0] == [0, 0]
    assert seen[-1] == pytest.approx([5000, 1000], rel=0.05)


def test_per_flow_policies_see_every_flow():
    clients = set()

    class Mine(Policy):
        per_flow = True

        def pick(self, flow):
            clients.add(flow.source)
            return flow.source_port % 2
    [report] = nfsteer.simulate({**SCENARIO, "probes": 0}, [Mine])
    assert report["metrics"]["decisions"] == 20_000 and len(clients) > 1000


def test_a_draining_backend_has_a_new_policy_built():
    weights = []

    class Mine(ByWeight):
        def build(self, backends):
            weights.append([each.weight for each in backends])
            return super().build(backends)
    [report] = nfsteer.simulate({**SCENARIO, "probes": 0, "churn": [{"at": "5s", "do": "drain", "backend": "10.0.0.1"}]}, [Mine])
    assert weights == [[1, 3], [0, 3]]
    assert [each["what"] for each in report["changes"]] == ["drain 10.0.0.1"]


@pytest.mark.parametrize("policies, said", [(["nonsense"], "nonsense"), (["/nowhere/mine.py:Mine"], "No such file"),
                                            (["/nowhere/mine.so"], "/nowhere/mine.so")])
def test_a_policy_that_cannot_be_loaded_is_one_line(policies, said):
    with pytest.raises(nfsteer.Error, match=said) as refused:
        nfsteer.simulate(SCENARIO, policies)
    assert "\n" not in str(refused.value)


def test_an_error_in_build_names_its_line():
    class Wrong(Policy):
        def build(self, backends):
            return Table([1 // 0])
    with pytest.raises(nfsteer.Error, match=r"test_simulation.py:\d+: ZeroDivisionError"):
        nfsteer.simulate(SCENARIO, [Wrong])


def test_a_scenario_that_is_wrong_says_where():
    with pytest.raises(nfsteer.Error, match="scenario:.*backends"):
        nfsteer.simulate({"backends": [{"address": "nowhere"}]}, [ByWeight])
