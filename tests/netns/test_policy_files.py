"""Policies from files: written, loaded and replaced under traffic, and what becomes of those that misbehave.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20   weight 1     VIP 10.0.0.40
                                         +-- server2 10.0.0.30   weight 3
"""

import os
import pathlib
import shutil
import subprocess

import pytest

from support.engine import BINARY, ROOT, nfsteer, service
from support.hosts import run
from support.poll import wait_until
from support.stats import assert_shares
from support.traffic import Load, http_names

POLICIES = pathlib.Path(BINARY).resolve().parents[1] / "policies"
SOURCES = [*sorted((ROOT / "bindings/c/examples").glob("*.c")), *sorted((ROOT / "tests/plugins").glob("*.c"))]
WEIGHTS = {"server1": 1, "server2": 3}
# What each of them does in its trial, and so is said of it.
REFUSED = {
    "wrong_abi": "made for version 7 of the policy interface",
    "short_struct": "set struct_size",
    "no_symbol": "exports no nfsteer_policy_entry()",
    "null_pick": "has no pick()",
    "undefined_symbol": "nobody_has_this",
    "out_of_range": "there are 2 backends",
    "fails": "pick() failed",
    "throws": "threw an exception",
    "throws_in_create": "no such table",
    "sleeps": "100 us are allowed",
    "crash_in_constructor": "crashed while it was loaded: SIGSEGV",
    "crash_in_create": "crashed in create(): SIGABRT",
    "crash_in_pick": "crashed in pick(): SIGFPE",
    "crash_in_destroy": "crashed in destroy(): SIGABRT",
    "exit_in_create": "exit code 3 in create()",
    "hang_in_create": "within 2 s in create()",
    "refuses": "2 backends are not enough",
    "endless_error": "xxxxxxxx",
}

pytestmark = pytest.mark.skipif(not POLICIES.is_dir(), reason=f"{POLICIES} is not there: build all targets")


def policy(name):
    return str(POLICIES / f"{name}.so")


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path


def install(which, place):
    """As `make` does: a new file takes the old one's place."""
    fresh = place.with_suffix(".new")
    shutil.copy(policy(which), fresh)
    fresh.chmod(0o644)
    fresh.replace(place)


def set_policy(engine, text):
    outcome = engine.command("policy", "web", text)
    assert outcome.code == 0, outcome


def test_an_engine_of_another_name_tries_them_too(lab, tmp_path):
    top = lab.topology(web=False)
    program = tmp_path / "balancer"
    shutil.copy(BINARY, program)
    engine = lab.engine(top, [service("web", top.vip[4], [top.backend(1), top.backend(2)])], program=program)
    outcome = engine.command("policy", "web", policy("crash_in_create"))
    assert outcome.code != 0 and REFUSED["crash_in_create"] in outcome.stderr, outcome
    assert engine.running()


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang"])
def test_the_c_sources_are_plain_c11(compiler, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    for source in SOURCES:
        result = subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fPIC", "-shared",
                                 f"-I{ROOT}/bindings/c", "-o", tmp_path / "x.so", source],
                                capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{source}: {result.stderr}"


def new_policy(language, folder):
    name = {"c": "mine_in_c", "c++": "mine_in_cpp"}[language]
    made = run(BINARY, "policy", "new", name, "--language", language, "--directory", str(folder))
    assert f"make -C {folder}/{name} test" in made.stdout
    environment = {**os.environ, "CFLAGS": "-O2 -Wconversion -Werror", "CXXFLAGS": "-O2 -Wconversion -Wshadow -Werror"}
    test = subprocess.run(["make", "-C", folder / name, "test"], env=environment, capture_output=True, text=True,
                          timeout=100)
    assert test.returncode == 0 and f"{name}: passed" in test.stdout, test.stdout + test.stderr
    return folder / name / f"{name}.so"


@pytest.mark.parametrize("language", ["c", "c++"])
def test_a_new_policy_builds_passes_its_test_and_steers(lab, folder, language):
    library = new_policy(language, folder)
    top = lab.topology()
    engine = lab.web(top, policy="weighted-random")
    set_policy(engine, f"{library}")
    assert_shares(http_names(top.client, top.vip[4]), WEIGHTS, language)
    assert sum(engine.picks().values()) == 400


def test_the_test_of_a_new_policy_can_fail(folder):
    library = new_policy("c", folder)
    source = library.with_suffix(".c")
    source.write_text(source.read_text().replace("  return first;", "  return 0;"))
    test = subprocess.run(["make", "-C", library.parent, "test"], capture_output=True, text=True, timeout=100)
    assert test.returncode != 0 and "FAILED: the share of a backend" in test.stdout


def test_new_policies_overwrite_nothing(lab, folder):
    host = lab.alone()
    words = ("policy", "new", "mine", "--language", "c", "--directory", str(folder))
    assert nfsteer(host, *words).code == 0
    again = nfsteer(host, *words)
    assert again.code == 2 and "it is there already" in again.stderr, again
    for name in ("Mine", "1st", "a-b", "../mine", "a/b", ""):
        wrong = nfsteer(host, "policy", "new", name, "--language", "c", "--directory", str(folder))
        assert wrong.code == 2 and len(wrong.stderr.strip().splitlines()) == 1, wrong
    assert nfsteer(host, "policy", "new", "other", "--language", "cobol").code == 2
    assert sorted(each.name for each in folder.iterdir()) == ["mine"]


def test_the_catalogue_is_printed(lab):
    host = lab.alone()
    assert "weighted-random" in nfsteer(host, "policy", "list").stdout
    assert "shares are the weights'" in nfsteer(host, "policy", "show", "weighted-random").stdout
    unknown = nfsteer(host, "policy", "show", "such")
    assert unknown.code == 2 and "policy list" in unknown.stderr, unknown
    lacking = nfsteer(host, "policy", "web")
    assert lacking.code == 2 and "SERVICE and POLICY" in lacking.stderr, lacking


def test_a_policy_is_swapped_under_traffic(lab, folder):
    top = lab.topology()
    engine = lab.web(top)
    library = folder / "mine.so"
    load = Load(top.client, top.vip[4], threads=2, pause=0.005)
    for which, server in (("first", "server1"), ("last", "server2"), ("first", "server1")):
        install(which, library)
        set_policy(engine, str(library))
        assert http_names(top.client, top.vip[4], requests=60) == {server: 60}, which
    # Written over in place: what is loaded does not change, until it is asked for again.
    shutil.copyfile(policy("last"), library)
    assert http_names(top.client, top.vip[4], requests=60) == {"server1": 60}
    engine.weight(top.backend(1), 2)
    assert http_names(top.client, top.vip[4], requests=60) == {"server1": 60}, "a change of backends reads no file"
    set_policy(engine, str(library))
    assert http_names(top.client, top.vip[4], requests=60) == {"server2": 60}
    install("first", library)
    engine.reload()
    set_policy(engine, "weighted-random")
    assert set(http_names(top.client, top.vip[4], requests=60)) == {"server1", "server2"}
    load.stop().assert_flawless("while policies were swapped")


def test_a_relative_path_is_the_command_s(lab, folder):
    top = lab.topology()
    engine = lab.web(top)
    install("last", folder / "mine.so")
    done = subprocess.run([BINARY, "policy", "web", "./mine.so", "--control", engine.control], cwd=folder,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert http_names(top.client, top.vip[4], requests=40) == {"server2": 40}
    refused = engine.api("PATCH", "/v1/services/web", {"policy": "./mine.so"})
    assert refused.status == 400 and "not an absolute path" in refused.text, "the engine's directory is its own"


def test_misbehaving_policies_are_refused_and_traffic_goes_on(lab):
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4], threads=1, pause=0.01)
    for name, says in REFUSED.items():
        outcome = engine.command("policy", "web", policy(name))
        assert outcome.code == 2, f"{name}: {outcome}"
        lines = outcome.stderr.strip().splitlines()
        assert len(lines) == 1 and says in lines[0] and policy(name) in lines[0], f"{name}: {lines}"
        assert engine.running(), name
    load.stop().assert_flawless("beside refused policies")
    assert_shares(http_names(top.client, top.vip[4]), WEIGHTS)


def test_an_engine_does_not_start_with_one(lab):
    top = lab.topology(web=False)
    engine = lab.web(top, policy=policy("crash_in_create"), start=False)
    outcome = engine.launch().outcome()
    assert outcome.code == 2, outcome
    assert "service web: policy" in outcome.stderr and "SIGABRT" in outcome.stderr, outcome


def test_a_new_service_with_one_is_refused_and_the_others_stay(lab):
    top = lab.topology()
    engine = lab.web(top)
    services = engine.services
    engine.configure([*services, service("more", "10.0.0.41", [top.backend(1)], policy=policy("refuses"))])
    outcome = engine.command("reload")
    assert outcome.code != 0 and "service more: policy" in outcome.stderr, outcome
    assert_shares(http_names(top.client, top.vip[4], requests=100), WEIGHTS)
    engine.configure([*services, service("more", "10.0.0.41", [top.backend(1)], policy=policy("first"))])
    engine.reload()
    assert {each["name"] for each in engine.status()["services"]} == {"web", "more"}


def test_check_tries_the_policy(lab, folder):
    top = lab.topology(web=False)
    engine = lab.web(top)
    file = folder / "services.yaml"
    for which, code, says in (("first", 0, "ok"), ("crash_in_create", 2, "service web: policy"), ("none", 2, "No such file")):
        file.write_text(f"services: [{{name: web, vip: {top.vip[4]}, policy: {policy(which)}, backends: [10.0.0.20]}}]")
        outcome = nfsteer(top.client, "check", file)
        assert outcome.code == code and says in outcome.stdout + outcome.stderr, outcome
    assert engine.running()


def test_a_file_that_others_may_write_to_is_refused(lab, folder):
    top = lab.topology(web=False)
    engine = lab.web(top)
    library = folder / "mine.so"
    install("first", library)
    library.chmod(0o666)
    outcome = engine.command("policy", "web", str(library))
    assert outcome.code == 2 and "may be written by everybody" in outcome.stderr, outcome
    missing = engine.command("policy", "web", str(folder / "none.so"))
    assert missing.code == 2 and "No such file" in missing.stderr, missing


# Right in their trial, wrong in traffic.
@pytest.mark.parametrize("name", ["out_of_range", "fails", "throws", "sleeps"])
def test_what_a_policy_gets_wrong_weighted_random_decides(lab, name):
    top = lab.topology()
    engine = lab.web(top)
    load = Load(top.client, top.vip[4], threads=1, pause=0.01)
    set_policy(engine, f"{policy(name)},spare=198")
    assert_shares(http_names(top.client, top.vip[4]), WEIGHTS, name)
    # Another chance, by the same command; and then one that is right.
    set_policy(engine, f"{policy(name)},spare=198")
    assert_shares(http_names(top.client, top.vip[4]), WEIGHTS, name)
    set_policy(engine, policy("first"))
    assert http_names(top.client, top.vip[4], requests=40) == {"server1": 40}
    load.stop().assert_flawless(name)


def test_a_policy_that_crashes_over_new_backends_is_set_aside(lab):
    """It is tried each time; the engine must neither crash nor go on sending connections to where they may not go."""
    top = lab.topology()
    engine = lab.web(top, policy=policy("crash_when_empty"))
    assert http_names(top.client, top.vip[4], requests=40) == {"server1": 40}
    engine.weight(top.backend(1), 0)
    assert http_names(top.client, top.vip[4], requests=40) == {"server2": 40}
    engine.weight(top.backend(2), 0)
    wait_until(lambda: "crashed in create(): SIGABRT" in engine.stderr, "the log says why", 5)
    assert engine.running()
    engine.weight(top.backend(2), 1)
    assert http_names(top.client, top.vip[4], requests=40) == {"server2": 40}, "the policy decides again"


def test_live_state_reaches_a_policy(lab):
    """Of two that are drawn, the one with fewer connections for its weight: fewer of them go to the busy one."""
    top = lab.topology(tcp=True)
    busy, idle = top.backend(1), top.backend(2)
    engine = lab.engine(top, [service("tcp", top.vip[4], [busy, idle], policy=policy("least_of_two"))])
    names = http_names(top.client, top.vip[4], requests=200)
    assert set(names) == {"server1", "server2"}, names
    assert engine.running()


@pytest.mark.parametrize("fixture, field", [("out_of_range", "out_of_range"), ("weight_zero", "weight_zero"),
                                            ("fails", "failed"), ("sleeps", "overruns")])
def test_what_a_policy_does_wrong_in_traffic_is_told(lab, fixture, field):
    top = lab.topology()
    backends = [{"address": top.backend(1), "weight": 0}, {"address": top.backend(2), "weight": 1}]
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80)])
    set_policy(engine, policy(fixture) + ",spare=198")
    assert set(http_names(top.client, top.vip[4], requests=80)) == {"server2"}
    wait_until(lambda: engine.service()["policy_report"]["set_aside"], "the policy is set aside")
    report = engine.service()["policy_report"]
    assert report[field] > 0 and report["reason"], report
    text = engine.command("status").stdout
    assert "policy: set aside, weighted random decides" in text, text
    metrics = engine.api("GET", "/metrics").text
    assert 'nfsteer_service_policy_set_aside{service="web"} 1' in metrics
    wait_until(lambda: "set aside, weighted random decides" in engine.log(), "the log says so")
    # Another chance, by the same command: it is right for clients that it spares.
    set_policy(engine, "weighted-random")
    assert "policy_report" not in engine.service()


def test_a_decision_that_never_ends_leaves_connections_to_the_ladder(lab):
    """Of routed clients: a SYN of a client on the engine's own host is not sent again while a queue holds it."""
    top = lab.topology("routed")
    engine = lab.web(top)
    load = Load(top.client, top.vip[4])
    wait_until(lambda: load.done > 50, "requests are answered")
    set_policy(engine, policy("hang_in_pick") + ",spare=198")
    wait_until(lambda: "hangs in a decision: new connections are left to the DNAT ladder" in engine.log(),
               "it is noticed", 20)
    done = load.done
    wait_until(lambda: load.done > done + 200, "the ladder balances", 20)
    load.stop().assert_flawless("a SYN that the engine held was sent again")
    outcome = engine.command("weight", "web", top.backend(1), "2")
    assert outcome.code == 1 and "hangs in a decision" in outcome.stderr and len(outcome.stderr.splitlines()) == 1
    # The process ends all the same, with the ladder in place.
    engine.stop()
    assert len(http_names(top.client, top.vip[4], requests=100)) == 2
