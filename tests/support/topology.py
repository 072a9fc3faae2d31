"""The networks of the tests. Each test file draws the one it uses.

Addresses: IPv6 ones mirror the IPv4 ones (10.0.0.20 and fd00::20, 10.1.0.10 and fd01::10, 10.9.0.40 and fd09::40).
"""

from .hosts import Host, connect

VIP_LOCAL = {4: "10.0.0.40", 6: "fd00::40"}   # on the servers' segment
VIP_ROUTED = {4: "10.9.0.40", 6: "fd09::40"}  # reached through the gateway only


def address(family, last, segment=0):
    """address(4, 20) is 10.0.0.20, address(6, 20) is fd00::20."""
    return f"10.{segment}.0.{last}" if family == 4 else f"fd{segment:02x}::{last}"


def server_host(number):
    """server1 is 10.0.0.20 and server2 10.0.0.30, as in the demo; the others start at 10.0.0.103."""
    return number * 10 + 10 if number <= 2 else 100 + number


class Topology:
    """Hosts that live and die together. `engine_host` is where the engine belongs, `clients` and `servers` are lists."""

    def __init__(self, kind, servers=2):
        self.hosts = []
        self.kind = kind
        try:
            self.bridge = self.add("bridge")
            self.bridge.ip("link add br0 type bridge mcast_snooping 0", "link set br0 up")
            self.servers = [self.on_bridge(f"server{n}", server_host(n)) for n in range(1, servers + 1)]
            if kind == "local":
                self.client = self.engine_host = self.on_bridge("client", 10)
                self.vip = VIP_LOCAL
            elif kind == "routed":
                self._add_gateway()
                self.client = self.add("client")
                connect(self.client, "eth0", self.gateway, "eth1")
                self._address(self.gateway, "eth1", 1, segment=1)
                self._address(self.client, "eth0", 10, segment=1)
                self._default_route(self.client, 1, segment=1)
            elif kind == "one-segment":
                self._add_gateway()
                self.client = self.on_bridge("client", 10)
                self.client.ip(f"route add {VIP_ROUTED[4]} via {address(4, 1)}")
                self.client.ip(f"route add {VIP_ROUTED[6]} via {address(6, 1)}")
            else:
                raise ValueError(kind)
        except BaseException:
            self.close()
            raise

    def _add_gateway(self):
        self.gateway = self.engine_host = self.on_bridge("gateway", 1)
        self.vip = VIP_ROUTED
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        self.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
        # Clients on the gateway itself need a route to the VIP, or connect() fails before any hook.
        self.gateway.ip(f"route add {VIP_ROUTED[4]} dev eth0", f"route add {VIP_ROUTED[6]} dev eth0")
        for server in self.servers:
            self._default_route(server, 1)

    def add(self, name):
        host = Host(name)
        self.hosts.append(host)
        return host

    def on_bridge(self, name, last):
        """A host on the servers' segment, 10.0.0.<last> and fd00::<last>."""
        host = self.add(name)
        port = f"p{len(self.hosts)}"
        connect(host, "eth0", self.bridge, port)
        self.bridge.ip(f"link set {port} master br0")
        self._address(host, "eth0", last)
        return host

    def owner_of_vip(self):
        """A host that really has the VIP, for packets that are to pass unchanged."""
        owner = self.on_bridge("owner", 99)
        # On the segment it answers for the VIP's neighbours (ARP, and ND where the address is on that interface).
        owner.ip(f"addr add {self.vip[4]}/32 dev lo", f"addr add {self.vip[6]}/128 dev eth0 nodad")
        if self.kind != "local":
            self._default_route(owner, 1)
            self.engine_host.ip(f"route replace {self.vip[4]} via {address(4, 99)}",
                                f"route replace {self.vip[6]} via {address(6, 99)}")
        return owner

    def behind_router(self, mtu):
        """A host 10.2.0.20 / fd02::20 behind a router whose link to it takes no packet above `mtu`.

        The host's own interface stays at 1500, or it would tell its clients to keep their segments small.
        """
        router, far = self.on_bridge("router", 50), self.add("far")
        connect(router, "eth1", far, "eth0")
        self._address(router, "eth1", 1, segment=2)
        self._address(far, "eth0", 20, segment=2)
        router.ip(f"link set eth1 mtu {mtu}")
        router.sysctl("net.ipv4.ip_forward", 1)
        router.sysctl("net.ipv6.conf.all.forwarding", 1)
        self._default_route(far, 1, segment=2)
        self._default_route(router, 1)
        self.engine_host.ip(f"route add 10.2.0.0/24 via {address(4, 50)}",
                            f"route add fd02::/64 via {address(6, 50)}")
        return far

    @staticmethod
    def _address(host, interface, last, segment=0):
        host.ip(f"addr add {address(4, last, segment)}/24 dev {interface}",
                f"addr add {address(6, last, segment)}/64 dev {interface} nodad")

    @staticmethod
    def _default_route(host, last, segment=0):
        host.ip(f"route add default via {address(4, last, segment)}",
                f"route add default via {address(6, last, segment)}")

    def backend(self, number, family=4):
        """The address of server `number`, counted from 1."""
        return address(family, server_host(number))

    def close(self):
        for host in reversed(self.hosts):
            host.close()
        self.hosts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
