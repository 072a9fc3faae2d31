"""The metrics: well-formed, true, and quick; and the dashboard that draws them.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import json
import pathlib
import re
import time

import pytest

from support.engine import service
from support.metrics import Metrics, problems
from support.poll import SLOWNESS, wait_until
from support.traffic import http_names, udp_names

DASHBOARD = pathlib.Path(__file__).parents[2] / "docker/grafana/nfsteer.json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def scrape(engine, path="/metrics"):
    """What the engine says, which must be well-formed."""
    answer = engine.api("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, TEXT), answer
    assert problems(answer.text) == []
    return Metrics(answer.text)


GOOD = ("# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"x\\\\y\\\"z\\n\"} 1\n"
        "# HELP h_seconds H.\n# TYPE h_seconds histogram\nh_seconds_count 3\nh_seconds_sum 0.5\n"
        "h_seconds_bucket{le=\"0.1\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n# HELP g G.\n# TYPE g gauge\n")
BAD = {  # in GOOD: this, by that: what is said
    "no HELP": ("# HELP a_total A.\n", "", "no HELP"),
    "no TYPE": ("# TYPE a_total counter\n", "", "outside its family"),
    "a counter by another name": ("a_total", "a", "_total is for counters"),
    "a gauge like a counter": ("a_total counter", "a_total gauge", "_total is for counters"),
    "a suffix of histograms": ("TYPE g gauge", "TYPE g_sum gauge", "histogram's"),
    "milliseconds": ("h_seconds", "h_milliseconds", "no base unit"),
    "a family twice": ("# HELP g G.", "# HELP a_total A.\n# TYPE a_total counter\n# HELP g G.", "twice"),
    "a series twice": ("h_seconds_sum 0.5\n", "h_seconds_sum 0.5\nh_seconds_sum 0.5\n", "series stands there twice"),
    "buckets that fall": ('le="0.1"} 2', 'le="0.1"} 4', "not cumulative"),
    "buckets out of order": ('le="0.1"', 'le="+Inf"', "twice"),
    "a bucket short": ('le="+Inf"} 3', 'le="+Inf"} 2', "+Inf is not _count"),
    "no last bucket": ('h_seconds_bucket{le="+Inf"} 3\n', "", "+Inf is not _count"),
    "no sum": ("h_seconds_sum 0.5\n", "", "different series"),
    "a quotation mark": ('\\"z', '"z', "not a line"),
    "a negative counter": ('\\n"} 1', '\\n"} -1', "a counter of -1"),
    "a label's name": ("{b=", "{__b=", "label __b"),
    "no end": ("gauge\n", "gauge", "does not end"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_text_would_be_noticed(case):
    old, new, said = BAD[case]
    assert problems(GOOD) == []
    assert GOOD.count(old) > 0
    assert any(said in each for each in problems(GOOD.replace(old, new))), problems(GOOD.replace(old, new))


def test_the_metrics_are_what_was_sent(lab):
    top = lab.topology(udp=True)
    backends = [{"address": top.backend(1)}, {"address": top.backend(2), "weight": 3}]
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80),
                              service("who", top.vip[4], backends, protocol="udp", port=5000)])
    names = http_names(top.client, top.vip[4], requests=120)
    flows = udp_names(top.client, top.vip[4], flows=60)
    first = scrape(engine)
    for number, server in enumerate(("server1", "server2"), 1):
        assert first.value("nfsteer_backend_picks_total", service="web",
                           backend=f"{top.backend(number)}:80") == names[server]
        assert first.value("nfsteer_backend_picks_total", service="who",
                           backend=f"{top.backend(number)}:5000") == flows[server]
    assert [first.value("nfsteer_backend_weight", service="web", backend=f"{top.backend(n)}:80") for n in (1, 2)] == [1, 3]
    assert first.value("nfsteer_backend_up") == first.value("nfsteer_backend_state", state="active") == 4
    assert first.value("nfsteer_service_info", service="web", vip=f"{top.vip[4]}:80", protocol="tcp",
                       mode="connection", policy="weighted-random") == 1

    received = first.value("nfsteer_worker_received_packets_total")
    assert received >= 180
    assert first.value("nfsteer_worker_packets_total") == received
    assert first.value("nfsteer_worker_packets_total", verdict="rewritten") == \
        first.value("nfsteer_backend_seen_packets_total")
    assert first.value("nfsteer_worker_decision_seconds_count") == received
    assert 0 < first.value("nfsteer_worker_decision_seconds_sum") < 10
    assert first.value("nfsteer_worker_batch_packets_sum") == received
    assert 0 < first.value("nfsteer_worker_batch_packets_count") <= received
    assert first.value("nfsteer_interface_packets_total", interface="local") == received
    assert len(first.series("nfsteer_queue_waiting_packets")) == 6, "two workers, three groups"
    assert first.value("nfsteer_rule_commits_total") >= 2 and first.value("nfsteer_rule_errors_total") == 0

    engine.mode("dnat")
    http_names(top.client, top.vip[4], requests=40)
    engine.mode("connection")
    http_names(top.client, top.vip[4], requests=40)
    second = scrape(engine, "/v1/metrics")
    assert second.value("nfsteer_service_ladder_connections_total", service="web") == 40
    assert second.value("nfsteer_backend_picks_total", service="web") == 160
    assert second.value("nfsteer_configuration_revision") == first.value("nfsteer_configuration_revision") + 2
    later = second.counters()
    fallen = {key: (value, later.get(key)) for key, value in first.counters().items() if later.get(key, -1) < value}
    assert not fallen, "a counter may only grow"
    assert second.value("nfsteer_uptime_seconds") > first.value("nfsteer_uptime_seconds")


def test_the_metrics_and_the_status_agree(lab):
    top = lab.topology()
    engine = lab.web(top)
    http_names(top.client, top.vip[4], requests=40)
    status, metrics = engine.status(), scrape(engine)
    assert metrics.series("nfsteer_build_info") == {frozenset({("version", status["version"])}): 1}
    web = status["services"][0]
    for backend in web["backends"]:
        labels = {"service": "web", "backend": f"{backend['address']}:{backend['port']}"}
        for field, name in (("picks", "picks_total"), ("packets", "seen_packets_total"), ("bytes", "seen_bytes_total"),
                            ("weight", "weight"), ("effective_weight", "effective_weight")):
            assert metrics.value(f"nfsteer_backend_{name}", **labels) == backend[field]
        assert metrics.value("nfsteer_backend_state", state=backend["state"], **labels) == 1
    for worker in status["workers"]:
        assert metrics.value("nfsteer_worker_received_packets_total", worker=str(worker["index"])) == worker["packets"]
        assert metrics.value("nfsteer_worker_batches_total", worker=str(worker["index"])) == worker["batches"]
    assert abs(metrics.value("process_start_time_seconds") + status["uptime_seconds"] - time.time()) < 30
    resident = int(re.search(r"VmRSS:\s+(\d+) kB",
                             pathlib.Path(f"/proc/{engine.pid}/status").read_text())[1]) * 1024
    assert 0.5 < metrics.value("process_resident_memory_bytes") / resident < 2


@pytest.mark.time_limit(120)
def test_the_largest_service_fits_a_request_and_its_metrics_come_quickly(lab):
    """16,384 backends, set by one PUT; meanwhile others are answered."""
    top = lab.topology(web=False)
    engine = lab.web(top)
    large = {"vip": "10.0.0.41", "protocol": "tcp", "port": 80, "mode": "dnat", "backends": [
        {"address": f"10.8.{n // 250}.{n % 250 + 1}", "port": 8080, "weight": 65535} for n in range(16384)]}
    assert engine.api("PUT", "/v1/services/large", large, seconds=60).status == 201
    started = time.monotonic()
    answer = engine.api("GET", "/metrics")
    seconds = time.monotonic() - started
    print(f"{len(answer.text)} bytes in {seconds:.2f} s")
    assert answer.text.count("\nnfsteer_backend_picks_total{") == 16384 + 2
    assert seconds < 10 * SLOWNESS
    assert engine.service()["name"] == "web"


def test_a_scraper_that_does_not_read_delays_nobody(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    large = {"vip": "10.0.0.41", "protocol": "tcp", "port": 80, "mode": "dnat", "backends": [
        {"address": f"10.8.{n // 250}.{n % 250 + 1}"} for n in range(2000)]}
    assert engine.api("PUT", "/v1/services/large", large).status == 201
    stuck = [engine.open() for _ in range(8)]
    for each in stuck:
        each.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert scrape(engine).value("nfsteer_backend_weight", service="web") == 4
    assert engine.command("services").code == 0
    for each in stuck:
        each.close()
    wait_until(lambda: scrape(engine).value("process_open_fds") < 40, "the connections are gone")


def expressions(dashboard):
    """(where, PromQL) of everything that the dashboard asks for."""
    for each in dashboard["templating"]["list"]:
        if each["type"] == "query":
            yield each["name"], each["query"]["query"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def test_the_dashboard_asks_for_what_there_is(lab):
    dashboard = json.loads(DASHBOARD.read_text())
    engine = lab.web(lab.topology(web=False))
    families = scrape(engine).families
    there = set(families) | {name + suffix for name, kind in families.items() if kind == "histogram"
                             for suffix in ("_bucket", "_sum", "_count")}
    asked = {name: where for where, text in expressions(dashboard)
             for name in re.findall(r"\b(?:nfsteer|process)_\w+", text)}
    assert {name: where for name, where in asked.items() if name not in there} == {}
    assert len(asked) > 30, "most of the metrics are drawn"
    for where, text in expressions(dashboard):
        grows = [name for name in re.findall(r"\b(?:nfsteer|process)_\w+", text) if name.endswith(("_total", "_bucket"))]
        assert not grows or "rate(" in text or "increase(" in text, f"{where}: {text} draws a counter as it is"


def test_the_dashboard_is_one_that_grafana_imports():
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 36 and dashboard["uid"] and dashboard["title"]
    assert "datasource" in [each["name"] for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    panels = dashboard["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert [each["title"] for each in panels if each["type"] == "row"] == \
        ["Engine", "Services", "Backends", "Health", "Conntrack"]
    for each in panels:
        if each["type"] != "row":
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, each["title"]
            assert each["targets"] and all(target["expr"] for target in each["targets"]), each["title"]
    cells = [(x, y) for each in panels for x in range(each["gridPos"]["x"], each["gridPos"]["x"] + each["gridPos"]["w"])
             for y in range(each["gridPos"]["y"], each["gridPos"]["y"] + each["gridPos"]["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24, "panels overlap"
