"""Servers that tell who they are."""

import functools
import hashlib
import random
import shutil
import socket
import threading
import time

from .hosts import new_folder, wait_listening

BIG = 32 << 20  # bytes of /big
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
IP_PKTINFO = 8
_TELL_ADDRESS = {socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO, 1),
                 socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)}

_NGINX = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  keepalive_timeout 300s;
  keepalive_requests 10000000;
  reset_timedout_connection on;
  server {{
    {listen}
    add_header X-Server {name} always;
    add_header X-Port $server_port always;
    location = /big {{ root {shared}; }}
    location / {{ return 200 "{name}\\n"; }}
  }}
}}
"""


@functools.cache
def big_digest():
    return hashlib.sha256(_big_content()).digest()


def _big_content():
    return bytes(range(251)) * (BIG // 251)  # a length that no buffer has


@functools.cache
def _shared_folder():
    """Holds the one file that every nginx serves."""
    folder = new_folder("big")
    with open(f"{folder}/big", "wb") as file:
        file.write(_big_content())
    return folder


class Nginx:
    """Real nginx, as one process so that its end leaves no worker behind.

    / answers the server's name, /big about 32 MiB; the header X-Port names the port.
    """

    def __init__(self, host, ports=(80, 81, 8080)):
        self.root = new_folder("nginx")
        host.servers.append(self)
        with open(f"{self.root}/nginx.conf", "w") as file:
            file.write(_NGINX.format(root=self.root, shared=_shared_folder(), name=host.name,
                                     listen=" ".join(f"listen {p} backlog=4096; listen [::]:{p} backlog=4096;"
                                                     for p in ports)))
        self.process = host.start("nginx", "-p", self.root, "-e", f"{self.root}/error.log", "-c",
                                  f"{self.root}/nginx.conf")
        for port in ports:
            wait_listening(host, port)

    def close(self):
        self.process.close()
        shutil.rmtree(self.root, ignore_errors=True)


class _Loop:
    """A server of this process: one thread in the host's namespace, ended by close()."""

    def __init__(self, host):
        self.host = host
        self._over = threading.Event()
        self._opened = threading.Event()
        host.servers.append(self)
        self._task = host.spawn(self._main)
        if not self._opened.wait(10):
            self._task.result(0.1)

    def _main(self):
        sockets = self.open()
        for each in sockets:
            each.settimeout(0.1)
        self._opened.set()
        threads = [threading.Thread(target=self._serve, args=(each,), daemon=True) for each in sockets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self, each):
        with each:
            while not self._over.is_set():
                try:
                    self.handle(each)
                except (TimeoutError, ConnectionError):
                    continue
                except OSError:  # an ICMP error for an answer, a client gone
                    continue

    def close(self):
        self._over.set()


def _inet(kind, protocol=0):
    for family in socket.AF_INET, socket.AF_INET6:
        made = socket.socket(family, kind, protocol)
        if family == socket.AF_INET6 and kind != socket.SOCK_RAW:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        yield made


class UdpServer(_Loop):
    """Answers every datagram with "<name> " and the datagram, from the address it was sent to; counts them by sender
    in `seen`."""

    def __init__(self, host, port=5000, answers=True):
        self.port, self.answers = port, answers
        self.seen = {}
        super().__init__(host)

    def open(self):
        sockets = list(_inet(socket.SOCK_DGRAM))
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
            each.setsockopt(*_TELL_ADDRESS[each.family])
            each.bind(("", self.port))
        return sockets

    def handle(self, each):
        data, [(level, _, asked)], _, sender = each.recvmsg(65536, 64)
        self.seen[sender[:2]] = self.seen.get(sender[:2], 0) + 1
        if self.answers:
            if level == socket.IPPROTO_IP:  # struct in_pktinfo: interface, source to send from, destination it had
                source = (level, IP_PKTINFO, b"\0" * 4 + asked[8:12] + b"\0" * 4)
            else:  # struct in6_pktinfo: address, interface
                source = (level, socket.IPV6_PKTINFO, asked[:16] + b"\0" * 4)
            each.sendmsg([f"{self.host.name} ".encode(), data[:65490]], [source], 0, sender)


class TcpServer(_Loop):
    """Reads a connection to its end and answers "<name> <sha256 of what came>"; Fast Open is on."""

    def __init__(self, host, port=5001):
        self.port = port
        host.sysctl("net.ipv4.tcp_fastopen", 0x1 | 0x2 | 0x200)  # data in a SYN is taken without a cookie
        super().__init__(host)

    def open(self):
        sockets = list(_inet(socket.SOCK_STREAM))
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 64)
            each.bind(("", self.port))
            each.listen(64)
        return sockets

    def handle(self, each):
        connection, _ = each.accept()
        threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        connection.settimeout(30)
        digest = hashlib.sha256()
        with connection:
            while data := connection.recv(65536):
                digest.update(data)
            connection.sendall(f"{self.host.name} {digest.hexdigest()}".encode())


class QueueServer(_Loop):
    """Serves one connection at a time, in the order in which they come, each for a time drawn from an exponential
    distribution: reads something, and answers with the host's name after that time."""

    def __init__(self, host, port, mean_seconds, seed):
        self.port, self._rate, self._random = port, 1 / mean_seconds, random.Random(seed)
        super().__init__(host)

    def open(self):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("", self.port))
        made.listen(4096)
        return [made]

    def handle(self, each):
        connection, _ = each.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(64)
            time.sleep(self._random.expovariate(self._rate))
            connection.sendall(self.host.name.encode())


class RawServer(_Loop):
    """Answers payloads of an IP protocol with reply(name, payload), where that is not None."""

    def __init__(self, host, protocol, reply):
        self.protocol, self.reply = protocol, reply
        super().__init__(host)

    def open(self):
        return list(_inet(socket.SOCK_RAW, self.protocol))

    def handle(self, each):
        data, sender = each.recvfrom(65536)
        payload = data[(data[0] & 15) * 4:] if each.family == socket.AF_INET else data
        answer = self.reply(self.host.name, payload)
        if answer is not None:
            each.sendto(answer, (sender[0], 0, *sender[2:]) if len(sender) > 2 else sender)


class Sniffer(_Loop):
    """Every IP packet that arrives at the host's interfaces, from the IP header on, in `packets`."""

    PACKET_OUTGOING = 4

    def __init__(self, host, wanted=lambda packet: True):
        self.packets = []
        self._wanted = wanted
        super().__init__(host)

    def open(self):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        return [made]

    def handle(self, each):
        packet, sender = each.recvfrom(70000)
        if sender[1] in (0x0800, 0x86DD) and sender[2] != self.PACKET_OUTGOING and self._wanted(packet):
            self.packets.append(packet)
