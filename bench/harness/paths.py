"""The ways from a virtual IP to its backends that are compared. Each is set up in the balancer's host for one service
and removed again; a path that the kernel or the measure does not allow raises Unavailable with the reason.
"""

import contextlib
import dataclasses
import pathlib
import shlex
import shutil

from support.engine import BINARY, Engine, service
from support.hosts import new_folder, run, wait_listening
from support.poll import wait_until

from .networks import backend, other_vip


class Unavailable(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Task:
    """What a path is to balance."""
    protocol: str
    port: int
    backends: int
    services: int = 1  # the one under load among others, with as many backends each, that nobody asks for
    queues: int = 2
    clients: int = 256

    def addresses(self):
        return [backend(index) for index in range(self.backends)]

    def vips(self, loaded):
        """Of all services; the one under load stands in the middle."""
        others = [other_vip(index) for index in range(self.services - 1)]
        return [*others[:len(others) // 2], loaded, *others[len(others) // 2:]]


class Path:
    """Nothing between client and backend."""

    def __init__(self, network, task, build):
        self.network, self.task, self.build = network, task, build
        self.host, self.vip = network.balancer, network.vip
        self.pid = None  # of the process that works for this path

    def targets(self):
        """Where the load goes."""
        return [self.vip]

    def set_up(self):
        pass

    def change(self):
        """The weight of one backend changes; for the measure rules_change."""
        raise Unavailable("has no rules to change")

    def take_down(self):
        pass

    def facts(self):
        """What the path itself can tell about the load it has just carried."""
        return {}


class Direct(Path):
    def targets(self):
        return [backend(0), backend(1)]


class _Iptables(Path):
    """Rules in PREROUTING and OUTPUT of the nat table, loaded in one commit; the legacy tables, as nfsteer's."""

    def set_up(self):
        self._restore(self._nat())

    def change(self):
        self._restore(self._nat())

    def take_down(self):
        self._restore("*nat\nCOMMIT\n*mangle\nCOMMIT\n")

    def _restore(self, text):
        self.host.run("iptables-legacy-restore", "-w", input=text)

    def _nat(self):
        task = self.task
        vips, addresses = task.vips(self.vip), task.addresses()
        lines = ["*nat", ":BENCH - [0:0]", *(f":BENCH-{number} - [0:0]" for number in range(len(vips))),
                 "-A PREROUTING -j BENCH", "-A OUTPUT -j BENCH"]
        for number, vip in enumerate(vips):
            lines.append(f"-A BENCH -d {vip} -p {task.protocol} --dport {task.port} -j BENCH-{number}")
            for index, each in enumerate(addresses):
                left = len(addresses) - index
                match = f"-m statistic {self.statistic(left)} " if left > 1 else ""
                lines.append(f"-A BENCH-{number} {match}-j DNAT --to-destination {each}")
        return "\n".join([*lines, "COMMIT", ""])


class DnatList(_Iptables):
    """As kube-proxy lays it out: a list, each rule takes its share of what the ones before it left."""

    @staticmethod
    def statistic(left):
        return f"--mode random --probability {1 / left:.10f}"


class DnatNth(_Iptables):
    @staticmethod
    def statistic(left):
        return f"--mode nth --every {left} --packet 0"


class _NftMap(Path):
    """One map of the services, as kube-proxy's nftables mode has it, and one of each service's backends."""

    def set_up(self):
        task = self.task
        vips = task.vips(self.vip)
        entries = ", ".join(f"{index} : {each}" for index, each in enumerate(task.addresses()))
        chains = "".join(f"chain svc{number} {{ dnat ip to {self.choice()} map {{ {entries} }}; }}\n"
                         for number in range(len(vips)))
        services = ", ".join(f"{vip} . {task.port} : goto svc{number}" for number, vip in enumerate(vips))
        rule = f"ip daddr . {task.protocol} dport vmap {{ {services} }}"
        text = (f"table ip bench {{\n{chains}"
                f"chain pre {{ type nat hook prerouting priority -100; {rule}; }}\n"
                f"chain out {{ type nat hook output priority -100; {rule}; }}\n}}\n")
        try:
            self.host.run("nft", "-f", "-", input=text)
        except RuntimeError as error:
            raise Unavailable(f"this kernel or nft does not take it: {str(error).splitlines()[0]}") from None

    def change(self):
        self.take_down()
        self.set_up()

    def take_down(self):
        self.host.run("nft", "delete", "table", "ip", "bench", check=False)


class NftNumgen(_NftMap):
    def choice(self):
        return f"numgen random mod {self.task.backends}"


class NftJhash(_NftMap):
    def choice(self):
        return f"jhash ip saddr . {self.task.protocol} sport mod {self.task.backends}"


class Ipvs(Path):
    def set_up(self):
        if not shutil.which("ipvsadm"):
            raise Unavailable("ipvsadm is not installed")
        self.host.run("ipvsadm", "-L", "-n", check=False)  # loads the module, where it is one
        if not pathlib.Path("/proc/net/ip_vs").exists():
            raise Unavailable("this kernel has no IPVS")
        if self.task.services > 1:
            raise Unavailable("is measured with one service")
        flag = {"tcp": "-t", "udp": "-u"}[self.task.protocol]
        virtual = f"{flag} {self.vip}:{self.task.port}"
        lines = [f"-A {virtual} -s wrr"]
        lines += [f"-a {virtual} -r {each}:{self.task.port} -m -w 1" for each in self.task.addresses()]
        self.host.ip(f"addr replace {self.vip}/32 dev lo")
        self.host.run("ipvsadm", "-R", input="\n".join(lines) + "\n")

    def take_down(self):
        self.host.run("ipvsadm", "-C", check=False)
        self.host.run("ip", "addr", "del", f"{self.vip}/32", "dev", "lo", check=False)


class Haproxy(Path):
    """TCP mode: two connections for each of the client's."""

    def set_up(self):
        task = self.task
        if task.protocol != "tcp":
            raise Unavailable("HAProxy balances TCP only")
        if task.services > 1:
            raise Unavailable("is measured with one service")
        if not shutil.which("haproxy"):
            raise Unavailable("haproxy is not installed")
        self.folder = pathlib.Path(new_folder("haproxy"))
        servers = "\n".join(f"  server s{index} {each}:{task.port}" for index, each in enumerate(task.addresses()))
        (self.folder / "haproxy.cfg").write_text(
            f"global\n  maxconn 8192\n  nbthread {task.queues}\n"
            f"defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n"
            f"listen bench\n  bind {self.vip}:{task.port}\n  balance random\n{servers}\n")
        self.host.ip(f"addr replace {self.vip}/32 dev lo")
        self.process = self.host.start("haproxy", "-db", "-f", self.folder / "haproxy.cfg")
        self.pid = self.process.pid
        wait_listening(self.host, task.port, seconds=30)

    def take_down(self):
        if self.pid:
            self.process.close()
            self.host.run("ip", "addr", "del", f"{self.vip}/32", "dev", "lo", check=False)


class NfqueueAccept(DnatList):
    """nfsteer's own queue rules, a program that only accepts behind them, and the DNAT list for what it accepted: what
    the kernel's interface can do at most in this mode."""
    mode = "connection"

    def set_up(self):
        task = self.task
        text = run(BINARY, "rules", "--mode", self.mode, "--vip", self.vip, "--protocol", task.protocol, "--port", task.port,
                   "--backend", backend(0), "--queues", task.queues).stdout
        mangle = text[text.index("*mangle"):].partition("COMMIT\n")
        self.process = self.host.start(self.build / "bench/tools/nfqaccept", "--queues", task.queues)
        self.pid = self.process.pid
        wait_until(lambda: "ready:" in self.process.stderr or not self.process.running(), "nfqaccept is ready")
        if not self.process.running():
            raise RuntimeError(self.process.stderr.strip())
        self._restore(self._nat() + mangle[0] + mangle[1])

    def take_down(self):
        super().take_down()
        if self.pid:
            self.process.close()


class NfqueueInspect(NfqueueAccept):
    mode = "inspect"


class NfqueueRewrite(NfqueueAccept):
    """Here the packets go back whole."""
    mode = "rewrite"


class Nfsteer(Path):
    engine = None
    words = ()  # of another engine than the one that was built: program and flags of `run`

    def policy(self):
        return "weighted-random"

    def set_up(self):
        task = self.task
        services = [service("bench" if vip == self.vip else vip, vip, task.addresses(), protocol=task.protocol,
                            port=task.port, mode=self.mode, policy=self.policy()) for vip in task.vips(self.vip)]
        program, *flags = self.words or (BINARY,)
        self.engine = Engine(self.host, services, flags, engine={"queues": task.queues, "on_stop": "remove"},
                             program=program)
        self.engine.launch()
        wait_until(lambda: "ready:" in self.engine.stderr + self.engine.process.stdout or not self.engine.running(),
                   "the engine is ready", seconds=60, interval=0.001)
        if not self.engine.running():
            raise RuntimeError(self.engine.stderr.strip())
        self.pid = self.engine.pid

    def change(self):
        outcome = self.engine.command("weight", "bench", backend(0), "2", seconds=60)
        if outcome.code != 0:
            raise RuntimeError(outcome.stderr.strip())

    def take_down(self):
        if self.engine:
            with contextlib.suppress(AssertionError):  # it may have ended by itself; then its sample has failed already
                self.engine.stop(seconds=60)
            self.engine.close()

    def facts(self):
        status = self.engine.status()
        bench = next(each for each in status["services"] if each["name"] == "bench")
        total = {field: sum(worker[field] for worker in status["workers"])
                 for field in ("packets", "batches", "cache_hits", "receive_overflows")}
        dropped = sum(queue["dropped_full"] + queue["dropped_user"] for queue in status["queues"])
        return {"picks": bench["picks"], "ladder": bench["ladder"], "queue_full": dropped, **total}


class NfsteerDnat(Nfsteer):
    mode = "dnat"


class NfsteerConnection(Nfsteer):
    mode = "connection"


class NfsteerInspect(Nfsteer):
    mode = "inspect"


class NfsteerRewrite(Nfsteer):
    mode = "rewrite"


class _Policy(NfsteerConnection):
    """Another policy than weighted random."""


class PolicyMaglev(_Policy):
    def policy(self):
        return "maglev"


class PolicyLeastConnections(_Policy):
    def policy(self):
        return "least-connections"


class PolicyPeakEwma(_Policy):
    def policy(self):
        return "peak-ewma"


class PolicyC(_Policy):
    """Weighted random again, in C."""

    def policy(self):
        return _built(self.build / "policies/weighted_random.so")


class _PolicyPython(_Policy):
    def policy(self):
        _built(self.build / "bindings/python/nfsteer-python.so")
        return f"{pathlib.Path(__file__).resolve().parents[1] / 'micro/python_policies.py'}:{self.name}"


class PolicyPythonTable(_PolicyPython):
    name = "ByTable"


class PolicyPythonPerFlow(_PolicyPython):
    name = "PerFlow"


def _built(file):
    if not file.exists():
        raise Unavailable(f"{file.name} is not built")
    return str(file.resolve())


PATHS = {
    "direct": Direct,
    "dnat-list": DnatList,
    "nfsteer-dnat": NfsteerDnat,
    "nfsteer-connection": NfsteerConnection,
    "nfsteer-inspect": NfsteerInspect,
    "nfsteer-rewrite": NfsteerRewrite,
    "nfqueue-accept": NfqueueAccept,
    "nfqueue-inspect": NfqueueInspect,
    "nfqueue-rewrite": NfqueueRewrite,
    "dnat-nth": DnatNth,
    "nft-numgen": NftNumgen,
    "nft-jhash": NftJhash,
    "haproxy": Haproxy,
    "ipvs": Ipvs,
    "policy-maglev": PolicyMaglev,
    "policy-least-connections": PolicyLeastConnections,
    "policy-peak-ewma": PolicyPeakEwma,
    "policy-c": PolicyC,
    "policy-python-table": PolicyPythonTable,
    "policy-python-per-flow": PolicyPythonPerFlow,
}


def add_engine(name, command):
    """Another engine to compare with: a path PATH@NAME beside each of nfsteer's. `command`: a program and flags of its
    `run`, as a shell takes them; without a program it is the one that was built."""
    words = shlex.split(command)
    if not words or words[0].startswith("-"):
        words = [BINARY, *words]
    for path in OWN:
        PATHS[f"{path}@{name}"] = type(f"{PATHS[path].__name__}_{name}", (PATHS[path],), {"words": words})


OWN = tuple(name for name, path in PATHS.items() if issubclass(path, Nfsteer))


def with_variants(paths):
    """Each path of nfsteer is followed by the same of other engines."""
    return [each for path in paths for each in PATHS if each == path or each.startswith(f"{path}@")]
