"""What a long run watches: an engine's memory and descriptors, and whether the kernel and the engine counted the same
packets."""

import os
import statistics
import threading
import time

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def queues(host):
    """The kernel's NFQUEUE counters of a host (seq_show of net/netfilter/nfnetlink_queue.c), by queue number."""
    names = ("portid", "waiting", "copy_mode", "copy_range", "dropped_full", "dropped_user", "id_sequence")
    rows = [line.split() for line in host.read("/proc/net/netfilter/nfnetlink_queue").splitlines()]
    return {int(row[0]): dict(zip(names, map(int, row[1:8]))) for row in rows}


class PacketsInAndOut:
    """Kernel and engine side by side: what was queued, received and answered. Ask when no packet is on its way."""

    def __init__(self, engine):
        self.kernel = queues(engine.host)
        workers = engine.status()["workers"]
        self.engine = {name: sum(worker[name] for worker in workers)
                       for name in ("packets", "rewritten", "accepted", "dropped", "verdict_errors", "receive_errors",
                                    "receive_overflows")}

    @property
    def queued(self):
        """Each queue numbers its packets from 1 on."""
        return sum(queue["id_sequence"] for queue in self.kernel.values())

    def assert_one_verdict_each(self):
        waiting = {number: queue["waiting"] for number, queue in self.kernel.items() if queue["waiting"]}
        assert not waiting, f"packets without a verdict, by queue: {waiting}"
        got = self.engine
        assert got["packets"] == self.queued, f"{self.queued} packets queued, {got['packets']} received: {self.kernel}"
        answered = got["rewritten"] + got["accepted"] + got["dropped"]
        assert answered == got["packets"], f"{got['packets']} packets received, {answered} answered: {got}"
        dropped = {number: queue for number, queue in self.kernel.items()
                   if queue["dropped_full"] or queue["dropped_user"]}
        assert not dropped, f"packets that the kernel dropped, by queue: {dropped}"
        assert got["verdict_errors"] == got["receive_errors"] == got["receive_overflows"] == 0, got


class Footprint:
    """Samples a process's memory (resident set, bytes), descriptors and threads until stop()."""

    def __init__(self, pid, interval=0.5):
        self.memory, self.descriptors, self.threads = [], [], []
        self._pid, self._interval = pid, interval
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._main, daemon=True)
        self._sampler.start()

    def _main(self):
        while not self._over.wait(self._interval):
            try:
                with open(f"/proc/{self._pid}/statm") as file:
                    memory = int(file.read().split()[1]) * PAGE_BYTES
                descriptors = len(os.listdir(f"/proc/{self._pid}/fd"))
                threads = len(os.listdir(f"/proc/{self._pid}/task"))
            except OSError:  # it has ended; whoever waits for it says so
                return
            self.memory.append(memory)
            self.descriptors.append(descriptors)
            self.threads.append(threads)

    def stop(self):
        self._over.set()
        self._sampler.join()
        return self

    @staticmethod
    def _grown(samples):
        """From the second fifth of the time (the first is for warming up) to the last one, medians."""
        fifth = max(1, len(samples) // 5)
        return statistics.median(samples[-fifth:]) - statistics.median(samples[fifth:2 * fifth])

    @property
    def memory_grown(self):
        return self._grown(self.memory)

    def assert_flat(self, memory_bytes, descriptors=2):
        """Neither grows by more than is given: what a burst at the end may hold for a moment."""
        assert len(self.memory) >= 10, "too few samples to judge by"
        assert self.memory_grown <= memory_bytes, \
            f"memory grew by {self.memory_grown / 1e6:.1f} MB: {[each >> 10 for each in self.memory]} KiB"
        assert self._grown(self.descriptors) <= descriptors, f"descriptors: {self.descriptors}"
        assert self._grown(self.threads) == 0, f"threads: {self.threads}"


class Clock:
    """How long a run has lasted and lasts yet."""

    def __init__(self, seconds):
        self.began = time.monotonic()
        self.end = self.began + seconds

    @property
    def left(self):
        return max(0.0, self.end - time.monotonic())

    @property
    def over(self):
        return time.monotonic() >= self.end
