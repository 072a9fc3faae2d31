"""System calls that fail at every place where the engine makes them: at its start, in its changes, under traffic, at its
stop. It says so or goes on; no connection is lost and no rule of others.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import collections
import errno
import re
import signal
import socket
import time

import pytest

from support import tables
from support.engine import MODES, nfsteer, service
from support.failing_calls import SHORT, FailingCalls
from support.faults import rounds
from support.poll import wait_until
from support.soak import queues
from support.traffic import Load, http_names

NETLINK = socket.AF_NETLINK
ERRORS = {
    "socket": (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EAFNOSUPPORT),
    "bind": (errno.EPERM, errno.EADDRINUSE, errno.ENOMEM),
    "connect": (errno.EPERM, errno.ENOMEM),
    "listen": (errno.EADDRINUSE,),
    "setsockopt": (errno.EPERM, errno.ENOMEM, errno.ENOPROTOOPT, errno.EAGAIN, errno.EINVAL),
    "getsockopt": (errno.EPERM, errno.ENOMEM, errno.ENOPROTOOPT, errno.EAGAIN),
    "send": (errno.EPERM, errno.ENOBUFS, errno.ENOMEM),
    "sendto": (errno.EPERM, errno.ENOBUFS, errno.ENOMEM),
    "sendmsg": (errno.EPERM, errno.ENOBUFS, errno.ENOMEM),
    "recvmsg": (errno.EPERM, errno.ENOBUFS, errno.ENOMEM, errno.EINTR),
    "recv": (errno.EPERM, errno.ENOBUFS, errno.ENOMEM, errno.EINTR),
    "open": (errno.EMFILE, errno.ENFILE, errno.EACCES, errno.ENOMEM, errno.EINTR),
    "fopen": (errno.EMFILE, errno.ENOMEM),
    "read": (errno.EIO, errno.EINTR),
    "epoll_create1": (errno.EMFILE, errno.ENOMEM),
    "epoll_ctl": (errno.ENOMEM, errno.ENOSPC),
    "eventfd": (errno.EMFILE, errno.ENOMEM),
    "timerfd_create": (errno.EMFILE, errno.ENOMEM),
    "pipe2": (errno.EMFILE,),
    "pthread_create": (errno.EAGAIN,),
    "poll": (errno.EINTR, errno.ENOMEM),
    "socketpair": (errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    "getsockname": (errno.ENOBUFS,),
    "inotify_init1": (errno.EMFILE, errno.ENOMEM),
}
# nfsteer: THING: REASON, or with a mend behind it; the log's lines have a time instead.
ERROR_LINE = re.compile(r"nfsteer: .+: .+")


@pytest.fixture
def calls(lab):
    made = FailingCalls(lab.random)
    yield made
    made.reset()


def web(lab, top, calls, start=True):
    backends = [top.backend(1), top.backend(2)]
    return lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80)], start=start,
                      wrap=calls.wrap)


def started(engine):
    """Whether the start succeeded; it must end one way or the other."""
    engine.launch()
    wait_until(lambda: "ready:" in engine.stderr or not engine.running(), "ready, or an end", 20)
    return engine.running()


@pytest.mark.time_limit(60 + 2 * rounds(15))
def test_any_call_that_fails_at_the_start_is_an_error_or_harmless(lab, calls):
    top = lab.topology()
    engine = web(lab, top, calls, start=False)
    top.client.run("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "9", "-j", "ACCEPT")
    tables.make_all(top.client)
    calls.reset()
    assert started(engine)
    # Asio does not look whether its first descriptors could be added to epoll: a start is not seen to fail then.
    places = [(call, number) for call in ERRORS if call != "epoll_ctl" for number in range(calls.calls(call))]
    assert len(places) > 100, "the calls of a start are seen"
    engine.stop()
    nfsteer(top.client, "cleanup")
    before = tables.save(top.client, counters=False)

    chosen = lab.random.sample(places, min(rounds(15), len(places)))  # with more rounds than that each of them
    outcomes = {"started": 0, "refused": 0}
    for call, number in chosen:
        error = lab.random.choice(ERRORS[call])
        what = f"call {number} of {call}: {errno.errorcode[error]}"
        print(what)
        calls.reset()
        calls.fail(call, error, first=number, most=1)
        if started(engine):
            calls.reset()
            assert_steered(engine, top, requests=4)
            engine.stop()
            outcomes["started"] += 1
        else:
            calls.reset()
            outcome = engine.outcome()
            assert outcome.code in (1, 2), f"{what}: {outcome}"
            errors = [line for line in outcome.stderr.splitlines() if ERROR_LINE.match(line)]
            assert len(errors) == 1, f"{what}: {outcome}"
            outcomes["refused"] += 1
        assert nfsteer(top.client, "cleanup").code == 0
        assert tables.save(top.client, counters=False) == before, f"{what}: rules are not as they were"
    print(f"{len(chosen)} of {len(places)} calls: {outcomes}")


def refusal(engine):
    """The one line of a start that must fail."""
    assert not started(engine), "the engine has started all the same"
    outcome = engine.outcome()
    errors = [line for line in outcome.stderr.splitlines() if ERROR_LINE.match(line)]
    assert outcome.code in (1, 2) and len(errors) == 1, outcome
    return errors[0]


def test_a_worker_that_would_wait_for_ever_is_not_started(lab, calls):
    """It would not see that it is to end."""
    engine = web(lab, lab.topology(), calls, start=False)
    calls.fail("setsockopt", errno.ENOMEM, most=1, family=NETLINK, option=socket.SO_RCVTIMEO)
    assert refusal(engine) == "nfsteer: NFQUEUE: cannot set a time limit for receiving: Cannot allocate memory"
    assert calls.failures("setsockopt") == 1


def test_a_thread_that_cannot_be_made_is_named(lab, calls):
    engine = web(lab, lab.topology(), calls, start=False)
    calls.reset()
    assert started(engine)
    threads = calls.calls("pthread_create")
    engine.stop()
    said = []
    for number in range(threads):
        calls.fail("pthread_create", errno.EAGAIN, first=number, most=1)
        if started(engine):
            engine.stop()
        said += re.findall(r"(\w+): cannot start a thread: Resource temporarily unavailable; raise", engine.stderr)
        calls.reset()
    assert sorted(said) == ["conntrack", *["workers"] * engine.settings["queues"]], (threads, engine.log())


def assert_steered(engine, top, requests=20):
    """By the engine: the ladder balances nothing, and no packet of before waits for a verdict."""
    wait_until(lambda: not any(each["waiting"] for each in queues(engine.host).values()), "each packet has its verdict")
    packets, ladder = engine.total("packets"), engine.service()["ladder"]
    http_names(top.client, top.vip[4], requests=requests)
    assert engine.total("packets") >= packets + requests and engine.service()["ladder"] == ladder


HOT = [(call, error) for call in ("sendmsg", "recv") for error in
       (errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EINTR, errno.EAGAIN)]


@pytest.mark.parametrize("mode", ["connection", "rewrite"])
def test_calls_that_fail_under_traffic_lose_no_connection(lab, calls, mode):
    top = lab.topology()
    engine = web(lab, top, calls)
    engine.mode(mode)
    new = Load(top.client, top.vip[4], threads=2)
    kept = Load(top.client, top.vip[4], threads=2, keep_alive=True)
    for call, error in lab.random.sample(HOT, len(HOT)):
        with calls.failing(call, error, permille=lab.random.choice((10, 100, 300)), family=NETLINK):
            wait_until(lambda: calls.failures(call) >= 3, f"{call} fails")
            time.sleep(0.2)
        assert engine.running(), engine.outcome()
    failed = collections.Counter()
    beside = ("accept", "epoll_ctl", "epoll_wait", "poll", "recvmsg", "read", "socket", "open", "write")
    for call in beside:
        for error in ERRORS.get(call, (errno.EMFILE, errno.ENOMEM, errno.EINTR)):
            with calls.failing(call, error, most=2):
                engine.process.signal(signal.SIGHUP)  # which writes to the log
                for words in (("status",), ("weight", "web", top.backend(1), str(lab.random.randrange(1, 9)))):
                    engine.command(*words, seconds=10)  # may be refused; it must end
            failed[call] += calls.failures(call)
            assert engine.running(), engine.outcome()
    print(f"failed beside: {dict(failed)}")
    assert not [call for call in beside if not failed[call]], failed
    new.stop().assert_flawless("new connections")
    kept.stop().assert_flawless("kept connections")
    assert wait_until(lambda: engine.command("status").code == 0, "the engine answers again")
    assert_steered(engine, top)


def test_a_packet_whose_verdict_fails_time_after_time_gets_one_in_the_end(lab, calls):
    """The verdict fails, and after it each message that lets go on what has none: of the three queues of a worker."""
    top = lab.topology()
    engine = web(lab, top, calls)
    with calls.failing("sendmsg", errno.ENOBUFS, most=4, family=NETLINK):
        http_names(top.client, top.vip[4], requests=1, threads=1)
    assert calls.failures("sendmsg") == 4
    assert_steered(engine, top)


def test_netlink_messages_cut_short_end_nothing(lab, calls):
    """The kernel does not do that; whoever reads must not trust it."""
    top = lab.topology()
    engine = web(lab, top, calls)
    load = Load(top.client, top.vip[4], threads=2)
    for call in ("recv", "recvmsg", "recvfrom"):
        with calls.failing(call, SHORT, permille=50, family=NETLINK):
            time.sleep(1)
        assert engine.running(), engine.outcome()
    load.stop().assert_flawless()
    assert_steered(engine, top)


# What a change is made with, and the family of its sockets: tables by raw sockets, conntrack by netlink. The API's own
# connection is spared, or its answer would be lost.
CHANGING = {"getsockopt": socket.AF_INET, "setsockopt": socket.AF_INET, "socket": 0, "fopen": 0, "send": NETLINK,
            "recv": NETLINK}


def change_something(engine, top, random):
    """A mode, a weight, or a service that comes or goes, with which conntrack is searched."""
    what = random.randrange(3)
    if what == 0:
        return engine.api("PATCH", "/v1/services/web", {"mode": random.choice(MODES)})
    if what == 1:
        return engine.api("PATCH", f"/v1/services/web/backends/{top.backend(1)}", {"weight": random.randrange(1, 9)})
    if engine.api("GET", "/v1/services/dns").status == 200:
        return engine.api("DELETE", "/v1/services/dns")
    return engine.api("POST", "/v1/services", service("dns", top.vip[4], [top.backend(1)], protocol="udp", port=5000))


@pytest.mark.time_limit(60 + 2 * rounds(60))
def test_a_change_whose_calls_fail_is_made_whole_or_refused(lab, calls):
    top = lab.topology()
    engine = web(lab, top, calls)
    load = Load(top.client, top.vip[4], threads=1, pause=0.002)
    kept = Load(top.client, top.vip[4], threads=1, keep_alive=True, pause=0.002)
    refused, failed = 0, collections.Counter()
    for _ in range(rounds(60)):
        call = lab.random.choice(list(CHANGING))
        error = lab.random.choice(ERRORS[call])
        before = engine.api("GET", "/v1/services").json["services"]
        with calls.failing(call, error, first=lab.random.randrange(4), most=1, family=CHANGING[call]):
            answer = change_something(engine, top, lab.random)
        failed[call] += calls.failures(call)
        assert answer.status < 300 or answer.status >= 500, answer
        if answer.status >= 500:
            refused += 1
            assert ": " in answer.json["error"], answer
            assert engine.api("GET", "/v1/services").json["services"] == before, f"{call}: {answer}"
    engine.configure(engine.api("GET", "/v1/services").json["services"])
    assert engine.api("POST", "/v1/reload").json["changes"] == []
    for mode in ("dnat", "connection"):  # and it goes on
        engine.mode(mode)
        http_names(top.client, top.vip[4], requests=10)
    print(f"{refused} of {rounds(60)} changes refused; failed calls: {dict(failed)}")
    assert refused > 0 and failed.total() > rounds(60) / 5, failed
    load.stop().assert_flawless("new connections")
    kept.stop().assert_flawless("kept connections")


@pytest.mark.time_limit(60 + 2 * rounds(10))
def test_a_stop_whose_calls_fail_loses_no_connection(lab, calls):
    top = lab.topology()
    engine = web(lab, top, calls, start=False)
    load = None
    for _ in range(rounds(10)):
        calls.reset()
        engine.start()
        load = load or Load(top.client, top.vip[4], threads=1, pause=0.002)
        call = lab.random.choice(("getsockopt", "setsockopt", "sendmsg", "recv", "socket", "open"))
        calls.fail(call, lab.random.choice(ERRORS[call]), first=lab.random.randrange(4), most=1)
        engine.process.signal(signal.SIGTERM)
        outcome = engine.outcome()
        assert outcome.code in (0, 1), outcome
    load.stop().assert_flawless()
    calls.reset()
    engine.start()
