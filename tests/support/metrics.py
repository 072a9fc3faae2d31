"""Prometheus text: read by Prometheus' own Python parser, and held against the rules that the parser is too kind to
check (those of `promtool check metrics` and of https://prometheus.io/docs/practices/naming/)."""

import math
import re

from prometheus_client.parser import text_string_to_metric_families

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# name{labels} value: a label's value may hold anything, escaped.
SAMPLE = re.compile(r'(?P<name>[^\s{]+)(?P<labels>\{(?:[^"{}]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (?P<value>\S+)')
NOT_BASE_UNITS = {"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "ms", "us", "ns", "bits",
                  "kilobytes", "megabytes", "kib", "mib", "kb", "mb", "percent"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


class Metrics:
    """What one scrape said."""

    def __init__(self, text):
        self.text = text
        self.families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))  # name -> type
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def series(self, name):
        """By labels, as a frozenset of pairs."""
        return {frozenset(each.labels.items()): each.value for each in self.samples if each.name == name}

    def value(self, name, **labels):
        """The sum of the series that have these labels; at least one must."""
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        assert found, f"no series {name} with {labels}"
        return sum(found)

    def counters(self):
        """All that may only grow: {(name, labels): value}."""
        grows = {name for name, kind in self.families.items() if kind == "counter"}
        grows |= {name + suffix for name, kind in self.families.items() for suffix in SUFFIXES.get(kind, ())}
        return {(each.name, frozenset(each.labels.items())): each.value for each in self.samples if each.name in grows}


def problems(text):
    """What is wrong with the text, in words; empty: nothing."""
    found = [] if text.endswith("\n") else ["the last line does not end"]
    family, kind, helped, seen, series = None, None, None, set(), set()
    for line in text.splitlines():
        if help_line := re.fullmatch(r"# HELP (\S+) (\S.*)", line):
            helped = help_line[1]
        elif type_line := re.fullmatch(r"# TYPE (\S+) (counter|gauge|histogram|summary|untyped)", line):
            family, kind = type_line.groups()
            found += _family_problems(family, kind, helped)
            if family in seen:
                found.append(f"{family}: stands there twice")
            seen.add(family)
        elif sample := SAMPLE.fullmatch(line):
            if family is None or sample["name"] not in [family + each for each in SUFFIXES.get(kind, ("",))]:
                found.append(f"{sample['name']}: a sample outside its family")
            if sample["name"] + (sample["labels"] or "") in series:
                found.append(f"{line}: the series stands there twice")
            series.add(sample["name"] + (sample["labels"] or ""))
        else:
            found.append(f"{line!r}: not a line of the format")
    return found or _sample_problems(Metrics(text))


def _family_problems(name, kind, helped):
    found = []
    if not NAME.fullmatch(name):
        found.append(f"{name}: not a name")
    if helped != name:
        found.append(f"{name}: no HELP before its TYPE")
    if (kind == "counter") != name.endswith("_total"):
        found.append(f"{name}: _total is for counters, and all of them")
    if name.endswith(("_bucket", "_sum", "_count")):
        found.append(f"{name}: this suffix is a histogram's")
    if units := NOT_BASE_UNITS & set(name.split("_")):
        found.append(f"{name}: {units} is no base unit")
    return found


def _sample_problems(metrics):
    found = [f"{each.name}: label {label}" for each in metrics.samples for label in each.labels
             if not LABEL.fullmatch(label)]
    found += [f"{name} {dict(labels)}: a counter of {value}" for (name, labels), value in metrics.counters().items()
              if not 0 <= value < math.inf]
    for name, kind in metrics.families.items():
        if kind == "histogram":
            found += _histogram_problems(metrics, name)
    return found


def _histogram_problems(metrics, name):
    found, buckets = [], {}
    for labels, value in metrics.series(f"{name}_bucket").items():
        bound = dict(labels)["le"]
        buckets.setdefault(labels - {("le", bound)}, []).append((float(bound), value))
    counts, sums = metrics.series(f"{name}_count"), metrics.series(f"{name}_sum")
    if not buckets.keys() == counts.keys() == sums.keys():
        found.append(f"{name}: buckets, _sum and _count of different series")
    for labels, steps in buckets.items():
        if steps != sorted(steps) or [value for _, value in steps] != sorted(value for _, value in steps):
            found.append(f"{name} {dict(labels)}: the buckets are not cumulative")
        if steps[-1] != (math.inf, counts.get(labels)):
            found.append(f"{name} {dict(labels)}: the bucket +Inf is not _count")
    return found
