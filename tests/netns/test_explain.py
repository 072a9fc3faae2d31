"""nfsteer explain: what it says of a connection is what becomes of real ones, and its rules are the kernel's.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
    routed:  client 10.1.0.10 --- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2    VIP 10.9.0.40
"""

import json
import pathlib
import re
import socket
import urllib.parse

import jsonschema
import pytest

from support import tables
from support.engine import MODES, nfsteer, service
from support.poll import wait_until
from support.topology import address, server_host
from support.traffic import HttpConnection, udp_flow

OPENAPI = json.loads((pathlib.Path(__file__).parents[2] / "engine/api/openapi.json").read_text())
FAMILIES = pytest.mark.parametrize("family", [4, 6])
CONNECTIONS = 50


def endpoint(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def explain(engine, protocol, source, destination, live=False):
    """The API's answer, which must be as it is described."""
    query = urllib.parse.urlencode({"protocol": protocol, "source": source, "destination": destination,
                                    **({"live": "true"} if live else {})})
    answer = engine.api("GET", f"/v1/explain?{query}")
    assert answer.status == 200, answer
    jsonschema.Draft202012Validator({"$ref": "#/components/schemas/Explanation"},
                                    resolver=jsonschema.RefResolver.from_schema(OPENAPI)).validate(answer.json)
    assert ("live" in answer.json) == live
    return answer.json


def rules_of(explanation):
    """(table, rule) of every step."""
    return [(step["place"].split()[0], rule["rule"]) for step in explanation["steps"] for rule in step["rules"]]


def possible(explanation):
    """(address, port) of the backends that may get it."""
    return {(each["address"], each["port"]) for each in explanation["backends"] if each["probability"] > 0}


def assert_rules_are_the_kernels(engine, explanation, family):
    installed = set(tables.save(engine.host, counters=False))
    named = rules_of(explanation)
    missing = [each for each in named if f"ip{family} {each[0]} {each[1]}" not in installed]
    assert named and not missing, missing


class Client:
    """One connection after the other to a VIP; each says who answered it."""

    def __init__(self, top, family, protocol, port):
        self.names = {server.name: address(family, server_host(n)) for n, server in enumerate(top.servers, 1)}
        self.host, self.vip, self.protocol, self.port = top.client, top.vip[family], protocol, port

    def open(self):
        """(connection, its source, (address, port) of the server that answered)"""
        with self.host.inside():
            if self.protocol == "tcp":
                connection = HttpConnection(self.vip, self.port)
                name, at = connection.name(), None
                at = int(connection.headers["x-port"])
                made = connection.socket
            else:
                connection = made = udp_flow(self.vip, self.port)
                made.send(b"who?")
                name, at = made.recv(100).split(b" ")[0].decode(), self.port
            return connection, endpoint(*made.getsockname()[:2]), (self.names[name], at)

    @property
    def destination(self):
        return endpoint(self.vip, self.port)


def assert_holds_for_real_connections(engine, client, expected_service):
    """What is foretold of one is what many meet, and each is found in conntrack where it went."""
    first = None
    seen = set()
    for _ in range(CONNECTIONS):
        connection, source, server = client.open()
        try:
            said = explain(engine, client.protocol, source, client.destination, live=True)
        finally:
            connection.close()
        first = first or said
        assert said["service"] == expected_service
        assert server in possible(said), "it went to where explain says it cannot go"
        assert len(said["live"]) == 1
        live = said["live"][0]
        assert (live["destination"], live["port"]) == server
        backend = said["backends"][live["backend"]]
        assert (backend["address"], backend["port"]) == server
        assert live["translated"] and live["answered"]
        assert live["state"] == ("ESTABLISHED" if client.protocol == "tcp" else "REPLIED")
        seen.add(server)
    assert seen == possible(first), "what may get a quarter of fifty gets some"
    return first


def shared_vip(vip, family, mode):
    """Services of every kind on one VIP, told apart by who answers."""
    one, two = address(family, server_host(1)), address(family, server_host(2))
    return [service("all", vip, [one], mode=mode), service("tcp", vip, [two], protocol="tcp", mode=mode),
            service("web", vip, [{"address": one, "port": 8080}, {"address": two, "weight": 3},
                                 {"address": one, "port": 81, "weight": 0}], protocol="tcp", port=80, mode=mode)]


@pytest.mark.parametrize("kind", ["local", "routed"])
@pytest.mark.parametrize("mode", MODES)
@FAMILIES
def test_real_connections_go_where_it_says(lab, kind, mode, family):
    top = lab.topology(kind, udp=True)
    engine = lab.engine(top, shared_vip(top.vip[family], family, mode))
    for protocol, port, expected in (("tcp", 80, "web"), ("tcp", 81, "tcp"), ("udp", 5000, "all")):
        before = engine.service(expected)["picks"]
        said = assert_holds_for_real_connections(engine, Client(top, family, protocol, port), expected)
        assert said["mode"]["name"] == mode
        assert said["from_this_host"] == (kind == "local")
        hook = "OUTPUT" if kind == "local" else "PREROUTING"
        assert said["steps"][0]["place"] == f"{'nat' if mode == 'dnat' else 'mangle'} {hook}"
        assert engine.service(expected)["picks"] - before == (0 if mode == "dnat" else CONNECTIONS)
        assert_rules_are_the_kernels(engine, said, family)
        for step in said["steps"]:
            for rule in step["rules"]:
                assert rule.get("note", "").count("8080") == ("NETMAP" in rule["rule"] and "8080" in rule["rule"])


def test_one_wide_service_and_one_of_another_mode_on_its_vip(lab):
    """A dnat service beside one whose every packet is queued, and a wide one without a backend beside it."""
    top = lab.topology("routed", udp=True)
    vip = top.vip[4]
    engine = lab.engine(top, [
        service("all", vip, [{"address": top.backend(1), "weight": 0}], mode="inspect", on_no_backend="drop"),
        service("web", vip, [top.backend(2)], protocol="tcp", port=80, mode="dnat", masquerade=True)])
    said = assert_holds_for_real_connections(engine, Client(top, 4, "tcp", 80), "web")
    assert [step["place"] for step in said["steps"]] == \
        ["mangle PREROUTING", "nat PREROUTING", "nat POSTROUTING", "conntrack"]
    assert said["choice"]["backend"] == 0
    assert_rules_are_the_kernels(engine, said, 4)
    with top.client.inside():
        connection = HttpConnection(vip)
        live = explain(engine, "tcp", endpoint(*connection.socket.getsockname()), f"{vip}:80", live=True)["live"]
        connection.close()
    assert live[0]["client_seen_as"] == "10.0.0.1", "masqueraded"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("choice", ["reject", "drop", "pass"])
def test_without_a_backend_it_says_what_the_client_meets(lab, mode, choice):
    top = lab.topology("routed")
    owner = top.owner_of_vip()
    vip = top.vip[4]
    engine = lab.engine(top, [service("web", vip, [{"address": top.backend(1), "weight": 0}], protocol="tcp", port=80,
                                      mode=mode, on_no_backend=choice)])
    said = explain(engine, "tcp", "10.1.0.10:40000", f"{vip}:80")
    assert possible(said) == set() and said["choice"] is None
    assert said["on_no_backend"] == choice and choice in said["no_backend"]
    last = said["steps"][-1]
    assert last["place"] == ("VIP" if choice == "pass" else "filter FORWARD")
    assert last["otherwise"] == (choice == "drop" and mode != "dnat"), "a queued packet is dropped by the engine"
    if rules_of(said):
        assert_rules_are_the_kernels(engine, said, 4)
    else:
        assert (mode, choice) == ("dnat", "pass")
    with top.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as each:
        each.settimeout(0.6)
        # With pass the owner of the VIP answers, where nothing listens: a reset, but not ours.
        resets = owner.counter("Tcp.OutRsts")
        with pytest.raises(TimeoutError if choice == "drop" else ConnectionRefusedError):
            each.connect((vip, 80))
        assert owner.counter("Tcp.OutRsts") - resets == (1 if choice == "pass" else 0)


@FAMILIES
def test_pings_are_found_by_their_addresses(lab, family):
    top = lab.topology("local", web=False)
    vip = top.vip[family]
    engine = lab.engine(top, [service("all", vip, [top.backend(n, family) for n in (1, 2)])])
    source = address(family, 10)

    def echos(n):  # /proc/net/snmp has no such counter for IPv6
        return top.servers[n - 1].counter("Icmp.InEchos") if family == 4 else None
    before = {n: echos(n) for n in (1, 2)}
    for _ in range(4):
        top.client.run("ping", "-c", "1", "-W", "2", vip)
    said = explain(engine, "icmp", source, vip, live=True)
    assert said["service"] == "all" and said["source"] == source and said["destination"] == vip
    assert len(said["live"]) == 4
    assert len({each["identifier"] for each in said["live"]}) == 4
    assert all(said["backends"][each["backend"]]["address"] == each["destination"] for each in said["live"])
    for n in before:
        went = sum(each["destination"] == top.backend(n) for each in said["live"])
        assert family == 6 or echos(n) - before[n] == went
    assert_rules_are_the_kernels(engine, said, family)


@pytest.mark.parametrize("mode", MODES)
@FAMILIES
def test_a_client_with_affinity_is_said_to_go_where_it_went(lab, mode, family):
    top = lab.topology("routed")
    engine = lab.web(top, family, weights=(1, 1), mode=mode, affinity={"timeout": "1h"})
    source, destination = endpoint(address(family, 10, 1), 40000), endpoint(top.vip[family], 80)
    stranger = explain(engine, "tcp", source, destination)
    assert stranger["choice"] is None and "affinity" in stranger["notes"][0]
    assert_rules_are_the_kernels(engine, stranger, family)

    client = Client(top, family, "tcp", 80)
    connection, _, (first, _) = client.open()
    connection.close()
    said = explain(engine, "tcp", source, destination)
    assert said["backends"][said["choice"]["backend"]]["address"] == first
    assert said["choice"]["reason"].startswith("affinity: ")
    assert_rules_are_the_kernels(engine, said, family)
    ladder = [rule for _, rule in rules_of(said) if "--to-destination" in rule]
    assert len(ladder) == 1 and "--update" in ladder[0] and first in ladder[0], "the kernel knows the client, too"
    for _ in range(10):
        connection, _, (name, _) = client.open()
        connection.close()
        assert name == first
    other = explain(engine, "tcp", endpoint(address(family, 11, 1), 40000), destination)
    assert other["choice"] is None, "another client is not known"


def test_the_queue_it_names_is_the_one(lab):
    top = lab.topology("routed")
    engine = lab.web(top, engine={"queues": 4, "queue_base": 100})

    def packets():
        return [worker["packets"] for worker in engine.status()["workers"]]

    named = set()
    for port in range(20000, 20020):
        said = explain(engine, "tcp", f"10.1.0.10:{port}", f"{top.vip[4]}:80")
        queue = int(re.search(r"--queue-num (\d+)", said["steps"][0]["rules"][-1]["rule"])[1])
        before = packets()
        with top.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as each:
            each.settimeout(5)
            each.bind(("", port))
            each.connect((top.vip[4], 80))
        grown = [after - old for after, old in zip(packets(), before)]
        assert grown == [int(worker == queue - 100) for worker in range(4)], f"port {port}, queue {queue}"
        named.add(queue)
    assert len(named) > 1, "twenty flows over one queue show nothing"


def test_a_connection_that_outlives_its_backend_is_said_to(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1, 1))
    connection, source, (gone, _) = Client(top, 4, "tcp", 80).open()
    destination = f"{top.vip[4]}:80"
    assert engine.command("backend", "remove", "web", gone).code == 0
    said = explain(engine, "tcp", source, destination, live=True)
    assert gone not in {host for host, _ in possible(said)}
    assert said["live"][0]["destination"] == gone and said["live"][0]["backend"] is None
    text = engine.command("explain", "tcp", source, destination, "--live")
    assert f"it goes to {gone}:80, which is no backend of web now (ESTABLISHED)" in text.stdout
    connection.close()

    def is_over():
        return explain(engine, "tcp", source, destination, live=True)["live"][0]["state"] != "ESTABLISHED"
    wait_until(is_over, "conntrack has seen the end of the connection")
    assert explain(engine, "tcp", "10.0.0.10:1", destination, live=True)["live"] == [], "no such connection"


def test_what_nobody_takes_is_left_alone(lab):
    top = lab.topology()
    engine = lab.web(top)
    assert explain(engine, "tcp", "10.0.0.10:40000", f"{top.vip[4]}:81")["service"] is None
    with top.client.inside():
        connection = HttpConnection(top.backend(1))
        source = endpoint(*connection.socket.getsockname())
        said = explain(engine, "tcp", source, f"{top.backend(1)}:80", live=True)
        connection.close()
    assert said["service"] is None and said["candidates"] == []
    assert said["live"][0]["translated"] is False
    assert engine.status()["rules"]["commits"] == 2, "asking changes nothing"


@FAMILIES
def test_the_command_tells_it_in_numbered_steps(lab, family):
    top = lab.topology()
    vip, source = endpoint(top.vip[family], 80), endpoint(address(family, 10), 40000)
    engine = lab.web(top, family)
    outcome = engine.command("explain", "tcp", source, vip)
    assert outcome.code == 0 and outcome.stderr == ""
    lines = outcome.stdout.splitlines()
    assert lines[0] == f"tcp {source} -> {vip}"
    assert "service web takes it: protocol and port are its own" in lines
    assert [line.split()[:5] for line in lines if line.startswith("  " + vip[:3])] == \
        [[endpoint(top.backend(1, family), 80), "1", "active", "25.0%"],
         [endpoint(top.backend(2, family), 80), "3", "active", "75.0%"]]
    numbers = [line[:2] for line in lines if re.match(r"\d\. ", line)]
    assert numbers == [f"{n}." for n in range(1, len(numbers) + 1)] and len(numbers) == 4
    installed = {re.sub(r'--bytecode "[^"]*"', "--bytecode ...", line.split(" ", 2)[2])
                 for line in tables.save(engine.host, counters=False)}
    printed = [line[line.index("-A "):] for line in lines if "-A NFSTEER" in line]
    assert len(printed) >= 6 and set(printed) <= installed
    as_json = engine.command("explain", "tcp", source, vip, "--json")
    assert json.loads(as_json.stdout) == explain(engine, "tcp", source, vip)


WRONG = {
    ("tpc", "10.0.0.10:1", "10.0.0.40:80"):
        'protocol: "tpc" is no protocol known here; write tcp, udp, sctp or icmp',
    ("tcp", "10.0.0.10", "10.0.0.40:80"):
        "source: 10.0.0.10 has no port; write ADDR:PORT, an IPv6 address in brackets: [ADDR]:PORT",
    ("tcp", "10.0.0.10:1", "10.0.0.40:65536"):
        "destination: 65536 is no port; write a number from 1 to 65535",
    ("udp", "10.0.0.10:1", "[fd00::40]:80"):
        "destination: is not of the source's family; give two IPv4 addresses or two IPv6 addresses",
    ("icmp", "10.0.0.10:1", "10.0.0.40"):
        "source: 10.0.0.10:1 is no IPv4 or IPv6 address; icmp has no ports: write ADDR",
    ("tcp", "10.0.0.10:1\n", "10.0.0.40:80"):
        'source: "1?" is no port; write a number from 1 to 65535',
}


def test_wrong_questions_are_refused_in_one_line(lab):
    engine = lab.engine(None, [], host=lab.alone())
    for words, line in WRONG.items():
        outcome = engine.command("explain", *words)
        assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", f"nfsteer: {line}\n"), words
    answer = engine.api("GET", "/v1/explain?protocol=tcp&source=10.0.0.10:1&destination=10.0.0.40:80&live=1")
    assert (answer.status, answer.json["field"]) == (400, "live")
    engine.stop()
    outcome = nfsteer(engine.host, "explain", "tcp", "10.0.0.10:1", "10.0.0.40:80", "--control", engine.control)
    assert outcome.code == 1 and "no engine listens there" in outcome.stderr
