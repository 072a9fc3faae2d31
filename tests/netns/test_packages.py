"""The Debian packages: made twice they are the same bytes; installed, upgraded under traffic, removed and purged on a
machine of their own, under its own systemd; and a policy built of nothing but nfsteer-dev.

    local:   client 10.0.0.10 (engine, as a service) --+-- server1 10.0.0.20      VIPs 10.0.0.40, 10.0.0.41
                                                       +-- server2 10.0.0.30
"""

import collections
import filecmp
import itertools
import json
import os
import pathlib
import re
import shutil
import threading

import pytest

from support import systemd, tables
from support.engine import BINARY, ROOT, nfsteer, service
from support.hosts import new_folder, run
from support.poll import wait_until
from support.stats import assert_shares
from support.traffic import Load, Transfer, http_names, udp_ask

PACK = ROOT / "docker/package.sh"
RELEASE = ROOT / "build/release"
NAMES = ("nfsteer", "nfsteer-dev", "python3-nfsteer")
WEIGHTS = {"server1": 1, "server2": 3}
PYTHON_VIP = "10.0.0.41"
POLICY = """
import nfsteer
class Mine(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)])
"""

pytestmark = [pytest.mark.time_limit(240), pytest.mark.skipif(
    pathlib.Path(BINARY).resolve() != RELEASE / "engine/nfsteer" or not shutil.which("dpkg-shlibdeps"),
    reason="packages are made of build/release on Debian")]
under_systemd = pytest.mark.skipif(bool(systemd.why_not()), reason=f"no systemd of its own: {systemd.why_not()}")


def version():
    return run(BINARY, "--version").stdout.split()[1]


def pack():
    """The packages' files by name."""
    folder = new_folder("packages")
    made = run(PACK, "--no-build", "--output", folder, timeout=200).stdout.split()
    found = {pathlib.Path(each).name.split("_")[0]: each for each in made}
    assert set(found) == set(NAMES), made
    return found


@pytest.fixture(scope="module")
def packages():
    return pack()


def later(package, folder):
    """The same contents, called a later version; hardly compressed, which is quicker."""
    root = os.path.join(new_folder("later"), "root")
    run("dpkg-deb", "--raw-extract", package, root)
    control = pathlib.Path(root) / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)-1$", r"\1.later-1", control.read_text(), flags=re.M))
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, folder)


def field(package, name):
    return run("dpkg-deb", "--field", package, name).stdout.strip()


def files_of(package):
    """Path to (mode, owner) of what is in it."""
    lines = run("dpkg-deb", "--contents", package).stdout.splitlines()
    return {words[5]: (words[0], words[1]) for words in (line.split(None, 5) for line in lines)}


# What is made.

def test_the_version_has_an_entry_in_the_changelog():
    project = re.search(r"project\(nfsteer VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    entries = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert entries and entries[0] == project
    assert re.fullmatch(re.escape(project) + r"([~+]git\d{14}\.[0-9a-f]{8}(\.modified)?)?", version())


def test_dpkg_takes_a_later_commit_for_a_later_version():
    """Before the release, the release, after it, and with changes."""
    folder = new_folder("checkout")
    git = ("git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@example.org")

    def said():
        run("cmake", f"-DSOURCE={folder}", f"-DOUTPUT={folder}/.git", "-DPROJECT=1.2.0", "-P",
            ROOT / "engine/control/version.cmake")
        return re.search(r'VERSION "(.*)"', pathlib.Path(folder, ".git/version.cmake").read_text()).group(1)

    def committed(text, second):
        pathlib.Path(folder, "file").write_text(text)
        run(*git, "add", "file")
        run("env", f"GIT_COMMITTER_DATE=2026-11-25T12:00:0{second}Z", *git, "commit", "--quiet", "--message", text)
        return said()

    run(*git, "init", "--quiet")
    versions = [committed("one", 1), committed("two", 2)]
    run(*git, "tag", "v1.2.0")
    versions += [said(), committed("three", 3), committed("four", 4)]
    pathlib.Path(folder, "file").write_text("five")
    versions.append(said())
    assert versions[2] == "1.2.0" and versions[0].startswith("1.2.0~git20261125120001.")
    for earlier, later in itertools.pairwise(versions):
        run("dpkg", "--compare-versions", earlier, "lt", later)


def test_packing_twice_makes_the_same_bytes(packages):
    again = pack()
    for name, package in packages.items():
        assert os.path.basename(again[name]) == os.path.basename(package)
        assert filecmp.cmp(package, again[name], shallow=False), name


def test_no_path_of_the_build_is_in_the_packages(packages):
    for package in packages.values():
        root = pathlib.Path(new_folder("unpacked"))
        run("dpkg-deb", "--extract", package, root)
        found = [str(each) for each in root.rglob("*") if each.is_file() and str(ROOT).encode() in each.read_bytes()]
        assert not found


def test_what_they_say_of_themselves(packages):
    for package in packages.values():
        assert field(package, "Version") == f"{version()}-1"
        assert field(package, "Priority") == "optional"
        for path, (mode, owner) in files_of(package).items():
            assert owner == "root/root" and mode[5] == mode[8] == "-", f"{path} {mode} {owner}"
    depends = field(packages["nfsteer"], "Depends")
    for library in ("libc6 (>=", "libip4tc2", "libnetfilter-queue1", "libboost-json1.81.0"):
        assert library in depends
    assert "libpython3" in field(packages["python3-nfsteer"], "Depends")
    assert "python" not in depends, "who needs no policy in Python needs no Python"
    assert field(packages["nfsteer-dev"], "Architecture") == "all"


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is not installed")
def test_lintian_finds_no_error(packages):
    done = run("lintian", "--fail-on", "error", *packages.values(), check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


# A machine that has them.

class Datagrams:
    """Datagrams of new flows without pause; one that is not answered within 5 s is a failure."""

    def __init__(self, host, address):
        self.names, self.failures = collections.Counter(), []
        self._over = threading.Event()
        self._task = host.spawn(self._main, address)

    def _main(self, address):
        while not self._over.is_set():
            try:
                self.names[udp_ask(address)[0]] += 1
            except OSError as error:
                self.failures.append(repr(error))

    def stop(self):
        self._over.set()
        self._task.result(30)


@pytest.fixture
def machine(lab, packages):
    top = lab.topology(udp=True)
    files = pathlib.Path(new_folder("files"))
    (files / "debs/later").mkdir(parents=True)
    for package in packages.values():
        shutil.copy(package, files / "debs")
        later(package, files / "debs/later")
    rival(files / "debs/later")
    # Containers have a policy that no package starts a service; this machine is none.
    (files / "usr/sbin").mkdir(parents=True)
    (files / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 0\n")
    (files / "usr/sbin/policy-rc.d").chmod(0o755)
    made = systemd.SystemdMachine(top.client, files, "nfsteer.service")
    made.top = top
    yield made
    made.close()
    nfsteer(top.client, "cleanup", "--force")


def rival(folder):
    """A package that takes the place of nfsteer, or would: its installation fails."""
    control = pathlib.Path(new_folder("rival")) / "root/DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text("Package: rival\nVersion: 1\nArchitecture: all\nMaintainer: nobody <a@example.org>\n"
                                     "Conflicts: nfsteer\nReplaces: nfsteer\nDescription: fails\n")
    (control / "preinst").write_text("#!/bin/sh\nexit 1\n")
    (control / "preinst").chmod(0o755)
    run("dpkg-deb", "--root-owner-group", "--build", control.parent, folder)


def dpkg(machine, *words, check=True):
    # The lock of this run is not the machine's.
    done = machine.run("env", "--unset=XTABLES_LOCKFILE", "DEBIAN_FRONTEND=noninteractive",
                       "sh", "-c", f"dpkg --force-unsafe-io {' '.join(words)}", check=check)
    print(done.stdout + done.stderr)
    return done


def write(machine, path, text):
    machine.run("sh", "-c", 'printf %s "$1" > "$0"', path, text)


def configure(machine):
    top = machine.top
    backends = [{"address": top.backend(1), "weight": 1}, {"address": top.backend(2), "weight": 3}]
    write(machine, "/etc/nfsteer/mine.py", POLICY)
    services = [service("web", top.vip[4], backends, protocol="tcp", port=80),
                service("names", top.vip[4], backends, protocol="udp", port=5000),
                service("python", PYTHON_VIP, backends, protocol="tcp", port=80, policy="mine.py:Mine")]
    write(machine, "/etc/nfsteer/nfsteer.yaml", json.dumps({"engine": {"queues": 2}, "services": services}))


def upgrade_under_traffic(machine):
    top = machine.top
    before = machine.show("MainPID")
    load, python_load = Load(top.client, top.vip[4]), Load(top.client, PYTHON_VIP, threads=1)
    kept, datagrams = Load(top.client, top.vip[4], keep_alive=True), Datagrams(top.client, top.vip[4])
    download = Transfer(top.client, top.vip[4])
    loads = (load, python_load, kept)
    wait_until(lambda: min(each.done for each in loads) > 50 and datagrams.names.total() > 50, "traffic flows")
    dpkg(machine, "--install", "/debs/later/*nfsteer*.deb")
    assert machine.show("MainPID") not in ("0", before), "a new process has taken over"
    done = [each.done for each in loads]
    wait_until(lambda: all(each.done > was + 50 for each, was in zip(loads, done)), "traffic goes on")
    datagrams.stop()
    stopped, ready = (int(machine.show(f"Active{moment}TimestampMonotonic")) / 1e6 for moment in ("Exit", "Enter"))
    for each, name in zip(loads, ("new connections", "new ones by Python", "kept connections")):
        each.stop().assert_flawless(f"{name}; SIGTERM at {stopped:.6f} s, ready at {ready:.6f} s")
    assert not datagrams.failures
    download.result()
    print(f"without an engine, from SIGTERM until ready: {(ready - stopped) * 1000:.0f} ms; requests: "
          f"{[each.done for each in loads]}, datagrams: {datagrams.names.total()}, none lost")


def removal_that_is_aborted(machine):
    """What prerm has stopped steers again."""
    before = machine.show("MainPID")
    assert dpkg(machine, "--install", "/debs/later/rival_*.deb", check=False).returncode == 1
    assert machine.show("MainPID") not in ("0", before), machine.journal()
    assert_shares(http_names(machine.top.client, machine.top.vip[4], requests=100), WEIGHTS)


@under_systemd
def test_an_upgrade_loses_nothing_and_a_purge_leaves_nothing(machine):
    top = machine.top
    machine.ctl("start", "sysinit.target")  # what any service needs; it makes files of its own
    untouched = machine.changes()
    dpkg(machine, "--install", "/debs/*.deb")
    assert machine.run("nfsteer", "--version").stdout == f"nfsteer {version()}\n"
    dpkg(machine, "--install", "/debs/nfsteer_*.deb")  # again: what does not run is not started
    assert machine.ctl("is-active", machine.unit)[1] == "inactive\n"
    assert machine.ctl("is-enabled", machine.unit)[1] == "disabled\n"
    assert not tables.ours(top.client)

    configure(machine)
    code, said = machine.ctl("enable", "--now", machine.unit)
    assert code == 0, said + machine.journal()
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
    assert_shares(http_names(top.client, PYTHON_VIP, requests=100), WEIGHTS)
    upgrade_under_traffic(machine)
    versions = machine.run("dpkg-query", "--show", "--showformat", "${Version}\n", *NAMES).stdout.split()
    assert versions == [f"{version()}.later-1"] * 3
    assert machine.ctl("is-enabled", machine.unit)[1] == "enabled\n"
    assert_shares(http_names(top.client, PYTHON_VIP, requests=100), WEIGHTS)

    removal_that_is_aborted(machine)
    assert tables.ours(top.client)
    dpkg(machine, "--remove", "nfsteer")
    assert not tables.ours(top.client), "the ladder does not outlive the package"
    machine.run("test", "-e", "/etc/nfsteer/nfsteer.yaml")
    dpkg(machine, "--purge", *NAMES)
    machine.run("test", "!", "-e", "/run/nfsteer")
    assert leftovers(machine, untouched) == ["etc/nfsteer", "etc/nfsteer/mine.py"], "what the administrator made"
    listed = machine.ctl("list-unit-files", "nfsteer*")[1]
    assert listed.endswith("0 unit files listed.\n"), listed


def leftovers(machine, untouched):
    """What is there now and was not before, but for what dpkg and others note of every package."""
    notes = ("var/lib/dpkg", "var/log", "var/cache", "var/lib/systemd", "var/lib/mandb")
    return sorted(path for path in machine.changes() - untouched
                  if not path.startswith(notes) and not os.path.isdir(f"/{path}"))


# nfsteer-dev, and nothing else.

PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(mine C CXX)
find_package(nfsteer 0.1 REQUIRED)
nfsteer_add_policy(by_weight weighted_random.c)
nfsteer_add_policy(by_zone own_zone.cpp)
"""


@pytest.fixture
def development(packages):
    """Its files unpacked, and a folder with its examples."""
    root, work = pathlib.Path(new_folder("root")), pathlib.Path(new_folder("mine"))
    run("dpkg-deb", "--extract", packages["nfsteer-dev"], root)
    for example in (root / "usr/share/doc/nfsteer-dev/examples").iterdir():
        shutil.copy(example, work)
    return root, work


def simulates(library):
    told = run(BINARY, "simulate", "--policy", library, "--backend", "10.0.0.20", "--backend", "10.0.0.30,weight=3",
               "--flows", 2000, "--json").stdout
    return json.loads(told)


def test_pkg_config_builds_a_policy(development):
    root, work = development
    ask = ("env", f"PKG_CONFIG_PATH={root}/usr/share/pkgconfig", "pkg-config")
    assert run(*ask, "--modversion", "nfsteer").stdout.strip() == re.split("[~+]", version())[0]
    flags = run(*ask, "--cflags", "nfsteer").stdout.split()
    run("cc", "-Wall", "-Werror", *flags, "-fPIC", "-shared", "-o", work / "mine.so", work / "weighted_random.c")
    assert simulates(work / "mine.so")


def test_cmake_builds_policies(development):
    root, work = development
    (work / "CMakeLists.txt").write_text(PROJECT)
    run("cmake", "-G", "Ninja", "-S", work, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={root}/usr")
    run("cmake", "--build", work / "build")
    for policy in ("by_weight.so", "by_zone.so,zone=a"):
        assert simulates(work / "build" / policy)
