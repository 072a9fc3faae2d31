"""What a results folder holds: the samples of results.json, and the microbenchmarks of micro.json and counts.json."""

import json

BASELINE = "dnat-list"  # what everything is compared with
BARE_LIMIT = "nfqueue-accept"


class Samples:
    """The samples of results.json, by what they measure."""

    def __init__(self, samples):
        self._groups = {}  # (measure, topology, backends): {path: {round: sample}}
        self.units, self.better = {}, {}  # by measure
        for each in samples:
            key = each["measure"], each["topology"], each["backends"]
            self._groups.setdefault(key, {}).setdefault(each["path"], {})[each["round"]] = each
            self.units[each["measure"]] = each["unit"]
            self.better[each["measure"]] = each["better"]

    def measures(self):
        """In the order of the file."""
        return list(self.units)

    def topologies(self, measure):
        return sorted({topology for name, topology, _ in self._groups if name == measure}, key=lambda t: t != "routed")

    def backends(self, measure, topology):
        return sorted(count for name, where, count in self._groups if (name, where) == (measure, topology))

    def paths(self, measure, topology, backends):
        return list(self._groups.get((measure, topology, backends), {}))

    def values(self, measure, topology, backends, path, field=None):
        """{round: value}; with a field, that of the samples' "extra" instead of their value."""
        rounds = self._groups.get((measure, topology, backends), {}).get(path, {})
        return {number: each["extra"][field] if field else each["value"] for number, each in rounds.items()
                if not field or field in each["extra"]}


class Micro:
    """Nanoseconds by benchmark and repetition as Google Benchmark writes them; instructions as count.py does."""
    NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}

    def __init__(self, times=None, counts=None):
        self._times = {}
        # Repetitions are interleaved at random; families are numbered as they stand in the program.
        for each in sorted((times or {}).get("benchmarks", ()), key=lambda each: each["family_index"]):
            if each["run_type"] == "iteration":
                repetition = each.get("repetition_index", 0)
                value = each["cpu_time"] * self.NANOSECONDS[each["time_unit"]]
                self._times.setdefault(each["run_name"], {})[repetition] = value
        self._counts = (counts or {}).get("instructions", {})

    def names(self):
        return list(self._times) + [each for each in self._counts if each not in self._times]

    def nanoseconds(self, name):
        """{repetition: value}"""
        return self._times.get(name, {})

    def instructions(self, name):
        return self._counts.get(name)


def read_json(path):
    """None where there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
