"""The built module, and a program in C that has policies in Python through the host.

NFSTEER_BUILD names the build tree, build/release if it is not set.
"""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("NFSTEER_BUILD", ROOT / "build/release")).resolve()
PACKAGE = BUILD / "bindings/python"
HOST = PACKAGE / "nfsteer-python.so"

sys.path.insert(0, str(PACKAGE))
sys.dont_write_bytecode = True


def pytest_sessionstart(session):
    if not HOST.exists():
        pytest.exit(f"{HOST} does not exist; build the targets _nfsteer and nfsteer_python_host, or set NFSTEER_BUILD",
                    returncode=2)


@pytest.fixture
def policy_file(tmp_path):
    """Writes a file with a policy; returns its path."""
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text("import nfsteer\n" + text)
        return path
    return write


class Driven:
    """What driver.c printed."""

    def __init__(self, done):
        self.code, self.stderr = done.returncode, done.stderr
        lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        self.error = lines.pop("error:", None)
        self.counts = [int(value) for key, value in lines.items() if key.isdigit()]
        self.none, self.failed, self.wrong = (int(lines.get(key, 0)) for key in ("none", "failed", "wrong"))

    def __repr__(self):
        return f"exit {self.code}, {vars(self)}"


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    program = tmp_path_factory.mktemp("driver") / "driver"
    subprocess.run(["cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "bindings/c", "-o", program,
                    ROOT / "tests/python/driver.c", "-ldl", "-lpthread"], check=True)

    def run(path, class_name="Mine", weights=(1, 1), workers=1, picks=1000, ticks=0, seconds=60, **options):
        named = {"file": path, "class": class_name, **options}
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run([program, HOST, ",".join(map(str, weights)), str(workers), str(picks), str(ticks),
                               *(f"{key}={value}" for key, value in named.items())],
                              capture_output=True, text=True, timeout=seconds, env=environment)
        assert done.returncode in (0, 3), done
        return Driven(done)
    return run
