"""nfsteer as a service: what it tells its manager, under systemd itself with all its confinement, and what is installed.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from support import ptrace, systemd, tables
from support.engine import BINARY, nfsteer, sanitized, service
from support.hosts import new_folder, run
from support.poll import SLOWNESS, holds_for, wait_until
from support.stats import assert_shares
from support.traffic import Load, ask, http_names

WEIGHTS = {"server1": 1, "server2": 3}
BUILD = pathlib.Path(BINARY).parents[1]
CONFIG = "/etc/nfsteer/nfsteer.yaml"


class Manager:
    """The end of NOTIFY_SOCKET."""

    def __init__(self):
        self.path = os.path.join(new_folder("manager"), "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.heard = []

    def listen(self):
        """All messages so far, each a list of assignments."""
        try:
            while True:
                self.heard.append(self._socket.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return self.heard

    def count(self, assignment):
        return sum(assignment in message for message in self.listen())

    def status(self):
        return [each[7:] for message in self.listen() for each in message if each.startswith("STATUS=")][-1]

    def next(self, assignment, seconds=10.0):
        before = self.count(assignment)
        wait_until(lambda: self.count(assignment) > before, lambda: f"{assignment} after {self.heard[-3:]}", seconds)


def start_under(manager, lab, top, **variables):
    engine = lab.web(top, start=False)
    words = [f"{name}={value}" for name, value in {"NOTIFY_SOCKET": manager.path, **variables}.items()]
    engine._wrap = ("env", *words)
    return engine.start()


def test_the_manager_hears_of_start_reload_change_and_stop(lab):
    top = lab.topology()
    manager = Manager()
    engine = start_under(manager, lab, top)
    assert manager.listen() == [["READY=1", "STATUS=1 service, 2 backends"]]
    assert_shares(http_names(top.client, top.vip[4], requests=40), WEIGHTS)  # ready is what it says

    engine.configure([*engine.services, service("more", "10.0.0.41", [top.backend(1)])])
    engine.reload()
    began, done = manager.listen()[1:3]
    assert began[0] == "RELOADING=1" and re.fullmatch(r"MONOTONIC_USEC=\d+", began[1]), began
    assert done == ["READY=1", "STATUS=2 services, 3 backends"]

    engine.command("backend", "remove", "more", top.backend(1))
    assert manager.status() == "2 services, 2 backends"

    engine.file.write_text("services: 5")
    assert engine.command("reload").code == 2
    assert manager.listen()[-2][0] == "RELOADING=1" and manager.listen()[-1][0] == "READY=1"
    assert manager.status().startswith("2 services, 2 backends; the last reload changed nothing: ")
    engine.process.signal(1)  # SIGHUP, the same
    wait_until(lambda: manager.count("RELOADING=1") == 3, "a reload by signal is told, too")

    engine.stop()
    assert manager.count("STOPPING=1") == 1 and manager.count("WATCHDOG=1") == 0


def test_a_start_that_fails_is_explained_to_the_manager(lab):
    top = lab.topology(web=False)
    manager = Manager()
    engine = lab.web(top, start=False)
    engine.file.write_text("services: 5")
    engine._wrap = ("env", f"NOTIFY_SOCKET={manager.path}")
    assert engine.launch().outcome().code == 2
    assert manager.count("READY=1") == 0 and "services: 5" in manager.status()


def test_a_worker_that_hangs_is_not_hidden_from_the_watchdog(lab):
    top = lab.topology()
    manager = Manager()
    engine = start_under(manager, lab, top, WATCHDOG_USEC=1_000_000)
    for _ in range(3):
        manager.next("WATCHDOG=1")
    for worker in ptrace.threads(engine.pid)[:2]:
        with ptrace.stopped(worker):
            wait_until(lambda: engine.stderr.count("makes no progress") > engine.stderr.count("makes progress again"),
                       "the engine notices", 10 * SLOWNESS)
            told = manager.count("WATCHDOG=1")
            holds_for(lambda: manager.count("WATCHDOG=1") == told, "silence while a worker hangs", 1.5)
        manager.next("WATCHDOG=1")


def test_the_watchdog_is_fed_under_load_and_when_idle(lab):
    top = lab.topology()
    manager = Manager()
    engine = start_under(manager, lab, top, WATCHDOG_USEC=2_000_000)
    load = Load(top.client, top.vip[4], threads=4)
    for _ in range(3):
        manager.next("WATCHDOG=1", 2)
    load.stop()
    for _ in range(3):
        manager.next("WATCHDOG=1", 2)
    assert "no progress" not in engine.stderr


def test_a_wrong_manager_is_named_and_a_deaf_one_does_not_matter(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False)
    engine._wrap = ("env", "NOTIFY_SOCKET=nowhere")
    outcome = engine.launch().outcome()
    assert outcome.code == 1 and outcome.stderr.startswith("nfsteer: NOTIFY_SOCKET: 'nowhere'"), outcome
    engine._wrap = ("env", f"NOTIFY_SOCKET={engine.folder}/nobody")
    engine.start()
    assert "the service manager cannot be told" in engine.stderr
    engine.stop()


def test_a_log_for_the_journal_has_priorities_instead_of_times(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False)
    log = engine.folder / "log"
    script = 'exec 2>"$0"; JOURNAL_STREAM=$(stat -c %d:%i "$0") exec "$@"'
    engine._wrap = ("sh", "-c", script, str(log))
    engine.launch()
    wait_until(lambda: log.exists() and "ready:" in log.read_text(), "the engine is ready")
    engine.file.write_text("services: 5")
    assert engine.command("reload").code == 2
    engine.stop()
    lines = log.read_text().splitlines()
    assert lines[0].startswith("<6>ready: "), lines
    assert any(line.startswith("<3>reload changed nothing: ") for line in lines), lines
    assert lines[-1].startswith("<6>stopped"), lines


def test_a_reload_error_that_repeats_is_held_back_and_counted(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    engine.file.write_text("services: 5")
    for _ in range(12):
        assert engine.command("reload").code == 2
    assert engine.stderr.count("reload changed nothing") == 5
    assert "7 more like this: reload changed nothing" in engine.stop().stderr


def test_a_log_of_json_is_an_object_a_line(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, engine={"log_format": "json"})
    engine.file.write_text("services: 5")
    assert engine.command("reload").code == 2
    lines = [json.loads(line) for line in engine.stop().stderr.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"]) for line in lines)
    ready = next(line for line in lines if line["message"].startswith("ready:"))
    assert ready["level"] == "info" and ready["services"] == 1 and ready["control"] == engine.control
    assert "reload changed nothing" in next(line for line in lines if line["level"] == "error")["message"]


def test_the_log_has_what_its_level_asks_for(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False, engine={"log_level": "warning"}).launch()
    wait_until(lambda: engine.command("status").code == 0, "the engine answers")
    engine.file.write_text("services: 5")
    assert engine.command("reload").code == 2
    lines = engine.stop().stderr.splitlines()
    assert len(lines) == 1 and " error reload changed nothing" in lines[0], lines


# The watched file.

def names(engine):
    return [each["name"] for each in engine.status()["services"]]


@pytest.mark.parametrize("asked", ["file", "flag"])
def test_a_watched_file_is_reloaded_when_it_changes_and_only_then(lab, asked):
    top = lab.topology(web=False)
    engine = lab.web(top, start=False, engine={"watch": True} if asked == "file" else {})
    engine.flags += ["--watch"] if asked == "flag" else []
    engine.start()
    engine.configure([*engine.services, service("more", "10.0.0.41", [top.backend(1)])])
    wait_until(lambda: names(engine) == ["web", "more"], "the new service is there")
    os.utime(engine.file)
    engine.configure(engine.services)
    holds_for(lambda: engine.stderr.count("reloaded") == 1, "the same content is no change", 0.5)

    engine.file.write_text("services: 5")
    wait_until(lambda: "reload changed nothing" in engine.stderr, "the wrong file is refused")
    assert names(engine) == ["web", "more"]
    engine.configure(engine.services[:1])
    wait_until(lambda: names(engine) == ["web"], "the next right one is taken")


def test_without_watch_a_change_waits_for_the_reload(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    engine.configure([*engine.services, service("more", "10.0.0.41", [top.backend(1)])])
    holds_for(lambda: names(engine) == ["web"], "nobody reads the file", 0.5)


def test_a_change_while_the_engine_starts_is_not_missed(lab):
    """Held up at its start by the lock of the tables, with the file read already."""
    top = lab.topology(web=False)
    engine = lab.web(top, start=False, engine={"watch": True})
    more = [*engine.services, service("more", "10.0.0.41", [top.backend(1)])]
    with tables.lock_held():
        engine.launch()
        wait_until(lambda: os.path.exists(engine.control), "the engine has begun")
        engine.configure(more)
        assert not engine.stderr
    wait_until(lambda: "ready:" in engine.stderr, "the engine is ready")
    wait_until(lambda: names(engine) == ["web", "more"], "the change is taken")


def test_a_watch_needs_a_file(lab):
    top = lab.topology(web=False)
    outcome = nfsteer(top.client, "run", "--vip", top.vip[4], "--backend", top.backend(1), "--watch")
    assert outcome.code == 2 and outcome.stderr.count("\n") == 1 and "no file to watch" in outcome.stderr, outcome


# What is installed.

def install(prefix, root="/"):
    """What surrounds the program, for a machine whose root is `root`."""
    subprocess.run(["cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", BUILD / "engine/service/cmake_install.cmake"],
                   check=True, capture_output=True, env={**os.environ, "DESTDIR": str(root)})


def test_everything_has_its_place_and_the_operators_file_stays(lab):
    root = pathlib.Path(new_folder("root"))
    install("/usr", root)
    files = {str(each.relative_to(root)) for each in root.rglob("*") if each.is_file()}
    assert files == {"usr/lib/systemd/system/nfsteer.service", "etc/nfsteer/nfsteer.yaml",
                     "usr/share/doc/nfsteer/examples/nfsteer.yaml", "usr/share/man/man8/nfsteer.8",
                     "usr/share/bash-completion/completions/nfsteer", "usr/share/zsh/vendor-completions/_nfsteer",
                     "usr/share/fish/vendor_completions.d/nfsteer.fish"}
    unit = (root / "usr/lib/systemd/system/nfsteer.service").read_text()
    assert "ExecStart=/usr/sbin/nfsteer run -c /etc/nfsteer/nfsteer.yaml\n" in unit
    mine = root / "etc/nfsteer/nfsteer.yaml"
    assert nfsteer(lab.alone(), "check", mine).code == 0, "the example is right"
    mine.write_text("services: []\n")
    install("/usr", root)
    assert mine.read_text() == "services: []\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault_with_the_unit():
    prefix = pathlib.Path(new_folder("prefix"))
    install(prefix)
    (prefix / "sbin").mkdir()
    os.symlink(BINARY, prefix / "sbin/nfsteer")  # ExecStart must exist
    unit = prefix / "lib/systemd/system/nfsteer.service"
    verified = run("systemd-analyze", "verify", "--man=no", unit, check=False)
    ours = [line for line in (verified.stdout + verified.stderr).splitlines() if "nfsteer" in line]
    assert verified.returncode == 0 and not ours, verified
    exposure = run("systemd-analyze", "security", "--offline=yes", "--threshold=32", unit, check=False)
    assert exposure.returncode == 0, exposure.stdout[-300:]


# Under systemd itself, with the unit as it is installed, so with all of its confinement.

under_systemd = pytest.mark.skipif(bool(systemd.why_not()), reason=f"no systemd of its own: {systemd.why_not()}")


@pytest.fixture
def machine(lab):
    top = lab.topology()
    backends = [{"address": top.backend(1), "weight": 1}, {"address": top.backend(2), "weight": 3}]
    services = [service("web", top.vip[4], backends, protocol="tcp", port=80)]
    files = pathlib.Path(new_folder("files"))
    install("/usr", files)
    (files / "usr/sbin").mkdir()
    run("strip", "-o", files / "usr/sbin/nfsteer", BINARY)  # these files are kept in memory
    (files / CONFIG.lstrip("/")).write_text(json.dumps({"services": services}))
    drop_in = files / "etc/systemd/system/nfsteer.service.d"
    drop_in.mkdir(parents=True)
    leaks = "Environment=ASAN_OPTIONS=detect_leaks=0\n" if sanitized() else ""  # that takes ptrace, which the unit forbids
    (drop_in / "test.conf").write_text(f"[Service]\nWatchdogSec=2\n{leaks}")
    made = systemd.SystemdMachine(top.client, files, "nfsteer.service")
    made.top, made.services = top, services
    yield made
    made.close()
    nfsteer(top.client, "cleanup", "--force")


def configure(machine, text):
    machine.run("sh", "-c", 'printf %s "$1" > "$0"', CONFIG, text)


def pid_outside(machine, inside):
    """The id here of a process of the machine."""
    for each in pathlib.Path("/proc").iterdir():
        try:
            line = next(line for line in (each / "status").read_text().splitlines() if line.startswith("NSpid"))
            numbers = line.split()[1:]
            if len(numbers) > 1 and int(numbers[-1]) == inside and machine.holds(each.name):
                return int(numbers[0])
        except (OSError, StopIteration):  # not a process, or not any more
            continue
    raise AssertionError(f"no process {inside} in the machine")


@under_systemd
def test_it_steers_reloads_shows_its_status_and_stops(machine):
    top = machine.top
    assert machine.ctl("is-active", machine.unit) == (0, "active\n"), machine.journal()
    assert machine.show("StatusText") == "1 service, 2 backends"
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
    status = machine.run("nfsteer", "status", "--json").stdout
    assert sum(each["picks"] for each in json.loads(status)["services"][0]["backends"]) == 100

    more = [*machine.services, service("more", "10.0.0.41", [top.backend(1)])]
    configure(machine, json.dumps({"services": more}))
    assert machine.ctl("reload", machine.unit)[0] == 0
    assert machine.show("StatusText") == "2 services, 3 backends"
    configure(machine, "services: 5")
    assert machine.ctl("reload", machine.unit)[0] != 0
    assert machine.ctl("is-active", machine.unit)[0] == 0
    assert "the last reload changed nothing" in machine.show("StatusText")

    errors = machine.run("journalctl", "-o", "cat", "-u", machine.unit, "-p", "err", "_COMM=nfsteer").stdout
    assert "reload changed nothing" in errors and "ready:" not in errors, "priorities reach the journal"
    assert machine.ctl("stop", machine.unit)[0] == 0
    assert machine.show("Result") == "success"
    assert any("DNAT" in line for line in tables.ours(top.client)), "the ladder balances on"
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)


@under_systemd
def test_a_wrong_file_is_not_started_again_and_again(machine):
    configure(machine, "services: 5")
    assert machine.ctl("restart", machine.unit)[0] != 0
    wait_until(lambda: machine.show("ActiveState") == "failed", "it stays failed")
    assert machine.show("NRestarts") == "0"
    assert "services: 5" in machine.show("StatusText")


@under_systemd
def test_a_hanging_worker_is_ended_and_the_next_engine_takes_over(machine):
    top = machine.top
    inside = int(machine.show("MainPID"))
    outside = pid_outside(machine, inside)
    load = Load(top.client, top.vip[4], threads=1, pause=0.02)
    worker = ptrace.threads(outside)[0]
    with ptrace.stopped(worker):
        wait_until(lambda: ptrace.bury(worker), "the watchdog ends it", 20)
        wait_until(lambda: int(machine.show("MainPID")) not in (0, inside) and
                   machine.show("ActiveState") == "active", "systemd starts another", 30)
    assert machine.show("NRestarts") == "1"
    assert "watchdog" in machine.run("journalctl", "-o", "cat", "_PID=1").stdout.lower()
    load.stop()
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
    with top.client.inside():
        ask(top.vip[4])


@under_systemd
def test_it_has_the_privileges_it_needs_and_no_others(machine):
    pid = machine.show("MainPID")
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").stdout.splitlines()
                  if ":\t" in line)
    names = {12: "NET_ADMIN", 13: "NET_RAW"}
    for each in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[each], 16) == sum(1 << number for number in names), status
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    inside = ("nsenter", "-t", pid, "-m", "-r", "sh", "-c")
    for forbidden in ("touch /etc/x", "touch /usr/x", "touch /var/lib/x", "ls -A /root | grep .",
                      "echo 1 > /proc/sys/net/core/somaxconn"):
        assert machine.run(*inside, forbidden, check=False).returncode != 0, forbidden
    machine.run(*inside, "touch /run/xtables.lock /run/nfsteer/x /tmp/x")


@under_systemd
def test_checks_that_run_a_program_work_in_its_confinement(machine):
    """As nobody, without a way back, and ended when they take too long: for which the unit leaves it SETUID and KILL."""
    asleep = {"interval": "200ms", "backoff_max": "200ms", "timeout": "100ms",
              "command": ["/bin/sh", "-c", "exec sleep 1000"]}
    nobody = {"interval": "1s", "timeout": "1s",
              "command": ["/bin/sh", "-c", 'test "$(id -u)" = 65534 && grep -q "^NoNewPrivs:.1" /proc/self/status']}
    backend = machine.services[0]["backends"][:1]
    checked = [service(name, vip, backend, health={"type": "exec", **check})
               for name, vip, check in (("asleep", "10.0.0.41", asleep), ("nobody", "10.0.0.42", nobody))]
    configure(machine, json.dumps({"services": checked}))
    assert machine.ctl("reload", machine.unit)[0] == 0

    def health():
        services = json.loads(machine.run("nfsteer", "status", "--json").stdout)["services"]
        return {each["name"]: each["backends"][0]["health"] for each in services}
    wait_until(lambda: health()["nobody"]["checks_passed"] > 1 and health()["asleep"]["checks_failed"] > 5,
               lambda: str(health()), 20)
    sleeping = machine.run("pgrep", "-c", "-x", "sleep", check=False).stdout
    assert int(sleeping) <= 2, f"{sleeping} checks go on for ever"


# The manual page.

def page():
    return run(BINARY, "man").stdout


def words_of_help():
    """Every command with its flags, as `--help` has them; "" for those without a command."""
    found = {}

    def visit(words):
        text = run(BINARY, *words, "--help").stdout
        flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", "\n".join(
            line for line in text.splitlines() if line.startswith("  -"))))
        inner = text.split("\nSubcommands:\n")[1:]
        names = re.findall(r"^  ([a-z]+)", inner[0], re.M) if inner else []
        for name in names:
            visit([*words, name])
        has_arguments = "\nPositionals:\n" in text
        if not names or not words or has_arguments:  # a command, not just a group of some
            found[" ".join(words)] = {re.match(r"--?[a-z-]+", flag).group() for flag in flags}
    visit([])
    return found


def test_the_page_has_every_command_and_flag_and_no_other():
    text = page().replace("\\-", "-")
    text = re.sub(r"\\f[BIR]", "", text)
    commands = words_of_help()
    assert set(re.findall(r"^\.SS nfsteer ([a-z ]+?)(?= \[| [A-Z]|$)", text, re.M)) == set(commands) - {""}
    flags = set().union(*commands.values())
    described = set()
    for heading in re.findall(r"^\.TP\n((?:--?[a-z].*))$", text, re.M):
        described |= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", heading))
    assert described == flags
    all_help = run(BINARY, "--help-all").stdout
    for command in commands:
        assert command.split(" ")[-1] in all_help
    for name in re.findall(r"^\.SS nfsteer .*$", text, re.M):
        assert name.count("[option ...]") == 1


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_page_is_right_in_the_eyes_of_groff():
    done = run("groff", "-man", "-Tutf8", "-ww", "-rLL=100n", "-P-cbou", input=page())  # no bold, nothing struck twice
    assert done.stderr == ""
    text = done.stdout
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "SIGNALS", "EXIT STATUS", "FILES", "EXAMPLES"):
        assert re.search(rf"^{heading}$", text, re.M), heading
    assert "--backend 10.0.0.30,weight=3" in text, "examples can be copied"
