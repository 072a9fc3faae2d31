"""A pytest plugin: which tests run.sh runs where the processor is emulated. Of each test function one of its cases, spread
over modes, families and topologies by the function's name (NFSTEER_KERNEL_ALL=1: every case), and of these files none."""

import os
import zlib

import pytest

LEFT_OUT = {
    "test_completion.py": "shells; no kernel in it",
    "test_policy_files.py": "compilers; no kernel in it",
    "test_prediction.py": "compares waiting times with a model's: of no meaning where a processor is emulated",
    "test_scale.py": "ten thousand backends: half an hour of emulation",
    "test_service.py": "stands in for systemd; no kernel in it",
    "test_simulate.py": "virtual time; no kernel in it",
    "test_top.py": "a terminal; no kernel in it",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    named = {os.path.basename(argument.split("::")[0]) for argument in config.args}
    functions = {}
    for item in items:
        if item.path.name in named or item.path.name not in LEFT_OUT:
            functions.setdefault(item.nodeid.split("[")[0], []).append(item)
    kept = []
    for name, cases in functions.items():
        every = os.environ.get("NFSTEER_KERNEL_ALL") or item_is_about_kernels(cases[0])
        kept += cases if every else [cases[zlib.crc32(name.encode()) % len(cases)]]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def item_is_about_kernels(item):
    return item.path.name == "test_kernels.py"
