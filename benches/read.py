#!/usr/bin/env python3
"""How fast `layerwise read` is beside tcpdump and tshark: ratios of CPU time in one run on one machine.

    cargo build --release && cargo build --release --example make_capture
    benches/read.py [--dir DIR] [--packets N] [--bulk MB] [--rounds N] [--quick]

It makes two captures in DIR (kept for the next run): a TLS chat of 1,000 connections and bulk TLS. Every program runs as one
process with its output thrown away; what counts is user and system time, the best of some rounds, since the machine may be busy.
Before anything is timed, packets, records and opened bytes are counted and must be tshark's. Peers that are slow get the
first packets of the capture alone (their time is linear in packets), and the ratio is of time per packet.
"""

import argparse
import os
import resource
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(HERE, "..", "target", "release")
LAYERWISE = os.path.join(TARGET, "layerwise")
MAKE = os.path.join(TARGET, "examples", "make_capture")


def run(command):
    """CPU seconds and peak MiB of a program that must succeed."""
    code = (
        "import resource,subprocess,sys;"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL).returncode;"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(r,u.ru_utime+u.ru_stime,u.ru_maxrss/1024)"
    )
    text = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True).stdout
    status, seconds, mib = text.split()
    if int(status) != 0:
        sys.exit(f"failed with {status}: {' '.join(command)}")
    return float(seconds), float(mib)


def best(command, rounds):
    results = [run(command) for _ in range(rounds)]
    return min(r[0] for r in results), max(r[1] for r in results)


def lines(command):
    output = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    return output.count(b"\n")


def output(command):
    return subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def tshark(path, keys, port, *arguments):
    return ["tshark", "-n", "-r", path, "-o", f"tls.keylog_file:{keys}", "-d", f"tcp.port=={port},tls", *arguments]


def check(path, keys, port, packets):
    """Packets, sealed records and opened application bytes of the first packets must be tshark's."""
    theirs = output(tshark(path, keys, port, "-c", str(packets), "-T", "fields", "-e", "tls.record.length", "-e", "data.len", "-e", "frame.len"))
    records = frames = plain = 0
    for line in theirs.decode().splitlines():
        lengths, data, _ = line.split("\t")
        frames += 1
        records += len([n for n in lengths.split(",") if n])
        plain += sum(int(n) for n in data.split(",") if n)
    ours = output([LAYERWISE, "read", path, "--keylog", keys, "-c", str(packets), "-v", "--width", "500", "--plain"]).decode()
    our_frames = our_records = our_plain = 0
    for line in ours.splitlines():
        if line.startswith("Packet "):
            our_frames += 1
        elif line.startswith("Layer: Transport Layer Security"):
            our_records += 1
        elif line.startswith("Layer: Chat (chat), ") or line.startswith("Layer: Data (data), "):
            our_plain += int(line.split(", ")[1].split(" ")[0])
    for what, us, them in [("packets", our_frames, frames), ("records", our_records, records), ("opened bytes", our_plain, plain)]:
        print(f"  {what:14} {us:>10} tshark {them:>10} {'ok' if us == them else 'DIFFERENT'}")
        if us != them:
            sys.exit("the counts differ: nothing is measured")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", default="/tmp/layerwise-bench")
    parser.add_argument("--packets", type=int, default=525_000)
    parser.add_argument("--bulk", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="no bulk, no scaling")
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    here = lambda name: os.path.join(options.dir, name)
    chat, keys = here("chat.pcapng"), here("chat.keys")
    if not os.path.exists(chat):
        subprocess.run([MAKE, "chat", "1000", str(options.packets), chat, keys], check=True)
    print(f"{os.getloadavg()} is the load of this machine; chat: {os.path.getsize(chat) >> 20} MiB, {options.packets} packets")
    print("counts, over the first 40,000 packets:")
    check(chat, keys, 8080, 40_000)

    ours = lambda *more: [LAYERWISE, "read", chat, "--keylog", keys, *more]
    rows = [
        ("read", ours(), ["tcpdump", "-nn", "-r", chat], options.packets, 2.0),
        ("read -v -x", ours("-v", "-x"), ["tcpdump", "-nn", "-vvv", "-XX", "-c", "200000", "-r", chat], 200_000, 5.0),
        ("read -v", ours("-v"), tshark(chat, keys, 8080, "-c", "40000", "-V"), 40_000, 30.0),
    ]
    for kind, more, peer_more, aim in [
        ("read -T json", ["-T", "json"], ["-T", "json"], 100.0),
        ("read -T fields", "-T fields -e frame.number -e ip.src -e ip.dst -e tcp.srcport -e tcp.dstport -e tcp.seq -e tcp.len "
         "-e tls.record.content_type -e tls.record.length".split(), None, 40.0),
    ]:
        if subprocess.run([LAYERWISE, "read", chat, "-c", "1", *more], capture_output=True).returncode == 0:
            peer = tshark(chat, keys, 8080, "-c", "40000", *(peer_more or more))
            rows.append((kind, ours(*more), peer, 40_000, aim))
    print(f"\n{'':16} {'ns/packet':>10} {'MiB':>6}   {'peer':38} {'ns/packet':>10} {'MiB':>6} {'ratio':>7} {'aim':>6}")
    for name, command, peer, packets, aim in rows:
        seconds, mib = best(command, options.rounds)
        peer_seconds, peer_mib = best(peer, options.rounds)
        mine, theirs = seconds / options.packets * 1e9, peer_seconds / packets * 1e9
        label = " ".join(a for a in peer if not a.startswith(("/", "tls.", "tcp.port", "-d", "-o", "-r")))[:38]
        print(f"{name:16} {mine:10.0f} {mib:6.1f}   {label:38} {theirs:10.0f} {peer_mib:6.1f} {theirs / mine:7.1f} {aim:6.0f}")

    if options.quick:
        return
    bulk, bulk_keys = here("bulk.pcapng"), here("bulk.keys")
    if not os.path.exists(bulk):
        subprocess.run([MAKE, "bulk", "4", str(options.bulk), bulk, bulk_keys], check=True)
    size = os.path.getsize(bulk)
    # Nothing is shown of it: everything lies before the last packet there could be.
    seconds, mib = best([LAYERWISE, "read", bulk, "--keylog", bulk_keys, "--from", "1000000000"], options.rounds)
    print(f"\nopening bulk TLS without text: {size / seconds / 1e9:.2f} GB/s, {mib:.1f} MiB (aim 0.8 GB/s)")

    print("\nlinear in packets, flat in memory, as fast with many connections as with few:")
    whole = run(ours("-v"))
    part = run(ours("-v", "-c", str(options.packets // 4)))
    ratio = whole[0] / part[0]
    import math
    print(f"  4 times the packets: {ratio:.2f} times the time (exponent {math.log(ratio) / math.log(4):.3f}), {part[1]:.1f} → {whole[1]:.1f} MiB")
    few, few_keys = here("few.pcapng"), here("few.keys")
    if not os.path.exists(few):
        subprocess.run([MAKE, "chat", "10", str(options.packets // 4), few, few_keys], check=True)
    ten = run([LAYERWISE, "read", few, "--keylog", few_keys, "-v"])
    print(f"  1,000 connections go {ten[0] / part[0]:.2f} times as fast as 10 (aim 0.8)")


if __name__ == "__main__":
    main()
