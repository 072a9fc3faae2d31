"""The examples do what they say."""

import os
import pathlib
import subprocess
import sys

from conftest import PACKAGE, ROOT

EXAMPLES = ROOT / "bindings/python/examples"


def test_the_examples_can_be_tried_out():
    done = subprocess.run([sys.executable, EXAMPLES / "try_out.py"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(PACKAGE)})
    assert done.returncode == 0, done.stderr
    shares = {line.split()[0]: [float(each.rstrip("%")) for each in line.split()[1:]]
              for line in done.stdout.splitlines()}
    assert set(shares) == {"zone.py:ZoneFirst", "least_latency.py:LeastLatency", "canary.py:Canary"}
    assert shares["zone.py:ZoneFirst"][1] == shares["zone.py:ZoneFirst"][3] == 0
    assert shares["least_latency.py:LeastLatency"] == sorted(shares["least_latency.py:LeastLatency"])


def test_zone_first_leaves_its_zone_when_it_has_to(drive):
    near = drive(EXAMPLES / "zone.py", "ZoneFirst", weights=(1, 2), zone="a")
    far = drive(EXAMPLES / "zone.py", "ZoneFirst", weights=(1, 2), zone="b")
    assert min(near.counts) > 0 and min(far.counts) > 0  # all are of zone a: the driver says so


def test_canaries_are_those_of_the_prefix(drive):
    assert drive(EXAMPLES / "canary.py", "Canary", weights=(1, 1), prefix="10.1.0.0/16").counts == [0, 1000]
    assert drive(EXAMPLES / "canary.py", "Canary", weights=(1, 1), prefix="10.2.0.0/16").counts == [1000, 0]


def test_latency_makes_shares_only_once_it_is_known(drive):
    counts = drive(EXAMPLES / "least_latency.py", "LeastLatency", weights=(1, 3), picks=20_000, ticks=10).counts
    assert abs(counts[0] / sum(counts) - 0.25) < 0.016


def test_an_engine_without_the_right_to_steer_says_so_in_one_line():
    script = pathlib.Path(EXAMPLES / "steer.py")
    drop = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"] if os.geteuid() == 0 else []
    done = subprocess.run([*drop, sys.executable, script, "10.9.0.40", "10.0.0.20"], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "PYTHONPATH": str(PACKAGE)})
    assert done.returncode == 1 and "CAP_NET_ADMIN" in done.stderr and done.stderr.count("\n") == 1, done
