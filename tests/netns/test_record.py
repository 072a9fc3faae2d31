"""Live flows recorded, and played again by the simulator.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30        VIP 10.0.0.40
"""

import json
import signal

import pytest

from support.engine import BINARY, MODES
from support.hosts import run
from support.poll import wait_until
from support.traffic import Load, http_names


def begin(engine, *words):
    """`nfsteer record` in the engine's host, as a process."""
    return engine.host.start(BINARY, "record", *words, "--control", engine.control)


def simulated(path, *words):
    result = run(BINARY, "simulate", "--record", str(path), *words, "--json", "--no-timing", check=False)
    assert result.returncode == 0, result
    return json.loads(result.stdout)


@pytest.mark.parametrize("mode", MODES)
def test_every_flow_is_recorded_whoever_balances_it(lab, mode, tmp_path):
    top = lab.topology()
    engine = lab.web(top, mode=mode)
    path = tmp_path / "flows.rec"
    process = begin(engine, str(path), "--for", "60")
    wait_until(path.exists, "the recording has begun")
    http_names(top.client, top.vip[4], requests=200)
    process.signal(signal.SIGINT)
    assert process.wait() == 0, process.stderr
    assert process.stdout.startswith(f"200 flows in {path}"), process.stdout
    report = simulated(path, "--policy", "weighted-random")
    assert report["policies"][0]["metrics"]["decisions"] == 200, report


def test_what_happened_before_the_end_is_recorded_however_late_it_is_read(lab, tmp_path):
    top = lab.topology()
    engine = lab.web(top)
    path = tmp_path / "flows.rec"
    process = begin(engine, str(path))
    wait_until(path.exists, "the recording has begun")
    process.signal(signal.SIGSTOP)
    http_names(top.client, top.vip[4], requests=300)
    process.signal(signal.SIGINT)
    process.signal(signal.SIGCONT)
    assert process.wait() == 0, process.stderr
    assert process.stdout.startswith(f"300 flows in {path}"), process.stdout


def test_a_recording_ends_by_itself(lab, tmp_path):
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4])
    many = begin(engine, str(tmp_path / "many.rec"), "--flows", "50")
    assert many.wait() == 0, many.stderr
    assert many.stdout.startswith("50 flows in"), many.stdout
    short = begin(engine, str(tmp_path / "short.rec"), "--for", "1")
    assert short.wait() == 0, short.stderr
    load.stop().assert_flawless("recorded")


@pytest.mark.parametrize("words, told", [
    (["/nonexistent/flows.rec"], "/nonexistent/flows.rec"),
    (["{tmp}/flows.rec", "--service", "wep"], "there is no service wep"),
])
def test_what_cannot_be_recorded_is_said_in_one_line(lab, tmp_path, words, told):
    top = lab.topology()
    engine = lab.web(top)
    outcome = engine.command("record", *(each.format(tmp=tmp_path) for each in words))
    assert outcome.code in (1, 2) and told in outcome.stderr and len(outcome.stderr.splitlines()) == 1, outcome
