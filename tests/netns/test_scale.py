"""A thousand services, and a service of a thousand backends.

    routed:  client 10.1.0.10 -- gateway (engine) --+-- server1 10.0.0.20, also 10.4.0.1 to 10.4.3.250
                                                    +-- server2 10.0.0.30        VIPs 10.9.0.1 to 10.9.3.250
"""

import time

import pytest

from support import tables
from support.engine import service
from support.stats import P_MIN, chi_square_p
from support.traffic import ask, http_names, udp_names


def addresses(count, base):
    return [f"{base}.{n // 250}.{n % 250 + 1}" for n in range(count)]


@pytest.mark.time_limit(120)
def test_a_thousand_services_start_reload_and_stop(lab):
    top = lab.topology("routed")
    vips = addresses(1000, "10.9")

    def services(weight, count=1000):
        return [service(f"web{n}", vip, [{"address": top.backend(1), "weight": weight},
                                         {"address": top.backend(2), "weight": 5 - weight}], protocol="tcp", port=80)
                for n, vip in enumerate(vips[:count])]
    tables.make_all(top.gateway)
    before = tables.save(top.gateway)
    engine = lab.engine(top, services(5), start=False, engine={"on_stop": "remove"})
    started = time.monotonic()
    engine.start()
    print(f"start: {time.monotonic() - started:.2f} s")
    status = engine.status()
    assert len(status["services"]) == 1000
    assert status["rules"]["commits"] == 2, "one commit of mangle, one of nat"
    asked = [vips[0], vips[499], vips[999]]
    with top.client.inside():
        assert [ask(vip)[0] for vip in asked] == ["server1"] * 3

        commits = engine.status()["rules"]["commits"]
        engine.configure(services(0))
        engine.reload()
        assert engine.status()["rules"]["commits"] - commits == 1, "one commit of nat, where the weights are"
        assert [ask(vip)[0] for vip in asked] == ["server2"] * 3

        commits = engine.status()["rules"]["commits"]
        engine.mode("dnat", "web499")
        assert engine.status()["rules"]["commits"] - commits == 1, "one commit of mangle, where the queue rules are"
        assert ask(vips[499])[0] == "server2"

        engine.configure(services(5, 500))
        engine.reload()
        assert len(engine.status()["services"]) == 500
        assert [ask(vip)[0] for vip in asked[:2]] == ["server1"] * 2
    started = time.monotonic()
    engine.stop()
    print(f"stop: {time.monotonic() - started:.2f} s")
    assert [line for line in tables.save(top.gateway) if "[" not in line or "ACCEPT" not in line] == \
        [line for line in before if "[" not in line or "ACCEPT" not in line]


@pytest.mark.time_limit(120)
def test_a_service_of_a_thousand_backends(lab):
    """Every backend is an address of server1; which one was meant is the address its answer came from originally."""
    top = lab.topology("routed", servers=1, udp=True)
    backends = addresses(1000, "10.4")
    top.servers[0].ip(*(f"addr add {each}/32 dev lo" for each in backends))
    top.gateway.ip("route add 10.4.0.0/16 via 10.0.0.20")

    def services(weights):
        return [service("web", top.vip[4], [{"address": each, "weight": weights(n)}
                                            for n, each in enumerate(backends)], protocol="udp", port=5000)]
    tables.make_all(top.gateway)
    engine = lab.engine(top, services(lambda n: 1), start=False, engine={"on_stop": "remove"})
    engine.start()
    assert engine.status()["rules"]["commits"] == 2
    assert udp_names(top.client, top.vip[4], flows=4000) == {"server1": 4000}
    picks = engine.picks("web")
    assert sum(picks.values()) == 4000
    p = chi_square_p(picks, {each: 1 for each in backends})
    assert p > P_MIN, f"the engine's picks are uneven (p = {p:.2g})"

    commits = engine.status()["rules"]["commits"]
    engine.configure(services(lambda n: n % 4))
    engine.reload()
    assert engine.status()["rules"]["commits"] - commits == 1
    engine.mode("dnat", "web")
    top.gateway.run("conntrack", "-F")
    assert udp_names(top.client, top.vip[4], flows=6000) == {"server1": 6000}
    # Sums over many leaves of the tree: the four weights, and the two halves of the list.
    reached = reached_backends(top.gateway)
    assert sum(reached.values()) == 6000
    by_weight = {weight: sum(reached.get(each, 0) for n, each in enumerate(backends) if n % 4 == weight)
                 for weight in range(4)}
    assert by_weight[0] == 0
    assert chi_square_p(by_weight, {weight: weight for weight in range(4)}) > P_MIN, by_weight
    halves = {half: sum(reached.get(each, 0) for n, each in enumerate(backends) if n // 500 == half)
              for half in range(2)}
    assert chi_square_p(halves, {0: 1, 1: 1}) > P_MIN, halves
    weights = {each: n % 4 for n, each in enumerate(backends)}
    assert chi_square_p(reached, weights) > P_MIN, "single leaves of the ladder are uneven"
    engine.stop()
    assert not tables.ours(top.gateway)


def reached_backends(host):
    """Flows by backend, from conntrack: the source of the answering direction."""
    counts = {}
    for line in host.run("conntrack", "-L", "-p", "udp", "--orig-port-dst", "5000").stdout.splitlines():
        backend = [word[4:] for word in line.split() if word.startswith("src=")][1]
        counts[backend] = counts.get(backend, 0) + 1
    return counts


def test_a_thousand_services_on_the_ports_of_one_vip(lab):
    top = lab.topology()
    engine = lab.engine(top, [service(f"s{n}", top.vip[4], [{"address": top.backend(1 + n % 2), "port": 80}],
                                      protocol="tcp", port=1000 + n) for n in range(1000)])
    for port in (1000, 1001, 1500, 1999):
        assert http_names(top.client, top.vip[4], port, 4) == {f"server{1 + port % 2}": 4}
    assert engine.service("s999")["picks"] == 4
