"""python3 -m report DIR: reads DIR/results.json, and DIR/micro.json and DIR/counts.json if they are there; writes
DIR/table.md and DIR/plots/."""

import pathlib
import sys

from .samples import Micro, Samples, read_json
from .table import table


def draw(samples, folder):
    """The plots' names relative to the results folder; none where there is nothing to draw with."""
    try:
        from . import plots
    except ImportError as error:
        print(f"report: no plots: {error}; install python3-matplotlib and run python3 -m report again", file=sys.stderr)
        return []
    return [f"plots/{name}" for name in plots.draw_all(samples, folder / "plots")]


def main():
    if len(sys.argv) != 2:
        print("usage: python3 -m report DIR", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    try:
        results, times, counts = (read_json(folder / name) for name in ("results.json", "micro.json", "counts.json"))
    except (OSError, ValueError) as error:
        print(f"report: {folder}: {error}; give the folder that bench/run.sh wrote", file=sys.stderr)
        return 1
    if results is None:
        print(f"report: {folder} has no results.json; give the folder that bench/run.sh wrote", file=sys.stderr)
        return 1
    samples = Samples(results["samples"])
    (folder / "table.md").write_text(table(results, samples, Micro(times, counts), draw(samples, folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
