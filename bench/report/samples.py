"""What a results folder holds: the samples of results.json, and the microbenchmarks of micro.json and counts.json."""

import json

BASELINE = "dnat-list"  # what everything is compared with
BARE_LIMIT = "nfqueue-accept"
# What the kernel's interface can do at most in each mode, by the same rules and a program that does nothing else.
BARE_LIMITS = {"nfsteer-connection": BARE_LIMIT, "nfsteer-inspect": "nfqueue-inspect",
               "nfsteer-rewrite": "nfqueue-rewrite"}
USUAL = {"backends": 2, "services": 1, "queues": 2, "clients": 256}  # unless it is what a run varies


class Samples:
    """The samples of results.json, by what they measure."""

    def __init__(self, samples):
        self._groups = {}  # (measure, setting, backends): {path: {round: sample}}
        self.units, self.better = {}, {}  # by measure
        for each in samples:
            key = each["measure"], self._setting(each), each["backends"]
            self._groups.setdefault(key, {}).setdefault(each["path"], {})[each["round"]] = each
            self.units[each["measure"]] = each["unit"]
            self.better[each["measure"]] = each["better"]

    def measures(self):
        """In the order of the file."""
        return list(self.units)

    @staticmethod
    def _setting(sample):
        """The topology, and what else is not as usual but the number of backends."""
        varied = [f"{axis} {sample[axis]}" for axis in USUAL if axis != "backends" and sample[axis] != USUAL[axis]]
        return ", ".join([sample["topology"], *varied])

    def settings(self, measure):
        """In the order of the file; topologies, where all is as usual, first."""
        found = dict.fromkeys(setting for name, setting, _ in self._groups if name == measure)
        return sorted(found, key=lambda setting: ("," in setting, setting != "routed"))

    def topologies(self, measure):
        return [each for each in self.settings(measure) if "," not in each]

    def backends(self, measure, setting):
        return sorted(count for name, where, count in self._groups if (name, where) == (measure, setting))

    def paths(self, measure, setting, backends):
        return list(self._groups.get((measure, setting, backends), {}))

    def along(self, axis, measure, topology):
        """{number: (setting, backends)} of the settings that differ in this axis only, for paths() and values()."""
        if axis == "backends":
            return {count: (topology, count) for count in self.backends(measure, topology)}
        wheres = {USUAL[axis]: topology}
        for setting in self.settings(measure):
            if setting.startswith(f"{topology}, {axis} "):
                wheres[int(setting.rpartition(" ")[2])] = setting
        return {number: (wheres[number], USUAL["backends"]) for number in sorted(wheres)
                if self.paths(measure, wheres[number], USUAL["backends"])}

    def values(self, measure, setting, backends, path, field=None):
        """{round: value}; with a field, that of the samples' "extra" instead of their value."""
        rounds = self._groups.get((measure, setting, backends), {}).get(path, {})
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
