"""`pip install ./bindings/python` without a network, given the system's packages."""

import csv
import io
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from conftest import BUILD, ROOT

SOURCE = ROOT / "bindings/python"


def run(*command, **environment):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                               "PIP_CACHE_DIR": "/nonexistent", "NFSTEER_BUILD_DIR": str(BUILD), **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A venv with the package; beside it nothing but pip and setuptools."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/pip", "install", SOURCE)
    return folder


def test_the_installed_package_runs_without_the_build_tree(venv, tmp_path):
    shutil.copytree(SOURCE / "examples", tmp_path / "examples")
    env = {"PYTHONPATH": ""}
    where = run(venv / "bin/python", "-c", "import nfsteer; print(nfsteer.__file__)", **env).strip()
    assert where.startswith(str(venv))
    assert "zone.py:ZoneFirst" in run(venv / "bin/python", tmp_path / "examples/try_out.py", **env)


def test_pip_knows_what_it_has_installed(venv):
    assert "Name: nfsteer" in run(venv / "bin/pip", "show", "nfsteer")
    run(venv / "bin/pip", "check")


def test_the_wheel_is_complete(venv, tmp_path):
    run(venv / "bin/pip", "wheel", "--no-deps", "-w", tmp_path, SOURCE)
    [wheel] = tmp_path.glob("nfsteer-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [record] = [name for name in names if name.endswith(".dist-info/RECORD")]
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
        sizes = {name: archive.getinfo(name).file_size for name in names}
    assert {row[0] for row in rows} == names
    assert all(row[0] == record or int(row[2]) == sizes[row[0]] for row in rows)
    assert {"nfsteer/__init__.py", "nfsteer/py.typed", "nfsteer/_nfsteer.pyi"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_a_source_distribution_is_refused_with_a_reason(venv):
    done = subprocess.run([venv / "bin/python", "-c", "import sys; sys.path.insert(0, sys.argv[1]); "
                           "import nfsteer_build; nfsteer_build.build_sdist('.')", SOURCE / "build_backend"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "pip install ./bindings/python" in done.stderr, done
