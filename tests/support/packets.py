"""Packets by hand: checksums, SCTP chunks, shapes that no kernel would send."""

import socket
import struct

SO_NO_CHECK = 11
IPV6_HDRINCL = 36
SCTP = 132
OTHER_PROTOCOLS = (253, 254, 61, 99)  # for experiments (RFC 3692) and for any private use (IANA)
SCTP_INIT, SCTP_INIT_ACK = 1, 2


def internet_checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_CRC32C = tuple(_crc32c_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def sctp_packet(source, destination, tag, chunk_type, body):
    """One chunk behind the common header of RFC 9260."""
    chunk = struct.pack("!BBH", chunk_type, 0, 4 + len(body)) + body
    chunk += b"\0" * (-len(chunk) % 4)
    head = struct.pack("!HHI", source, destination, tag)
    return head + struct.pack("<I", crc32c(head + b"\0" * 4 + chunk)) + chunk


def sctp_parse(packet):
    """(source port, destination port, chunk type, chunk body); None if the checksum is wrong."""
    if len(packet) < 16 or struct.unpack_from("<I", packet, 8)[0] != crc32c(packet[:8] + b"\0" * 4 + packet[12:]):
        return None
    source, destination = struct.unpack_from("!HH", packet)
    kind, _, length = struct.unpack_from("!BBH", packet, 12)
    return source, destination, kind, packet[16:12 + length]


_INIT = struct.pack("!IIHHI", 7, 65536, 1, 1, 1)  # initiate tag, window, streams out and in, first TSN


def sctp_reply(name, payload):
    """What a listener says to INIT: INIT ACK with a state cookie, which here is its name and port."""
    parsed = sctp_parse(payload)
    if parsed is None or parsed[2] != SCTP_INIT:
        return None
    source, destination, _, body = parsed
    cookie = f"{name} {destination}".encode()
    parameter = struct.pack("!HH", 7, 4 + len(cookie)) + cookie
    return sctp_packet(destination, source, struct.unpack_from("!I", body)[0], SCTP_INIT_ACK, _INIT + parameter)


def raw_ask(address, protocol, payload, accept, seconds=3.0):
    """Sends one packet of an IP protocol and returns the first true accept(payload of an answer)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, protocol) as each:
        each.settimeout(seconds)
        each.connect((address, 0))
        each.send(payload)
        while True:
            data = each.recv(65536)
            value = accept(data[(data[0] & 15) * 4:] if family == socket.AF_INET else data)
            if value:
                return value


def sctp_ask(address, source, port):
    """The name and port of the listener that answers an INIT."""
    def accept(payload):
        parsed = sctp_parse(payload)
        if parsed and parsed[:3] == (port, source, SCTP_INIT_ACK):
            name, real_port = parsed[3][20:].decode().split()
            return name, int(real_port)
    return raw_ask(address, SCTP, sctp_packet(source, port, 0, SCTP_INIT, _INIT), accept)


def ipv4(source, destination, protocol, payload, options=b""):
    """A whole IPv4 packet; the kernel fills in the header checksum (raw(7))."""
    words = 5 + len(options) // 4
    return struct.pack("!BBHHHBBH4s4s", 4 << 4 | words, 0, words * 4 + len(payload), 0x1234, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination)) + options + payload


def ipv6(source, destination, next_header, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), next_header, 64,
                       socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, destination)) + payload


def send_raw(packet):
    """Sends a whole packet from the calling thread's namespace."""
    if packet[0] >> 4 == 4:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as each:
            each.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
    else:
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as each:
            each.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
            each.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))
