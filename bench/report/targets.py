"""What the engine is to reach, and whether a run shows it. Routed topology only."""

import collections
import fnmatch
import operator

from .samples import BARE_LIMIT, BARE_LIMITS, BASELINE
from .stats import differences, ratios, spread

ROUNDS_MIN = 7  # below, a figure is no verdict
TOPOLOGY = "routed"
MIB = 2 ** 20
COMPARISONS = {">=": operator.ge, "<=": operator.le}

# path: a shell pattern; where several match, the worst of each round counts. how: a key of VALUES. bounds: by number of
# backends. field: of the samples' extra, in the value's place. against: the path compared with. The measured value is
# divided by scale.
Target = collections.namedtuple("Target", "title path measure how sign bounds field against scale unit")


def target(title, path, measure, how, sign, bounds, field=None, against=BASELINE, scale=1, unit=""):
    at_2, at_1000 = bounds if isinstance(bounds, tuple) else (bounds, bounds)
    return Target(title, path, measure, how, sign, {2: at_2, 1000: at_1000}, field, against, scale, unit)


TARGETS = (
    target("UDP new flows/s, ratio", "nfsteer-connection", "udp_new_flows", "ratio", ">=", (1.1, 5)),
    target("HTTP connections/s, ratio", "nfsteer-connection", "http_connections", "ratio", ">=", (0.97, 1.2)),
    target("throughput, 1 stream, ratio", "nfsteer-connection", "tcp_throughput_1", "ratio", ">=", 0.99),
    target("throughput, 8 streams, ratio", "nfsteer-connection", "tcp_throughput_8", "ratio", ">=", 0.99),
    target("added latency, p50", "nfsteer-connection", "latency_new_connection_p50", "difference", "<=", 30, unit="us"),
    target("added latency, p99", "nfsteer-connection", "latency_new_connection_p99", "difference", "<=", 150,
           unit="us"),
    target("throughput, 1 stream, ratio", "nfsteer-inspect", "tcp_throughput_1", "ratio", ">=", 0.95),
    target("throughput, 8 streams, ratio", "nfsteer-inspect", "tcp_throughput_8", "ratio", ">=", 0.95),
    target("throughput, 1 stream, ratio", "nfsteer-rewrite", "tcp_throughput_1", "ratio", ">=", 0.80),
    target("throughput, 8 streams, ratio", "nfsteer-rewrite", "tcp_throughput_8", "ratio", ">=", 0.60),
    target("UDP new flows/s, ratio", "nfsteer-dnat", "udp_new_flows", "ratio", ">=", (1.0, 4)),
    target(f"engine CPU time per UDP flow, ratio to {BARE_LIMIT}", "nfsteer-connection", "udp_new_flows", "ratio", "<=",
           1.15, field="engine_cpu_us", against=BARE_LIMIT),
    target(f"engine CPU time per HTTP connection, ratio to {BARE_LIMIT}", "nfsteer-connection",
           "http_cpu_per_connection", "ratio", "<=", 1.15, field="engine_cpu_us", against=BARE_LIMIT),
    target("parse + hash + pick + rewrite of a SYN", "in memory", "syn_parse_hash_pick_rewrite", "micro", "<=", 60,
           unit="ns"),
    target("resident memory, 2 queues", "nfsteer-*", "engine_rss", "value", "<=", 64, scale=MIB, unit="MiB"),
)

# values, limit: {round: value}; limit: of the bare NFQUEUE program in this mode, empty where it says nothing
Judged = collections.namedtuple("Judged", "target backends bound values limit outcome")
REACHED, MISSED, NOT_MEASURED = "reached", "not reached", "not measured"


def judge(samples, micro):
    """Each target at each number of backends."""
    return [_judged(each, backends, VALUES[each.how](each, backends, samples, micro),
                    _limit(each, backends, samples, micro))
            for each in TARGETS for backends in each.bounds]


def _judged(each, backends, values, limit):
    bound = each.bounds[backends]
    values, limit = ({number: value / each.scale for number, value in found.items()} for found in (values, limit))
    if not values:
        outcome = NOT_MEASURED
    elif COMPARISONS[each.sign](spread(values.values()).median, bound):
        outcome = REACHED
    else:
        outcome = MISSED
    return Judged(each, backends, f"{each.sign} {bound:g} {each.unit}".rstrip(), values, limit, outcome)


def _limit(each, backends, samples, micro):
    if each.path not in BARE_LIMITS or each.against == BARE_LIMIT:
        return {}
    return VALUES[each.how](each._replace(path=BARE_LIMITS[each.path]), backends, samples, micro)


def _worst(each, backends, samples, combine):
    """Per round: the worst of combine({round: value}) over the paths that match."""
    worst = max if each.sign == "<=" else min
    rounds = collections.defaultdict(list)
    for path in fnmatch.filter(samples.paths(each.measure, TOPOLOGY, backends), each.path):
        for number, value in combine(samples.values(each.measure, TOPOLOGY, backends, path, each.field)).items():
            rounds[number].append(value)
    return {number: worst(values) for number, values in rounds.items()}


def _against(each, backends, samples):
    return samples.values(each.measure, TOPOLOGY, backends, each.against, each.field)


VALUES = {
    "value": lambda each, backends, samples, micro: _worst(each, backends, samples, dict),
    "ratio": lambda each, backends, samples, micro: _worst(
        each, backends, samples, lambda values: ratios(values, _against(each, backends, samples))),
    "difference": lambda each, backends, samples, micro: _worst(
        each, backends, samples, lambda values: differences(values, _against(each, backends, samples))),
    "micro": lambda each, backends, samples, micro: micro.nanoseconds(f"{each.measure}/{backends}"),
}
