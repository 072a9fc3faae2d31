"""Faults of the engine's process at random moments, under continuous traffic: no TCP connection fails, no datagram is
lost but those that wait in the queue of an engine that is killed.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40, fd00::40
                                         +-- server2 10.0.0.30

    routed:  client 10.1.0.10 -- 10.1.0.1 gateway (engine) 10.0.0.1 --+-- server1, server2      VIP 10.9.0.40, fd09::40

NFSTEER_FAULT_ROUNDS=100 repeats all of them so often.
"""

import pytest

from support import faults
from support.engine import MODES
from support.faults import Scene, rounds


@pytest.mark.time_limit(90 + 40 * rounds(1))
@pytest.mark.parametrize("mode", MODES)
def test_faults_of_the_process_cost_no_answer(lab, mode):
    kind, family = lab.random.choice(["local", "routed"]), lab.random.choice([4, 6])
    scene = Scene(lab, kind, family, mode, engine={"queue_length": lab.random.choice([16, 1024])})
    for _ in range(rounds(1)):
        for fault in (faults.kill_9, *lab.random.sample(faults.PROCESS[1:], 3)):
            scene.inflict(fault)
    scene.assert_flawless(f"{mode}, {kind}, IPv{family}")


@pytest.mark.time_limit(60 + 15 * rounds(1))
def test_an_engine_that_does_not_run_for_seconds_holds_nobody_up_but_who_waits_in_its_queue(lab):
    """It stops with a short queue: the rest goes through the ladder at once, and is counted there."""
    mode = lab.random.choice(["connection", "inspect", "rewrite"])
    scene = Scene(lab, lab.random.choice(["local", "routed"]), mode=mode, engine={"queue_length": 8, "queues": 1},
                  traffic={"flows": 32})

    def stops_for_seconds(scene):
        faults.sigstop(scene, 2.5, 4)
    for _ in range(rounds(1)):
        before = scene.engine.service("dns")
        scene.inflict(stops_for_seconds)
        after = scene.engine.service("dns")
        assert after["ladder"] > before["ladder"], "nothing fell through: the test proves nothing"
        picks = after["picks"]
        scene.load.more("the engine is asked again")
        assert scene.engine.service("dns")["picks"] > picks
    scene.assert_flawless(mode)
