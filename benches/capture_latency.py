#!/usr/bin/env python3
"""From the wire to the printed line: how long a packet takes until its line can be read from the program's output.

Run as root:  unshare -n python3 benches/capture_latency.py [target/release/layerwise]

A sender gives each UDP packet on lo a source port of its own and notes when it sends it; a reader waits at the other end of the
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
FILTER = ["udp", "dst", "port", "9999"]
FIRST = 20000
PORT = re.compile(rb"\b([2-5]\d{4})\b")

PEERS = {
    "layerwise capture": [PROGRAM, "capture", "-i", "lo", *FILTER],
    "tcpdump -l --immediate-mode -nn": ["tcpdump", "-l", "--immediate-mode", "-nn", "-i", "lo", *FILTER],
    "tshark -l -n": ["tshark", "-l", "-n", "-i", "lo", "-f", " ".join(FILTER)],
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


def measure(command, rate, count):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ready(process)
    sent, seen = {}, {}
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 9999))

    # It may say that it listens before it does so: packets are sent until a first line comes, and no more does.
    out = process.stdout.fileno()
    first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    first.bind(("127.0.0.1", FIRST - 1))
    while not select.select([out], [], [], 0.02)[0]:
        first.sendto(b"x" * 32, ("127.0.0.1", 9999))
    while select.select([out], [], [], 1.2)[0]:
        os.read(out, 1 << 16)

    def send():
        start = time.perf_counter()
        for i in range(count):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind(("127.0.0.1", FIRST + i))
            # It sleeps between the packets, so that it does not take the processor from those it measures.
            wait = start + i / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            sent[FIRST + i] = time.perf_counter()
            sender.sendto(b"x" * 32, ("127.0.0.1", 9999))
            sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    rest = b""
    deadline = time.perf_counter() + count / rate + 4
    while len(seen) < count and time.perf_counter() < deadline:
        if select.select([out], [], [], 0.5)[0]:
            chunk = os.read(out, 1 << 16)
            now = time.perf_counter()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                for port in map(int, PORT.findall(line)):
                    if port in sent:
                        seen.setdefault(port, now)
    thread.join()
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    process.wait()
    delays = sorted((seen[port] - sent[port]) * 1000 for port in seen)
    return delays, count - len(seen)


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.nice(-20)  # whatever else runs on this machine is not what is measured
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
