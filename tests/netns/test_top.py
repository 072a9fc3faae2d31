"""`nfsteer top` on a terminal and without one.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30
"""

import json
import os
import pathlib
import re
import signal

import pytest

from support.engine import BINARY, service
from support.hosts import run
from support.poll import wait_until
from support.tmux import Terminal
from support.traffic import Load

NEW = re.compile(r"new ([0-9.]+)/s")


@pytest.fixture
def terminal():
    with Terminal(100, 30) as made:
        yield made


@pytest.fixture
def loaded(lab):
    """An engine under a load."""
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4], threads=2, pause=0.005)
    yield engine
    load.stop().assert_flawless("while top looks on")


def start(terminal, engine, *flags):
    terminal.command(BINARY, "top", "--control", engine.control, "--interval", "0.3", *flags)


def rate_of(screen):
    found = NEW.search(screen)
    return float(found[1]) if found else 0


def row_of(screen, text):
    return next((line for line in screen.splitlines() if text in line), "")


def command_pid(terminal):
    """Of the program that the shell runs."""
    shell = terminal.pid()
    children = pathlib.Path(f"/proc/{shell}/task/{shell}/children")
    return int(wait_until(children.read_text, "the shell runs a program").split()[0])


def assert_restored(terminal):
    """The shell goes on where it was, on a terminal like before."""
    terminal.until(lambda screen: screen.rstrip().endswith("$"), "the shell is back")
    assert terminal.has_cursor() and not terminal.has_alternate_screen()
    assert " top --control " in terminal.screen().replace("\n", ""), "what was there before is there again"
    terminal.command("stty", "-a")
    shown = terminal.shows("icanon", "speed").split()
    for setting in ("echo", "icanon", "isig", "opost", "icrnl", "ixon"):
        assert setting in shown, setting
    terminal.command("echo", "exit $?")  # quoted: shows that what is typed is seen
    terminal.shows("echo 'exit $?'")


def test_it_shows_services_backends_rates_and_bars(terminal, loaded):
    start(terminal, loaded)
    screen = terminal.until(lambda text: rate_of(text) > 0 and "█" in text, "rates and bars")
    assert screen.startswith("nfsteer ") and f"pid {loaded.pid}" in screen
    assert "10.0.0.40:80 tcp  connection  weighted-random" in row_of(screen, "web")
    first, second = row_of(screen, "10.0.0.20:80"), row_of(screen, "10.0.0.30:80")
    assert "active" in first and "active" in second
    assert "│" in first and "│" in second, "where the bars should end"
    assert second.count("█") > first.count("█"), "weights 1 and 3"
    assert terminal.has_alternate_screen() and not terminal.has_cursor()
    terminal.keys("h")
    terminal.shows("any other key leads back")
    terminal.keys("x")
    terminal.until(lambda text: rate_of(text) > 0, "the view again")
    terminal.keys("q")
    assert_restored(terminal)


def test_a_new_size_is_a_new_screen_without_leftovers(terminal, loaded):
    start(terminal, loaded)
    terminal.until(lambda text: rate_of(text) > 0, "rates")
    for columns, lines in ((140, 40), (60, 12), (20, 5), (5, 1), (80, 24)):
        terminal.resize(columns, lines)

        def is_whole(screen):
            rows = screen.splitlines()
            if len(rows) != lines or not rows[0].startswith(("nfsteer " if lines >= 10 else "new ")[:columns]):
                return False
            once = {"q quit": lines >= 4, "service / backend": lines >= 6, "10.0.0.2": lines >= 4, "worker": lines >= 10}
            return (all(screen.count(text) == 1 for text, is_there in once.items() if is_there)
                    and (lines < 4 or rows[-1].startswith("q quit"))
                    and (lines < 20 or not any(rows[9:-1])))
        terminal.until(is_whole, f"a screen of {columns}x{lines}")
    terminal.keys("q")
    terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back")


@pytest.mark.parametrize("end", ["C-c", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"])
def test_however_it_ends_the_terminal_is_as_before(terminal, lab, end):
    engine = lab.web(lab.topology(web=False))
    start(terminal, engine)
    terminal.shows("q quit")
    if end.startswith("SIG"):
        os.kill(command_pid(terminal), getattr(signal, end))
    else:
        terminal.keys(end)
    assert_restored(terminal)


def test_it_can_be_stopped_and_go_on(terminal, loaded):
    start(terminal, loaded)
    terminal.until(lambda text: rate_of(text) > 0, "rates")
    terminal.keys("C-z")
    terminal.shows("Stopped")
    assert_restored(terminal)
    terminal.command("fg")
    terminal.until(lambda text: text.startswith("nfsteer ") and rate_of(text) > 0, "the view again")
    terminal.keys("q")
    assert_restored(terminal)


def test_an_engine_that_goes_away_is_waited_for(terminal, loaded):
    start(terminal, loaded)
    terminal.until(lambda text: rate_of(text) > 0, "rates")
    before = loaded.pid
    loaded.kill9()
    screen = terminal.shows("ENGINE AWAY for ", loaded.control[:20], "no engine listens there")
    assert "10.0.0.20:80" in screen, "what was known last stays"
    loaded.start()
    assert loaded.pid != before
    screen = terminal.until(lambda text: f"pid {loaded.pid}" in text and rate_of(text) > 0, "the new engine's rates")
    assert "AWAY" not in screen
    terminal.keys("q")
    assert_restored(terminal)


def test_no_rate_is_negative_over_a_restart(lab, loaded):
    watcher = loaded.host.start(BINARY, "top", "--control", loaded.control, "--interval", "0.1", "--count", "0",
                                "--json")

    def seen():
        return [json.loads(line) for line in watcher.stdout.splitlines(True) if line.endswith("\n")]

    def has_rates(pid):
        return any(each.get("pid") == pid and (each["new_per_second"] or 0) > 0 for each in seen())
    wait_until(lambda: has_rates(loaded.pid), "rates")
    loaded.kill9()
    wait_until(lambda: any("error" in each for each in seen()), "the engine is missed")
    loaded.start()
    wait_until(lambda: has_rates(loaded.pid), "rates of the new engine")
    rates = [float(rate) for rate in re.findall(r'_per_second": ?([-0-9.eE+]+)', json.dumps(seen()))]
    assert min(rates) >= 0 and max(rates) < 1e5, rates


def test_an_engine_that_is_silent_keeps_nobody_waiting(terminal, lab):
    engine = lab.web(lab.topology(web=False))
    start(terminal, engine)
    terminal.shows("q quit")
    engine.freeze()
    terminal.shows("ENGINE SILENT for ")
    terminal.keys("h")
    terminal.shows("any other key leads back", seconds=2)
    terminal.keys("x")
    engine.thaw()
    terminal.until(lambda text: "SILENT" not in text and "q quit" in text, "the engine answers again")
    engine.freeze()
    terminal.shows("ENGINE SILENT for ")
    terminal.keys("q")
    terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back", seconds=2)
    engine.thaw()


def many_services(top, count=40):
    return [service(f"web{n}" if n % 2 else f"mail{n}", f"10.0.0.{100 + n}", [top.backend(1), top.backend(2)],
                    protocol="tcp", port=80) for n in range(count)]


def test_keys_filter_sort_scroll_and_pause(terminal, lab):
    top = lab.topology()
    engine = lab.engine(top, many_services(top))
    start(terminal, engine)
    terminal.shows("40/40 services", "mail0")
    terminal.keys("G")
    terminal.shows("web39", "100%")
    terminal.keys("g", "j", "j", "j")
    terminal.until(lambda text: "web1" in text and "mail0" not in text, "three lines further down")
    terminal.keys("Up", "k", "k", "PageDown")
    terminal.until(lambda text: "mail0 " not in text and "mail8" in text, "a page further down")
    terminal.keys("/")
    terminal.type("WEB3x")
    terminal.shows("filter: WEB3x_", "no service has that in its name")
    terminal.keys("BSpace", "Enter")
    screen = terminal.shows("/ filter: WEB3", "6/40 services", "web3 ", "web31")
    assert "mail" not in screen
    terminal.keys("/", "Escape")
    terminal.shows("40/40 services")

    terminal.keys("/")
    terminal.type("mail0")
    terminal.keys("Enter", "s")
    terminal.shows("s sort: rate")
    terminal.keys("s")
    terminal.shows("s sort: active")
    terminal.keys("s")
    terminal.shows("s sort: configured")
    terminal.keys("p")
    paused = terminal.shows("PAUSED")
    status = engine.status()
    up = re.search(r"up (\d+) s", paused)
    wait_until(lambda: engine.status()["uptime_seconds"] > status["uptime_seconds"] + 1.5, "time passes")
    assert re.search(r"up (\d+) s", terminal.screen())[1] == up[1], "the screen stands still"
    terminal.keys("p")
    terminal.until(lambda text: "PAUSED" not in text and re.search(r"up (\d+) s", text)[1] != up[1], "it goes on")
    terminal.keys("q")
    terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back")


def test_sorting_by_rate_puts_the_busy_backend_first(terminal, loaded):
    start(terminal, loaded)
    terminal.until(lambda text: rate_of(text) > 0 and text.find("10.0.0.20:80") < text.find("10.0.0.30:80"),
                   "as configured")
    terminal.keys("s")
    terminal.until(lambda text: "sort: rate" in text and text.find("10.0.0.30:80") < text.find("10.0.0.20:80"),
                   "the one of weight 3 first")
    terminal.keys("q")
    terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back")


@pytest.mark.parametrize("environment, flags, ascii, styled", [
    ({}, [], False, True), ({"NO_COLOR": "1"}, [], False, False), ({"LC_ALL": "C"}, [], True, True),
    ({}, ["--ascii"], True, True)])
def test_what_the_terminal_is_said_to_know_is_used(lab, environment, flags, ascii, styled):
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4], threads=1, pause=0.01)
    with Terminal(100, 30, environment) as terminal:
        start(terminal, engine, *flags)
        screen = terminal.until(lambda text: rate_of(text) > 0 and ("#" in text or "█" in text), "bars")
        assert screen.isascii() == ascii
        assert ("\x1b" in terminal.screen(styles=True)) == styled
        terminal.keys("q")
        terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back")
    load.stop()


def test_a_dumb_terminal_gets_plain_text_until_it_is_ended(lab):
    engine = lab.web(lab.topology(web=False))
    with Terminal(100, 50, {"TERM": "dumb"}) as terminal:
        start(terminal, engine)
        terminal.until(lambda text: text.count("nfsteer 0") >= 2, "two prints")
        assert terminal.has_cursor() and not terminal.has_alternate_screen()
        terminal.keys("C-c")
        terminal.until(lambda text: text.rstrip().endswith("$"), "the shell is back")


def watched(engine, *flags, environment=None, seconds=20):
    words = [f"{name}={value}" for name, value in (environment or {}).items()]
    return run("env", *words, BINARY, "top", "--control", engine.control, *flags, check=False, timeout=seconds)


def test_without_a_terminal_it_prints_one_pair_of_samples(loaded):
    result = watched(loaded, "--interval", "0.5")
    assert result.returncode == 0 and result.stderr == "", result
    assert "\x1b" not in result.stdout and result.stdout.count("nfsteer ") == 1
    assert rate_of(result.stdout) > 0 and "q quit" not in result.stdout
    assert "10.0.0.20:80" in result.stdout and "10.0.0.30:80" in result.stdout
    assert all(line == line.rstrip() for line in result.stdout.splitlines())
    narrow = watched(loaded, "--interval", "0.1", "--count", "3", environment={"COLUMNS": "40"})
    assert narrow.stdout.count("nfsteer ") == 3
    assert max(map(len, narrow.stdout.splitlines())) <= 40


def test_json_has_one_object_per_interval(loaded):
    result = watched(loaded, "--interval", "0.3", "--count", "2", "--json")
    assert result.returncode == 0, result
    first, second = map(json.loads, result.stdout.splitlines())
    assert second["uptime_seconds"] > first["uptime_seconds"]
    web = second["services"][0]
    assert web["name"] == "web" and web["new_per_second"] > 0
    assert [each["backend"] for each in web["backends"]] == ["10.0.0.20:80", "10.0.0.30:80"]
    assert sum(each["share"] for each in web["backends"]) == pytest.approx(1)
    assert [each["expected_share"] for each in web["backends"]] == [0.25, 0.75]
    assert second["packets_per_second"] > 0 and len(second["workers"]) == 2


def test_without_an_engine_it_says_so(lab, terminal):
    engine = lab.web(lab.topology(web=False), start=False)
    for flags in ([], ["--json"], ["--count", "0"]):
        result = watched(engine, *flags)
        assert result.returncode == 1 and result.stdout == "", result
        assert result.stderr.count("\n") == 1 and "no engine listens there" in result.stderr, result
    start(terminal, engine)
    terminal.shows("no engine listens there")
    assert not terminal.has_alternate_screen()


@pytest.mark.parametrize("interval", ["0", "0.09", "61", "nan", "-1", "x"])
def test_an_interval_out_of_range_is_a_usage_error(lab, interval):
    engine = lab.web(lab.topology(web=False), start=False)
    result = watched(engine, f"--interval={interval}")
    assert result.returncode == 2 and result.stderr.count("\n") == 1 and "--interval" in result.stderr, result
