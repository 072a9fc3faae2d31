"""`nfsteer simulate`, end to end. It needs no network, only the program and gnuplot."""

import json
import pathlib
import struct
import subprocess
import xml.etree.ElementTree

import pytest

from support.engine import BINARY

SCENARIO = """
policies: [weighted-random, power-of-two-choices, maglev]
workload: {rate: 900, duration: 20s, service_time: 10ms}
backends: 10
detection: 2s
churn:
  - {at: 5s, do: drain, backend: 10.0.0.3}
  - {at: 10s, do: fail, backend: 10.0.0.5}
  - {at: 15s, do: recover, backend: 10.0.0.5}
"""


def simulate(*arguments, code=0, **environment):
    done = subprocess.run([BINARY, "simulate", *map(str, arguments)], capture_output=True, text=True, timeout=50,
                          env=environment or None)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("nfsteer: "), done.stderr
    return done


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)
    return path


def test_policies_are_compared_side_by_side(scenario):
    text = simulate(scenario).stdout
    for word in ("weighted-random", "power-of-two-choices", "maglev", "imbalance", "p99 ms", "10.0.0.10",
                 "drain 10.0.0.3", "10.0.0.5 is down", "decisions/s"):
        assert word in text


def test_json_says_the_same_each_time_but_for_the_clock(scenario):
    first, again = (simulate(scenario, "--json", "--no-timing").stdout for _ in range(2))
    assert first == again
    assert first != simulate(scenario, "--json", "--no-timing", "--seed", 2).stdout
    policies = {each["policy"]: each for each in json.loads(first)["policies"]}
    assert list(policies) == ["weighted-random", "power-of-two-choices", "maglev"]
    two, chance = policies["power-of-two-choices"]["metrics"], policies["weighted-random"]["metrics"]
    assert two["p99_ms"] < chance["p99_ms"]
    assert policies["maglev"]["metrics"]["moved"] < 0.2 < chance["moved"]
    assert [each["what"] for each in policies["maglev"]["changes"]] == [
        "drain 10.0.0.3", "fail 10.0.0.5", "10.0.0.5 is down", "recover 10.0.0.5", "10.0.0.5 is up"]
    timing = json.loads(simulate(scenario, "--json").stdout)["policies"][0]["timing"]
    assert timing["decisions_per_second"] > 10_000


def test_an_assertion_that_fails_is_one_line_and_exit_code_1(scenario):
    good = ("--assert", "imbalance<1.2", "--assert", "p99[power-of-two-choices] < 2s")
    simulate(scenario, *good)
    failed = simulate(scenario, *good, "--assert", "imbalance<1.0001", code=1)
    assert "imbalance of weighted-random is 1." in failed.stderr and "not < 1.0001" in failed.stderr
    assert "imbalance" in failed.stdout, "the report is printed all the same"
    nonsense = simulate(scenario, "--assert", "beauty>3", code=2)
    assert "there is no such metric" in nonsense.stderr
    assert nonsense.stdout == "", "found before anything is simulated"


def test_a_plot_is_an_svg_with_the_names_of_the_policies(scenario, tmp_path):
    plot = tmp_path / "it's a \"plot\" $(touch x).svg"
    simulate(scenario, "--plot", plot)
    root = xml.etree.ElementTree.parse(plot).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = " ".join(" ".join(root.itertext()).split())
    for word in ("weighted-random", "power-of-two-choices", "maglev", "Response times", "drain 10.0.0.3", "10.0.0.10"):
        assert word in text
    image = tmp_path / "plot.png"
    simulate(scenario, "--plot", image)
    assert image.read_bytes().startswith(b"\x89PNG")


def test_without_gnuplot_the_plot_is_an_error_that_says_so(scenario, tmp_path):
    failed = simulate(scenario, "--plot", tmp_path / "plot.svg", code=1, PATH=str(tmp_path))
    assert "gnuplot: cannot be run" in failed.stderr and "gnuplot-nox" in failed.stderr
    assert "neither FILE.svg nor FILE.png" in simulate(scenario, "--plot", "plot.gif", code=2).stderr


def test_flags_alone_are_a_scenario():
    done = simulate("--policy", "twos", "--backend", "10.0.0.1,weight=3", "--backend", "10.0.0.2", "--flows", 4000,
                    "--decisions-only", "--json", "--no-timing")
    policy, = json.loads(done.stdout)["policies"]
    assert policy["policy"] == "power-of-two-choices"
    assert [each["weight"] for each in policy["backends"]] == [3, 1]
    assert policy["metrics"]["decisions"] == 4000


def test_a_capture_is_played(tmp_path):
    def packet(client):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, bytes([10, 0, 0, client]),
                           bytes([10, 0, 0, 40])) + struct.pack("!HHIIBBHHH", 1000, 80, 0, 0, 0x50, 2, 0, 0, 0)
    capture = tmp_path / "flows.pcap"
    with capture.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for client in range(1, 101):
            file.write(struct.pack("<IIII", 1700000000, client * 1000, 40, 40) + packet(client))
    done = simulate("--pcap", capture, "--vip", "10.0.0.40", "--servers", 4, "--json", "--no-timing")
    policy, = json.loads(done.stdout)["policies"]
    assert policy["metrics"]["decisions"] == 100


def test_what_is_wrong_is_named(scenario, tmp_path):
    assert "--policy: \"best\" is unknown" in simulate(scenario, "--policy", "best", code=2).stderr
    assert "--rate: " in simulate("--servers", 2, "--rate", "many", code=2).stderr
    churn = tmp_path / "churn.yaml"
    churn.write_text("churn:\n  - {at: 1s, do: drain, backend: 10.9.9.9}\n")
    assert f"{churn}:2: churn[0].backend: 10.9.9.9 is no backend" in simulate(
        scenario, "--churn", churn, code=2).stderr
    (tmp_path / "flows").write_bytes(b"NFSREC\x01\x00")
    assert "ends inside its header" in simulate("--record", tmp_path / "flows", code=2).stderr


@pytest.mark.parametrize("name, says", [("crash_in_create", "SIGABRT"), ("out_of_range", "there are 3 backends"),
                                        ("hang_in_create", "within 2 s"), ("wrong_abi", "version 7")])
def test_a_policy_that_misbehaves_is_refused_in_one_line(name, says):
    policies = pathlib.Path(BINARY).resolve().parents[1] / "policies"
    if not policies.is_dir():
        pytest.skip(f"{policies} is not there: build all targets")
    refused = simulate("--servers", 3, "--flows", 100, "--policy", policies / f"{name}.so", code=2)
    assert says in refused.stderr, refused.stderr
