#!/usr/bin/env python3
"""How fast `layerwise read` is beside tcpdump and tshark, how much memory it takes, and how both grow.

    cargo build --release && cargo build --release --example make_capture
    benches/read.py [--dir DIR] [--packets N] [--bulk MB] [--rounds N]

It makes its captures in DIR (kept for the next run): a TLS chat of 1,000 connections, one of 10, bulk TLS, and a million
connections that are only asked for. Every program runs as one process with its output thrown away. What counts is user and
system time, the least of some rounds, in which the programs take turns, since the machine may be busy.

Before anything is timed, packets, sealed records, opened bytes and the nine columns of `-T fields` must be tshark's.

Starting up and the thousand handshakes at the beginning are left out of the times per packet: a run over the first 20,000
packets is taken off one that goes on. tshark is given 60,000 packets, tcpdump and we all of them.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SKIP, SLICE = 20_000, 60_000
KEYS = ("frame.number ip.src ip.dst tcp.srcport tcp.dstport tcp.seq tcp.len tls.record.content_type tls.record.length").split()
FIELDS = ["-T", "fields"] + [word for key in KEYS for word in ("-e", key)]


# A program is started by a small one: the memory of whoever starts it counts as its own.
STARTER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""


def run(command):
    """CPU seconds and peak MiB of a program that must succeed."""
    text = subprocess.run([sys.executable, "-S", "-c", STARTER, *command], stdout=subprocess.PIPE, check=True).stdout
    status, seconds, mib = text.split()
    if int(status) != 0:
        sys.exit(f"failed with {int(status)}: {' '.join(command)}")
    return float(seconds), float(mib)


def best(commands, rounds):
    """The least time and the most memory of each command; they take turns."""
    results = [[run(command) for command in commands] for _ in range(rounds)]
    return [(min(r[i][0] for r in results), max(r[i][1] for r in results)) for i in range(len(commands))]


def per_packet(command, last, rounds):
    """Nanoseconds a packet from SKIP to `last`, and peak MiB. The command is a function of how many packets to read."""
    (begin, _), (whole, mib) = best([command(SKIP), command(last)], rounds)
    return (whole - begin) / (last - SKIP) * 1e9, mib


def output(command):
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env=environment).stdout


def first_line(command, rounds=25):
    """Milliseconds until the first byte of the output, the median."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.read(1)
        times.append((time.perf_counter() - start) * 1e3)
        process.stdout.read()
        process.wait()
    return statistics.median(times)


class Bench:
    def __init__(self, options):
        self.options = options
        self.layerwise = os.path.join(options.bin, "layerwise")
        self.chat, self.keys = self.capture("chat", "chat", "1000", str(options.packets))

    def capture(self, name, *arguments):
        path, keys = (os.path.join(self.options.dir, f"{name}.{kind}") for kind in ("pcapng", "keys"))
        if not os.path.exists(path):
            make = os.path.join(self.options.bin, "examples", "make_capture")
            files = [path] if arguments[0] == "syn" else [path, keys]
            subprocess.run([make, *arguments, *files], check=True, stdout=subprocess.DEVNULL)
        return path, keys

    def ours(self, *more, path=None, keys=None):
        begin = [self.layerwise, "read", path or self.chat, "--keylog", keys or self.keys, *more]
        return lambda count: [*begin, "-c", str(count)]

    def tshark(self, *more):
        begin = ["tshark", "-n", "-r", self.chat, "-o", f"tls.keylog_file:{self.keys}", "-d", "tcp.port==8080,tls", *more]
        return lambda count: [*begin, "-c", str(count)]

    def tcpdump(self, *more):
        return lambda count: ["tcpdump", "-nn", *more, "-r", self.chat, "-c", str(count)]

    def check(self):
        """Ours and tshark's must be the same."""
        counted = ["tls.record.length", "data.len"]
        theirs = output(self.tshark("-T", "fields", *[w for key in counted for w in ("-e", key)])(SLICE)).decode()
        rows = [line.split("\t") for line in theirs.splitlines()]
        records = sum(len(lengths.split(",")) for lengths, _ in rows if lengths)
        plain = sum(int(n) for _, data in rows for n in data.split(",") if n)
        ours = output(self.ours("-v", "--width", "500", "--plain")(SLICE)).decode().splitlines()
        said = ("Layer: Chat (chat), ", "Layer: Data (data), ")
        lines = output(self.ours()(10**9)).count(b"\n")
        cells = [output(program(*FIELDS)(SLICE)).splitlines() for program in (self.ours, self.tshark)]
        for what, us, them in [
            ("packets", sum(line.startswith("Packet ") for line in ours), len(rows)),
            ("sealed records", sum(line.startswith("Layer: Transport Layer Security") for line in ours), records),
            ("opened bytes", sum(int(line.split(", ")[1].split(" ")[0]) for line in ours if line.startswith(said)), plain),
            ("lines, all packets", lines, output(self.tcpdump()(10**9)).count(b"\n")),
            ("rows of nine columns", sum(a == b for a, b in zip(*cells)), len(cells[1])),
        ]:
            print(f"  {what:22} {us:>10}   theirs {them:>10}")
            if us != them:
                sys.exit("the counts differ: nothing is measured")

    def ratios(self):
        everything = self.options.packets
        rows = [
            ("read", self.ours(), "tcpdump -nn", self.tcpdump(), everything, 2),
            ("read -v -x", self.ours("-v", "-x"), "tcpdump -nn -vvv -XX", self.tcpdump("-vvv", "-XX"), everything // 2, 5),
            ("read -v", self.ours("-v"), "tshark -V", self.tshark("-V"), SLICE, 30),
            ("read -T json", self.ours("-T", "json"), "tshark -T json", self.tshark("-T", "json"), SLICE, 100),
            ("read -T fields", self.ours(*FIELDS), "tshark -T fields", self.tshark(*FIELDS), SLICE, 40),
        ]
        print(f"\n| command | ns a packet | MiB | peer | ns a packet | MiB | ratio | aim |\n|{'---|' * 8}")
        rounds = self.options.rounds
        for name, ours, peer_name, peer, last, aim in rows:
            (us, mib), (them, peer_mib) = (per_packet(ours, everything, rounds), per_packet(peer, last, rounds))
            print(f"| `{name}` | {us:.0f} | {mib:.0f} | `{peer_name}` | {them:.0f} | {peer_mib:.0f} | {them / us:.1f} | {aim} |", flush=True)

    def bulk(self):
        path, keys = self.capture("bulk", "bulk", "4", str(self.options.bulk))
        # Nothing is shown of it: everything lies before the last packet there could be.
        [(seconds, mib)] = best([self.ours("--from", "1000000000", path=path, keys=keys)(1)], self.options.rounds)
        rate = os.path.getsize(path) / seconds / 1e9
        print(f"\nopening bulk TLS without text: {rate:.2f} GB/s, {mib:.1f} MiB (aim 0.8 GB/s)")

    def growth(self):
        everything, rounds = self.options.packets, self.options.rounds
        few, few_keys = self.capture("few", "chat", "10", str(everything // 4))
        quarter = everything // 4
        print("\ngrowth (-v):")
        commands = [self.ours("-v")(n) for n in (SKIP, quarter, everything)]
        commands += [self.ours("-v", path=few, keys=few_keys)(n) for n in (SKIP, quarter)]
        results = best(commands, rounds)
        (skip, _), (part, part_mib), (whole, whole_mib), (few_skip, _), (few_part, _) = results
        exponent = math.log((whole - skip) / (part - skip)) / math.log((everything - SKIP) / (quarter - SKIP))
        print(f"  time grows with the packets to the power of {exponent:.3f} (aim 1.00 ± 0.05)")
        print(f"  1,000 connections go {(few_part - few_skip) / (part - skip):.2f} times as fast as 10 (aim 0.8)")
        print(f"  memory from {quarter} packets to {everything}: {part_mib:.1f} → {whole_mib:.1f} MiB (aim: flat, at most 48)")
        flows, _ = self.capture("flows", "syn", "1000000")
        for more in ([], ["-v"]):
            seconds, mib = run([self.layerwise, "read", flows, *more])
            print(f"  a million connections{' (-v)' if more else ''}: {seconds:.2f} s, {mib:.1f} MiB (aim 48)")

    def start(self):
        small, keys = self.capture("small", "chat", "1", "97")
        us = first_line([self.layerwise, "read", small, "--keylog", keys])
        them = first_line(["tcpdump", "-nn", "-r", small])
        print(f"\nfirst line of 97 packets: {us:.1f} ms; tcpdump {them:.1f} ms: {us / them:.2f} times as long (aim 1.5)")


def main():
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", default="/tmp/layerwise-bench")
    parser.add_argument("--bin", default=os.path.join(target, "release"), help="where the built programs are")
    parser.add_argument("--packets", type=int, default=525_000)
    parser.add_argument("--bulk", type=int, default=500, help="megabytes")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    bench = Bench(options)
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    print(f"chat: {os.path.getsize(bench.chat) >> 20} MiB, {options.packets} packets; load of this machine: {load}")
    bench.check()
    bench.ratios()
    bench.bulk()
    bench.growth()
    bench.start()


if __name__ == "__main__":
    main()
