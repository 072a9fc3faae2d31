"""Fills the connection table of a namespace, by entries of connections that nobody has.

The limit, nf_conntrack_max, belongs to the machine and is never touched; what counts against it are the entries of each
namespace of its own (__nf_conntrack_alloc() in nf_conntrack_core.c). Messages: linux/netfilter/nfnetlink_conntrack.h.
"""

import socket
import struct

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_NO_ENOBUFS = 270, 5
_NEW = 1 << 8 | 0  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
_REQUEST, _CREATE = 0x1, 0x400
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _TIMEOUT = 1, 2, 3, 7
_SEEN_REPLY, _ASSURED, _CONFIRMED = 0x2, 0x4, 0x8  # an assured entry does not make room for others
_NESTED = 0x8000
CLIENT, SERVER = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])


def _attribute(kind, data):
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def _tuple(kind, source, destination, source_port, destination_port):
    addresses = _attribute(1, source) + _attribute(2, destination)
    ports = (_attribute(1, bytes([socket.IPPROTO_UDP])) + _attribute(2, struct.pack("!H", source_port))
             + _attribute(3, struct.pack("!H", destination_port)))
    return _attribute(_NESTED | kind, _attribute(_NESTED | 1, addresses) + _attribute(_NESTED | 2, ports))


def _message(port, server_port, seconds):
    body = (bytes([socket.AF_INET, 0, 0, 0]) + _tuple(_TUPLE_ORIG, CLIENT, SERVER, port, server_port)
            + _tuple(_TUPLE_REPLY, SERVER, CLIENT, server_port, port)
            + _attribute(_STATUS, struct.pack("!I", _SEEN_REPLY | _ASSURED | _CONFIRMED))
            + _attribute(_TIMEOUT, struct.pack("!I", seconds)))
    return struct.pack("=IHHII", 16 + len(body), _NEW, _REQUEST | _CREATE, 0, 0) + body


def fill(host, seconds=600, most=None):
    """Until the table takes no more, or has got `most`; returns how many entries it took."""
    count = "net.netfilter.nf_conntrack_count"
    before, limit = int(host.sysctl(count)), int(host.sysctl("net.netfilter.nf_conntrack_max"))
    with host.inside():
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    netlink.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)  # its refusals are not read
    with netlink:
        for start in range(0, most or limit, 100):
            netlink.send(b"".join(_message(1024 + number % 60000, 1 + number // 60000, seconds)
                                  for number in range(start, start + 100)))
    return int(host.sysctl(count)) - before


def empty(host):
    host.run("conntrack", "-D", "-s", ".".join(map(str, CLIENT)), check=False)
