"""What happens around the engine: interfaces, conntrack, the clock, descriptors, the log's disk, the namespace itself.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40, fd00::40
                                         +-- server2 10.0.0.30

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2      VIP 10.9.0.40, fd09::40
"""

import errno
import os
import pathlib
import re
import signal

import pytest

from support import conntrack_filler, faults
from support.engine import MODES, sanitized
from support.faults import LimitedDescriptors, Scene, rounds
from support.hosts import new_folder, run
from support.poll import wait_until
from support.traffic import HttpConnection, Load

FAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
CHECK = {"type": "tcp", "port": 80, "interval": "100ms"}
# Standard error of what follows is a pipe that nobody reads.
NO_READER = ["python3", "-c", "import os, sys; r, w = os.pipe(); os.dup2(w, 2); os.close(r); "
                              "os.execvp(sys.argv[1], sys.argv[1:])"]


@pytest.mark.time_limit(90 + 40 * rounds(1))
def test_an_interface_that_goes_and_comes_breaks_no_open_connection(lab):
    mode = lab.random.choice(MODES)
    scene = Scene(lab, lab.random.choice(["local", "routed"]), lab.random.choice([4, 6]), mode, traffic={"big": 0})
    for _ in range(rounds(1)):
        scene.inflict(faults.interface_down_and_up)
        scene.inflict(faults.carrier_lost_and_back)
    scene.assert_flawless(mode)


@pytest.mark.time_limit(90 + 40 * rounds(1))
def test_a_full_connection_table_breaks_no_open_connection(lab):
    mode = lab.random.choice(MODES)
    scene = Scene(lab, "routed", mode=mode)
    if int(scene.host.sysctl("net.netfilter.nf_conntrack_max")) > 1 << 20:
        pytest.skip("the machine's nf_conntrack_max is too large to fill a table")
    for _ in range(rounds(1)):
        scene.inflict(faults.connection_table_full)
    scene.assert_flawless(mode)


@pytest.mark.time_limit(60 + 20 * rounds(1))
def test_connections_outlive_a_flush_of_conntrack_where_the_policy_answers_as_before(lab):
    """Those that are silent at that moment. What is under way breaks, and nothing that begins later."""
    scene = Scene(lab, policy="maglev", traffic={"kept": 0, "big": 0})
    with scene.top.client.inside():
        idle = [HttpConnection(scene.top.vip[4]) for _ in range(24)]
    before = [connection.name() for connection in idle]
    assert set(before) == {"server1", "server2"}
    for _ in range(rounds(2)):
        scene.inflict(faults.conntrack_flushed)
        assert [connection.name() for connection in idle] == before
    scene.assert_flawless()


def test_events_of_connections_that_are_lost_are_made_good_by_reading_the_table(lab):
    """While the engine does not read them, more come than its socket holds: 8 MB, some 1300 bytes each."""
    scene = Scene(lab, "routed", traffic={"new": 1, "kept": 4, "flows": 0, "big": 0})

    def overrun(scene):
        with scene.top.client.inside():
            gone = [HttpConnection(scene.top.vip[4]) for _ in range(8)]  # the engine is not told of their end
        assert {each.name() for each in gone} == {"server1", "server2"}
        wait_until(lambda: active() >= 8 + 4, "they are counted")
        scene.engine.freeze()
        conntrack_filler.fill(scene.host, most=20_000)
        for each in gone:
            each.close()
        scene.engine.thaw()
        conntrack_filler.empty(scene.host)

    def active():
        return sum(each["connections"]["active"] for each in scene.engine.service()["backends"])
    for _ in range(rounds(1)):
        before = scene.engine.status()["conntrack"]
        scene.inflict(overrun)
        after = scene.engine.status()["conntrack"]
        assert after["overflows"] > before["overflows"], "nothing was lost: the test proves nothing"
        wait_until(lambda: scene.engine.status()["conntrack"]["readings"] > before["readings"], "the table is read", 20)
    scene.load.parts.pop("new").stop().assert_flawless()
    wait_until(lambda: active() == 4, lambda: f"only the kept ones are left: {active()}", 20)
    scene.assert_flawless("events")


@pytest.mark.skipif(FAKETIME is None, reason="package libfaketime is not installed")
def test_a_clock_that_jumps_changes_nothing(lab):
    """The wall clock, as this process sees it; the clock that timers go by never jumps on Linux."""
    if sanitized():
        pytest.skip("libfaketime and a sanitizer both want to be the first to be loaded")
    offset = pathlib.Path(new_folder("clock")) / "offset"

    def jump(seconds):
        fresh = offset.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(offset)
    jump(0)
    scene = Scene(lab, health=CHECK, slow_start="2s", wrap=[
        "env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1"])
    uptime = scene.engine.status()["uptime_seconds"]
    for seconds in (86400 * 400, -86400 * 400, 3600, 0):
        jump(seconds)
        scene.engine.configure(scene.services(weights=(lab.random.randrange(1, 9), 3)))
        scene.engine.reload()
        checks = [each["health"]["checks_passed"] for each in scene.engine.service()["backends"]]
        wait_until(lambda: all(each["health"]["checks_passed"] > before + 2 for each, before
                               in zip(scene.engine.service()["backends"], checks)), "checks go on")
        scene.load.more()
    assert all(each["state"] in ("active", "filling") for each in scene.engine.service()["backends"])
    assert uptime <= scene.engine.status()["uptime_seconds"] < uptime + 60
    last = scene.engine.status()["reloads"]["last_success"]
    jump(86400 * 400)
    scene.engine.reload()
    assert scene.engine.status()["reloads"]["last_success"] > last + 86400 * 399, "the clock has not jumped"
    scene.assert_flawless("clock")


def test_an_engine_out_of_descriptors_steers_on_and_recovers(lab):
    """It has what it needs to steer. What it cannot do then it says, and does later; checks that it cannot make say
    nothing of backends."""
    if sanitized():
        pytest.skip("UBSan takes an object for none where it can make no pipe to look at it")
    scene = Scene(lab, "routed", health=CHECK)
    wait_until(lambda: all(each["health"]["checked"] for each in scene.engine.service()["backends"]), "checks")
    with LimitedDescriptors(scene.engine):
        scene.engine.configure(scene.services(weights=(5, 2)))
        scene.engine.process.signal(signal.SIGHUP)
        wait_until(lambda: "Too many open files" in scene.engine.stderr, "it says so")
        scene.load.more(answers=200)
    wait_until(lambda: scene.engine.command("status").code == 0, "commands are answered again")
    assert {each["state"] for each in scene.engine.service()["backends"]} == {"active"}
    scene.engine.reload()
    assert [each["weight"] for each in scene.engine.service()["backends"]] == [5, 2]
    assert scene.engine.status()["rules"]["repairs"] == 0
    scene.load.more()
    scene.assert_flawless("descriptors")


def fails_to_reload(engine, times):
    """The log has a line of each, until there are more in a minute than it takes of one kind."""
    engine.file.write_text("services: [nonsense")
    goal = engine.status()["reloads"]["failed"] + times

    def failed():
        engine.process.signal(signal.SIGHUP)
        return engine.status()["reloads"]["failed"] >= goal
    wait_until(failed, "reloads fail", 20)


def test_a_log_whose_disk_is_full_says_what_it_lacks_when_there_is_room_again(lab):
    """A small disk of its own, in a mount namespace of the engine's."""
    folder = new_folder("disk")
    scene = Scene(lab, wrap=["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=16k none "$0" && '
                             'exec "$@" 2>>"$0/log"', folder],
                  ready=lambda engine: engine.command("status").code == 0, traffic={"big": 0})
    log = pathlib.Path(f"/proc/{scene.engine.pid}/root{folder}/log")
    with pytest.raises(OSError) as full, open(log, "ab", buffering=0) as others:
        while True:
            others.write(b"somebody else's line\n" * 200)
    assert full.value.errno == errno.ENOSPC
    size = log.stat().st_size
    fails_to_reload(scene.engine, 8)
    scene.load.more("traffic beside a full disk")
    assert log.stat().st_size == size
    os.truncate(log, 0)
    line = wait_until(lambda: re.search(r"^\S+ warning the log lacks (\d+) lines that could not be written: "
                                        r"No space left on device$", log.read_text(), re.MULTILINE),
                      "the log says what it lacks", 20)
    assert int(line[1]) >= 5, "so many of one kind are written in a minute"
    scene.engine.configure(scene.services(weights=(2, 5)))
    scene.engine.reload()
    assert log.read_text().count("the log lacks") == 1
    scene.assert_flawless("disk")


def test_a_log_whose_reader_has_stopped_holds_nothing_up(lab):
    """Its pipe is full. It is told what it has missed once it reads again."""
    pipe = f"{new_folder('log')}/pipe"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        scene = Scene(lab, wrap=["sh", "-c", 'exec "$@" 2>"$0"', pipe],
                      ready=lambda engine: engine.command("status").code == 0, traffic={"big": 0})
        with open(pipe, "wb", buffering=0) as filler:
            os.set_blocking(filler.fileno(), False)
            while filler.write(bytes(4096)):
                pass
        scene.inflict(faults.sighup_storm)
        fails_to_reload(scene.engine, 5)
        scene.load.more("traffic beside a full pipe")
        text = b""

        def told():
            nonlocal text
            text += reader.read(1 << 20) or b""
            return b" lines that could not be written: Resource temporarily unavailable\n" in text
        wait_until(told, "the log says what it lacks", 20)
        scene.assert_flawless("pipe")


@pytest.mark.parametrize("log", ["full", "gone"])
def test_a_log_that_cannot_be_written_holds_nothing_up(lab, log):
    """A full disk; a pipe that nobody reads any more."""
    wrap = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh"] if log == "full" else NO_READER
    scene = Scene(lab, wrap=wrap, ready=lambda engine: engine.command("status").code == 0,
                  engine={"log_level": "debug"})
    scene.inflict(faults.sighup_storm)
    fails_to_reload(scene.engine, 20)
    scene.load.more()
    scene.engine.stop()
    scene.load.more("the ladder alone")
    scene.assert_flawless(log)


def test_a_namespace_that_loses_its_name_goes_on_while_the_engine_lives(lab):
    scene = Scene(lab)
    run("ip", "netns", "del", scene.host.namespace)
    scene.load.more(answers=100)
    assert scene.engine.status()["rules"]["errors"] == 0
    scene.engine.mode("dnat")
    scene.load.more()
    scene.engine.stop()
    scene.load.more("the ladder alone")
    scene.assert_flawless("namespace")


def test_an_engine_whose_interfaces_vanish_goes_on(lab):
    """The other end's namespace is deleted, and the veth pair with it."""
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4], seconds=0.5)
    wait_until(lambda: load.done > 50, "requests")
    top.bridge.close()
    wait_until(lambda: "eth0" not in top.client.run("ip", "-br", "link").stdout, "the interface is gone")
    wait_until(lambda: load.failures, "nobody can be reached")
    load.stop()
    assert engine.service()["picks"] > 0
    engine.weight("10.0.0.20", 7)
    assert engine.status()["rules"]["errors"] == 0
