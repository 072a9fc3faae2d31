"""Wrong input and a wrong system: the exact exit code, one line on stderr that names the place, and nothing installed.

    one host, no network: what is refused never gets as far as a packet
"""

import errno
import os

import pytest

from support import seccomp, tables
from support.engine import nfsteer, service
from support.traffic import http_names

GOOD = """engine:
  queues: 1
services:
  - name: web
    vip: 10.0.0.40
    protocol: tcp
    port: 80
    mode: connection
    policy: weighted-random
    on_no_backend: reject
    backends:
      - address: 10.0.0.20
        port: 8080
        weight: 3
      - 10.0.0.30
"""


def changed(old, new):
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


# name: (file, line the error must name, words it must contain)
BAD_FILES = {
    "no yaml": ("services: [", None, ()),
    "empty": ("", None, ("services",)),
    "a list at the top": ("- a\n- b\n", 1, ()),
    "no services": ("engine: {queues: 1}\n", None, ("services",)),
    "services not a list": ("services: 5\n", 1, ("services",)),
    "unknown key at the top": (GOOD + "servces: []\n", 16, ("servces",)),
    "unknown engine key": (changed("  queues: 1", "  threads: 1"), 2, ("threads",)),
    "unknown service key": (changed("    port: 80\n", "    prot: 80\n"), 7, ("prot",)),
    "unknown backend key": (changed("        weight: 3", "        wieght: 3"), 14, ("wieght",)),
    "key twice": (changed("    port: 80\n", "    port: 80\n    port: 81\n"), 8, ("port",)),
    "empty name": (changed("name: web", "name: ''"), 4, ("name",)),
    "name with a space": (changed("name: web", "name: we b"), 4, ("name", "we b")),
    "name too long": (changed("name: web", "name: " + "w" * 64), 4, ("name",)),
    "no vip": (changed("    vip: 10.0.0.40\n", ""), 4, ("vip",)),
    "vip no address": (changed("10.0.0.40", "10.0.0.400"), 5, ("vip", "10.0.0.400")),
    "vip a prefix": (changed("10.0.0.40", "10.0.0.0/24"), 5, ("vip", "10.0.0.0/24")),
    "vip a name": (changed("10.0.0.40", "localhost"), 5, ("vip", "localhost")),
    "vip 0.0.0.0": (changed("10.0.0.40", "0.0.0.0"), 5, ("vip", "0.0.0.0")),
    "vip multicast": (changed("10.0.0.40", "224.0.0.1"), 5, ("vip", "224.0.0.1")),
    "unknown protocol": (changed("protocol: tcp", "protocol: tpc"), 6, ("protocol", "tpc")),
    "port 0": (changed("    port: 80\n", "    port: 0\n"), 7, ("port",)),
    "port 65536": (changed("    port: 80\n", "    port: 65536\n"), 7, ("port", "65536")),
    "port no number": (changed("    port: 80\n", "    port: http\n"), 7, ("port", "http")),
    "port a fraction": (changed("    port: 80\n", "    port: 80.5\n"), 7, ("port", "80.5")),
    "port without a protocol that has ports": (changed("protocol: tcp", "protocol: any"), None, ("port",)),
    "backend port without a service port": (changed("    port: 80\n", ""), None, ("port",)),
    "unknown mode": (changed("mode: connection", "mode: fast"), 8, ("mode", "fast")),
    "unknown policy": (changed("weighted-random", "roundrobin"), 9, ("policy", "roundrobin")),
    "unknown on_no_backend": (changed("on_no_backend: reject", "on_no_backend: refuse"), 10, ("refuse",)),
    "masquerade no boolean": (changed("    port: 80\n", "    port: 80\n    masquerade: perhaps\n"), 8, ("perhaps",)),
    "backend address": (changed("10.0.0.20", "10.0.0"), 12, ("10.0.0",)),
    "backend of the other family": (changed("10.0.0.20", "fd00::20"), 12, ("fd00::20",)),
    "backend is the vip": (changed("10.0.0.20", "10.0.0.40"), 12, ("10.0.0.40",)),
    "backend twice": (changed("- 10.0.0.30", "- 10.0.0.20:8080"), 15, ("10.0.0.20",)),
    "backend port 65536": (changed("port: 8080", "port: 65536"), 13, ("65536",)),
    "weight negative": (changed("weight: 3", "weight: -1"), 14, ("weight", "-1")),
    "weight 65536": (changed("weight: 3", "weight: 65536"), 14, ("weight", "65536")),
    "weight no number": (changed("weight: 3", "weight: heavy"), 14, ("weight", "heavy")),
    "short form weight": (changed("- 10.0.0.30", "- 10.0.0.30,weight=x"), 15, ("weight",)),
    "short form key": (changed("- 10.0.0.30", "- 10.0.0.30,wieght=1"), 15, ("wieght",)),
    "service name twice": (GOOD + GOOD[GOOD.index("  - name"):].replace("port: 80\n", "port: 81\n", 1), 16, ("web",)),
    "same vip, protocol and port twice": (GOOD + GOOD[GOOD.index("  - name"):].replace("web", "web2"), 16, ("VIP",)),
    "queues 0": (changed("queues: 1", "queues: 0"), 2, ("queues",)),
    "queues 65": (changed("queues: 1", "queues: 65"), 2, ("queues", "65")),
    "queue_base too high": (changed("queues: 1", "queue_base: 65535"), 2, ("queue_base",)),
    "queue_length 0": (changed("queues: 1", "queue_length: 0"), 2, ("queue_length",)),
    "seed no number": (changed("queues: 1", "seed: lucky"), 2, ("seed", "lucky")),
    "unknown on_stop": (changed("queues: 1", "on_stop: leave"), 2, ("on_stop", "leave")),
}

VIP = ["--vip", "10.0.0.40"]
ONE = [*VIP, "--backend", "10.0.0.20"]

# name: (arguments of run, words the line must contain)
BAD_FLAGS = {
    "nothing": ([], ("--vip",)),
    "no backend": (VIP, ("--backend",)),
    "no vip": (["--backend", "10.0.0.20"], ("--vip",)),
    "unknown flag": ([*ONE, "--weight", "3"], ("--weight",)),
    "flag without a value": ([*ONE, "--port"], ("--port",)),
    "vip no address": (["--vip", "10.0.0", "--backend", "10.0.0.20"], ("--vip", "10.0.0")),
    "backend no address": ([*VIP, "--backend", "10.0.0.x"], ("--backend", "10.0.0.x")),
    "backend port": ([*ONE, "--port", "80", "--backend", "10.0.0.30:99999"], ("--backend", "99999")),
    "backend port without service port": ([*VIP, "--backend", "10.0.0.20:8080"], ("--backend",)),
    "backend weight": ([*VIP, "--backend", "10.0.0.20,weight=-1"], ("--backend", "-1")),
    "backend of the other family": ([*VIP, "--backend", "fd00::20"], ("--backend", "fd00::20")),
    "backend twice": ([*ONE, "--backend", "10.0.0.20"], ("--backend", "10.0.0.20")),
    "protocol": ([*ONE, "--protocol", "tpc"], ("--protocol", "tpc")),
    "port": ([*ONE, "--port", "0"], ("--port",)),
    "port with any": ([*ONE, "--protocol", "any", "--port", "80"], ("--port",)),
    "mode": ([*ONE, "--mode", "fast"], ("--mode", "fast")),
    "policy": ([*ONE, "--policy", "roundrobin"], ("--policy", "roundrobin")),
    "on-no-backend": ([*ONE, "--on-no-backend", "refuse"], ("--on-no-backend", "refuse")),
    "on-stop": ([*ONE, "--on-stop", "leave"], ("--on-stop", "leave")),
    "name": ([*ONE, "--name", "a b"], ("--name", "a b")),
    "queues": ([*ONE, "--queues", "0"], ("--queues",)),
    "queue base": ([*ONE, "--queue-base", "65535"], ("--queue-base",)),
    "queue length": ([*ONE, "--queue-length", "many"], ("--queue-length", "many")),
    "seed": ([*ONE, "--seed", "-1"], ("--seed", "-1")),
    "file and flags": (["-c", "x.yaml", *ONE], ("--vip",)),
    "file that does not exist": (["-c", "/nonexistent.yaml"], ("/nonexistent.yaml",)),
    "file that is a folder": (["-c", "/tmp"], ("/tmp",)),
    "control path too long": ([*ONE, "--control", "/tmp/" + "x" * 120], ("--control",)),
}

BAD_COMMANDS = {
    "no command": ([], ()),
    "unknown command": (["steer"], ("steer",)),
    "check without a file": (["check"], ()),
    "mode without a mode": (["mode", "web"], ()),
    "weight that is no number": (["weight", "web", "10.0.0.20", "heavy"], ("heavy",)),
}


def refused(outcome, code, words, before, host):
    assert outcome.code == code, outcome
    assert outcome.stderr.startswith("nfsteer: ") and outcome.stderr.count("\n") == 1, outcome
    for word in words:
        assert word in outcome.stderr, f"{word!r} is missing: {outcome}"
    assert tables.save(host) == before, "something was installed"


@pytest.fixture
def alone(lab):
    """A host without a network whose tables all exist, so that any change shows."""
    host = lab.alone()
    tables.make_all(host)
    host.before = tables.save(host)
    return host


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named_with_its_line(alone, tmp_path, case):
    text, line, words = BAD_FILES[case]
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    place = f"{file}:{line}:" if line else str(file)
    control = ["--control", tmp_path / "control.sock"]
    outcome = nfsteer(alone, "run", "-c", file, *control)
    refused(outcome, 2, (place, *words), alone.before, alone)
    checked = nfsteer(alone, "check", file)
    assert (checked.code, checked.stderr) == (2, outcome.stderr), "check says the same"
    assert not (tmp_path / "control.sock").exists()


@pytest.mark.parametrize("case", BAD_FLAGS)
def test_a_bad_flag_is_named(alone, tmp_path, case):
    flags, words = BAD_FLAGS[case]
    control = [] if "--control" in flags else ["--control", tmp_path / "control.sock"]
    refused(nfsteer(alone, "run", *control, *flags), 2, words, alone.before, alone)
    printed = nfsteer(alone, "rules", *flags)
    refused(printed, 2, words, alone.before, alone)
    assert not printed.stdout


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_a_bad_command_is_refused(alone, case):
    words, parts = BAD_COMMANDS[case]
    refused(nfsteer(alone, *words), 2, parts, alone.before, alone)


def test_good_files_and_the_version(alone, tmp_path):
    file = tmp_path / "good.yaml"
    backends = GOOD.index("    backends")
    for good in (GOOD, changed("name: web\n    vip", "vip"), GOOD[:backends] + "    backends: []\n", "services: []\n"):
        file.write_text(good)
        outcome = nfsteer(alone, "check", file)
        assert outcome.code == 0 and not outcome.stderr, (good, outcome)
    version = nfsteer(alone, "--version")
    assert version.code == 0 and version.stdout.startswith("nfsteer ") and version.stdout.count("\n") == 1, version
    assert tables.save(alone) == alone.before


def test_a_hundred_thousand_wrong_bytes_are_one_error(alone, tmp_path, lab):
    for number in range(5):
        file = tmp_path / f"noise{number}.yaml"
        file.write_bytes(lab.random.randbytes(100_000))
        refused(nfsteer(alone, "check", file), 2, (str(file),), alone.before, alone)


# ---- the system's refusals

WEB = service("web", "10.0.0.40", ["10.0.0.20", "10.0.0.30"], protocol="tcp", port=80)
PRIVILEGED = {"CAP_NET_ADMIN": "net_admin", "CAP_NET_RAW": "net_raw"}


@pytest.mark.parametrize("capability", PRIVILEGED)
def test_a_missing_capability_is_named(lab, alone, capability):
    drop = f"-{PRIVILEGED[capability]}"
    wrap = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]
    engine = lab.engine(None, [WEB], host=alone, wrap=wrap, start=False)
    for outcome in (engine.launch().outcome(), nfsteer(alone, "cleanup", wrap=wrap)):
        refused(outcome, 1, (f"lacks {capability};",), alone.before, alone)


def test_only_the_two_capabilities_are_needed(lab):
    """As in a container with cap_drop ALL and cap_add NET_ADMIN, NET_RAW."""
    top = lab.topology()
    engine = lab.engine(top, [WEB], wrap=["setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all"],
                        start=False)
    os.chmod(engine.folder, 0o777)  # root without CAP_DAC_OVERRIDE
    engine.start()
    assert http_names(top.client, top.vip[4], requests=40).total() == 40


IPPROTO_IP, IPPROTO_IPV6, NETLINK_NETFILTER, AF_NETLINK = 0, 41, 12, 16
GET_INFO, GET_REVISION_TARGET, SET_REPLACE = 64, 67, 64
MISSING = {
    "legacy tables": (("getsockopt", {1: IPPROTO_IP, 2: GET_INFO}, errno.ENOPROTOOPT), ("legacy", "iptable_nat")),
    "NFQUEUE": (("socket", {0: AF_NETLINK, 2: NETLINK_NETFILTER}, errno.EPROTONOSUPPORT), ("netlink", "nfnetlink_queue")),
    "targets": (("getsockopt", {1: IPPROTO_IP, 2: GET_REVISION_TARGET}, errno.ENOENT), ("NETMAP", "xt_NETMAP")),
    "a rule's extension": (("setsockopt", {1: IPPROTO_IP, 2: SET_REPLACE}, errno.ENOENT), ()),
}


@pytest.mark.skipif(not seccomp.SUPPORTED, reason=seccomp.REASON)
@pytest.mark.parametrize("feature", MISSING)
def test_a_missing_kernel_feature_is_an_error(lab, alone, feature):
    rule, words = MISSING[feature]
    engine = lab.engine(None, [WEB], host=alone, preexec=seccomp.refuse(rule), start=False)
    refused(engine.launch().outcome(), 1, words, alone.before, alone)
    assert not os.path.exists(engine.control), "the control socket is left behind"


@pytest.mark.skipif(not seccomp.SUPPORTED, reason=seccomp.REASON)
def test_a_start_that_fails_halfway_puts_back_what_it_changed(lab, alone):
    """The kernel takes the rules of IPv4, and then refuses those of IPv6."""
    six = service("six", "fd00::40", ["fd00::20"])
    refuse = seccomp.refuse(("setsockopt", {1: IPPROTO_IPV6, 2: SET_REPLACE}, errno.ENOENT))
    engine = lab.engine(None, [WEB, six], host=alone, preexec=refuse, start=False)
    refused(engine.launch().outcome(), 1, ("ip6tables",), alone.before, alone)


def test_a_table_in_use_by_another_program_costs_no_start(lab):
    """A service for both families where one host has tables full of other rules."""
    top = lab.topology()
    rules = "\n".join(["*filter", *(f"-A INPUT -s 192.0.2.{n % 250 + 1} -j DROP" for n in range(3000)), "COMMIT", ""])
    top.client.run("iptables-legacy-restore", "-w", input=rules)
    before = tables.save(top.client, counters=False)
    engine = lab.engine(top, [service("a", top.vip[4], [top.backend(1)], on_no_backend="reject"),
                              service("b", top.vip[6], [top.backend(1, 6)])], engine={"on_stop": "remove"})
    engine.stop()
    after = tables.save(top.client, counters=False)
    assert [line for line in after if "filter" in line] == [line for line in before if "filter" in line]
