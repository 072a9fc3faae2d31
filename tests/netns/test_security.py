"""What the engine may do, what runs in it or beside it may do, who may change it, and what clients may cost.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import errno
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from support import tables
from support.engine import BINARY, sanitized, service
from support.hosts import new_folder, run
from support.poll import wait_until
from support.stats import assert_shares
from support.traffic import Load, ask, http_names

WEIGHTS = {"server1": 1, "server2": 3}
KEPT = 1 << 12 | 1 << 13  # NET_ADMIN, NET_RAW
SPAWNERS = 1 << 5 | 1 << 6 | 1 << 7  # KILL, SETGID, SETUID
POLICIES = pathlib.Path(BINARY).resolve().parents[1] / "policies"
USER = "games"  # of every Debian; no one's group
OTHER_USER, OTHER_GROUP = 12345, 54321


def status_of(path):
    return dict(line.split(":\t", 1) for line in pathlib.Path(path, "status").read_text().splitlines() if ":\t" in line)


def is_alive(pid):
    try:
        return status_of(f"/proc/{pid}")["State"][0] != "Z"
    except OSError:
        return False


def threads_of(engine):
    return [status_of(task) for task in pathlib.Path(f"/proc/{engine.pid}/task").iterdir()]


def has_rights(status, capabilities):
    sets = {name: int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")}
    return sets == {"CapEff": capabilities, "CapPrm": capabilities, "CapBnd": capabilities, "CapInh": 0, "CapAmb": 0} \
        and status["NoNewPrivs"] == "1"


def limits_of(pid):
    return re.search(r"Max core file size +(\S+) +(\S+)", pathlib.Path(f"/proc/{pid}/limits").read_text()).groups()


# Privileges

def test_every_thread_has_the_two_capabilities_and_a_filter(lab):
    top = lab.topology()
    engine = lab.web(top)
    assert_shares(http_names(top.client, top.vip[4], requests=40), WEIGHTS)
    threads = threads_of(engine)
    assert len(threads) > 2, "workers and all"
    for each in threads:
        assert has_rights(each, KEPT) and each["Seccomp"] == "2", each
    assert limits_of(engine.pid) == ("0", "0")
    helper = status_of(f"/proc/{engine.spawner()}")
    assert has_rights(helper, SPAWNERS) and limits_of(engine.spawner()) == ("0", "0"), helper


def test_without_more_than_that_everything_goes_on(lab):
    """Reloads of a file that is root's alone, changes, all modes, and the end."""
    top = lab.topology()
    engine = lab.web(top, engine={"on_stop": "remove", "watch": False})
    engine.file.chmod(0o600)
    load = Load(top.client, top.vip[4], threads=2)
    for mode in ("rewrite", "dnat", "inspect", "connection"):
        engine.mode(mode)
    engine.configure([*engine.services, service("more", "10.0.0.41", [top.backend(1)])])
    engine.file.chmod(0o600)
    engine.reload()
    assert len(engine.status()["services"]) == 2
    load.stop().assert_flawless("while the engine has no privileges")
    engine.stop()
    assert not tables.ours(top.client) and not os.path.exists(engine.control)


def test_a_file_that_cannot_be_read_again_is_told_at_the_start(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False)
    engine.file.chmod(0o600)
    os.chown(engine.file, OTHER_USER, OTHER_GROUP)
    engine.start()
    assert f"{engine.file}: reloads will fail" in engine.stderr
    outcome = engine.command("reload")
    assert outcome.code != 0 and "Permission denied" in outcome.stderr, outcome
    os.chown(engine.file, 0, 0)
    engine.reload()


# System calls

def report_of(path):
    lines = [dict(pair.split("=") for pair in line.split()) for line in path.read_text().splitlines()]
    return {each.pop("pid"): {name: int(value) for name, value in each.items()} for each in lines}


def load_forbidden(engine, folder):
    report = folder / "report"
    outcome = engine.command("policy", "web", f"{POLICIES}/forbidden.so,report={report}")
    assert outcome.code == 0, outcome
    return report_of(report)


@pytest.mark.skipif(not POLICIES.is_dir(), reason=f"{POLICIES} is not there: build all targets")
def test_code_in_the_engine_cannot_do_what_it_does_not_need(lab):
    """The same in its trial, so that no policy is taken that then fails."""
    if sanitized():
        pytest.skip("a sanitizer's filter refuses nothing")
    top = lab.topology()
    engine = lab.web(top)
    reports = load_forbidden(engine, pathlib.Path(new_folder("report")))
    assert len(reports) == 2 and str(engine.pid) in reports, reports
    for each in reports.values():
        assert {each.pop(name) for name in ("execve", "fork", "ptrace", "kill", "mount", "unshare", "chown", "setuid",
                                            "bpf", "undumpable", "packet")} == {errno.EPERM}, reports
        assert each.pop("clone3") == each.pop("future") == errno.ENOSYS
        assert each.pop("inet") == each.pop("unix") == 0
    assert reports.pop(str(engine.pid)) == {"uid": 0, "dumpable": 0, "capable": 1}
    assert [each["capable"] for each in reports.values()] == [0], "its trial"
    with top.client.inside():
        ask(top.vip[4])


@pytest.mark.skipif(not POLICIES.is_dir(), reason=f"{POLICIES} is not there: build all targets")
def test_a_filter_that_is_off_leaves_the_privileges_given_up(lab):
    top = lab.topology()
    engine = lab.web(top, engine={"seccomp": "off"})
    assert {each["Seccomp"] for each in threads_of(engine)} == {"0"}
    assert all(has_rights(each, KEPT) for each in threads_of(engine))
    report = load_forbidden(engine, pathlib.Path(new_folder("report")))[str(engine.pid)]
    assert report["fork"] == 0 and report["execve"] == errno.ENOENT and report["unshare"] == errno.EPERM


def test_a_filter_that_logs_refuses_nothing(lab):
    top = lab.topology()
    engine = lab.web(top, engine={"seccomp": "log"})
    assert {each["Seccomp"] for each in threads_of(engine)} == {"2"}
    assert_shares(http_names(top.client, top.vip[4], requests=40), WEIGHTS)


PYTHON_POLICY = """
import nfsteer
class Mine(nfsteer.Policy):
    def build(self, backends):
        return nfsteer.Table([each for each in backends for _ in range(each.weight)])
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.skipif(not POLICIES.is_dir(), reason=f"{POLICIES} is not there: build all targets")
def test_nothing_that_the_engine_or_a_policy_does_is_refused(lab, tmp_path):
    """All modes, checks, kinds of policies and changes, beside a strace that notes which calls fail."""
    if sanitized():
        pytest.skip("a sanitizer's filter refuses nothing")
    tmp_path.chmod(0o755)
    (tmp_path / "mine.py").write_text(PYTHON_POLICY)
    top = lab.topology()
    notes = pathlib.Path(new_folder("strace")) / "notes"
    vips = [f"10.0.0.{50 + n}" for n in range(4)]
    every = {"interval": "1s", "timeout": "1s"}
    checks = ({"type": "tcp", "port": 80}, {"type": "http", "port": 80}, {"type": "icmp"},
              {"type": "exec", "command": ["/bin/true"]})
    services = [service(f"s{n}", vip, [top.backend(1), top.backend(2)], health={**every, **check})
                for n, (vip, check) in enumerate(zip(vips, checks))]
    web = service("web", top.vip[4], [{"address": top.backend(n), "weight": 1} for n in (1, 2)], port=80,
                  affinity="client", shadow="maglev")
    engine = lab.engine(top, [web, *services], engine={"watch": True}, start=False,
                        wrap=("strace", "-D", "-f", "-q", "-Z", "-s0", "-e", "signal=none", "-o", notes))
    engine.start(40)
    host = pathlib.Path(BINARY).resolve().parents[1] / "bindings/python/nfsteer-python.so"
    policies = ["maglev", "least-connections", "peak-ewma", f"{POLICIES}/first.so",
                *([f"{tmp_path}/mine.py:Mine"] if host.exists() else [])]
    for mode, policy in zip(("rewrite", "dnat", "inspect", "connection", "rewrite"), policies):
        engine.mode(mode)
        assert engine.command("policy", "web", policy, seconds=40).code == 0
        assert set(http_names(top.client, top.vip[4], requests=20)) <= {"server1", "server2"}
    engine.weight(top.backend(1), 0)
    engine.configure([web, *services[:2]])
    wait_until(lambda: len(engine.status()["services"]) == 3, "the changed file is read")
    assert engine.api("GET", "/v1/metrics").status == 200
    wait_until(lambda: engine.service("s1")["backends"][0]["health"]["checks_passed"] > 1, "checks pass", 20)
    pid = engine.pid
    engine.stop(40)
    wait_until(lambda: f"{pid} +++ exited with 0 +++" in re.sub(" +", " ", notes.read_text()), "all is noted")
    failed = notes.read_text().splitlines()
    assert len(failed) > 10, "failing calls are seen"
    assert not [line for line in failed if "EPERM" in line]


# Programs

def checked(top, *command, every="1s"):
    check = {"type": "exec", "interval": every, "timeout": every, "backoff_max": every, "command": list(command)}
    return service("checked", "10.0.0.42", [top.backend(1)], health=check)


def health(engine):
    return engine.service("checked")["backends"][0]["health"]


NOBODY = ('test "$(id -u):$(id -g):$(id -G)" = 65534:65534:65534 && cd / && test "$(pwd)" = / && '
          'grep -q "^CapPrm:.0*$" /proc/self/status && grep -q "^NoNewPrivs:.1$" /proc/self/status && '
          'grep -q "^Seccomp:.0$" /proc/self/status')


def test_checks_run_as_nobody_without_any_right_and_unfiltered(lab):
    top = lab.topology(web=False)
    engine = lab.engine(top, [checked(top, "/bin/sh", "-c", NOBODY)])
    wait_until(lambda: health(engine)["checks_passed"] > 1, lambda: str(health(engine)), 20)


def test_a_check_that_hangs_is_ended_and_none_outlives_a_killed_engine(lab):
    top = lab.topology(web=False)
    mark = f"{lab.random.randrange(1 << 30) + 1000}"

    def asleep():
        found = subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True, text=True).stdout.split()
        return [pid for pid in found if is_alive(pid)]
    engine = lab.engine(top, [checked(top, "/bin/sh", "-c", f"sleep {mark}", every="200ms")])
    wait_until(lambda: health(engine)["checks_failed"] > 2, lambda: str(health(engine)), 20)
    assert len(asleep()) <= 2
    engine.configure([checked(top, "/bin/sh", "-c", f"exec sleep {mark}", every="30s")])
    engine.reload()
    wait_until(asleep, "a check is under way")
    spawner = engine.spawner()
    engine.kill9()
    wait_until(lambda: not asleep() and not is_alive(spawner), "nothing is left of it")


def test_a_check_that_starts_while_the_engine_is_killed_does_not_outlive_it(lab):
    top = lab.topology(web=False)
    mark = f"{lab.random.randrange(1 << 30) + 1000}"
    engine = lab.web(top)
    spawner = engine.spawner()
    os.kill(spawner, signal.SIGSTOP)
    engine.configure([checked(top, "/bin/sleep", mark, every="60s")])
    engine.process.signal(signal.SIGHUP)

    def waits_for_its_spawner():
        try:
            return engine.api("GET", "/v1/status", seconds=1).status != 200
        except OSError:
            return True
    wait_until(waits_for_its_spawner, "a program is asked for")
    engine.kill9()
    os.kill(spawner, signal.SIGCONT)
    wait_until(lambda: not is_alive(spawner), "the spawner ends")
    wait_until(lambda: not run("pgrep", "-f", f"^/bin/sleep {mark}$", check=False).stdout, "and all that it has started")


def test_the_engine_steers_on_without_its_spawner(lab):
    top = lab.topology()
    engine = lab.web(top)
    os.kill(engine.spawner(), signal.SIGKILL)
    engine.configure([*engine.services, checked(top, "/bin/true")])
    engine.reload()
    wait_until(lambda: "cannot run /bin/true: " in str(health(engine)), lambda: str(health(engine)))
    assert_shares(http_names(top.client, top.vip[4], requests=40), WEIGHTS)


# Another user

def test_as_another_user_it_does_all_that_it_does_as_root(lab):
    top = lab.topology()
    user = pwd.getpwnam(USER)
    backends = [{"address": top.backend(n), "weight": n} for n in (1, 2)]
    engine = lab.engine(top, [service("web", top.vip[4], backends, port=80)], preexec=lambda: os.setgroups([OTHER_GROUP]),
                        engine={"user": USER, "on_stop": "remove"})
    for each in threads_of(engine):
        assert has_rights(each, KEPT) and each["Uid"].split() == [str(user.pw_uid)] * 4, each
        assert each["Gid"].split() == [str(user.pw_gid)] * 4, each
        assert str(OTHER_GROUP) not in each["Groups"].split(), "whoever starts it leaves nothing"
    if not sanitized():  # which reads its own memory
        assert os.stat(f"/proc/{engine.pid}/environ").st_uid == 0, "not dumpable: its memory is not that user's"
    made = os.stat(engine.control)
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (user.pw_uid, 0o660)
    load = Load(top.client, top.vip[4], threads=2)
    for mode in ("rewrite", "dnat", "connection"):
        engine.mode(mode)
    engine.configure([*engine.services, checked(top, "/bin/sh", "-c", NOBODY)])
    engine.reload()
    wait_until(lambda: health(engine)["checks_passed"] > 1, lambda: str(health(engine)), 20)
    if POLICIES.is_dir():
        folder = pathlib.Path(new_folder("report"))
        os.chown(folder, user.pw_uid, user.pw_gid)
        reports = load_forbidden(engine, folder)
        assert [each["uid"] for each in reports.values()] == [user.pw_uid] * 2, "the engine and its trial"
    load.stop().assert_flawless("as another user")
    engine.stop()
    assert not tables.ours(top.client)


def test_a_folder_that_it_makes_for_its_socket_is_that_users(lab):
    top = lab.topology(web=False)
    engine = lab.engine(top, [], start=False, engine={"user": USER}, preexec=lambda: os.umask(0))
    engine.control = f"{engine.folder}/made/control.sock"
    engine.start()
    made = os.stat(f"{engine.folder}/made")
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (pwd.getpwnam(USER).pw_uid, 0o755), "whatever the umask"
    assert stat.S_IMODE(os.stat(engine.control).st_mode) == 0o660
    engine.stop()
    assert os.listdir(f"{engine.folder}/made") == []


@pytest.mark.parametrize("user, part", [("no-such-user", "no user"), ("nobody", "health checks run")])
def test_a_user_that_cannot_be_is_one_error_before_anything_changes(lab, user, part):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False, engine={"user": user})
    outcome = engine.launch().outcome()
    assert outcome.code == 2 and part in outcome.stderr and outcome.stderr.count("\n") == 1, outcome
    assert not tables.ours(top.client) and not os.path.exists(engine.control)


# Who may change it

def as_user(engine, uid, gid, groups, *words):
    groups = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    done = run("setpriv", f"--reuid={uid}", f"--regid={gid}", *groups, BINARY, *words, "--control", engine.control,
               check=False)
    return done.returncode, done.stderr


def test_root_and_the_group_change_things_and_others_at_most_read(lab):
    top = lab.topology(web=False)
    group = pwd.getpwnam(USER).pw_gid
    name = next(line.split(":")[0] for line in pathlib.Path("/etc/group").read_text().splitlines()
                if line.split(":")[2] == str(group))
    engine = lab.web(top, engine={"control_group": name})
    change = ("weight", "web", top.backend(1), "7")
    assert as_user(engine, OTHER_USER, OTHER_GROUP, [], "status")[0] != 0, "the socket is not for all"
    assert as_user(engine, OTHER_USER, group, [], *change) == (0, "")
    assert as_user(engine, OTHER_USER, OTHER_GROUP, [1, group, 2], *change) == (0, "")
    assert as_user(engine, 0, 0, [], *change) == (0, "")
    os.chmod(engine.control, 0o666)  # whoever may do that lets others in, to read
    before = engine.api("GET", "/v1/services").text
    assert as_user(engine, OTHER_USER, OTHER_GROUP, [1], "status") == (0, "")
    for words in (change, ("reload",), ("mode", "web", "dnat"), ("backend", "remove", "web", top.backend(1))):
        code, error = as_user(engine, OTHER_USER, OTHER_GROUP, [1], *words)
        assert code != 0 and f"user {OTHER_USER} may only read here" in error and error.count("\n") == 1, (words, error)
    assert engine.api("GET", "/v1/services").text == before


def test_roots_group_reads_and_the_engines_user_changes_things(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, engine={"user": USER})
    change = ("weight", "web", top.backend(1), "7")
    assert as_user(engine, pwd.getpwnam(USER).pw_uid, OTHER_GROUP, [], *change) == (0, "")
    assert as_user(engine, OTHER_USER, 0, [], "status") == (0, "")
    assert "may only read here" in as_user(engine, OTHER_USER, 0, [], *change)[1]


# What clients may cost

@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(4096, before[1])), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_slow_greedy_and_many_clients_keep_nobody_from_asking(lab, many_descriptors):
    """Each kind holds more connections than there are places, and stays."""
    top = lab.topology(web=False)
    services = [service(f"s{n}", f"10.1.{n // 200}.{n % 200 + 1}", [top.backend(1)], port=80) for n in range(200)]
    engine = lab.engine(top, services)

    def connected(greeting):
        each = socket.socket(socket.AF_UNIX)
        each.setblocking(False)
        try:
            each.connect(engine.control)
            each.send(greeting)
        except OSError:  # the queue of those who wait is full: that is a refusal, too
            pass
        return each
    slow = [connected(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(100)]
    deaf = [connected(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * 50) for _ in range(100)]
    many = [connected(b"") for _ in range(1000)]
    large = connected(b"PUT /v1/services/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")

    def answered():
        try:
            return engine.api("GET", "/v1/services/s0", seconds=30).status == 200
        except OSError:
            return False
    wait_until(answered, "one more is answered beside them", 40)
    open_files = len(os.listdir(f"/proc/{engine.pid}/fd"))
    assert open_files < 150, f"{open_files} descriptors"
    for each in (*slow, *deaf, *many, large):
        each.close()
    assert engine.api("GET", "/v1/status").status == 200
    assert engine.speak(b"PUT /v1/services/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
                        ).startswith(b"HTTP/1.1 413")


# The program

def readelf(*flags):
    return run("readelf", "-W", *flags, BINARY).stdout


@pytest.mark.skipif(not shutil.which("readelf"), reason="binutils is not installed")
def test_the_program_is_built_against_memory_faults():
    if sanitized():
        pytest.skip("a sanitizer's build")
    symbols = readelf("--dyn-syms")
    assert "Type:                              DYN (Position-Independent Executable file)" in readelf("-h")
    segments = readelf("-l")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW  ", segments), "no executable stack"
    assert not re.search(r"LOAD .* RWE ", segments), "nothing is writable and executable"
    dynamic = readelf("-d")
    assert re.search(r"FLAGS\).*BIND_NOW", dynamic) and re.search(r"FLAGS_1\).*NOW.*PIE", dynamic)
    assert "TEXTREL" not in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic
    assert "__stack_chk_fail" in symbols, "stack protector"
    assert re.search(r"__(?:memcpy|read|recv|snprintf|vsnprintf|poll|pread)_chk", symbols), "_FORTIFY_SOURCE"
    assert "__glibcxx_assert_fail" in symbols, "libstdc++ assertions"
    code = run("objdump", "-d", "--no-show-raw-insn", "--section=.text", BINARY).stdout[:4_000_000] \
        if os.uname().machine == "x86_64" else "endbr64"
    assert "endbr64" in code, "-fcf-protection"
