"""bench/run.sh for a few seconds: the shape of its results, when it refuses, and that it leaves nothing behind.

The namespaces it makes are named after its process id, so those of other runs do not disturb.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def start(build, *arguments, **environment):
    """In a process group of its own, as a terminal has it."""
    return subprocess.Popen([str(ROOT / "bench/run.sh"), *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env={**os.environ, "NFSTEER_BENCH_BUILD": str(build), **environment})


def finish(process, seconds=120):
    stdout, stderr = process.communicate(timeout=seconds)
    return process.returncode, stdout, stderr


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(each) for each in found.stdout.split()]


def namespaces(harness):
    """Those that the harness process has made."""
    folder = pathlib.Path("/run/netns")
    return sorted(each.name for each in folder.glob(f"nfs{harness}-*")) if folder.exists() else []


def group_members(group):
    return subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True).stdout.split()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def results(build, tmp_path_factory):
    """Of one short run over the paths that matter most, and the folder it wrote."""
    out = tmp_path_factory.mktemp("results")
    only = [word for path in ("direct", "dnat-list", "nfsteer-connection", "nfqueue-accept", "haproxy")
            for measure in ("udp_new_flows", "http_connections", "packets_per_connection", "latency_*_p50", "rules_*")
            for word in ("--only", f"{path}/{measure}")]
    code, stdout, stderr = finish(start(build, "--quick", "--force", "--seconds", "0.2", "--out", out, *only))
    assert code == 0, stdout + stderr
    return json.loads((out / "results.json").read_text()), out, stdout


def values(results, measure):
    return {each["path"]: each["value"] for each in results[0]["samples"] if each["measure"] == measure}


def test_results_tell_what_was_measured_where_and_with_what(results):
    data = results[0]
    assert data["format"] == 1
    assert data["rounds"] == 1
    assert data["machine"].keys() == {"cpu", "cores", "memory_bytes", "kernel", "pauses"}
    assert data["machine"]["pauses"].keys() == {"seconds", "count", "longest_ms", "share"}
    assert 0 <= data["machine"]["pauses"]["share"] < 1
    assert data["versions"]["nfsteer"].startswith("nfsteer ")
    assert data["command"][0] == "bench/run.sh" and "--quick" in data["command"]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$", data["started"])


def test_every_sample_has_all_fields(results):
    assert results[0]["samples"]
    for each in results[0]["samples"]:
        assert each.keys() == {"measure", "unit", "better", "path", "round", "value", "extra", "topology", "backends",
                               "services", "queues", "clients"}
        assert each["better"] in ("higher", "lower")
        assert each["topology"] == "routed" and each["round"] == 0
        assert (each["backends"], each["services"], each["queues"], each["clients"]) == (2, 1, 2, 256)
        assert each["value"] > 0
        assert each["extra"]["stolen_seconds"] >= 0


def test_every_path_that_was_asked_for_is_measured_or_skipped_with_its_reason(results):
    assert values(results, "udp_new_flows").keys() == {"direct", "dnat-list", "nfsteer-connection", "nfqueue-accept"}
    assert {"direct", "dnat-list", "nfsteer-connection", "nfqueue-accept"} <= values(results, "http_connections").keys()
    reasons = {(each["path"], each["measure"]): each["reason"] for each in results[0]["skipped"]}
    assert "TCP only" in reasons["haproxy", "udp_new_flows"]
    assert not [reason for reason in reasons.values() if reason.startswith("failed")]


def test_no_flow_and_no_connection_is_lost(results):
    for each in results[0]["samples"]:
        if each["measure"] == "udp_new_flows":
            # A receiver keeps two datagrams or so without counting them.
            assert each["extra"]["sent"] - each["extra"]["settled"] <= 16, each
        if each["measure"] == "http_connections":
            assert each["extra"]["failed"] == 0, each


def test_connection_mode_sees_one_packet_of_each_connection(results):
    assert values(results, "packets_per_connection")["nfsteer-connection"] == pytest.approx(1, abs=0.1)


def test_another_engine_stands_beside_the_one_that_was_built(build, tmp_path):
    """By flags: a queue of one packet sends most flows through the ladder. By program: that one is started."""
    wrapper = tmp_path / "engine"
    wrapper.write_text(f'#!/bin/sh\necho started >>{tmp_path}/log\nexec {build}/engine/nfsteer "$@"\n')
    wrapper.chmod(0o755)
    code, stdout, stderr = finish(start(
        build, "--quick", "--force", "--seconds", "0.2", "--out", tmp_path / "out", "--only",
        "nfsteer-connection*/udp_new_flows", "--engine", "short=--queue-length 1", "--engine", f"other={wrapper}"))
    assert code == 0, stdout + stderr
    found = {each["path"]: each["extra"] for each in json.loads((tmp_path / "out/results.json").read_text())["samples"]}
    assert found.keys() == {f"nfsteer-connection{each}" for each in ("", "@short", "@other")}
    assert found["nfsteer-connection@short"]["ladder"] > found["nfsteer-connection"]["ladder"]
    assert (tmp_path / "log").read_text() == "started\n"


@pytest.mark.parametrize("engine", ["noname", "=nfsteer", "a b=nfsteer", "name="])
def test_an_engine_without_name_or_command_is_refused(build, tmp_path, engine):
    code, _, stderr = finish(start(build, "--quick", "--engine", engine, "--out", tmp_path / "out"))
    assert code == 2 and "--engine" in stderr and "NAME=COMMAND" in stderr


@pytest.mark.parametrize("mode", ["inspect", "rewrite"])
def test_the_bare_limit_of_each_mode_carries_a_stream(build, tmp_path, mode):
    """A wrong checksum in what goes back would stop it."""
    code, stdout, stderr = finish(start(build, "--quick", "--force", "--seconds", "0.3", "--out", tmp_path,
                                        "--only", f"nfqueue-{mode}/tcp_throughput_8", "--only",
                                        "dnat-list/tcp_throughput_8"))
    assert code == 0, stdout + stderr
    found = {each["path"]: each["value"] for each in json.loads((tmp_path / "results.json").read_text())["samples"]}
    assert found[f"nfqueue-{mode}"] > 0.05 * found["dnat-list"]


def test_progress_is_one_line_for_each_run_of_a_path(results):
    lines = [line for line in results[2].splitlines() if re.match(r"\[\d+/\d+, ", line)]
    assert len(lines) == int(re.match(r"\[\d+/(\d+)", lines[0]).group(1))


def test_report_stands_beside_the_results(results):
    table = (results[1] / "table.md").read_text()
    assert "## Targets" in table and "(no verdict: --quick)" in table
    assert (results[1] / "plots/bars-http_connections.svg").exists()
    assert not (results[1] / "micro.json").exists()  # --only said so
    assert "### udp_new_flows, routed, 2 backends" in table
    assert re.search(r"^\| dnat-list \| .* \| 1 \(1 to 1\) \|$", table, re.MULTILINE)
    assert re.search(r"^\| nfsteer-connection \| .* \| [0-9.]+ \([0-9.]+ to [0-9.]+\) \|$", table, re.MULTILINE)


def test_interrupt_leaves_nothing_behind(build, tmp_path):
    process = start(build, "--quick", "--force", "--seconds", "60", "--only", "nfsteer-connection/http_connections",
                    "--out", tmp_path)
    try:
        harness = wait_for(lambda: next((each for each in children(process.pid) if len(namespaces(each)) >= 5), None))
        time.sleep(0.5)  # in the middle of things
        os.killpg(process.pid, signal.SIGINT)
        code, _, stderr = finish(process, 30)
        assert code == 130 and "interrupted" in stderr
        assert namespaces(harness) == []
        assert group_members(process.pid) == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def fake_build(build, folder, **cache):
    """The build folder under another CMake cache."""
    folder.mkdir()
    for name in ("engine", "bench"):
        (folder / name).symlink_to(build / name)
    (folder / "CMakeCache.txt").write_text("".join(f"{key}:STRING={value}\n" for key, value in cache.items()))
    return folder


@pytest.mark.parametrize("cache, reason", [
    ({"CMAKE_BUILD_TYPE": "Debug", "NFSTEER_SANITIZE": ""}, "without optimisation"),
    ({"CMAKE_BUILD_TYPE": "Release", "NFSTEER_SANITIZE": "address"}, "sanitizers"),
])
def test_refuses_an_engine_whose_figures_would_mislead(build, tmp_path, cache, reason):
    folder = fake_build(build, tmp_path / "build", **cache)
    code, _, stderr = finish(start(folder, "--quick", "--out", tmp_path / "out"))
    assert code == 1 and reason in stderr and len(stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_refuses_a_busy_machine(build, tmp_path):
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
    try:
        code, _, stderr = finish(start(build, "--quick", "--out", tmp_path / "out"))
    finally:
        for each in busy:
            each.kill()
            each.wait()
    assert code == 1 and "other programs use" in stderr and len(stderr.splitlines()) == 1


def test_refuses_to_run_without_root(build, tmp_path):
    # The capability: the checkout may lie in a home that only root may enter.
    result = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "+dac_read_search",
                             "--ambient-caps", "+dac_read_search", str(ROOT / "bench/run.sh"), "--quick",
                             "--out", str(tmp_path / "out")], capture_output=True, text=True)
    assert result.returncode == 1 and "root" in result.stderr


def test_refuses_patterns_that_match_nothing(build, tmp_path):
    code, _, stderr = finish(start(build, "--quick", "--only", "nothing/at_all", "--out", tmp_path / "out"))
    assert code == 1 and "leaves nothing to run" in stderr


def test_a_wrong_command_line_ends_before_anything_is_built(tmp_path):
    """The build folder does not exist: that would be told if the command line had passed."""
    code, stdout, stderr = finish(start(tmp_path / "none", "--backends", "1", "--out", tmp_path / "out"))
    assert code == 2 and "each from 2 to 10000" in stderr and "building" not in stdout
