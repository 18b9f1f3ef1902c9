#!/usr/bin/env python3
"""How many packets are lost, and whether every one of them is counted.

Run as root:  unshare -n python3 benches/capture_loss.py [target/release/layerwise]

UDP packets with 32 bytes of data are sent on lo at a steady rate for three seconds, and shown, a line each, into /dev/null;
by layerwise, and by tcpdump in the same run.
"""
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "target/release/layerwise"
RATES = [20_000, 100_000, 200_000]
SECONDS = 3
FILTER = ["udp", "dst", "port", "7001"]

PEERS = {
    "layerwise capture": [PROGRAM, "capture", "-i", "lo", *FILTER],
    "tcpdump -nn": ["tcpdump", "-nn", "-i", "lo", *FILTER],
}
READY = re.compile(rb"watching lo|listening on")


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("len", ctypes.c_uint)]


def send(rate, seconds):
    """Sends at that rate, a burst each millisecond; gives how many were sent, and at what rate in truth."""
    libc = ctypes.CDLL(None, use_errno=True)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 7001))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", 7001))
    burst = rate // 1000
    data = ctypes.create_string_buffer(b"x" * 32, 32)
    iov = Iovec(ctypes.cast(data, ctypes.c_void_p), 32)
    messages = (Mmsghdr * burst)()
    for message in messages:
        message.header.iov = ctypes.pointer(iov)
        message.header.iovlen = 1
    sent, start = 0, time.perf_counter()
    for tick in range(1000 * seconds):
        wait = start + tick / 1000 - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sent += max(libc.sendmmsg(sock.fileno(), messages, burst, 0), 0)
    return sent, sent / (time.perf_counter() - start)


def numbers(text, *patterns):
    found = (re.search(pattern, text) for pattern in patterns)
    return [int(match.group(1)) if match else 0 for match in found]


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.nice(-20)  # whatever else runs on this machine is not what is measured
    print(f"{'':20} {'packets/s':>9} {'sent':>8} {'shown':>8} {'lost, counted':>13} {'uncounted':>9} {'CPU s':>6}")
    for rate in RATES:
        for name, command in PEERS.items():
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            text = b""
            while not READY.search(text):
                text += os.read(process.stderr.fileno(), 4096)
            sent, true = send(rate, SECONDS)
            if "tcpdump" in name:
                time.sleep(1)  # it does not show what still waits when it is told to end
            before = os.times()
            process.send_signal(signal.SIGINT)
            text = process.stderr.read().decode()
            process.wait()
            cpu = os.times()
            used = cpu.children_user + cpu.children_system - before.children_user - before.children_system
            if "tcpdump" in name:
                shown, lost = numbers(text, r"(\d+) packets? captured", r"(\d+) packets? dropped by kernel")
            else:
                shown, kernel, own = numbers(text, r"(\d+) packets, ", r"lost: (\d+) in the kernel", r"full, (\d+) in layerwise")
                lost = kernel + own
            print(f"{name:20} {true:9.0f} {sent:8} {shown:8} {lost:13} {sent - shown - lost:9} {used:6.2f}", flush=True)


main()
