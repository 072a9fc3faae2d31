"""bindings/README.md, command by command, as a new user would type them."""

import os
import pathlib
import re
import subprocess

from test_demo import leftovers

ROOT = pathlib.Path(__file__).resolve().parents[2]


def commands():
    text = (ROOT / "bindings/README.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_every_command_of_the_tutorial_works(tmp_path):
    assert not leftovers()
    blocks = commands()
    assert len(blocks) >= 10
    # The policies' folder of this run, since a user's own must not be touched.
    script = "".join(f"echo '== {number}'\n{block}\n" for number, block in enumerate(blocks))
    script = "set -euo pipefail\n" + script.replace("/root/policies", str(tmp_path / "policies"))
    tmp_path.chmod(0o755)
    try:
        result = subprocess.run(["bash", "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=600,
                                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        print(result.stdout)
        assert result.returncode == 0, result.stdout[-3000:]
        assert "refused, and the old one goes on" in result.stdout
        assert re.search(r"shadow \S+even_ports.py:EvenPorts: asked [1-9]\d* times", result.stdout), result.stdout[-3000:]
        assert re.search(r"[1-9]\d* flows in \S+flows.rec", result.stdout), result.stdout[-3000:]
    finally:
        subprocess.run([str(ROOT / "docker/demo.sh"), "--down"], check=False)
    assert not leftovers()
