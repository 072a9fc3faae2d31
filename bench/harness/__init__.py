"""Runs the benchmark: networks, paths, measures, interleaved rounds, results. bench/run.sh starts it."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # support: hosts, topologies, the engine as a process
