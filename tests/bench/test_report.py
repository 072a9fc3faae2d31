"""python3 -m report: what it makes of results whose figures are known beforehand."""

import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from report import canvas, stats, targets  # noqa: E402
from report.samples import USUAL, Micro, Samples  # noqa: E402

BACKENDS = (2, 1000)
BASE = {  # measure: unit, better, value of dnat-list
    "udp_new_flows": ("flows/s", "higher", 150e3),
    "http_connections": ("connections/s", "higher", 13e3),
    "http_cpu_per_connection": ("us", "lower", 130.0),
    "engine_rss": ("bytes", "lower", None),
    "latency_new_connection_p50": ("us", "lower", 100.0),
    "latency_new_connection_p99": ("us", "lower", 400.0),
    "latency_new_connection_p999": ("us", "lower", 4000.0),
    "tcp_throughput_1": ("bit/s", "higher", 15e9),
    "tcp_throughput_8": ("bit/s", "higher", 16e9),
    "rules_install": ("s", "lower", 0.004),
    "rules_change": ("s", "lower", 0.003),
}
MODES = ("nfsteer-dnat", "nfsteer-connection", "nfsteer-inspect", "nfsteer-rewrite")
# What differs from dnat-list: by path and measure, for all numbers of backends.
FACTORS = {("nfsteer-connection", "udp_new_flows"): 1.2, ("nfsteer-rewrite", "tcp_throughput_1"): 0.7,
           ("nfsteer-connection", "latency_new_connection_p50"): 1.2,
           ("nfsteer-connection", "latency_new_connection_p99"): 1.5}
RSS = {"nfsteer-rewrite": 70 * 2 ** 20}
ENGINE_CPU = {"nfqueue-accept": 10.0, "nfsteer-connection": 11.0}


def samples(rounds, paths=("dnat-list", "nfqueue-accept", *MODES)):
    """Each round is faster than the one before, for all paths alike: ratios within rounds do not see it."""
    found = []
    for number in range(rounds):
        for measure, (unit, better, value) in BASE.items():
            for path in paths:
                for backends in BACKENDS:
                    extra = {"engine_cpu_us": ENGINE_CPU.get(path, 0.0)}
                    if measure == "engine_rss":
                        if not path.startswith("nfsteer"):
                            continue
                        figure = RSS.get(path, 20 * 2 ** 20)
                    else:
                        figure = value * FACTORS.get((path, measure), 1) * (1 + number / 10)
                    found.append({"measure": measure, "unit": unit, "better": better, "path": path,
                                  **USUAL, "topology": "routed", "backends": backends, "round": number,
                                  "value": figure, "extra": extra})
    return found


def results(rounds=7, command=("bench/run.sh",), **also):
    return {"format": 1, "started": "2026-01-02T03:04:05+00:00",
            "machine": {"cpu": "A | B", "cores": 2, "memory_bytes": 2 ** 33, "kernel": "6.1.0"},
            "versions": {"nfsteer": "nfsteer 0.1.0"}, "command": list(command), "rounds": rounds, "seconds": 3.0,
            "samples": samples(rounds), "skipped": [{"path": "ipvs", "measure": "udp_new_flows", "reason": "no IPVS"}],
            **also}


def times(nanoseconds):
    return {"benchmarks": [{"run_name": f"syn_parse_hash_pick_rewrite/{backends}", "run_type": "iteration",
                            "family_index": 0, "repetition_index": repetition, "cpu_time": value, "time_unit": "ns"}
                           for backends in BACKENDS for repetition, value in enumerate(nanoseconds)]}


def report(folder, data, micro=None, counts=None):
    for name, content in (("results.json", data), ("micro.json", micro), ("counts.json", counts)):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return subprocess.run([sys.executable, "-m", "report", str(folder)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "bench"), "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("report")
    done = report(where, results(), times([50.0] * 7), {"instructions": {"syn_parse_hash_pick_rewrite/2": 500.25}})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return where


def outcomes(data, micro=None):
    """By path, measure (with the field of its samples that counts) and backends."""
    return {(each.target.path, " ".join(filter(None, (each.target.measure, each.target.field))), each.backends): each
            for each in targets.judge(Samples(data), Micro(micro))}


@pytest.mark.parametrize("path, measure, backends, outcome, value", [
    ("nfsteer-connection", "udp_new_flows", 2, "reached", 1.2),
    ("nfsteer-connection", "udp_new_flows", 1000, "not reached", 1.2),
    ("nfsteer-connection", "http_connections", 2, "reached", 1),
    ("nfsteer-connection", "tcp_throughput_8", 2, "reached", 1),
    ("nfsteer-connection", "latency_new_connection_p50", 2, "reached", 26),  # 100 us to 160 us, the middle at 130
    ("nfsteer-connection", "latency_new_connection_p99", 2, "not reached", 260),
    ("nfsteer-rewrite", "tcp_throughput_1", 2, "not reached", 0.7),
    ("nfsteer-rewrite", "tcp_throughput_8", 1000, "reached", 1),
    ("nfsteer-dnat", "udp_new_flows", 2, "reached", 1),
    ("nfsteer-dnat", "udp_new_flows", 1000, "not reached", 1),
    ("nfsteer-connection", "http_cpu_per_connection engine_cpu_us", 2, "reached", 1.1),
    ("nfsteer-connection", "udp_new_flows engine_cpu_us", 1000, "reached", 1.1),
    ("nfsteer-*", "engine_rss", 2, "not reached", 70),  # the largest of the modes
    ("in memory", "syn_parse_hash_pick_rewrite", 1000, "reached", 50),
])
def test_targets_are_judged_by_the_median(path, measure, backends, outcome, value):
    each = outcomes(samples(7), times([10, 50, 50, 50, 50, 50, 90]))[path, measure, backends]
    assert each.outcome == outcome
    assert stats.spread(each.values.values()).median == pytest.approx(value)
    assert len(each.values) == 7


def test_the_bare_limit_of_a_mode_stands_beside_its_figure(tmp_path):
    slow = [{**each, "path": "nfqueue-rewrite", "value": each["value"] / 2}
            for each in samples(7, paths=("dnat-list",))]
    found = outcomes(samples(7) + slow)
    limit = {key: stats.spread(each.limit.values()).median for key, each in found.items() if each.limit}
    assert limit["nfsteer-rewrite", "tcp_throughput_1", 2] == pytest.approx(0.5)
    assert limit["nfsteer-connection", "udp_new_flows", 1000] == pytest.approx(1)
    assert not any(path == "nfsteer-inspect" or "engine_cpu" in measure for path, measure, _ in limit)
    assert report(tmp_path, results(samples=samples(7) + slow)).returncode == 0
    row = next(line for line in (tmp_path / "table.md").read_text().splitlines()
               if line.startswith("| throughput, 1 stream, ratio | nfsteer-rewrite | 2 |"))
    assert row.endswith("| 0.5 (0.5 to 0.5) | **not reached** |")


def test_pauses_of_the_machine_stand_in_the_head_of_the_table(tmp_path):
    data = results()
    data["machine"]["pauses"] = {"seconds": 2, "count": 3, "longest_ms": 8.25, "share": 0.0123}
    assert report(tmp_path, data).returncode == 0
    table = (tmp_path / "table.md").read_text()
    assert re.search(r"^\| quiet \| in 2 s .* up to 8.2 ms, in all for 1.23% ", table, re.MULTILINE)


def test_on_the_bound_is_reached():
    assert outcomes([], times([60.0]))["in memory", "syn_parse_hash_pick_rewrite", 2].outcome == "reached"
    assert outcomes([], times([60.1]))["in memory", "syn_parse_hash_pick_rewrite", 2].outcome == "not reached"


def test_without_samples_or_without_their_baseline_nothing_is_measured():
    assert {each.outcome for each in outcomes([]).values()} == {"not measured"}
    alone = outcomes(samples(7, paths=("nfsteer-connection",)))
    assert {each.outcome for (_, measure, _), each in alone.items() if measure != "engine_rss"} == {"not measured"}


def test_ratios_are_taken_within_rounds_that_both_have():
    assert stats.ratios({0: 10, 1: 30, 3: 5}, {0: 5, 1: 10, 2: 1}) == {0: 2, 1: 3}
    assert stats.differences({0: 10, 1: 30, 3: 5}, {0: 5, 1: 10, 2: 1}) == {0: 5, 1: 20}
    assert stats.ratios({0: 1}, {0: 0}) == {}


@pytest.mark.parametrize("value, text", [
    (0, "0"), (0.97, "0.97"), (1.1, "1.1"), (132456, "132 k"), (999.9, "1 k"), (999.4, "999"), (1.5e10, "15 G"),
    (999999, "1 M"), (-202, "-202"), (0.0034, "0.0034"),
])
def test_figures_have_three_digits_and_a_prefix(value, text):
    assert stats.shown(value) == text


def test_names_of_lines_keep_their_distance():
    placed = canvas.apart([0, 100, 101, 103, 300], gap=20)
    assert placed[0] == 0 and placed[4] == 300
    assert placed[1:4] == pytest.approx([304 / 3 - 20, 304 / 3, 304 / 3 + 20])


def target_rows(table):
    lines = table.split("## Targets")[1].split("\n## ")[0].splitlines()
    return [line for line in lines if line.startswith("| ")][1:]


def test_the_targets_come_first_and_are_all_there(folder):
    table = (folder / "table.md").read_text()
    assert re.findall(r"^## (.*)$", table, re.MULTILINE) == ["Targets", "Plots", "Measures", "In memory", "Skipped"]
    rows = target_rows(table)
    assert len(rows) == 2 * len(targets.TARGETS)
    assert "| UDP new flows/s, ratio | nfsteer-connection | 2 | >= 1.1 | 1.2 (1.2 to 1.2) | 1 (1 to 1) | **reached** |" in rows
    assert "| UDP new flows/s, ratio | nfsteer-dnat | 1,000 | >= 4 | 1 (1 to 1) |  | **not reached** |" in rows
    assert "| added latency, p50 | nfsteer-connection | 2 | <= 30 us | 26 (23 to 29) us | 0 (0 to 0) us | **reached** |" \
        in rows
    assert "No verdict" not in table and "no verdict" not in table


def test_the_header_says_where_when_and_how(folder):
    table = (folder / "table.md").read_text()
    for text in ("2026-01-02T03:04:05", r"A \| B, 2 cores, 8 GiB", "6.1.0", "nfsteer 0.1.0", "`bench/run.sh`",
                 "| 7, 3 s"):
        assert text in table


def test_every_measure_has_its_table_and_what_was_skipped_its_reason(folder):
    table = (folder / "table.md").read_text()
    for measure in BASE:
        for backends in BACKENDS:
            assert f"### {measure}, routed, {backends} backends\n" in table
    assert "| nfsteer-connection | 234 k (207 k to 261 k) | 1.2 (1.2 to 1.2) |" in table
    assert "| syn_parse_hash_pick_rewrite/2 | 50 (50 to 50) | 500.2 |" in table
    assert "- ipvs, udp_new_flows: no IPVS" in table


@pytest.mark.parametrize("data, why", [
    (results(rounds=6), "6 of 7 rounds"),
    (results(rounds=7, command=("bench/run.sh", "--quick", "--rounds", "7")), "--quick"),
])
def test_few_rounds_and_quick_ones_give_no_verdict(tmp_path, data, why):
    assert report(tmp_path, data).returncode == 0
    table = (tmp_path / "table.md").read_text()
    assert "**No verdict:**" in table
    judged = [row for row in target_rows(table) if not row.endswith("not measured |")]
    assert judged and all(row.endswith(f"reached (no verdict: {why}) |") for row in judged)


def test_a_forced_run_is_told(tmp_path):
    assert report(tmp_path, results(command=("bench/run.sh", "--force"))).returncode == 0
    assert "**Made with --force:**" in (tmp_path / "table.md").read_text()


def test_plots_are_whole_and_the_table_shows_them(folder):
    plots = folder / "plots"
    for name in ("bars-udp_new_flows", "bars-engine_rss", "backends-http_connections", "backends-rules_change",
                 "latency-percentiles"):
        assert (plots / f"{name}.svg").exists() and (plots / f"{name}.png").exists()
    for each in plots.glob("*.svg"):
        assert xml.etree.ElementTree.parse(each).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    for each in plots.glob("*.png"):
        content = each.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n") and content.rstrip().endswith(b"IEND\xaeB`\x82")
    shown = re.findall(r"^!\[.*\]\((.*)\)$", (folder / "table.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(f"plots/{each.name}" for each in plots.glob("*.svg"))
    assert len(list(plots.glob("*.png"))) == len(shown)


@pytest.mark.parametrize("axis, values", [("services", (1, 100)), ("queues", (1, 2, 4))])
def test_what_grows_with_services_and_queues_has_its_tables_and_plot(tmp_path, axis, values):
    usual = [each for each in samples(2) if each["measure"] == "udp_new_flows"]
    data = usual + [{**each, axis: value} for each in usual for value in values if value != USUAL[axis]]
    assert report(tmp_path, results(rounds=2, samples=data)).returncode == 0
    table = (tmp_path / "table.md").read_text()
    for value in values:
        setting = "routed" if value == USUAL[axis] else f"routed, {axis} {value}"
        assert f"### udp_new_flows, {setting}, 2 backends\n" in table
    assert (tmp_path / f"plots/{axis}-udp_new_flows.svg").exists()
    other = "queues" if axis == "services" else "services"
    assert not (tmp_path / f"plots/{other}-udp_new_flows.svg").exists()


def test_the_same_results_give_the_same_files(folder, tmp_path):
    assert report(tmp_path, json.loads((folder / "results.json").read_text())).returncode == 0
    for each in (folder / "plots").iterdir():
        assert each.read_bytes() == (tmp_path / "plots" / each.name).read_bytes(), each.name


def test_a_plot_without_data_is_not_written(tmp_path):
    few = [each for each in samples(1) if each["measure"] == "udp_new_flows" and each["backends"] == 2]
    alone = [each for each in samples(1) if each["measure"] == "http_connections" and each["path"] == "dnat-list"
             and each["backends"] == 2]
    assert report(tmp_path, results(rounds=1, samples=few + alone)).returncode == 0
    assert sorted(each.name for each in (tmp_path / "plots").iterdir()) == ["bars-udp_new_flows.png",
                                                                           "bars-udp_new_flows.svg"]


def test_results_without_a_sample_make_a_report_without_plots(tmp_path):
    assert report(tmp_path, results(samples=[])).returncode == 0
    assert "## Plots" not in (tmp_path / "table.md").read_text() and not (tmp_path / "plots").exists()


def test_a_folder_without_results_is_an_error_of_one_line(tmp_path):
    done = report(tmp_path, None)
    assert done.returncode == 1 and "no results.json" in done.stderr and len(done.stderr.splitlines()) == 1
    (tmp_path / "results.json").write_text("{")
    done = report(tmp_path, None)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
