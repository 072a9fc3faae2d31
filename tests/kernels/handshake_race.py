#!/usr/bin/python3
"""Resets of new TCP connections by the kernel alone: no netfilter rule, no conntrack, no engine.

    sudo tests/kernels/handshake_race.py [--seconds N]

A client and a server in network namespaces of their own. The client sends its request as soon as the connection stands;
the handshake's last ACK is sent by another processor (receive packet steering puts the SYN-ACK there). So two processors
bring the server an ACK and data at once, while the kernel replaces the connection's request by its socket: for a moment
neither is in the table of established connections, the data meets the listening socket, and that answers with a reset.

With TCP_QUICKACK switched off before connect() the data carries the handshake's ACK, and with receive packet steering
off both come from one processor: neither is ever reset. In the field ACK and data of a connection reach a server on one
receive queue. Namespaces of one machine are different: there the engine's worker sends the SYN on, so that the handshake
goes on upon the worker's processor, and the data comes from the client's.
"""

import argparse
import collections
import errno
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.hosts import Host, connect, wait_listening  # noqa: E402

ADDRESS, PORT = "10.9.0.2", 80
REQUEST = b"?" * 18


def serve(over):
    with socket.create_server((ADDRESS, PORT), backlog=4096) as listening:
        listening.settimeout(0.1)
        while not over:
            try:
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(2)
                    if connection.recv(4096):
                        connection.send(b"!")
            except OSError:
                continue


def ask(quick_ack):
    """How one request ended: "answered", "reset" or "other"."""
    with socket.socket() as each:
        if not quick_ack:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        each.setblocking(False)
        each.connect_ex((ADDRESS, PORT))
        deadline = time.monotonic() + 2
        while True:
            try:
                each.send(REQUEST)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOTCONN, errno.EPIPE) or time.monotonic() > deadline:
                    return "other"
        each.settimeout(2)
        try:
            return "answered" if each.recv(1) else "other"
        except ConnectionResetError:
            return "reset"
        except OSError:
            return "other"


def requests(processor, quick_ack, seconds):
    os.sched_setaffinity(0, {processor})  # this thread's
    counts = collections.Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        counts[ask(quick_ack)] += 1
    return counts


def steer_receiving(host, interface, processors):
    host.run("ip", "netns", "exec", host.namespace, "sh", "-c",  # which mounts the namespace's own sysfs
             f"printf %x {sum(1 << each for each in processors)} > /sys/class/net/{interface}/queues/rx-0/rps_cpus")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=int, default=15, help="of each of the three trials (default: %(default)s)")
    seconds = arguments.parse_args().seconds
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        sys.exit("handshake_race: one processor cannot race; run it where two are allowed")
    client, server = Host("client"), Host("server")
    connect(client, "eth0", server, "eth0")
    client.ip("addr add 10.9.0.1/24 dev eth0")
    server.ip(f"addr add {ADDRESS}/24 dev eth0")
    over = []
    serving = server.spawn(serve, over)
    wait_listening(server, PORT)
    for steered, quick_ack in ((False, True), (True, True), (True, False)):
        steer_receiving(client, "eth0", processors[1:2] if steered else [])
        counts = client.spawn(requests, processors[0], quick_ack, seconds).result(seconds + 30)
        print(f"ACK and data from {'two processors' if steered else 'one processor '}, the ACK "
              f"{'by itself      ' if quick_ack else 'with the data  '}: {counts.total():7} connections, "
              f"{counts['reset']} reset, {counts['other']} without an answer for 2 s", flush=True)
    over.append(True)
    serving.result()


if __name__ == "__main__":
    main()
