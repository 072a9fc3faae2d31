"""Who else is there: a second engine, and what the control socket takes from its clients.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30
"""

import os
import socket

import pytest

from support import tables
from support.engine import BINARY, nfsteer, service
from support.hosts import new_folder
from support.stats import assert_shares
from support.traffic import Load, ask, http_names

WEIGHTS = {"server1": 1, "server2": 3}


@pytest.mark.parametrize("queue_base", [0, 500])
def test_a_second_engine_names_the_first_one_and_leaves(lab, queue_base):
    """With queues of its own, too: there is one set of chains in a namespace."""
    top = lab.topology()
    first = lab.web(top)
    before = tables.save(top.client, counters=False)
    load = Load(top.client, top.vip[4], threads=1, pause=0.005)
    second = lab.engine(top, [service("mine", "10.0.0.41", [top.backend(1)])], start=False,
                        engine={"queue_base": queue_base}).launch()
    outcome = second.outcome()
    assert outcome.code == 1, outcome
    line = outcome.stderr.strip().splitlines()[-1]
    assert line.startswith("nfsteer: network namespace: taken by another engine") and f"(pid {first.pid})" in line, line
    assert tables.save(top.client, counters=False) == before
    picks = first.service()["picks"]
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
    assert first.service()["picks"] >= picks + 100
    load.stop().assert_flawless("beside a second engine")


# A process, a mount and so a /run of its own; the network namespace is shared, as that of the containers of a pod.
CONTAINER = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh")


@pytest.mark.parametrize("kind", ["in a container", "renamed"])
def test_a_second_engine_is_refused_wherever_it_runs_and_whatever_it_is_called(lab, kind):
    top = lab.topology()
    renamed = os.path.join(new_folder("renamed"), "balancer")
    os.symlink(os.path.realpath(BINARY), renamed)
    how = {"wrap": CONTAINER} if kind == "in a container" else {"program": renamed}
    first = lab.engine(top, [service("web", top.vip[4], [top.backend(1)], port=80)], **how)
    before = tables.save(top.client, counters=False)
    for options in ({}, how):
        second = lab.engine(top, [service("mine", "10.0.0.41", [top.backend(1)])], start=False,
                            engine={"queue_base": 500}, **options)
        outcome = second.launch().outcome()
        assert outcome.code == 1 and "taken by another engine" in outcome.stderr, outcome
        assert not os.path.exists(second.control)
    for wrap in ((), CONTAINER):
        cleanup = nfsteer(top.client, "cleanup", wrap=wrap)
        assert cleanup.code == 1 and "an engine is running" in cleanup.stderr, cleanup
    assert tables.save(top.client, counters=False) == before
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server1"}
    first.kill9()  # unshare hands no other signal on


def test_a_second_engine_on_the_control_socket_leaves(lab):
    top = lab.topology()
    first = lab.web(top)
    before = tables.save(top.client, counters=False)
    second = lab.engine(top, [service("mine", "10.0.0.41", [top.backend(1)])], start=False,
                        engine={"queue_base": 500})
    second.control = first.control
    outcome = second.launch().outcome()
    assert outcome.code == 1, outcome
    assert first.control in outcome.stderr.strip().splitlines()[-1], outcome
    assert tables.save(top.client, counters=False) == before
    assert first.status()["pid"] == first.pid, "the first one's socket still answers"


def test_a_file_that_is_no_socket_is_not_taken_for_one(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False)
    with open(engine.control, "w") as file:
        file.write("precious")
    outcome = engine.launch().outcome()
    assert outcome.code == 1 and engine.control in outcome.stderr, outcome
    with open(engine.control) as file:
        assert file.read() == "precious"
    assert not tables.ours(top.client)


def test_the_socket_of_a_killed_engine_is_replaced_and_private(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    engine.kill9()
    assert os.path.exists(engine.control)
    engine.start()
    assert engine.status()["pid"] == engine.pid
    assert os.stat(engine.control).st_mode & 0o777 == 0o660
    engine.stop()
    assert not os.path.exists(engine.control)
    engine.start()
    engine.kill9()
    assert nfsteer(top.client, "cleanup", "--control", engine.control).code == 0
    assert not os.path.exists(engine.control)


def test_two_engines_with_queues_of_their_own_share_a_host(lab):
    """Different namespaces, one machine: queues and tables belong to the namespace."""
    tops = [lab.topology(), lab.topology()]
    engines = [lab.web(top) for top in tops]
    for top, engine in zip(tops, engines):
        assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
        assert engine.service()["picks"] == 100


def test_bad_requests_on_the_control_socket_do_no_harm(lab):
    top = lab.topology()
    engine = lab.web(top)
    bad = [b"\0\xff\xfe garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PUT /v1/services/web/mode HTTP/1.1\r\n\r\n",
           b"PUT /v1/services/web/mode HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"mode\":1",
           b"PUT /v1/services/web/mode HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
           b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"POST /v1/status HTTP/1.1\r\n\r\n"]
    for request in bad:
        try:
            answer = engine.speak(request, seconds=1)
        except OSError:  # cut off
            continue
        assert not answer.startswith(b"HTTP/1.1 2"), (request[:60], answer[:200])
    idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]  # clients that say nothing
    for each in idle:
        each.connect(engine.control)
    assert engine.service()["mode"] == "connection"
    for words, part in ((("mode", "nobody", "dnat"), "nobody"), (("mode", "web", "sideways"), "sideways"),
                        (("weight", "web", "10.0.0.99", "1"), "10.0.0.99"), (("weight", "web", top.backend(1), "70000"),
                                                                            "70000")):
        outcome = engine.command(*words)
        assert outcome.code == 2 and part in outcome.stderr and outcome.stderr.count("\n") == 1, outcome
    for each in idle:
        each.close()
    with top.client.inside():
        ask(top.vip[4])


def test_commands_without_an_engine_say_so(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False)
    for words in (("status",), ("status", "--json"), ("mode", "web", "dnat"), ("weight", "web", "10.0.0.20", "1"),
                  ("reload",)):
        outcome = engine.command(*words)
        assert outcome.code == 1, outcome
        assert outcome.stderr.count("\n") == 1 and engine.control in outcome.stderr, outcome
