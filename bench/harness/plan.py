"""Which runs there are, and in which order: interleaved, A B C A B C, so that a machine that grows warm or busy meets
all paths alike; each round starts at another path."""

import collections
import dataclasses
import fnmatch
import random

from .measures import RUNS, ControlPlane, Http, Latency, Rules, Throughput8, UdpNewFlows, UdpNewFlowsAllCpus
from .paths import PATHS, with_variants

Job = collections.namedtuple("Job", "round scale run path")

BACKENDS = (2, 10, 100, 1000, 10000)
SERVICES = (1, 100, 1000)
QUEUES = (1, 2, 4)
CLIENTS = (1, 256)
BARE = ("nfqueue-accept", "nfqueue-inspect", "nfqueue-rewrite")
FIRST = ("direct", "dnat-list", "nfsteer-dnat", "nfsteer-connection", "nfsteer-inspect", "nfsteer-rewrite", *BARE)
POLICIES = tuple(path for path in PATHS if path.startswith("policy-"))
ANY = tuple(path for path in PATHS if path not in POLICIES)
WITH_RULES = tuple(path for path in ANY if path not in ("direct", *BARE))
DEPENDS_ON_PATH_ONLY = (2, 1000)  # backends; what an established connection does, does not depend on them


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large a setting is: 2 backends, one service, two queues and many clients, unless one of them is varied."""
    topology: str
    backends: int = 2
    services: int = 1
    queues: int = 2
    clients: int = 256  # source addresses

    def __str__(self):
        varied = [f"{getattr(self, each.name)} {each.name}" for each in dataclasses.fields(self)[2:]
                  if getattr(self, each.name) != each.default]
        return ", ".join([self.topology, f"{self.backends} backends", *varied])


def _along_backends(options):
    for topology in options.topologies:
        for backends in options.backends:
            if topology == "local":
                runs = (UdpNewFlows, Http, Latency) if backends == 2 else ()
            elif options.quick or backends in DEPENDS_ON_PATH_ONLY:
                runs = RUNS
            else:
                runs = (UdpNewFlows, Http, Rules)
            for run in runs:
                if run is ControlPlane:
                    continue
                paths = WITH_RULES if run is Rules else ANY if run in (UdpNewFlows, Http) else FIRST
                if paths is ANY and topology == "routed" and backends in DEPENDS_ON_PATH_ONLY:
                    paths = (*ANY, *POLICIES)
                yield Scale(topology, backends), run, paths


def _along_others(options):
    """What else a path may feel: how many services there are, queues, and clients. One is varied at a time."""
    axes = (("services", options.services, (UdpNewFlows, Http, Rules),
             ("dnat-list", "nft-numgen", "nfsteer-dnat", "nfsteer-connection")),
            ("queues", options.queues, (UdpNewFlows, UdpNewFlowsAllCpus, Http, Throughput8),
             ("dnat-list", "nfsteer-connection", "nfsteer-inspect", "nfsteer-rewrite", *BARE)),
            ("clients", options.clients, (Http,), FIRST))
    if "routed" not in options.topologies:
        return
    for axis, values, runs, paths in axes:
        for value in values:
            scale = dataclasses.replace(Scale("routed"), **{axis: value})
            if scale == Scale("routed") and 2 in options.backends:
                continue
            for run in runs:
                yield scale, run, paths


def _control_plane(options):
    """The smallest setting, and the largest that stays a habit: ten thousand backends over a thousand services."""
    if "routed" not in options.topologies:
        return
    yield Scale("routed"), ControlPlane, ("nfsteer-connection",)
    if not options.quick:
        yield Scale("routed", backends=10, services=1000), ControlPlane, ("nfsteer-connection",)


class Only:
    """--only PATH/MEASURE, shell patterns; without a slash the pattern names paths or measures."""

    def __init__(self, patterns):
        self._patterns = [(path or "*", measure or "*") for path, slash, measure in
                          (each.partition("/") for each in patterns) if slash]
        self._single = [each for each in patterns if "/" not in each]
        for pattern in self._single:
            if fnmatch.filter(PATHS, pattern):
                self._patterns.append((pattern, "*"))
            else:
                self._patterns.append(("*", pattern))

    def takes(self, path, measure):
        return not self._patterns or any(fnmatch.fnmatch(path, path_pattern) and fnmatch.fnmatch(measure, pattern)
                                         for path_pattern, pattern in self._patterns)


def jobs(options):
    """All jobs in their order. A path that --only leaves out is not set up at all."""
    only = Only(options.only)
    order = random.Random(options.seed)
    groups = []
    for scale, run, candidates in (*_along_backends(options), *_along_others(options),
                                   *_control_plane(options)):
        paths = [path for path in with_variants(candidates) if any(only.takes(path, measure) for measure in run.measures)]
        order.shuffle(paths)
        if paths:
            groups.append((scale, run, paths))
    return [Job(number, scale, run, paths[(index + number) % len(paths)])
            for number in range(options.rounds)
            for scale, run, paths in groups
            for index in range(len(paths))]
