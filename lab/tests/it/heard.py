"""Hears loopback for some seconds, and knocks at each part without a certificate.

heard.py SECONDS [people]: with `people` the ports that people know are doors of the launcher, and the parts are behind them elsewhere.
Says on one line what it found; a fault ends it with status 1.
"""

import socket
import ssl
import sys
import time

# Whoever calls these shows a certificate; to the others people come through Grafana, and browsers.
KNOWN = {"prometheus": 9090, "alertmanager": 9093, "ping": 19427, "snmp": 19116, "syslog": 19514, "netflow": 19055, "mqtt": 19883, "forecast": 19878}
GIVEN = {"inventory": 19870, "ssh-config": 19222, "remediator": 19095, "reporter": 19880, "rum": 19887}
WORDS = (b"GET /", b"POST /", b"PUT /", b"DELETE /", b"HTTP/1.")


def behind(port, doors):
    if not doors:
        return port
    return port + 10_000 if port < 10_000 else port + 5_000


def ports(packet):
    """Source and destination port and what a TCP segment over IPv4 carries."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != 6:
        return 0, 0, b""
    head = (packet[0] & 15) * 4
    tcp = packet[head:]
    data = tcp[(tcp[12] >> 4) * 4 :]
    return int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big"), data


def hear(seconds, left_out):
    """Segments of TLS and those of HTTP in clear, but for those from and to the ports that are left out."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    listener.bind(("lo", 0))
    listener.settimeout(0.2)
    end, hidden, clear = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        try:
            packet = listener.recv(65536)
        except TimeoutError:
            continue
        source, destination, data = ports(packet)
        if source in left_out or destination in left_out:
            continue
        if data.startswith(WORDS):
            clear.append((source, destination, data[:60]))
        hidden += data[:2] in (b"\x16\x03", b"\x17\x03")
    return hidden, clear


def knock(port, secure):
    """Whether a part answers a caller who shows nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            if secure:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                stream = context.wrap_socket(stream)
            stream.settimeout(5)
            stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # A server of Go answers plain text with 400 and the advice to use TLS.
            return stream.recv(200).startswith(b"HTTP/1.1 200")
    except ssl.SSLError:
        return False
    except ConnectionResetError:
        return False


def main():
    doors = len(sys.argv) > 2
    left_out = set(KNOWN.values()) | set(GIVEN.values()) if doors else set()
    hidden, clear = hear(float(sys.argv[1]), left_out)
    faults = [f"in clear: {one}" for one in clear]
    if hidden < 20:
        faults.append(f"only {hidden} segments of TLS")
    for name, port in {**KNOWN, **GIVEN}.items():
        if knock(behind(port, doors), secure=False):
            faults.append(f"{name} answers in clear")
        # That it runs and speaks TLS: whom it takes without a certificate, it answers.
        if knock(behind(port, doors), secure=True) != (name in GIVEN):
            faults.append(f"{name} and a caller without a certificate")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{hidden} segments of TLS, none in clear; nobody without a certificate")


main()
