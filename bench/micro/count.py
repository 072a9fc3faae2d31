#!/usr/bin/python3
"""count.py NFSTEER_MICRO [--out FILE] [--filter REGEX]: instructions of each microbenchmark by callgrind.

Clocks differ from run to run and from machine to machine; for one compiler and one C library, the instructions that an
operation executes do not. They come as a table, and as JSON where --out says. Each benchmark runs twice, with different
numbers of iterations: the difference is that of whole operations, without what happens once.

Compare runs with the same --filter: it decides where in memory things come to lie, and the C library's memcmp takes a
few instructions more where they lie close before the end of a page.
"""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

ITERATIONS = (64, 320)


def fail(text):
    print(f"count.py: {text}", file=sys.stderr)
    sys.exit(1)


def totals(program, iterations, pattern):
    """{benchmark: instructions of all iterations}, in the order of the benchmarks."""
    with tempfile.TemporaryDirectory(prefix="nfsteer-count-") as folder:
        result = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program,
                                 f"--iterations={iterations}", f"--benchmark_filter={pattern}"],
                                capture_output=True, text=True)
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines()
            fail(f"{program} under valgrind: {lines[-1] if lines else f'exit {result.returncode}'}")
        found = []
        for dump in pathlib.Path(folder).glob("out.*"):
            text = dump.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
            if name and total:
                found.append((int(dump.suffix[1:]), name.group(1), int(total.group(1))))
    return {name: total for _, name, total in sorted(found)}


def main():
    parser = argparse.ArgumentParser(prog="count.py", description="Instructions of each microbenchmark by callgrind.")
    parser.add_argument("program", metavar="NFSTEER_MICRO")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="also write them there as JSON")
    parser.add_argument("--filter", default=".", metavar="REGEX", help="only these benchmarks")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends valgrind and removes its files
    try:
        few, many = (totals(options.program, iterations, options.filter) for iterations in ITERATIONS)
    except FileNotFoundError:
        fail("valgrind is not installed; install the package valgrind")
    if not few:
        fail(f"{options.program} has no benchmark that {options.filter} matches")
    instructions = {name: (many[name] - few[name]) / (ITERATIONS[1] - ITERATIONS[0]) for name in few}
    width = max(map(len, instructions))
    print(f"{'benchmark':{width}}  instructions")
    for name, count in instructions.items():
        print(f"{name:{width}}  {count:12,.1f}")
    if options.out:
        options.out.write_text(json.dumps({"iterations": ITERATIONS, "instructions": instructions}, indent=1) + "\n")


if __name__ == "__main__":
    main()
