"""python3 -m report DIR: reads DIR/results.json and writes DIR/table.md: medians, their spread, ratios to in-kernel DNAT.

Ratios are taken within a round, between samples that ran close together, and only then summed up: what the machine did
meanwhile touches both alike.
"""

import collections
import json
import pathlib
import statistics
import sys

BASELINE = "dnat-list"
SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def quartiles(values):
    """(median, lower quartile, upper quartile); of one value, itself."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def shown(value):
    for scale, letter in SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def spread(values):
    middle, low, high = quartiles(values)
    return f"{shown(middle)} ({shown(low)} to {shown(high)})"


def by_group(samples):
    """{(measure, unit, topology, backends): {path: {round: value}}}, in the order of the file."""
    groups = collections.defaultdict(lambda: collections.defaultdict(dict))
    for each in samples:
        key = each["measure"], each["unit"], each["topology"], each["backends"]
        groups[key][each["path"]][each["round"]] = each["value"]
    return groups


def ratios(values, baseline):
    """Of the rounds that both have."""
    return [values[each] / baseline[each] for each in sorted(values) if baseline.get(each)]


def table(results):
    machine = results["machine"]
    lines = [f"Started {results['started']} on {machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}; "
             f"rounds: {results['rounds']}; command: `{' '.join(filter(None, results['command']))}`", "",
             "Medians, with the quartiles; ratios are medians of the ratios within each round.", ""]
    for (measure, unit, topology, backends), paths in by_group(results["samples"]).items():
        lines += [f"### {measure}, {topology}, {backends} backends", "",
                  f"| path | {unit} | ratio to {BASELINE} |", "|---|---|---|"]
        for path, values in paths.items():
            against = ratios(values, paths.get(BASELINE, {}))
            lines.append(f"| {path} | {spread(list(values.values()))} | {spread(against) if against else '-'} |")
        lines.append("")
    if results["skipped"]:
        lines += ["### Skipped", ""]
        lines += [f"- {each['path']}, {each['measure']}: {each['reason']}" for each in results["skipped"]]
        lines.append("")
    return "\n".join(lines)


def main():
    if len(sys.argv) != 2:
        print("usage: python3 -m report DIR", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    try:
        results = json.loads((folder / "results.json").read_text())
    except (OSError, ValueError) as error:
        print(f"report: {folder}/results.json: {error}; give the folder that bench/run.sh wrote", file=sys.stderr)
        return 1
    (folder / "table.md").write_text(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
