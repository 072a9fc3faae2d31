"""docker/demo.sh, run as a user runs it, once with each kind of hosts."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "docker/demo.sh"
STATE = pathlib.Path("/run/nfsteer-demo")
CAPABILITIES = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
MODES = ("connection", "dnat", "inspect", "rewrite")


def run(*command, seconds=60):
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=seconds)
    print(result.stdout)
    return result


def leftovers():
    """What a demo makes on this machine, as far as it is still there."""
    found = [str(STATE)] if STATE.exists() else []
    found += [str(each) for each in pathlib.Path("/run/netns").glob("nfsteer-demo-*")]
    if "DOCKER_HOST" in os.environ:
        for kind in (("ps", "--all"), ("network", "ls")):
            found += run("docker", *kind, "--quiet", "--filter", "name=nfsteer-demo").stdout.split()
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(STATE) in process.read_text():
                found.append(process.read_text())
        except OSError:  # it ended
            pass
    return found


@pytest.fixture(params=["namespaces", pytest.param("docker", marks=pytest.mark.docker)])
def hosts(request):
    if request.param == "docker" and "DOCKER_HOST" not in os.environ:
        pytest.skip(os.environ.get("NFSTEER_NO_DOCKER", "run it with tests/docker/private-dockerd.sh"))
    assert not leftovers()
    yield f"--{request.param}"
    run(DEMO, "--down")


def test_tells_its_story_and_leaves_nothing_behind(hosts):
    result = run(DEMO, hosts, seconds=1200)
    assert result.returncode == 0
    for mode in MODES:
        assert f"Mode {mode}" in result.stdout
    # One judgement of the shares in each mode, one of the ladder after kill -9, one after the restart, one of
    # the ladder after the stop.
    assert len(re.findall("ok +shares against the weights", result.stdout)) == len(MODES) + 3
    for requests in (900, 400):  # around kill -9, around SIGTERM
        assert f"{requests} requests, none failed" in result.stdout
    assert "the tables are as before the start" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "\x1b" not in result.stdout, "colours outside a terminal"
    assert not leftovers()


def test_kept_demo_can_be_played_with_and_ended(hosts):
    assert run(DEMO, hosts, "--no-build", "--keep", seconds=300).returncode == 0
    assert run(DEMO, "--client", "curl", "-s", "http://10.0.0.40/").stdout in ("server1", "server2")
    assert run(DEMO, "--client", "nfsteer", "mode", "web", "dnat").returncode == 0
    assert run(DEMO, "--client", "nfsteer", "weight", "web", "10.0.0.20", "0").returncode == 0
    assert run(DEMO, "--client", "curl", "-s", *["http://10.0.0.40/"] * 8).stdout == "server2" * 8
    if hosts == "--docker":
        held = run(DEMO, "--client", "sh", "-c", "grep CapEff /proc/$(cat /run/nfsteer/engine.pid)/status").stdout
        assert int(held.split()[1], 16) & ~CAPABILITIES == 0
    second = run(DEMO, hosts, "--no-build")
    assert second.returncode == 1 and "--down ends it" in second.stdout
    assert run(DEMO, "--down").returncode == 0
    assert not leftovers()


def test_interrupted_demo_leaves_nothing_behind(hosts):
    demo = subprocess.Popen([DEMO, hosts, "--no-build"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            start_new_session=True)
    for line in demo.stdout:
        if "Mode dnat" in line:
            break
    time.sleep(0.5)  # into the requests
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(60) == 130
    assert not leftovers()


@pytest.mark.parametrize("first, second, verdict", [(75, 225, "ok"), (60, 240, "ok"), (150, 150, "WRONG"),
                                                    (300, 0, "WRONG"), (0, 0, "WRONG")])
def test_judges_shares(tmp_path, first, second, verdict):
    answers = tmp_path / "answers"
    answers.write_text("server1 200 0.001\n" * first + "server2 200 0.001\n" * second)
    script = f"source {ROOT}/docker/demo/show.sh; wrong=0; judge_shares {answers} 0 300; exit $wrong"
    result = run("bash", "-c", script)
    assert result.stdout.split()[0] == verdict
    assert result.returncode == (verdict == "WRONG")


@pytest.mark.parametrize("arguments, code, says", [(["--what"], 2, "unknown argument --what"),
                                                   (["--client", "true"], 1, "no demo was kept")])
def test_refuses_in_one_line(arguments, code, says):
    result = run(DEMO, *arguments)
    assert result.returncode == code
    assert says in result.stdout.splitlines()[-1]
