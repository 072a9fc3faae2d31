"""Waiting for a condition instead of for a time."""

import os
import time

SLOWNESS = int(os.environ.get("NFSTEER_TEST_SLOWNESS", "1"))  # of an engine that runs in valgrind, say


class Expired(AssertionError):
    """The condition did not come true in time."""


def wait_until(condition, what, seconds=10.0, interval=0.02):
    """Returns the first true value of condition(); `what`, or what it returns, names it in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Expired(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(interval)


def holds_for(condition, what, seconds, interval=0.02):
    """Fails as soon as condition() is false within the next `seconds`; for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not last: {what}"
        time.sleep(interval)
