"""The short run that the sanitizer builds repeat: each way through the engine once.

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1 10.0.0.20     VIPs 10.9.0.40
                                                                      +-- server2 10.0.0.30          fd09::40
"""

import pytest

from support import tables
from support.engine import MODES, nfsteer, service
from support.stats import assert_shares
from support.traffic import HttpConnection, Load, Transfer, ask, http_names, udp_names

pytestmark = pytest.mark.smoke
WEIGHTS = {"server1": 1, "server2": 3}


@pytest.mark.parametrize("kind", ["local", "routed"])
def test_every_mode_family_and_protocol(lab, kind):
    top = lab.topology(kind, udp=True)
    services = []
    for family in (4, 6):
        backends = [{"address": top.backend(1, family)}, {"address": top.backend(2, family), "weight": 3}]
        mapped = [dict(backend, port=8080) for backend in backends]
        services += [service(f"web{family}", top.vip[family], mapped, protocol="tcp", port=80, masquerade=True),
                     service(f"any{family}", top.vip[family], backends)]
    engine = lab.engine(top, services)
    for mode in MODES:
        for each in services:
            engine.mode(mode, each["name"])
        for family in (4, 6):
            vip = top.vip[family]
            assert_shares(http_names(top.client, vip, requests=80), WEIGHTS, f"TCP, {mode}, {vip}")
            assert_shares(udp_names(top.client, vip, flows=80), WEIGHTS, f"UDP, {mode}, {vip}")
            assert udp_names(top.client, vip, flows=4, data=b"x" * 60000).total() == 4
            top.client.run("ping", "-c2", "-i0.02", "-W2", vip)
            with top.client.inside():
                assert ask(vip)[1] == 8080
    assert engine.command("status").code == 0


def test_modes_weights_and_reloads_under_load(lab):
    top = lab.topology("routed")
    engine = lab.web(top)
    load, kept = Load(top.client, top.vip[4], pause=0.005), Load(top.client, top.vip[4], keep_alive=True, pause=0.005)
    transfer = Transfer(top.client, top.vip[4])
    for mode in (*MODES, *reversed(MODES)):
        engine.mode(mode)
        engine.weight(top.backend(1), 2)
        engine.weight(top.backend(1), 0)
        engine.reload()  # back to what the file says
        engine.status()
    transfer.result()
    load.stop().assert_flawless("new connections")
    kept.stop().assert_flawless("kept connections")


def test_start_crash_start_stop(lab):
    top = lab.topology()
    tables.make_all(top.client)
    before = tables.save(top.client, counters=False)
    engine = lab.web(top)
    with top.client.inside():
        connection = HttpConnection(top.vip[4])
    owner = connection.name()
    engine.kill9()
    assert connection.name() == owner
    assert http_names(top.client, top.vip[4], requests=20).total() == 20
    engine.start()
    assert connection.name() == owner
    assert http_names(top.client, top.vip[4], requests=20).total() == 20
    connection.close()
    engine.stop()
    assert http_names(top.client, top.vip[4], requests=20).total() == 20
    assert nfsteer(top.client, "cleanup").code == 0
    assert tables.save(top.client, counters=False) == before


def test_errors_and_rules(lab, tmp_path):
    top = lab.topology(web=False)
    file = tmp_path / "bad.yaml"
    file.write_text("services:\n  - name: web\n    vip: nowhere\n")
    outcome = nfsteer(top.client, "check", file)
    assert outcome.code == 2 and f"{file}:3:" in outcome.stderr, outcome
    outcome = nfsteer(top.client, "rules", "--vip", top.vip[4], "--backend", top.backend(1))
    assert outcome.code == 0 and "NETMAP" in outcome.stdout, outcome
    assert nfsteer(top.client, "cleanup").code == 0
