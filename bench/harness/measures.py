"""What is measured. A run puts one kind of load on one path and yields the samples of one or more measures.

    sample: {"measure", "unit", "better", "value", "extra"}

"extra" holds the raw figures behind the value: what the load tool counted, CPU time, the path's own counters.
"""

import json
import os
import time

from . import machine
from .networks import SOURCES, backend
from .paths import Task, Unavailable

UDP_PORT, HTTP_PORT, STREAM_PORT = 9000, 80, 9001

MEASURES = {  # unit, better
    "udp_new_flows": ("flows/s", "higher"),
    "udp_new_flows_all_cpus": ("flows/s", "higher"),
    "http_connections": ("connections/s", "higher"),
    "http_cpu_per_connection": ("us", "lower"),
    "packets_per_connection": ("packets", "lower"),
    "engine_rss": ("bytes", "lower"),
    "latency_new_connection_p50": ("us", "lower"),
    "latency_new_connection_p99": ("us", "lower"),
    "latency_new_connection_p999": ("us", "lower"),
    "latency_request_p50": ("us", "lower"),
    "latency_request_p99": ("us", "lower"),
    "latency_request_p999": ("us", "lower"),
    "packet_rate": ("packets/s", "higher"),
    "cpu_per_packet": ("us", "lower"),
    "overload_arrived": ("share", "higher"),
    "overload_ladder": ("share", "lower"),
    "tcp_throughput_1": ("bit/s", "higher"),
    "tcp_throughput_8": ("bit/s", "higher"),
    "rules_install": ("s", "lower"),
    "rules_change": ("s", "lower"),
    "reload_one_change": ("s", "lower"),
    "api_change": ("s", "lower"),
    "api_read_services": ("s", "lower"),
    "api_read_status": ("s", "lower"),
    "api_read_backend": ("s", "lower"),
    "api_read_metrics": ("s", "lower"),
}


def sample(measure, value, **extra):
    unit, better = MEASURES[measure]
    return {"measure": measure, "unit": unit, "better": better, "value": value, "extra": extra}


class Spent:
    """CPU time from its making to stop(): of the whole machine and of the path's process."""

    def __init__(self, path):
        self._path = path
        self._machine, self._process = self._now()
        self.machine = self.process = None

    def _now(self):
        return machine.busy_seconds(), machine.process_seconds(self._path.pid) if self._path.pid else 0.0

    def stop(self):
        whole, own = self._now()
        self.machine, self.process = whole - self._machine, own - self._process
        return self


class Run:
    """One kind of load. `bench` has the network, the build folder and the seconds of a sample."""
    measures = ()
    protocol, port = "tcp", 0

    def __init__(self, bench):
        self.bench = bench

    def task(self, scale):
        return Task(self.protocol, self.port, scale.backends, scale.services, scale.queues, scale.clients)

    def samples(self, path):
        """With the path set up; take_down follows whatever happens."""
        path.set_up()
        return self.load(path)

    def load(self, path):
        raise NotImplementedError

    def tool(self, path, name, *words):
        targets = [word for each in path.targets() for word in ("--to", each)]
        process = path.network.client.start(self.bench.build / "bench/tools" / name, *targets, "--port", self.port,
                                            *words)
        try:
            if process.wait(self.bench.seconds + 60) != 0:
                raise RuntimeError(process.stderr.strip() or f"{name}: exit {process.child.returncode}")
            return json.loads(process.stdout)
        finally:
            process.close()


class UdpNewFlows(Run):
    """Flows that arrived, over the time from the first datagram's sending to the last one's arrival. Bursts that
    conntrack has room for, until the time is over; between them the connection table is emptied, outside of the time
    that counts."""
    measures = ("udp_new_flows",)
    protocol, port = "udp", UDP_PORT
    threads = 1

    def load(self, path):
        limit = machine.connections_max() * 3 // 4
        total = dict.fromkeys(("sent", "arrived", "settled"), 0)  # arrived: by the end of sending; settled: in the end
        seconds = busy = own = 0.0
        port = 20000
        while seconds < 0.9 * self.bench.seconds:
            spent = Spent(path)
            got = self.tool(path, "flowgen", *path.network.sinks, "--from", SOURCES, "--threads", self.threads,
                            "--flows", limit, "--seconds", self.bench.seconds - seconds, "--source-port", port)
            spent.stop()
            path.network.forget_connections()
            port += 1
            for field in total:
                total[field] += got[field]
            seconds, busy, own = seconds + got["seconds"], busy + spent.machine, own + spent.process
        if not total["settled"]:
            raise RuntimeError("no flow arrived")
        flows = total["settled"]
        return [sample(self.measures[0], flows / seconds, seconds=seconds, cpu_us=1e6 * busy / flows,
                       engine_cpu_us=1e6 * own / flows, **total, **path.facts())]


class UdpNewFlowsAllCpus(UdpNewFlows):
    """As many senders as CPUs: more than any path can do, so this is also how it behaves when overloaded. What of it
    arrived, and what of that the ladder had to balance because the queues were full."""
    measures = ("udp_new_flows_all_cpus", "overload_arrived", "overload_ladder")

    def __init__(self, bench):
        super().__init__(bench)
        self.threads = os.cpu_count()

    def load(self, path):
        for each in super().load(path):
            yield each
            counted = each["extra"]
        yield sample("overload_arrived", counted["settled"] / counted["sent"])
        if counted.get("picks"):
            yield sample("overload_ladder", counted["ladder"] / (counted["ladder"] + counted["picks"]))


class PacketRate(Run):
    """Small datagrams of flows that conntrack knows already."""
    measures = ("packet_rate", "cpu_per_packet")
    protocol, port = "udp", UDP_PORT
    flows = 1024

    def load(self, path):
        spent = Spent(path)
        got = self.tool(path, "flowgen", *path.network.sinks, "--from", SOURCES, "--repeat", "--flows", self.flows,
                        "--seconds", self.bench.seconds)
        spent.stop()
        if not got["settled"]:
            raise RuntimeError("no packet arrived")
        yield sample("packet_rate", got["settled"] / got["seconds"], **got, **path.facts())
        yield sample("cpu_per_packet", 1e6 * spent.machine / got["settled"],
                     engine_cpu_us=1e6 * spent.process / got["settled"])


class Http(Run):
    measures = ("http_connections", "http_cpu_per_connection", "packets_per_connection", "engine_rss")
    port = HTTP_PORT

    def load(self, path):
        spent = Spent(path)
        got = self.tool(path, "connload", "--from", SOURCES, "--addresses", path.task.clients, "--seconds",
                        self.bench.seconds)
        spent.stop()
        facts = path.facts()
        if not got["done"]:
            raise RuntimeError(f"no connection succeeded, {got['failed']} failed")
        yield sample("http_connections", got["done"] / got["seconds"], **got, **facts)
        yield sample("http_cpu_per_connection", 1e6 * spent.machine / got["total"],
                     engine_cpu_us=1e6 * spent.process / got["total"], machine_seconds=spent.machine,
                     engine_seconds=spent.process, connections=got["total"])
        if facts.get("picks"):
            yield sample("packets_per_connection", facts["packets"] / facts["picks"], **facts)
        if path.pid:
            yield sample("engine_rss", machine.resident_bytes(path.pid))


class Latency(Run):
    """At half of what dnat-list does with as many backends, the same rate for all paths: from the moment a connection
    was meant to start to the end of its handshake (new_connection), and to the end of the response (request)."""
    fields = {"latency_new_connection": "connect_us", "latency_request": "request_us"}
    measures = tuple(f"{kind}_{percentile}" for kind in fields for percentile in ("p50", "p99", "p999"))
    port = HTTP_PORT

    def samples(self, path):
        rate = self.bench.half_load(path.network, path.task)
        path.set_up()
        got = self.tool(path, "connload", "--from", SOURCES, "--seconds", self.bench.seconds, "--rate", rate)
        if not got["done"]:
            raise RuntimeError(f"no connection succeeded, {got['failed']} failed")
        for measure in self.measures:
            kind, _, percentile = measure.rpartition("_")
            yield sample(measure, got[self.fields[kind]][percentile], rate=rate, **got)


class Throughput(Run):
    streams = 1
    port = STREAM_PORT

    def load(self, path):
        spent = Spent(path)
        got = self.tool(path, "streamload", *path.network.sinks, "--streams", self.streams, "--seconds",
                        self.bench.seconds)
        spent.stop()
        return [sample(self.measures[0], 8 * got["bytes"] / got["seconds"], machine_seconds=spent.machine,
                       engine_seconds=spent.process, **got, **path.facts())]


class Throughput1(Throughput):
    measures = ("tcp_throughput_1",)


class Throughput8(Throughput):
    measures = ("tcp_throughput_8",)
    streams = 8


class Rules(Run):
    """Install: from the command to rules in force, the start of the program included. Change: one backend's weight, by
    the command that people use; where there is none, everything is loaded anew, as kube-proxy does."""
    measures = ("rules_install", "rules_change")
    port = HTTP_PORT

    def samples(self, path):
        for measure, action in (("rules_install", path.set_up), ("rules_change", path.change)):
            start = time.monotonic()
            action()
            yield sample(measure, time.monotonic() - start)


class ControlPlane(Run):
    """What an operator waits for: a reload that changes one weight of one service, a change by the API, and readings.
    From the request to the last byte of its answer, on one connection of the control socket."""
    port = HTTP_PORT
    readings = {"api_read_services": "/v1/services", "api_read_status": "/v1/status", "api_read_metrics": "/metrics",
                "api_read_backend": f"/v1/services/bench/backends/{backend(0)}/status"}
    measures = ("reload_one_change", "api_change", *readings)

    def samples(self, path):
        path.set_up()
        engine = path.engine
        if engine is None:
            raise Unavailable("has no control API")

        def timed(measure, method, target, body=None):
            start = time.monotonic()
            answer = engine.api(method, target, body, seconds=60)
            seconds = time.monotonic() - start
            if answer.status != 200:
                raise RuntimeError(f"{method} {target}: {answer}")
            return sample(measure, seconds, bytes=len(answer.text))
        bench = next(each for each in engine.services if each["name"] == "bench")
        bench["backends"][0]["weight"] = 3
        engine.configure(engine.services)
        yield timed("reload_one_change", "POST", "/v1/reload")
        yield timed("api_change", "PATCH", f"/v1/services/bench/backends/{backend(0)}", {"weight": 2})
        for measure, target in self.readings.items():
            yield timed(measure, "GET", target)


RUNS = (UdpNewFlows, UdpNewFlowsAllCpus, PacketRate, Http, Latency, Throughput1, Throughput8, Rules, ControlPlane)
