"""The types that editors and mypy see are those of the module."""

import os
import pathlib
import subprocess
import sys

import pytest

from conftest import PACKAGE, ROOT

# What stubs cannot say: pybind11's metaclass, and classes that nobody makes.
ALLOWED = "\n".join([r"nfsteer\._nfsteer\.(Backend|BoundPolicy|Builtin|Engine|Flow|Table|Weights)",
                     r"nfsteer\._nfsteer\.Builtin\.__init__", r"nfsteer\._nfsteer\._policy_interface"])


def check(*command, tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "MYPYPATH": str(PACKAGE),
                   "MYPY_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, env=environment,
                          cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_are_those_of_the_extension_module(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(ALLOWED)
    check("mypy.stubtest", "nfsteer._nfsteer", "--allowlist", allowed, "--ignore-unused-allowlist", tmp_path=tmp_path)


def test_the_package_and_its_examples_are_strictly_typed(tmp_path):
    check("mypy", "--strict", "-p", "nfsteer", tmp_path=tmp_path)
    for example in sorted(pathlib.Path(ROOT / "bindings/python/examples").glob("*.py")):
        check("mypy", "--strict", example, tmp_path=tmp_path)


def test_all_public_names_are_there():
    import nfsteer
    assert [name for name in nfsteer.__all__ if not hasattr(nfsteer, name)] == []
    assert sorted(nfsteer.__all__) == nfsteer.__all__
