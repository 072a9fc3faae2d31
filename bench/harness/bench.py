"""One benchmark: its networks, its jobs one after the other, its results."""

import dataclasses
import json
import os
import subprocess
import time

from . import machine
from .measures import Http
from .networks import SOURCES, Network
from .paths import PATHS, DnatList, Unavailable
from .plan import Only

CALIBRATION_SECONDS = 1.0
SETTLE_SECONDS = 0.1  # between samples: the kernel frees what the last one used


class Bench:
    def __init__(self, options, started):
        self.options, self.build, self.seconds = options, options.build, options.seconds
        self.out = options.out
        self.failures = 0
        self._only = Only(options.only)
        self._networks = {}
        self._half_loads = {}
        self.results = {
            "format": 1, "started": started.isoformat(timespec="seconds"), "machine": machine.machine(),
            "versions": machine.versions(), "command": os.environ.get("NFSTEER_BENCH_COMMAND", "").split("\n"),
            "rounds": options.rounds, "seconds": options.seconds, "samples": [], "skipped": [],
        }
        self.out.mkdir(parents=True, exist_ok=True)
        self.results["machine"]["pauses"] = machine.pauses(self.build)

    def save(self):
        if not self.results["samples"] and not self.results["skipped"]:
            return
        fresh = self.out / "results.json.new"
        fresh.write_text(json.dumps(self.results, indent=1) + "\n")
        fresh.replace(self.out / "results.json")

    def run(self, jobs):
        start = time.monotonic()
        for done, job in enumerate(jobs):
            before = len(self.results["samples"])
            reason = self._run(job)
            passed = time.monotonic() - start
            left = passed / (done + 1) * (len(jobs) - done - 1)
            fresh = self.results["samples"][before:]
            figures = ", ".join(f"{each['measure']} {each['value']:,.6g} {each['unit']}" for each in fresh)
            print(f"[{done + 1}/{len(jobs)}, {left / 60:.0f} min left] round {job.round + 1}, {job.scale}, "
                  f"{job.path}: {'; '.join(filter(None, (figures, reason)))}", flush=True)
            self.save()

    def _network(self, kind):
        if kind not in self._networks:
            self._networks[kind] = Network(kind)
        return self._networks[kind]

    def _run(self, job):
        """One job; returns why it was skipped, or None."""
        run = job.run(self)
        network = self._network(job.scale.topology)
        path = PATHS[job.path](network, run.task(job.scale), self.build)
        missing = set(run.measures)
        stolen = machine.stolen_seconds()
        try:
            for each in run.samples(path):
                missing.discard(each["measure"])
                if self._only.takes(job.path, each["measure"]):
                    each["extra"]["stolen_seconds"] = machine.stolen_seconds() - stolen
                    self.results["samples"].append({**each, "path": job.path, "round": job.round,
                                                    **dataclasses.asdict(job.scale)})
        except Unavailable as error:
            return self._skip(job, missing, str(error))
        except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
            # Hours of other samples must not be lost for this one; the exit code tells.
            self.failures += 1
            return self._skip(job, missing, f"failed ({job.scale}): {error}")
        finally:
            path.take_down()
            network.forget_connections()
            time.sleep(SETTLE_SECONDS)
        return None

    def _skip(self, job, measures, reason):
        for measure in sorted(measures):
            entry = {"path": job.path, "measure": measure, "reason": reason}
            if self._only.takes(job.path, measure) and entry not in self.results["skipped"]:
                self.results["skipped"].append(entry)
        return reason if reason.startswith("failed") else f"skipped: {reason}"

    def half_load(self, network, task):
        """Half of the HTTP connections per second that dnat-list makes in this network, by a short run of its own."""
        key = network.kind, task
        if key not in self._half_loads:
            run = Http(self)
            path = DnatList(network, task, self.build)
            try:
                path.set_up()
                got = run.tool(path, "connload", "--from", SOURCES, "--seconds", CALIBRATION_SECONDS)
            finally:
                path.take_down()
                network.forget_connections()
            self._half_loads[key] = max(10, round(got["done"] / got["seconds"] / 2, -1))
        return self._half_loads[key]
