#!/usr/bin/env python3
"""From the wire to the printed line: how long a packet takes until its line can be read from the program's output.

Run as root:  unshare -n python3 benches/capture_latency.py [target/release/layerwise]

A sender gives each UDP packet on lo a port of its own and notes when it sent it; a reader waits at the other end of the
program's pipe, and the first line that names the port is the packet's. Beside layerwise, the same packets are shown by
tcpdump and tshark, each alone on the interface, in the same run.
"""
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/layerwise"
RATES = {100: 300, 2000: 6000}
FIRST, PORTS = 20000, 40000

PEERS = {
    "layerwise capture": [PROGRAM, "capture", "-i", "lo", "udp", "portrange", "20000-59999"],
    "tcpdump -l --immediate-mode -nn": ["tcpdump", "-l", "--immediate-mode", "-nn", "-i", "lo", "udp", "portrange", "20000-59999"],
    "tshark -l -n": ["tshark", "-l", "-n", "-i", "lo", "-f", "udp portrange 20000-59999"],
}
READY = re.compile(rb"watching lo|listening on|Capture started")


def ready(process):
    """Waits until the program says that it listens."""
    text = b""
    while not READY.search(text):
        chunk = os.read(process.stderr.fileno(), 4096)
        if not chunk:
            sys.exit(f"{process.args[0]} ended: {text.decode(errors='replace')}")
        text += chunk
    drain = threading.Thread(target=lambda: process.stderr.read(), daemon=True)
    drain.start()
    if process.args[0] == "tshark":
        time.sleep(1.0)  # it says so before it is so


def measure(command, rate, count):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ready(process)
    sent, seen = {}, {}
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 9999))

    def send():
        start = time.perf_counter()
        for i in range(count):
            port = FIRST + i
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", port))
            # Sleep most of the way, so that the sender does not take the processor from those it measures.
            wait = start + i / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            sent[port] = time.perf_counter()
            sock.sendto(b"x" * 32, ("127.0.0.1", 9999))
            sock.close()

    thread = threading.Thread(target=send)
    thread.start()
    rest = b""
    number = re.compile(rb"\b([2-5]\d{4})\b")
    out = process.stdout.fileno()
    deadline = time.perf_counter() + count / rate + 4
    while len(seen) < count and time.perf_counter() < deadline:
        if not select.select([out], [], [], 0.5)[0]:
            continue
        chunk = os.read(out, 1 << 16)
        now = time.perf_counter()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            for port in number.findall(line):
                if int(port) in sent:
                    seen.setdefault(int(port), now)
    thread.join()
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    process.wait()
    delays = sorted((seen[port] - sent[port]) * 1000 for port in seen)
    return delays, count - len(seen)


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"{'':33} {'packets/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'unseen':>6}")
    for rate, count in RATES.items():
        for name, command in PEERS.items():
            delays, unseen = measure(command, rate, count)
            if not delays:
                print(f"{name:33} {rate:9} no line seen")
                continue
            p50, p99 = (delays[int(len(delays) * q)] for q in (0.5, 0.99))
            print(f"{name:33} {rate:9} {p50:8.2f} {p99:8.2f} {delays[-1]:8.2f} {unseen:6}", flush=True)


main()
