"""The control API: what each request does to the engine and the kernel, what wrong ones are told, and that traffic does
not mind.

    local:  client 10.0.0.10 (engine) --+-- server1 10.0.0.20, server2 10.0.0.30          VIP 10.0.0.40
"""

import concurrent.futures
import json
import pathlib
import re
import urllib.parse

import jsonschema
import pytest

from support.engine import MODES, service
from support.traffic import Load, ask, http_names

OPENAPI = json.loads((pathlib.Path(__file__).parents[2] / "engine/api/openapi.json").read_text())
METHODS = ("get", "put", "post", "patch", "delete")


def resolved(part):
    """Follows one reference within the description."""
    while "$ref" in part:
        node = OPENAPI
        for key in part["$ref"].removeprefix("#/").split("/"):
            node = node[key]
        part = node
    return part


def described(path):
    """The description's path that a real one is of."""
    for pattern, item in OPENAPI["paths"].items():
        if re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", pattern), path):
            return item
    raise AssertionError(f"{path} is not described")


def call(engine, method, path, body=None, **options):
    """One request, whose answer must be what the description says."""
    answer = engine.api(method, path, body, **options)
    responses = described(path)[method.lower()]["responses"]
    assert str(answer.status) in responses, f"{method} {path}: {answer} is not described"
    content = resolved(responses[str(answer.status)])["content"]
    assert answer.headers["Content-Type"] in content, (answer.headers, list(content))
    is_json = answer.headers["Content-Type"] == "application/json"
    resolver = jsonschema.RefResolver.from_schema(OPENAPI)
    schema = content[answer.headers["Content-Type"]]["schema"]
    value = answer.json if is_json else answer.text
    jsonschema.Draft202012Validator(schema, resolver=resolver).validate(value)
    assert (answer.status < 300) == (not is_json or "error" not in value)
    return answer


def configured(engine, name="web"):
    return call(engine, "GET", f"/v1/services/{name}").json


def assert_in_agreement(engine):
    """What the API says, the engine steers by, and the kernel holds: a file of the former changes nothing."""
    said = call(engine, "GET", "/v1/services").json["services"]
    status = engine.status()
    assert [each["name"] for each in status["services"]] == [each["name"] for each in said]
    for counted, each in zip(status["services"], said):
        assert [(b["address"], b["weight"]) for b in counted["backends"]] == \
            [(b["address"], b["weight"]) for b in each["backends"]]
        assert (counted["mode"], counted["policy"]) == (each["mode"], each["policy"])
    engine.configure(said)
    commits = engine.status()["rules"]["commits"]
    assert call(engine, "POST", "/v1/reload").json["changes"] == []
    assert engine.status()["rules"]["commits"] == commits, "the kernel's rules are not the services'"


def test_services_come_change_and_go(lab):
    top = lab.topology()
    engine = lab.engine(top, [])
    first = call(engine, "GET", "/v1/services")
    assert first.json["services"] == []

    web = {"name": "web", "vip": top.vip[4], "port": 80, "backends": [{"address": top.backend(1)}]}
    made = call(engine, "POST", "/v1/services", web)
    assert made.status == 201 and made.json["revision"] == first.json["revision"] + 1
    assert configured(engine) == {**web, "protocol": "tcp", "mode": "connection", "policy": "weighted-random",
                                  "masquerade": False, "on_no_backend": "reject",
                                  "backends": [{"address": top.backend(1), "weight": 1}]}
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server1"}

    assert call(engine, "POST", "/v1/services/web/backends", {"address": top.backend(2), "weight": 0}).status == 201
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server1"}
    path = f"/v1/services/web/backends/{top.backend(2)}"
    assert call(engine, "PATCH", path, {"weight": 5}).status == 200
    assert call(engine, "GET", path).json == {"address": top.backend(2), "weight": 5}
    assert call(engine, "DELETE", f"/v1/services/web/backends/{top.backend(1)}").status == 200
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server2"}

    patch = {"mode": "dnat", "backends": [{"address": top.backend(1)}]}
    assert call(engine, "PATCH", "/v1/services/web", patch).status == 200
    assert (configured(engine)["mode"], configured(engine)["port"]) == ("dnat", 80)
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server1"}

    whole = {"vip": top.vip[4], "backends": [{"address": top.backend(2)}]}
    assert call(engine, "PUT", "/v1/services/web", whole).status == 200
    assert configured(engine)["mode"] == "connection" and "port" not in configured(engine), "a PUT leaves nothing over"
    assert set(http_names(top.client, top.vip[4], requests=10)) == {"server2"}
    assert call(engine, "PUT", "/v1/services/other", {"vip": "10.0.0.41", "backends": []}).status == 201

    assert_in_agreement(engine)
    for name in ("web", "other"):
        assert call(engine, "DELETE", f"/v1/services/{name}").status == 200
    assert call(engine, "GET", "/v1/services").json["services"] == []
    assert_in_agreement(engine)


@pytest.mark.parametrize("written", ["plain", "encoded"])
def test_backends_that_share_an_address_are_named_with_their_port(lab, written):
    top = lab.topology()
    address = top.backend(1, 6)
    engine = lab.engine(top, [service("web", top.vip[6], [{"address": address, "port": port} for port in (8080, 81)],
                                      port=80)])
    endpoint = f"[{address}]:81"
    name = urllib.parse.quote(endpoint, safe="") if written == "encoded" else endpoint
    assert call(engine, "DELETE", f"/v1/services/web/backends/{name}").status == 200
    assert [each["port"] for each in configured(engine)["backends"]] == [8080]
    assert call(engine, "GET", f"/v1/services/web/backends/{name}").status == 404


WRONG = {  # method, path, body: status, field, part of the text
    "no JSON": ("POST", "/v1/services", b"{", 400, "body", "not JSON"),
    "no object": ("POST", "/v1/services", [], 400, "body", "not a JSON object"),
    "nothing": ("PATCH", "/v1/services/web", b"", 400, "body", "not JSON"),
    "deep": ("POST", "/v1/services", b"[" * 1000, 400, "body", "not JSON"),
    "missing field": ("POST", "/v1/services", {"name": "x", "vip": "10.0.0.41"}, 400, "body", "backends"),
    "unknown field": ("PATCH", "/v1/services/web", {"wait": 1}, 400, "wait", "unknown field"),
    "wrong value": ("PATCH", "/v1/services/web", {"mode": "sideways"}, 400, "mode", "sideways"),
    "unknown policy": ("PATCH", "/v1/services/web", {"policy": "none"}, 400, "policy", "none"),
    "deep in the body": ("PATCH", "/v1/services/web", {"backends": [{"address": "10.0.0.20"}, {"address": "x"}]}, 400,
                         "backends[1].address", "x"),
    "weight": ("PATCH", "/v1/services/web/backends/10.0.0.20", {"weight": -1}, 400, "weight", "-1"),
    "fraction": ("PATCH", "/v1/services/web/backends/10.0.0.20", {"weight": 1.5}, 400, "weight", "1.5"),
    "same VIP": ("POST", "/v1/services", {"name": "x", "vip": "10.0.0.40", "port": 80, "backends": []}, 400, None,
                 "VIP"),
    "backend twice": ("POST", "/v1/services/web/backends", {"address": "10.0.0.20"}, 400, None, "already"),
    "backend is a VIP": ("POST", "/v1/services/web/backends", {"address": "10.0.0.40"}, 400, None, "VIP"),
    "names disagree": ("PUT", "/v1/services/web", {"name": "x", "vip": "10.0.0.40", "backends": []}, 400, None, "path"),
    "name is taken": ("POST", "/v1/services", {"name": "web", "vip": "10.0.0.41", "backends": []}, 409, None, "web"),
    "no such service": ("PATCH", "/v1/services/x", {"mode": "dnat"}, 404, None, "no such service"),
    "no such backend": ("DELETE", "/v1/services/web/backends/10.0.0.99", None, 404, None, "10.0.0.99"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_are_told_what_is_wrong_and_change_nothing(lab, case):
    method, path, body, status, field, part = WRONG[case]
    top = lab.topology(web=False)
    engine = lab.web(top)
    before = call(engine, "GET", "/v1/services").text
    answer = call(engine, method, path, body)
    assert answer.status == status and part in answer.json["error"], answer
    assert field is None or answer.json["field"] == field, answer
    assert "\n" not in answer.json["error"]
    assert call(engine, "GET", "/v1/services").text == before
    assert_in_agreement(engine)


def test_the_description_and_the_server_know_the_same_requests(lab):
    """405 names the methods that a resource takes."""
    top = lab.topology(web=False)
    engine = lab.web(top)
    for pattern, item in OPENAPI["paths"].items():
        path = pattern.format(service="web", backend=top.backend(1))
        refused = engine.api("OPTIONS", path)
        assert refused.status == 405, (pattern, refused)
        assert sorted(refused.headers["Allow"].split(", ")) == sorted(each.upper() for each in METHODS if each in item)
        if "get" in item:
            asks = any(each["in"] == "query" and each.get("required") for each in item["get"].get("parameters", []))
            assert call(engine, "GET", path).status == (400 if asks else 200)
    for path in ("/", "/v1", "/v2/status", "/v1/services/web/backends", "/v1/services//backends", "/v1/services/%zz"):
        assert engine.api("GET", path).status in (404, 405), path


def test_a_change_with_an_old_revision_is_refused(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    read = call(engine, "GET", "/v1/services")
    assert read.etag == f'"{read.json["revision"]}"'
    path = f"/v1/services/web/backends/{top.backend(1)}"
    changed = call(engine, "PATCH", path, {"weight": 7}, headers={"If-Match": read.etag})
    assert changed.status == 200 and changed.etag == f'"{read.json["revision"] + 1}"'
    late = call(engine, "PATCH", path, {"weight": 9}, headers={"If-Match": read.etag})
    assert late.status == 412 and late.etag == changed.etag
    assert call(engine, "GET", path).json["weight"] == 7
    assert call(engine, "PATCH", path, {"weight": 9}, headers={"If-Match": "*"}).status == 200


def test_of_writers_at_once_with_one_revision_one_wins(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    etag = call(engine, "GET", "/v1/services").etag
    path = f"/v1/services/web/backends/{top.backend(1)}"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda weight: call(engine, "PATCH", path, {"weight": weight},
                                                    headers={"If-Match": etag}), range(10, 18)))
    assert sorted(each.status for each in answers) == [200] + [412] * 7
    winner = next(10 + index for index, each in enumerate(answers) if each.status == 200)
    assert call(engine, "GET", path).json["weight"] == winner


def test_commands_change_a_running_service(lab):
    top = lab.topology()
    engine = lab.web(top, weights=(1,))
    vip, first, second = top.vip[4], top.backend(1), top.backend(2)
    for words, names in ((("backend", "add", "web", f"{second},weight=0"), {"server1"}),
                         (("backend", "weight", "web", second, "1"), {"server1", "server2"}),
                         (("weight", "web", first, "0"), {"server2"}),
                         (("backend", "remove", "web", first), {"server2"}),
                         (("policy", "web", "weighted-random"), {"server2"}),
                         (("mode", "web", "dnat"), {"server2"})):
        outcome = engine.command(*words)
        assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", ""), (words, outcome)
        assert set(http_names(top.client, vip, requests=30)) == names, words
    shown = engine.command("services")
    assert shown.stdout == (f"service web  {vip}:80 tcp  mode dnat  policy weighted-random  on_no_backend reject\n"
                            f"  backend {second}  weight 1\n")
    assert json.loads(engine.command("services", "--json").stdout) == call(engine, "GET", "/v1/services").json
    changed = engine.command("mode", "web", "connection", "--json")
    assert json.loads(changed.stdout) == {"revision": call(engine, "GET", "/v1/services").json["revision"]}
    for words, part in ((("backend", "add", "web", second), "already"), (("policy", "web", "none"), "none"),
                        (("backend", "add", "web", "10.0.0.20,wait=1"), "wait"),
                        (("backend", "remove", "web", "10.0.0.99"), "10.0.0.99")):
        outcome = engine.command(*words)
        assert outcome.code == 2 and part in outcome.stderr and outcome.stderr.count("\n") == 1, outcome


def test_diff_shows_what_a_reload_does_and_reload_says_it(lab):
    top = lab.topology(web=False)
    engine = lab.web(top)
    wanted = [service("web", top.vip[4], [{"address": top.backend(2), "weight": 4}], protocol="tcp", port=80,
                      mode="dnat"), service("new", "10.0.0.41", [top.backend(1)])]
    lines = ["+ service new: 10.0.0.41 any, 1 backend", "~ service web: mode connection -> dnat",
             f"~ service web: - backend {top.backend(1)}", f"~ service web: ~ backend {top.backend(2)}, weight 3 -> 4"]
    assert engine.command("diff", str(engine.file)).stdout == "nothing would change\n"
    assert engine.command("reload").stdout == "nothing has changed\n"
    engine.configure(wanted)
    before = call(engine, "GET", "/v1/services").text
    outcome = engine.command("diff", str(engine.file))
    assert (outcome.code, outcome.stdout.splitlines()) == (0, lines)
    assert call(engine, "GET", "/v1/services").text == before
    assert engine.command("reload").stdout.splitlines() == lines
    assert engine.command("diff", str(engine.file)).stdout == "nothing would change\n"
    engine.file.write_text("services: [\n")
    for command in ("reload", "diff"):
        outcome = engine.command(command, *([str(engine.file)] if command == "diff" else []))
        assert outcome.code == 2 and str(engine.file) in outcome.stderr, outcome


@pytest.mark.time_limit(180)
def test_random_changes_under_load_lose_no_established_connection_and_end_in_agreement(lab):
    """A thousand of them. Backend 1 of "web" stays as it is, so that new connections always have somewhere to go."""
    top = lab.topology(servers=3)
    engine = lab.web(top, weights=(2, 1, 1))
    kept = [Load(top.client, top.vip[4], threads=2, keep_alive=True, pause=0.002),
            Load(top.client, top.vip[4], threads=2, pause=0.005)]
    random = lab.random
    web = "/v1/services/web"
    others = [top.backend(2), top.backend(3)]
    extra = [f"10.0.0.{last}" for last in range(60, 70)]
    made = failed = 0

    def change():
        address = random.choice(others)
        name = f"s{random.randrange(8)}"
        vip = extra[int(name[1:])]
        backends = [{"address": each, "weight": random.randrange(3)}
                    for each in random.sample(others, random.randrange(3))]
        return random.choice([
            lambda: call(engine, "PATCH", f"{web}/backends/{address}", {"weight": random.randrange(5)}),
            lambda: call(engine, "PATCH", f"{web}/backends/{address}",
                         {"state": random.choice(["active", "drain", "maintenance"])}),
            lambda: call(engine, "PATCH", f"{web}/backends/{address}", {"backup": random.choice([True, False])}),
            lambda: call(engine, "DELETE", f"{web}/backends/{address}"),
            lambda: call(engine, "POST", f"{web}/backends", {"address": address, "weight": random.randrange(3)}),
            lambda: call(engine, "PATCH", web, {"mode": random.choice(MODES)}),
            lambda: call(engine, "PUT", f"/v1/services/{name}", {"vip": vip, "backends": backends,
                                                                 "mode": random.choice(MODES)}),
            lambda: call(engine, "DELETE", f"/v1/services/{name}"),
            lambda: call(engine, "PATCH", f"/v1/services/{name}", {"on_no_backend": random.choice(["drop", "reject"])}),
            reload,
        ])()

    def reload():
        current = call(engine, "GET", "/v1/services").json["services"]
        engine.configure([each for each in current if each["name"] == "web" or random.random() < 0.8])
        return call(engine, "POST", "/v1/reload")

    for _ in range(1000):
        answer = change()
        assert answer.status in (200, 201, 400, 404), answer
        made, failed = made + (answer.status < 300), failed + (answer.status >= 300)
    for each in kept:
        each.stop().assert_flawless(f"{made} changes, {failed} refused")
    assert made > 300, (made, failed)
    assert_in_agreement(engine)
    with top.client.inside():
        ask(top.vip[4])
