"""The microbenchmarks: do all of them run, and do their instructions repeat? Speed is not looked at."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COUNTS = (2, 10, 100, 1000, 10000)
POLICIES = ("weighted-random", "round-robin", "weighted-round-robin", "least-connections", "weighted-least-connections",
            "shortest-expected-delay", "never-queue", "power-of-two-choices", "source-hash", "flow-hash", "maglev",
            "rendezvous", "ring-hash", "weighted-failover", "overflow", "peak-ewma")
FIRST_PACKETS = tuple(f"{kind}_{family}" for kind in ("tcp_syn", "udp", "icmp") for family in ("v4", "v6"))
NAMES = {
    *(f"parse/{each}" for each in (*FIRST_PACKETS, "udp_v6_extensions")),
    "flow_hash/tcp_syn_v4", "flow_hash/tcp_syn_v6",
    "flow_cache/hit", "flow_cache/miss", "flow_cache/store",
    *(f"rewrite/{kind}/{length}" for kind in ("incremental", "full") for length in (64, 512, 1500, 65535)),
    *(f"policy_pick/{policy}/{count}" for policy in POLICIES for count in COUNTS),
    "queue_message/tcp_syn_v4", "queue_message/tcp_syn_v6",
    "verdict/accept", *(f"verdict/rewritten/{length}" for length in (60, 1500, 65531)),
    "syn_parse_hash_pick_rewrite/2", "syn_parse_hash_pick_rewrite/1000",
    *(f"new_flow/{each}/{count}" for each in FIRST_PACKETS for count in (2, 1000)),
    "later_packet/inspect/128", "later_packet/rewrite_incremental/1500", "later_packet/rewrite_full/1500",
    "later_packet/rewrite_full/65531",
    "conntrack_message/new_tcp", "tracking/udp_flow", "tracking/tcp_connection",
}
# Beside the built-in: in C, bare and guarded; and in Python, where that is built.
NAMES |= {f"policy_plugin_{what}/{kind}/{count}" for what in ("pick", "decision") for kind in ("builtin", "c", "c_guarded")
          for count in (2, 1000)}
PYTHON = {f"policy_python_{kind}/{count}" for kind in ("table", "refreshed", "per_flow") for count in COUNTS}
# What takes too long where instructions are counted.
CLOCKED = {f"policy_build/{policy}/{count}" for policy in POLICIES for count in COUNTS}


@pytest.fixture(scope="module")
def micro(build):
    program = build / "bench/micro/nfsteer-micro"
    if not program.exists():
        pytest.skip(f"{build} has no nfsteer-micro; build it with -DNFSTEER_BENCH=ON")
    return program


def start_run(build, *arguments):
    """bench/run.sh, in a process group of its own as a terminal has it."""
    return subprocess.Popen([str(ROOT / "bench/run.sh"), *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env={**os.environ, "NFSTEER_BENCH_BUILD": str(build)})


def test_every_benchmark_runs_and_is_in_the_json(micro, tmp_path):
    out = tmp_path / "micro.json"
    result = subprocess.run([micro, "--benchmark_min_time=0.001", f"--benchmark_out={out}"], capture_output=True,
                            text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    found = json.loads(out.read_text())["benchmarks"]
    python = set() if "no policies in Python" in result.stderr else PYTHON
    assert {each["name"] for each in found} == NAMES | CLOCKED | python
    assert all(each["cpu_time"] > 0 and "error_occurred" not in each for each in found)


def test_policies_are_judged_beside_their_speed(micro, tmp_path):
    out = tmp_path / "micro.json"
    subprocess.run([micro, "--benchmark_min_time=0.001", "--benchmark_filter=policy_pick/.*/100$",
                    f"--benchmark_out={out}"], check=True, capture_output=True, timeout=60)
    found = {each["name"].split("/")[1]: each for each in json.loads(out.read_text())["benchmarks"]}
    assert found.keys() == set(POLICIES)
    assert all(each["imbalance"] >= 1 and each["disruption"] >= 1 for each in found.values())
    # Those that promise exact shares, and those that move nothing without need.
    assert all(found[each]["imbalance"] < 1.01 for each in ("weighted-round-robin", "weighted-least-connections"))
    assert all(found[each]["disruption"] == 1 for each in ("rendezvous", "ring-hash"))
    assert found["maglev"]["disruption"] < 3 < found["flow-hash"]["disruption"]


def count(micro, out, *options):
    subprocess.run([ROOT / "bench/micro/count.py", micro, "--out", out, *options], check=True, capture_output=True,
                   timeout=120)
    return json.loads(out.read_text())["instructions"]


def test_instructions_repeat(micro, tmp_path):
    options = ("--filter", "^(parse|rewrite|policy|new_flow)")
    first, second = (count(micro, tmp_path / name, *options) for name in ("first.json", "second.json"))
    assert first.keys() == second.keys() >= {each for each in NAMES if re.match("parse|rewrite|policy|new_flow", each)}
    for name, instructions in first.items():
        assert second[name] == pytest.approx(instructions, rel=0.01), name
    # A full checksum reads every byte, an incremental one does not.
    assert first["rewrite/full/65535"] > 10 * first["rewrite/full/1500"] > 10 * first["rewrite/incremental/1500"]
    assert first["rewrite/incremental/65535"] == pytest.approx(first["rewrite/incremental/64"], rel=0.1)


def test_count_tells_what_is_wrong_in_one_line(micro, tmp_path):
    for program, pattern in ((micro, "^nothing$"), (tmp_path / "none", ".")):
        result = subprocess.run([ROOT / "bench/micro/count.py", program, "--filter", pattern], capture_output=True,
                                text=True, timeout=60)
        assert result.returncode == 1 and result.stderr.startswith("count.py: ")
        assert len(result.stderr.splitlines()) == 1


def test_run_takes_the_microbenchmarks_alone(build, micro, tmp_path):
    process = start_run(build, "--quick", "--only", "micro", "--out", tmp_path / "out")
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stdout + stderr
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["counts.json", "micro.json"]
    found = json.loads((tmp_path / "out/micro.json").read_text())["benchmarks"]
    assert {each["run_name"] for each in found} >= NAMES | CLOCKED
    assert json.loads((tmp_path / "out/counts.json").read_text())["instructions"].keys() >= NAMES


@pytest.mark.parametrize("program", ["nfsteer-micro", "callgrind"])
def test_interrupted_microbenchmarks_leave_no_process(build, micro, tmp_path, program):
    # Full length where the clock is to be interrupted, quick where that is to be over soon.
    quick = ["--quick"] if program == "callgrind" else []
    process = start_run(build, *quick, "--only", "micro", "--out", tmp_path / "out")

    def group():
        found = subprocess.run(["pgrep", "-a", "-g", str(process.pid)], capture_output=True, text=True)
        return found.stdout

    try:
        deadline = time.monotonic() + 60
        while not re.search(program + ".*(benchmark_out|iterations)=", group()):
            assert time.monotonic() < deadline and process.poll() is None, group()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 130 and "interrupted" in stderr
        assert group() == ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
