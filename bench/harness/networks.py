"""The networks that the benchmark runs in.

    routed:  client --- gateway --- br0 --+-- server1        local:  client --- br0 --+-- server1
             (load)   (balancer)          +-- server2                (load, balancer) +-- server2

The load's source addresses are 10.16.0.0/12, the backends are 10.128.0.0/16 (server1) and 10.129.0.0/16 (server2):
whole prefixes that are local to their host (`ip route add local`), so that the number of backends costs neither
interfaces nor neighbour entries, and only the balancer's own work grows with it.
"""

import contextlib

from support.hosts import run
from support.servers import Nginx
from support.topology import Topology, address, server_host

SOURCES = "10.16.0.0"
SOURCES_PREFIX = "10.16.0.0/12"


def backend(index):
    """Backend `index`, counted from 0; the two servers take turns."""
    last = index // 2 + 1
    return f"10.{128 + index % 2}.{last >> 8}.{last & 255}"


def other_vip(index):
    """Of a service that nobody asks for."""
    return f"10.{112 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"


class Network:
    def __init__(self, kind):
        self.kind = kind
        self.topology = Topology(kind)
        self.client, self.balancer = self.topology.client, self.topology.engine_host
        self.servers = self.topology.servers
        self.vip = self.topology.vip[4]
        # A switch that knows nothing of iptables, as without br_netfilter; the balancer's hooks alone are to be on the way.
        for family in ("ip", "ip6", "arp"):
            with contextlib.suppress(FileNotFoundError):
                self.topology.bridge.sysctl(f"net.bridge.bridge-nf-call-{family}tables", 0)
        self.client.ip(f"route add local {SOURCES_PREFIX} dev lo")
        for number, server in enumerate(self.servers):
            server.ip(f"route add local 10.{128 + number}.0.0/16 dev lo")
            self.balancer.ip(f"route add 10.{128 + number}.0.0/16 via {address(4, server_host(number + 1))}")
            if kind == "local":
                server.ip(f"route add default via {address(4, 10)}")
            Nginx(server, ports=(80,))
        if kind == "routed":
            self.balancer.ip(f"route add {SOURCES_PREFIX} via {address(4, 10, segment=1)}")

    @property
    def sinks(self):
        """The servers' namespaces as a tool's options."""
        return [word for server in self.servers for word in ("--sink", server.path)]

    def forget_connections(self):
        """Empties the balancer's connection table: it must not fill up, nor answer for an earlier sample."""
        run("nsenter", f"--net={self.balancer.path}", "--", "conntrack", "-F", check=False)

    def close(self):
        self.topology.close()
