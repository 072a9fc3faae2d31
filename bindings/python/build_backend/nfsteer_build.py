"""The build backend (PEP 517) of the package: cmake makes the extension module, and a zip file of it is a wheel.

It needs the packages of the section [build] of docker/packages.txt and nothing from the network. The build tree is
build/python of the repository; NFSTEER_BUILD_DIR names another, which is used as it is if it is configured.
"""

import base64
import csv
import hashlib
import io
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import zipfile

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    if not (ROOT / "CMakeLists.txt").exists():
        raise SystemExit(f"nfsteer: {ROOT} is not nfsteer's source tree; install from a checkout: "
                         "pip install ./bindings/python")
    module = _module()
    name = f"nfsteer-{_version()}-{_tag()}.whl"
    contents = {f"nfsteer/{each.name}": each.read_bytes() for each in _sources()}
    contents[f"nfsteer/{module.name}"] = _stripped(module)
    _write(pathlib.Path(wheel_directory) / name, contents)
    return name


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("nfsteer: the package is a part of nfsteer's source tree and has no source distribution; "
                     "install it from a checkout: pip install ./bindings/python")


def _version():
    found = re.search(r"project\(nfsteer VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    return found.group(1)


def _tag():
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    version = "".join(str(part) for part in sys.version_info[:2])
    return f"cp{version}-cp{version}-{platform}"


def _sources():
    return sorted(each for each in (HERE / "nfsteer").iterdir()
                  if each.suffix in (".py", ".pyi") or each.name == "py.typed")


def _run(*command):
    # The same compiler as for the engine, whatever the environment that pip makes for the build.
    done = subprocess.run(command, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"nfsteer: {' '.join(map(str, command))} failed; docker/packages.txt says what it needs")


def _module():
    """Builds the extension module for the Python that asks."""
    tree = pathlib.Path(os.environ.get("NFSTEER_BUILD_DIR", ROOT / "build/python")).resolve()
    include = sysconfig.get_path("include")
    if not (tree / "CMakeCache.txt").exists():
        _run("cmake", "-S", ROOT, "-B", tree, "-DCMAKE_BUILD_TYPE=Release", "-DNFSTEER_TESTS=OFF",
             f"-DPython_EXECUTABLE={sys.executable}", f"-DPython_INCLUDE_DIR={include}")
    _run("cmake", "--build", tree, "--target", "_nfsteer")
    name = "_nfsteer" + sysconfig.get_config_var("EXT_SUFFIX")
    module = tree / "bindings/python/nfsteer" / name
    if not module.exists():
        raise SystemExit(f"nfsteer: {tree} has no {name}; it was built for another Python, or pybind11-dev and "
                         "python3-dev were missing")
    return module


def _stripped(module):
    """Without debug information: a tenth of the size."""
    copy = module.with_suffix(".stripped")
    _run("strip", "--strip-debug", "-o", copy, module)
    content = copy.read_bytes()
    copy.unlink()
    return content


def _metadata():
    readme = (HERE / "README.md").read_text()
    return ("Metadata-Version: 2.1\nName: nfsteer\n"
            f"Version: {_version()}\nSummary: Balancing policies for nfsteer in Python, and nfsteer from Python\n"
            "License: GPL-2.0-or-later\nRequires-Python: >=3.9\nDescription-Content-Type: text/markdown\n\n" + readme)


def _record(contents, own_name):
    """Name, hash and size of each file (the binary distribution format's RECORD)."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([own_name, "", ""])
    return text.getvalue()


def _write(wheel, contents):
    info = f"nfsteer-{_version()}.dist-info"
    contents[f"{info}/METADATA"] = _metadata().encode()
    contents[f"{info}/WHEEL"] = ("Wheel-Version: 1.0\nGenerator: nfsteer_build\nRoot-Is-Purelib: false\n"
                                 f"Tag: {_tag()}\n").encode()
    record = f"{info}/RECORD"
    contents[record] = _record(contents, record).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
