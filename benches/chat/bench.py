#!/usr/bin/env python3
"""Measures the chat server beside `ncat --ssl --chat`, in one run, with the same certificate and the same crowd.

    cargo build --profile ci --bin layerwise --example chat_load
    benches/chat/bench.py                    # 10, 100, 500 clients with both, 2,000 with ours alone
    benches/chat/bench.py --clients 10,100   # others

Lines have 100 bytes. "burst": ten senders with 20 lines each under way; "single": one line each, the next is said when all
have read it. "CPU ms": the server's processor time for each client that joins, handshake and greetings. Latency: from saying to reading, at a pace. Memory: what the server's resident memory grew by, per client.
"""
import argparse, os, re, shutil, signal, socket, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACE = {10: 100, 100: 50, 500: 10, 2000: 3}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--clients", default="10,100,500,2000")
    options.add_argument("--target", default=os.path.join(ROOT, "target", "ci"))
    options.add_argument("--deliveries", type=int, default=200_000, help="in each part, about")
    options = options.parse_args()
    layerwise = os.path.join(options.target, "layerwise")
    load = os.path.join(options.target, "examples", "chat_load")
    folder = tempfile.mkdtemp(prefix="layerwise-bench-")
    try:
        subprocess.run([layerwise, "certs"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print("load average %.1f %.1f %.1f, %d processors" % (*os.getloadavg(), os.cpu_count()))
        print(f"{'server':10} {'clients':>7} {'burst/s':>9} {'single/s':>9} {'p50 ms':>7} {'p99 ms':>7} "
              f"{'handshakes/s':>12} {'CPU ms':>6} {'KiB/client':>10} {'lost':>5}")
        for clients in map(int, options.clients.split(",")):
            # With more at once, ncat's short queue overflows.
            for name, start, at_once in [("ncat", ncat, 8), ("layerwise", ours, 32)]:
                if name == "ncat" and clients > 900:
                    continue  # it uses select(), which ends at 1,024 files
                row = {}
                for window in [20, 1]:
                    server, port = start(layerwise, folder)
                    try:
                        row[window] = measure(load, folder, server.pid, port, clients, at_once, window, options.deliveries)
                    finally:
                        server.send_signal(signal.SIGKILL)
                        server.wait()
                burst, single = row[20], row[1]
                if not burst or not single:
                    print(f"{name:10} {clients:7} did not finish")
                    continue
                best = max(burst["handshakes_per_s"], single["handshakes_per_s"])
                print(f"{name:10} {clients:7} {burst['deliveries_per_s']:9,.0f} {single['deliveries_per_s']:9,.0f} "
                      f"{single['p50_us'] / 1000:7.2f} {single['p99_us'] / 1000:7.2f} {best:12,.0f} "
                      f"{min(burst['handshake_cpu_us'], single['handshake_cpu_us']) / 1000:6.2f} "
                      f"{burst['memory_per_client'] / 1024:10.1f} {burst['lost'] + single['lost']:5.0f}", flush=True)
    finally:
        shutil.rmtree(folder)


def measure(load, folder, pid, port, clients, at_once, window, deliveries):
    pace = PACE.get(clients, 10)
    command = [load, "--connect", f"127.0.0.1:{port}", "--ca", "certs/ca.crt", "--clients", clients, "--at-once", at_once,
               "--window", window,
               "--lines", max(deliveries // clients, 20), "--rate", pace, "--seconds", 4, "--pid", pid]
    try:
        run = subprocess.run(list(map(str, command)), cwd=folder, stdout=subprocess.PIPE, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return None
    if run.returncode != 0:
        return None
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", run.stdout)}


def ours(layerwise, folder):
    server = subprocess.Popen([layerwise, "chat", "serve", "--listen", "127.0.0.1:0"], cwd=folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    port = None
    for line in server.stdout:
        port = port or re.search(r"listening on +127\.0\.0\.1:(\d+)", line)
        if "/quit" in line:
            break
    # Its screen is read, but by nobody who takes time.
    subprocess.Popen(["cat"], stdin=server.stdout, stdout=subprocess.DEVNULL)
    return server, int(port.group(1))


def ncat(_, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(["ncat", "--ssl", "--ssl-cert", "certs/server.crt", "--ssl-key", "certs/server.key", "--chat",
                               "-m", "1000", "-l", "127.0.0.1", str(port)], cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except ConnectionRefusedError:
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
