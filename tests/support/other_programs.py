"""Other programs of a host that use the packet filter: iptables-legacy, iptables-nft, Docker's kind of rules."""

KEPT = 8  # rules of each chain of theirs


# A whole table as a program saved it: rules of its own, and one that has conntrack follow connections.
_SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:saved - [0:0]
-A POSTROUTING -m mark --mark 0x7777 -j saved
-A saved -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:saved - [0:0]
-A FORWARD -m mark --mark 0x7777 -j saved
-A saved -j ACCEPT
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:saved - [0:0]
-A INPUT -m conntrack --ctstate INVALID
-A FORWARD -m mark --mark 0x7777 -j saved
-A saved -j ACCEPT
COMMIT
"""


def restore(host, program):
    """`program`: iptables-legacy or one like it. Replaces its tables whole, whatever stands there."""
    host.run(f"{program}-restore", "-w", input=_SAVED)


def assert_restored(host, program):
    """What restore() brought is there, whatever stands beside it."""
    found = host.run(f"{program}-save").stdout.splitlines()
    missing = [line for line in _SAVED.splitlines() if line.startswith("-A") and found.count(line) < _SAVED.count(line)]
    assert not missing, f"{program}: {missing}"


class OtherPrograms:
    """They change tables, in chains of their own, without pause.

    Each commit adds a rule and deletes an older one, so that the number of rules, which is all that the kernel checks,
    stays the same: a commit that is overwritten shows, as the rule that the eighth commit after it does not find.
    """

    def __init__(self, host, commits):
        self.host, self.commits = host, commits
        self.tasks = []
        for program in ("iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"):
            for table in ("mangle", "nat", "filter"):
                self.tasks.append(host.spawn(self._stream, program, table))
        self.tasks.append(host.spawn(self._docker))

    @staticmethod
    def _rule(program, number):
        return (f"198.18.{number // 250 % 250}.{number % 250}/32" if program.startswith("iptables")
                else f"2001:db8::{number + 1:x}/128")

    def _stream(self, program, table):
        """One process, many commits: the restore programs take the lock for each table anew."""
        hook = "POSTROUTING" if table == "nat" else "FORWARD"
        sections = [f"*{table}\n:theirs - [0:0]\n-I {hook} -j theirs\nCOMMIT\n"]
        for number in range(self.commits):
            old = f"-D theirs -s {self._rule(program, number - KEPT)}\n" if number >= KEPT else ""
            sections.append(f"*{table}\n-A theirs -s {self._rule(program, number)}\n{old}COMMIT\n")
        self.host.run(f"{program}-restore", "-w", "60", "-n", input="".join(sections), timeout=600)

    def _docker(self):
        """As dockerd does at its start, and when a container with a published port comes and goes: a process a rule."""
        def iptables(*words):
            self.host.run("iptables-legacy", "-w", *words)
        for words in ("-t nat -N DOCKER", "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                      "-t nat -A OUTPUT -m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j DOCKER", "-N DOCKER",
                      "-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER",
                      "-t nat -I POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"):
            iptables(*words.split())
        for number in range(self.commits // 10):
            rules = (f"-t nat %s DOCKER -p tcp --dport {8000 + number} -j DNAT --to-destination 172.17.0.2:80",
                     f"-t nat %s POSTROUTING -s 172.17.0.2 -d 172.17.0.2 -p tcp --dport {8000 + number} -j MASQUERADE",
                     "%s DOCKER -d 172.17.0.2 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT")
            for action in "-A", "-C", "-D":
                for rule in rules:
                    iptables(*(rule % action).split())

    def running(self):
        return any(task.is_alive() for task in self.tasks)

    def finish(self):
        """Every commit of theirs is there, in all twelve tables."""
        for task in self.tasks:
            task.result(600)
        for program in ("iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"):
            for table in ("mangle", "nat", "filter"):
                found = self.host.run(program, "-w", "-t", table, "-S", "theirs").stdout.splitlines()[1:]
                wanted = [f"-A theirs -s {self._rule(program, number)}"
                          for number in range(self.commits - KEPT, self.commits)]
                assert found == wanted, f"{program} {table}"
        return len(self.tasks[:-1]) * (self.commits + 1)
