"""Completion of command lines, by the shells themselves; names come from an engine in a namespace.

    local:   client 10.0.0.10 (engine) --+-- server1 10.0.0.20      VIP 10.0.0.40
                                         +-- server2 10.0.0.30
"""

import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import time

import pytest

from support.engine import BINARY, service
from support.hosts import new_folder, run

MODES = {"dnat", "connection", "inspect", "rewrite"}

# What readline does before it calls the function: the words of the line, broken at COMP_WORDBREAKS too.
BASH = r"""
source <("$NFSTEER" completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=() COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
rest=$COMP_LINE
while [[ $rest =~ ^[[:space:]]*([=:]+|[^=:[:space:]]+) ]]; do
  COMP_WORDS+=("${BASH_REMATCH[1]}")
  rest=${rest#"${BASH_REMATCH[0]}"}
done
if [[ $COMP_LINE == *[[:space:]] ]]; then COMP_WORDS+=(""); fi
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_nfsteer nfsteer
printf '%s\n' "${COMPREPLY[@]}"
"""

ZSH = r"""
compdef() { :; }
_describe() { print -l -- "${(@)${(@P)4}//\\:/%}" | sed 's/:.*//; s/%/:/g'; }
_files() { print -l -- *(N); }
source <("$NFSTEER" completion zsh)
words=("${(@z)1}")
[[ $1 != *' ' ]] || words+=("")
CURRENT=$#words PREFIX=${words[-1]}
compset() { PREFIX=${PREFIX#*=}; }
_nfsteer
"""

FISH = r"""
source (nfsteer completion fish | psub)
complete -C $argv[1]
"""


class Shell:
    def __init__(self, name, control):
        self.name = name
        self.folder = new_folder("shell")
        os.symlink(BINARY, os.path.join(self.folder, "nfsteer"))
        self.environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "NFSTEER": BINARY,
                            "NFSTEER_CONTROL": control, "HOME": self.folder, "XDG_CONFIG_HOME": self.folder}

    def words(self, line):
        """What may stand in the place of the last word of the line."""
        command = {"bash": ("bash", "--norc", "-c", BASH, "bash", line),
                   "zsh": ("zsh", "-f", "-c", ZSH, "zsh", line),
                   "fish": ("fish", "--no-config", "-c", FISH, line)}[self.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=self.environment,
                              cwd=self.folder)
        assert done.returncode == 0 and done.stderr == "", (line, done)
        return {each.split("\t")[0].rstrip() for each in done.stdout.splitlines() if each.strip()}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request, lab):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    top = lab.topology(web=False)
    backends = [{"address": top.backend(1), "port": 8080}, {"address": top.backend(1), "port": 8081},
                {"address": top.backend(2)}]
    engine = lab.engine(top, [service("web", top.vip[4], backends, protocol="tcp", port=80),
                              service("web-6", top.vip[6], ["fd00::20", "fd00::30"]), service("dns", "10.0.0.41", [])])
    made = Shell(request.param, engine.control)
    made.engine = engine
    return made


def test_commands_flags_and_values(shell):
    listed = run(BINARY, "--help").stdout.split("Subcommands:\n")[1]
    commands = {line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "}
    assert {"run", "status", "backend", "completion"} <= commands
    assert shell.words("nfsteer ") == commands
    assert shell.words("nfsteer ba") == {"backend"}
    assert shell.words("nfsteer backend ") == {"add", "drain", "maintenance", "remove", "undrain", "weight"}
    assert shell.words("nfsteer completion ") == {"bash", "zsh", "fish"}
    flags = shell.words("nfsteer run --")
    assert {"--vip", "--backend", "--config", "--help", "--on-stop"} <= flags
    assert shell.words("nfsteer run --on-") == {"--on-no-backend", "--on-stop"}
    assert shell.words("nfsteer run --mode ") == MODES
    assert shell.words("nfsteer run --mode re") == {"rewrite"}
    assert {"weighted-random", "maglev", "peak-ewma"} <= shell.words("nfsteer run --policy ")
    assert shell.words("nfsteer rules --on-stop ") == {"keep", "remove"}
    assert "--vip" not in shell.words("nfsteer run --vip 10.0.0.40 --"), "given already"
    assert "--backend" in shell.words("nfsteer run --vip 10.0.0.40 --backend 10.0.0.20 --"), "may be repeated"
    assert "--vip" not in shell.words("nfsteer run -c x.yaml --"), "a file excludes it"
    assert shell.words("nfsteer nonsense --js") == set()
    assert "-" not in "".join(each[:1] for each in shell.words("nfsteer mode web "))


def test_a_value_behind_an_equals_sign(shell):
    broken_off = "" if shell.name == "bash" else "--mode="
    assert shell.words("nfsteer run --mode=") == {broken_off + mode for mode in MODES}
    assert shell.words("nfsteer run --mode=d") == {broken_off + "dnat"}


def test_files_are_the_shells_business(shell):
    folder = pathlib.Path(shell.folder)
    (folder / "services.yaml").write_text("services: []")
    for line in ("nfsteer check ", "nfsteer run -c ", "nfsteer diff "):
        assert "services.yaml" in {each.rsplit("/", 1)[-1] for each in shell.words(line)}, line


def test_names_of_the_running_engine(shell):
    assert shell.words("nfsteer mode ") == {"web", "web-6", "dns"}
    assert shell.words("nfsteer mode web") == {"web", "web-6"}
    assert shell.words("nfsteer mode web ") == MODES
    assert shell.words("nfsteer mode --json web ") == MODES
    assert shell.words("nfsteer backend remove dns ") == set()
    assert shell.words("nfsteer backend add web ") == set(), "a new one has no name yet"
    assert shell.words("nfsteer weight web 10.0.0.3") == {"10.0.0.30"}
    if shell.name == "bash":  # it wants what follows the last colon
        assert shell.words("nfsteer weight web 10.0.0.20:") == {"8080", "8081"}
        assert shell.words("nfsteer weight web-6 fd00::") == {"20", "30"}
    else:
        assert shell.words("nfsteer weight web 10.0.0.20:") == {"10.0.0.20:8080", "10.0.0.20:8081"}
        assert shell.words("nfsteer weight web-6 fd00::") == {"fd00::20", "fd00::30"}
    assert shell.words("nfsteer weight web ") == {"10.0.0.20:8080", "10.0.0.20:8081", "10.0.0.30"}
    for name in shell.words("nfsteer weight web "):
        assert shell.engine.command("weight", "web", name, "2").code == 0, "the commands take what is offered"


def test_the_socket_that_the_line_names_is_asked(shell):
    shell.environment["NFSTEER_CONTROL"] = "/nowhere"
    assert shell.words("nfsteer mode ") == set()
    control = shlex.quote(shell.engine.control)
    assert shell.words(f"nfsteer mode --control {control} d") == {"dns"}
    assert shell.words(f"nfsteer mode --control={control} d") == {"dns"}


def test_an_engine_that_does_not_answer_holds_up_nobody():
    path = os.path.join(new_folder("deaf"), "control.sock")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen()
        began = time.monotonic()
        done = subprocess.run([BINARY, "__complete", "mode", "--control", path, ""], capture_output=True, text=True,
                              timeout=10)
        assert time.monotonic() - began < 5
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_shell_is_refused():
    done = run(BINARY, "completion", "tcsh", check=False)
    assert done.returncode == 2 and done.stderr == \
        "nfsteer: completion: 'tcsh' is no shell it knows; give bash, zsh or fish\n"
