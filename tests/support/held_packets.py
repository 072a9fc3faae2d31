"""Another user of NFQUEUE on a host, an intrusion detection, say: it holds packets between two hooks.

    with HeldPackets(host, "-p", "udp") as held:   # that are forwarded
        ...
        held.wait_for(1)
        ...
        held.release()
"""

import socket
import struct

from .poll import wait_until
from .soak import queues

QUEUE = 900
_NETLINK_NETFILTER, _SUBSYSTEM, _NLM_F_REQUEST = 12, 3 << 8, 1
_CONFIG, _VERDICT_BATCH = 2, 3  # enum nfqnl_msg_types of linux/netfilter/nfnetlink_queue.h
_CFG_CMD, _CFG_PARAMS, _VERDICT_HDR = 1, 2, 2
_BIND, _COPY_META, _NF_ACCEPT, _ALL = 1, 1, 1, 0x7fffffff


class HeldPackets:
    def __init__(self, host, *match):
        self._host = host
        with host.inside():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._say(_CONFIG, _CFG_CMD, struct.pack(">BxH", _BIND, 0))
        self._say(_CONFIG, _CFG_PARAMS, struct.pack(">IB", 0, _COPY_META))
        self._rule = ("FORWARD", *match, "-j", "NFQUEUE", "--queue-num", QUEUE)
        host.run("iptables-nft", "-w", "-A", *self._rule)

    def _say(self, kind, attribute, value):
        body = struct.pack(">BBH", 0, 0, QUEUE) + struct.pack("=HH", 4 + len(value), attribute) + value
        body += b"\0" * (-len(body) % 4)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _SUBSYSTEM | kind, _NLM_F_REQUEST, 0, 0) + body)

    def wait_for(self, count):
        """Until so many are held; no more will be."""
        self._wait_for(count)
        self._host.run("iptables-nft", "-w", "-D", *self._rule)

    def release(self):
        self._say(_VERDICT_BATCH, _VERDICT_HDR, struct.pack(">II", _NF_ACCEPT, _ALL))
        self._wait_for(0)

    def _wait_for(self, count):
        wait_until(lambda: queues(self._host)[QUEUE]["waiting"] == count, f"{count} packets held")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
