"""What every namespace test gets: a lab that builds hosts, servers and engines and takes them down again."""

import os
import pathlib
import random
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import tables  # noqa: E402
from support.engine import BINARY, Engine, nfsteer, service  # noqa: E402
from support.hosts import Host  # noqa: E402
from support.poll import SLOWNESS  # noqa: E402
from support.servers import Nginx, TcpServer, UdpServer  # noqa: E402
from support.topology import Topology  # noqa: E402

TIME_LIMIT_SECONDS = 60
# In the environment, so that all processes of one run have the same.
SEED = int(os.environ.setdefault("NFSTEER_TEST_SEED", str(random.SystemRandom().randrange(1 << 32))))


def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: the short run that sanitizer builds repeat")
    config.addinivalue_line("markers", "time_limit(seconds): instead of the usual minute")
    # A run that is terminated, or hung up on, ends like an interrupted one, so that nothing is left behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_report_header(config):
    return f"nfsteer: {BINARY}; seed {SEED} (NFSTEER_TEST_SEED={SEED} repeats it)"


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


def pytest_sessionstart(session):
    if os.geteuid() == 0 and not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} does not exist; build it or set NFSTEER_BIN", returncode=2)


class OutOfTime(BaseException):
    """Not an Exception: nothing on the way may catch it."""


@pytest.fixture(autouse=True)
def time_limit(request):
    marker = request.node.get_closest_marker("time_limit")
    seconds = SLOWNESS * (marker.args[0] if marker else TIME_LIMIT_SECONDS)

    def expire(*_):
        raise OutOfTime(f"the test took longer than {seconds} s")
    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Lab:
    """Makes things and remembers them. Whatever is asked to carry traffic is ready when the call returns."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self._topologies = []
        self._hosts = []
        self._engines = []

    def topology(self, kind="local", servers=2, web=True, udp=False, tcp=False):
        made = Topology(kind, servers)
        self._topologies.append(made)
        for server in made.servers:
            if web:
                Nginx(server)
            if udp:
                UdpServer(server)
            if tcp:
                TcpServer(server)
        return made

    def alone(self):
        """A host with nothing but its loopback interface: no packet changes a counter there."""
        made = Host("alone")
        made.ip("addr add 10.0.0.10/24 dev lo")
        self._hosts.append(made)
        return made

    def engine(self, topology, services=None, flags=(), start=True, host=None, engine=None, **options):
        settings = {"seed": self.random.randrange(1 << 32), **(engine or {})}
        made = Engine(host or topology.engine_host, services, flags, settings, **options)
        self._engines.append(made)
        return made.start() if start else made

    def web(self, topology, family=4, weights=(1, 3), start=True, engine=None, **fields):
        """An engine with one service "web" on port 80 for all the servers."""
        backends = [{"address": topology.backend(n, family), "weight": weight}
                    for n, weight in enumerate(weights, 1)]
        fields = {"protocol": "tcp", "port": 80, **fields}
        return self.engine(topology, [service("web", topology.vip[family], backends, **fields)], start=start,
                           engine=engine)

    def close(self):
        """Every engine that still runs must stop cleanly, and leave at most its ladder, which `cleanup` removes."""
        problems = []
        stopped = []
        for engine in self._engines:
            if engine.running():
                try:
                    engine.thaw()
                    engine.stop()
                    stopped.append(engine)
                except AssertionError as problem:
                    problems.append(str(problem))
            print(engine.log())
        for engine in stopped:
            queued = [line for line in tables.ours(engine.host) if "NFQUEUE" in line]
            cleaned = nfsteer(engine.host, "cleanup") if engine.settings.get("on_stop") != "remove" else None
            left = tables.ours(engine.host)
            if queued or left or (cleaned and cleaned.code != 0):
                problems.append(f"left behind after a clean stop: {queued[:5]} {left[:5]} {cleaned}")
        for engine in self._engines:
            engine.close()
        for each in (*self._topologies, *self._hosts):
            each.close()
        assert not problems, problems


@pytest.fixture
def lab(request):
    made = Lab(f"{SEED} {request.node.nodeid}")
    print(f"NFSTEER_TEST_SEED={SEED} repeats it")  # with what a failed test printed
    yield made
    made.close()
