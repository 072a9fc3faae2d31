"""The engine's container image, made of its Debian package: healthy, confined as `docker/image.sh --help` says, and steering.

    network 10.0.7.0/24:   engine 10.0.7.10 --+-- server1 10.0.7.20      VIP 10.0.7.40
                                              +-- server2 10.0.7.30
"""

import collections
import json
import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = "nfsteer-image-test"
CAPABILITIES = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
CONFIG = """
services:
  - {name: web, vip: 10.0.7.40, port: 80, backends: [10.0.7.20, 10.0.7.30]}
"""
# A request by the shell alone: the image has no curl.
ASK = """for n in $(seq 40); do
  exec 3<>/dev/tcp/10.0.7.40/80
  printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3
  tail -n 1 <&3
  echo
done"""

pytestmark = pytest.mark.docker


def docker(*words, check=True, seconds=300):
    done = subprocess.run(["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0 or not check, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image():
    if "DOCKER_HOST" not in os.environ:
        pytest.skip(os.environ.get("NFSTEER_NO_DOCKER", "run it with tests/docker/private-dockerd.sh"))
    if not (ROOT / "build/release/engine/nfsteer").exists():
        pytest.skip("the engine is not built")
    made = subprocess.run([ROOT / "docker/image.sh", "--no-build", "--tag", PREFIX], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=600)
    assert made.returncode == 0 and made.stdout == f"{PREFIX}\n", made
    yield PREFIX


@pytest.fixture
def engine(image, tmp_path):
    """The container of an engine, with two servers beside it."""
    base = subprocess.run([ROOT / "docker/base-image.sh"], capture_output=True, text=True, check=True).stdout.strip()
    docker("build", "--quiet", "--build-arg", f"BASE={base}", "--target", "server", "--tag", f"{PREFIX}-server",
           "--file", str(ROOT / "docker/Dockerfile"), str(ROOT))
    (tmp_path / "nfsteer.yaml").write_text(CONFIG)
    (tmp_path / "lock").touch()
    docker("network", "create", "--subnet", "10.0.7.0/24", PREFIX)
    at = ("run", "--detach", "--network", PREFIX)
    servers = [docker(*at, "--ip", f"10.0.7.{last}", "--hostname", name, f"{PREFIX}-server")
               for name, last in (("server1", 20), ("server2", 30))]
    made = docker(*at, "--ip", "10.0.7.10", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW",
                  "--security-opt", "no-new-privileges", "--health-interval", "1s",
                  "--read-only", "--tmpfs", "/run/nfsteer:mode=0755",
                  "--mount", f"type=bind,src={tmp_path}/lock,dst=/run/xtables.lock",
                  "--volume", f"{tmp_path}:/etc/nfsteer:ro", image)
    yield made
    print(docker("logs", made, check=False))
    docker("rm", "--force", "--volumes", made, *servers)
    docker("network", "rm", PREFIX)


def test_its_labels_say_what_it_is(image):
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", image))
    kind = "org.opencontainers.image"
    assert labels[f"{kind}.title"] == "nfsteer" and labels[f"{kind}.licenses"] == "GPL-2.0-or-later"
    assert docker("run", "--rm", image, "--version") == f"nfsteer {labels[f'{kind}.version']}"
    print(f"{int(docker('inspect', '--format', '{{.Size}}', image)) / 1e6:.0f} MB")


def test_the_image_steers_with_two_capabilities(engine):
    deadline = time.monotonic() + 60
    while (health := docker("inspect", "--format", "{{.State.Health.Status}}", engine)) != "healthy":
        assert time.monotonic() < deadline, f"{health}: {docker('inspect', '--format', '{{json .State}}', engine)}"
        time.sleep(0.2)
    names = collections.Counter(docker("exec", engine, "bash", "-c", ASK).split())
    assert names.total() == 40 and set(names) == {"server1", "server2"}, names
    backends = json.loads(docker("exec", engine, "nfsteer", "status", "--json"))["services"][0]["backends"]
    assert [each["picks"] for each in backends] == [names["server1"], names["server2"]]
    held = docker("exec", engine, "grep", "CapEff", "/proc/1/status").split()[1]
    assert int(held, 16) & ~CAPABILITIES == 0
    docker("stop", engine)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", engine) == "0"
