"""Policies in Python steering real traffic: by `nfsteer run`, and by an engine that runs in Python.

    client 10.0.0.10 (engine) --+-- server1 10.0.0.20     VIP 10.0.0.40
                                +-- server2 10.0.0.30
"""

import json
import os
import pathlib
import signal

import pytest

from support.engine import BINARY, nfsteer, service
from support.poll import wait_until
from support.stats import assert_shares
from support.traffic import Load, http_names

PACKAGE = pathlib.Path(BINARY).resolve().parents[1] / "bindings/python"
PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not (PACKAGE / "nfsteer-python.so").exists(), reason="built without Python")

TABLE = """
import nfsteer
class Mine(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)])
"""

PER_FLOW = """
import nfsteer
class Mine(nfsteer.Policy):
    per_flow = True
    def __init__(self, broken_for=""):
        self.broken_for = broken_for
    def pick(self, flow):
        if flow.destination == self.broken_for:
            raise ValueError("as it was told")
        return 1
"""


@pytest.fixture
def policy(tmp_path):
    def write(text):
        file = tmp_path / "mine.py"
        file.write_text(text)
        tmp_path.chmod(0o755)
        return f"{file}:Mine"
    return write


def web(lab, top, policy):
    return lab.web(top, policy=policy)


def test_run_steers_by_a_table(lab, policy):
    top = lab.topology()
    engine = web(lab, top, policy(TABLE))
    assert_shares(http_names(top.client, top.vip[4]), {"server1": 1, "server2": 3}, "a table of Python")
    engine.weight(top.backend(1), 0)
    assert http_names(top.client, top.vip[4], requests=40) == {"server2": 40}
    assert engine.service()["policy"].endswith("mine.py:Mine")


def test_run_steers_by_pick_for_each_flow(lab, policy):
    top = lab.topology()
    web(lab, top, policy(PER_FLOW))
    assert http_names(top.client, top.vip[4], requests=100)["server2"] >= 95  # a slow decision counts, and stands


def test_a_pick_that_raises_costs_no_connection_and_is_told(lab, policy):
    top = lab.topology()
    engine = web(lab, top, f"{policy(PER_FLOW)},broken_for={top.vip[4]}")
    assert_shares(http_names(top.client, top.vip[4]), {"server1": 1, "server2": 3}, "weighted random instead")
    wait_until(lambda: "ValueError: as it was told" in engine.stderr, "the log says what was raised")


def test_a_policy_is_replaced_under_load(lab, policy):
    top = lab.topology()
    engine = web(lab, top, "weighted-random")
    load = Load(top.client, top.vip[4], pause=0.005)
    name = policy(TABLE)
    for each in (name, "weighted-random", name):
        assert engine.api("PATCH", "/v1/services/web", {"policy": each}).status == 200
        http_names(top.client, top.vip[4], requests=20)
    load.stop().assert_flawless("new connections")


def test_an_edited_file_is_taken_with_the_next_reload(lab, policy):
    top = lab.topology()
    engine = web(lab, top, policy(TABLE))
    policy(TABLE.replace("each for each in backends for _ in range(each.weight)", "backends[0]"))
    engine.reload()
    assert http_names(top.client, top.vip[4], requests=40) == {"server1": 40}


def test_a_file_that_is_wrong_changes_nothing_and_says_its_line(lab, policy):
    top = lab.topology()
    engine = web(lab, top, "weighted-random")
    answer = engine.api("PATCH", "/v1/services/web", {"policy": policy(TABLE.replace("return", "return 1 / 0 and"))})
    assert answer.status in (400, 500) and "mine.py:5: ZeroDivisionError" in answer.json["error"], answer
    assert engine.service()["policy"] == "weighted-random"
    outcome = nfsteer(top.client, "run", "--vip", top.vip[4], "--backend", top.backend(1), "--policy",
                      policy("class Mine"), "--control", str(engine.folder / "other.sock"))
    assert outcome.code != 0 and outcome.stderr.count("\n") == 1, outcome


ENGINE_SCRIPT = """
import collections, http.client, json, sys, threading
import nfsteer

vip, one, two, control = sys.argv[1:]

def names(count):
    found = collections.Counter()
    for _ in range(count):
        connection = http.client.HTTPConnection(vip, timeout=5)
        connection.request("GET", "/")
        found[connection.getresponse().read().decode().strip()] += 1
        connection.close()
    return found

class ByWeight(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)])

class Second(nfsteer.Policy):
    per_flow = True
    def __init__(self):
        self.threads = set()
    def pick(self, flow):
        self.threads.add(threading.get_native_id())
        return 1

class Waits(nfsteer.Policy):
    def build(self, backends):
        engine.status()

def error_of(call, *arguments):
    try:
        call(*arguments)
    except nfsteer.Error as error:
        return str(error)

report = {}
engine = nfsteer.Engine(
    services=[{"name": "web", "vip": vip, "protocol": "tcp", "port": 80, "policy": ByWeight,
               "backends": [{"address": one}, {"address": two, "weight": 3}]}],
    engine={"control": control, "queues": 2, "on_stop": "remove"})
report["before"] = error_of(engine.status)
with engine:
    report["by weight"] = names(200)
    report["services"] = [each["name"] for each in engine.services()]
    second = Second()
    engine.set_policy("web", second)
    report["per flow"] = names(50)
    report["policy threads"] = len(second.threads - {threading.get_native_id()})
    engine.set_policy("web", "weighted-random")
    engine.drain("web", two)
    report["drained"] = names(20)
    engine.activate("web", two)
    engine.set_weight("web", one, 0)
    report["weight 0"] = names(20)
    report["no such policy"] = error_of(engine.set_policy, "web", "nonsense")
    report["no such service"] = error_of(engine.set_weight, "none", one, 1)
    report["waits for itself"] = error_of(engine.set_policy, "web", Waits)
    report["picks"] = sum(each["picks"] for each in engine.status()["services"][0]["backends"])
    report["second engine"] = error_of(nfsteer.Engine(services=[], serve=False).start)
report["after"] = error_of(engine.status)
with engine:
    report["again"] = names(20)
print(json.dumps(report))
"""


def test_an_engine_in_python_does_what_the_program_does(lab, tmp_path):
    top = lab.topology()
    script = tmp_path / "script.py"
    script.write_text(ENGINE_SCRIPT)
    done = top.client.run("env", f"PYTHONPATH={PACKAGE}", PYTHON, script, top.vip[4], top.backend(1), top.backend(2),
                          tmp_path / "control.sock", check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert_shares(report["by weight"], {"server1": 1, "server2": 3}, "by weight")
    assert report["services"] == ["web"]
    assert report["per flow"].get("server2", 0) >= 45, report
    assert report["policy threads"] >= 1, "workers asked, and not the script's thread"
    assert report["drained"] == {"server1": 20}
    assert report["weight 0"] == {"server2": 20}
    assert "nonsense" in report["no such policy"] and "service none" in report["no such service"]
    assert "cannot wait for the engine" in report["waits for itself"], report
    assert report["picks"] >= 290
    assert "taken by" in report["second engine"]
    assert "does not run" in report["before"] and "does not run" in report["after"]
    assert sum(report["again"].values()) == 20





def test_the_commands_speak_to_an_engine_in_python_and_ctrl_c_stops_it(lab, tmp_path):
    top = lab.topology()
    control = tmp_path / "control.sock"
    script = tmp_path / "script.py"
    script.write_text("import nfsteer, signal, sys\n"
                      "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
                      f"with nfsteer.Engine(services=[{service('web', top.vip[4], [top.backend(1)])!r}], "
                      f"engine={{'control': {str(control)!r}, 'on_stop': 'remove'}}):\n"
                      "    print('ready', flush=True)\n"
                      "    signal.pause()\n")
    process = top.client.start(PYTHON, script, env={**os.environ, "PYTHONPATH": str(PACKAGE)})
    wait_until(lambda: "ready" in process.stdout or not process.running(), "the script is ready", 20)
    outcome = nfsteer(top.client, "weight", "web", top.backend(1), "7", "--control", str(control))
    assert outcome.code == 0, outcome
    assert '"weight":7' in nfsteer(top.client, "status", "--json", "--control", str(control)).stdout.replace(" ", "")
    process.signal(signal.SIGINT)
    assert process.wait() != 0 and "KeyboardInterrupt" in process.stderr
    assert "NFSTEER" not in top.client.run("iptables-legacy-save").stdout
    assert not control.exists()
