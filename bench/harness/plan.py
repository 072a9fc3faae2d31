"""Which runs there are, and in which order: interleaved, A B C A B C, so that a machine that grows warm or busy meets
all paths alike; each round starts at another path."""

import collections
import fnmatch
import random

from .measures import RUNS, Http, Latency, Rules, Throughput1, Throughput8, UdpNewFlows, UdpNewFlowsAllCpus
from .paths import PATHS

Job = collections.namedtuple("Job", "round topology backends run path")

BACKENDS = (2, 10, 100, 1000, 10000)
FIRST = ("direct", "dnat-list", "nfsteer-dnat", "nfsteer-connection", "nfsteer-inspect", "nfsteer-rewrite",
         "nfqueue-accept")
WITH_RULES = tuple(path for path in PATHS if path not in ("direct", "nfqueue-accept"))
DEPENDS_ON_PATH_ONLY = (2, 1000)  # backends; what an established connection does, does not depend on them


def _paths_of(run):
    if run is Rules:
        return WITH_RULES
    if run in (UdpNewFlows, Http):
        return tuple(PATHS)
    return FIRST


def _runs_of(topology, backends, quick):
    if topology == "local":
        return (UdpNewFlows, Http) if backends == 2 else ()
    if quick or backends in DEPENDS_ON_PATH_ONLY:
        return RUNS
    return tuple(run for run in RUNS if run not in (UdpNewFlowsAllCpus, Latency, Throughput1, Throughput8))


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
    for topology in options.topologies:
        for backends in options.backends:
            for run in _runs_of(topology, backends, options.quick):
                paths = [path for path in _paths_of(run)
                         if any(only.takes(path, measure) for measure in run.measures)]
                order.shuffle(paths)
                if paths:
                    groups.append((topology, backends, run, paths))
    return [Job(number, topology, backends, run, paths[(index + number) % len(paths)])
            for number in range(options.rounds)
            for topology, backends, run, paths in groups
            for index in range(len(paths))]
