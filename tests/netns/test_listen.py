"""Who may ask the engine: the read-only address, and the group of the control socket.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import grp
import http.client
import os
import stat

import pytest

from support.engine import Engine
from support.traffic import ask


def over_tcp(host, address, method, path, body=None):
    with host.inside():
        connection = http.client.HTTPConnection(*address, timeout=10)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.mark.parametrize("listen, address", [("9780", ("127.0.0.1", 9780)), ("10.0.0.10:9781", ("10.0.0.10", 9781)),
                                             ("[::1]:9782", ("::1", 9782))])
def test_a_read_only_address_answers_and_changes_nothing(lab, listen, address):
    top = lab.topology()
    engine = lab.web(top, engine={"listen": listen})
    before = engine.api("GET", "/v1/services").text
    status, metrics = over_tcp(top.client, address, "GET", "/metrics")
    assert status == 200 and "nfsteer_backend_weight" in metrics
    assert over_tcp(top.client, address, "GET", "/v1/services") == (200, before)
    backend = f"/v1/services/web/backends/{top.backend(1)}"
    assert over_tcp(top.client, address, "GET", f"{backend}/status")[0] == 200
    for method, path, body in (("DELETE", backend, None), ("POST", "/v1/reload", None),
                               ("PATCH", backend, '{"weight": 9}'), ("PUT", "/v1/services/x", "{}")):
        refused, text = over_tcp(top.client, address, method, path, body)
        assert refused in (405, 413) and "error" in text, (method, path, refused, text)
    assert engine.api("GET", "/v1/services").text == before
    with top.client.inside():
        ask(top.vip[4])


def test_nobody_listens_unless_asked_to(lab):
    top = lab.topology(web=False)
    lab.web(top)
    with pytest.raises(ConnectionRefusedError):
        over_tcp(top.client, ("127.0.0.1", 9780), "GET", "/metrics")


def test_an_address_that_is_taken_or_foreign_is_one_error_before_anything_changes(lab):
    top = lab.topology(web=False)
    lab.web(top, engine={"listen": "9780"})
    for listen, part in (("10.0.0.99:9780", "10.0.0.99"), ("9780", "9780")):
        second = Engine(top.client, [], engine={"listen": listen}).launch()
        try:
            outcome = second.outcome()
            assert outcome.code != 0 and part in outcome.stderr and outcome.stderr.count("\n") == 1, outcome
        finally:
            second.close()


def test_the_control_socket_belongs_to_the_group(lab):
    top = lab.topology(web=False)
    group = grp.getgrnam("nogroup")
    engine = lab.web(top, engine={"control_group": group.gr_name})
    found = os.stat(engine.control)
    assert found.st_gid == group.gr_gid and stat.S_IMODE(found.st_mode) == 0o660
    other = Engine(top.servers[0], [], engine={"control_group": "no-such-group"}).launch()
    try:
        outcome = other.outcome()
        assert outcome.code == 2 and "no-such-group" in outcome.stderr and outcome.stderr.count("\n") == 1, outcome
    finally:
        other.close()
