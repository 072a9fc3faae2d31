"""The benchmark's smoke test: does bench/run.sh do what it says? Speed is not looked at."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture(scope="session")
def build():
    """A build folder with the engine and the load tools."""
    folder = pathlib.Path(os.environ.get("NFSTEER_BENCH_BUILD", ROOT / "build/release"))
    if not (folder / "bench/tools/flowgen").exists():
        pytest.skip(f"{folder} has no load tools; build it with -DNFSTEER_BENCH=ON")
    return folder
