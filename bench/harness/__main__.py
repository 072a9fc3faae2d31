"""python3 -m harness: see bench/run.sh --help."""

import argparse
import datetime
import os
import pathlib
import re
import signal
import sys

from support.hosts import close_everything

from . import machine
from .bench import Bench
from .measures import MEASURES
from .paths import PATHS, add_engine
from .plan import BACKENDS, CLIENTS, QUEUES, SERVICES, jobs

LOAD_SHARE_MAX = 0.10
AXES = (("backends", (2, 10000), BACKENDS), ("services", (1, 10000), SERVICES), ("queues", (1, 64), QUEUES),
        ("clients", (1, 65536), CLIENTS))  # option, limits, default
SAMPLES_FAILED = 3  # exit code; 2 is a wrong command line
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def refuse(text):
    print(f"bench/run.sh: {text}", file=sys.stderr)
    sys.exit(1)


def counts(least, most):
    def parse(text):
        values = [int(each) for each in text.split(",")]
        if not all(least <= each <= most for each in values):
            raise argparse.ArgumentTypeError(f"each from {least} to {most}")
        return values
    return parse


def positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("more than 0")
        return value
    return parse


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="bench/run.sh", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares ways from a virtual IP to its backends, in network namespaces of its own. Writes\n"
                    "results.json, table.md and plots.",
        epilog=f"paths:    {' '.join(PATHS)}\nmeasures: {' '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="one round, short samples, 2 backends: does it all work?")
    parser.add_argument("--only", action="append", default=[], metavar="PATH/MEASURE",
                        help="shell patterns; PATH or MEASURE alone will do; may be repeated")
    parser.add_argument("--engine", action="append", default=[], metavar="NAME=COMMAND", dest="engines",
                        help="another engine to compare: paths nfsteer-MODE@NAME run it. COMMAND is a program, flags of "
                             "its `run`, or both; may be repeated")
    parser.add_argument("--rounds", type=positive(int), help="default 7")
    for name, limits, default in AXES:
        parser.add_argument(f"--{name}", type=counts(*limits), metavar="N,N...",
                            help=f"default {','.join(map(str, default))}")
    parser.add_argument("--seconds", type=positive(float), help="length of a sample, default 3")
    parser.add_argument("--topology", choices=("routed", "local"), action="append", dest="topologies",
                        help="default both; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the paths, default 1")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="default bench/results/TIME")
    parser.add_argument("--force", action="store_true", help="run even where the results would mislead")
    parser.add_argument("--parse-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for each in options.engines:
        name, _, command = each.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not command:
            parser.error(f"argument --engine: {each!r} is not NAME=COMMAND; NAME of letters, digits, . _ -")
        add_engine(name, command)
    options.rounds = options.rounds or (1 if options.quick else 7)
    options.seconds = options.seconds or (0.5 if options.quick else 3.0)
    for name, _, default in AXES:
        if getattr(options, name) is None:
            setattr(options, name, [] if options.quick else list(default))
    options.backends = options.backends or [2]
    options.topologies = options.topologies or (["routed"] if options.quick else ["routed", "local"])
    return options


def check(options):
    """Ends the program where the results would mislead."""
    if options.force:
        return
    cache = (options.build / "CMakeCache.txt").read_text()
    build_type = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.MULTILINE)
    if not build_type or build_type.group(1) not in ("Release", "RelWithDebInfo", "MinSizeRel"):
        refuse(f"{options.build} is built without optimisation ({build_type and build_type.group(1)}); "
               f"use the release preset, or --force")
    sanitizers = re.search(r"^NFSTEER_SANITIZE:\w+=(.+)$", cache, re.MULTILINE)
    if sanitizers:
        refuse(f"{options.build} is built with sanitizers ({sanitizers.group(1)}); use the release preset, or "
               f"--force")
    share = machine.load_share()
    if share > LOAD_SHARE_MAX:
        refuse(f"other programs use {share:.0%} of this machine's CPU time, which would spoil the results; stop them, "
               f"or --force")


def end(*_):
    """Terminated or hung up on, it ends as by Ctrl-C, everything removed; a second signal does not disturb that."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    for number in SIGNALS:
        signal.signal(number, end)
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        refuse("network namespaces and NFQUEUE need root; run it with sudo")
    todo = jobs(options)
    if not todo:
        refuse(f"--only {' '.join(options.only)} leaves nothing to run; --help lists paths and measures")
    if options.parse_only:
        return 0
    check(options)
    started = datetime.datetime.now().astimezone()
    bench = Bench(options, started)
    try:
        bench.run(todo)
    except KeyboardInterrupt:
        print("\nbench/run.sh: interrupted", file=sys.stderr)
        return 130
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        close_everything()
        bench.save()
    if bench.failures:
        print(f"bench/run.sh: {bench.failures} samples failed, see \"skipped\" in {options.out}/results.json",
              file=sys.stderr)
    return SAMPLES_FAILED if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
