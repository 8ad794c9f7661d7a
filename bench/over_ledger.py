"""The figures below HTTP: appending beside Tessera, a log of a million tags, proofs and replay."""

import json
import os
import re
import shutil
import statistics
import subprocess
import time

import peers
from measure import alternate, median, say
from peers import ROOT, TOOLS
from processes import SERVER_CORE, Processes, pinned, resident_megabytes

UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
LATENCY = r"p50 ([\d.]+)(ns|µs|ms|s), p99 ([\d.]+)(ns|µs|ms|s)"


def latency(text, what):
    found = re.search(re.escape(what) + ": " + LATENCY, text)
    p50, p50_unit, p99, p99_unit = found.groups()
    return {"p50_ms": float(p50) * UNITS[p50_unit], "p99_ms": float(p99) * UNITS[p99_unit]}


def number(text, pattern):
    return float(re.search(pattern, text).group(1))


def append_load(example, directory, tags, writers=64):
    done = subprocess.run([example, directory, str(tags), str(writers)], capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise SystemExit(f"append_load: {done.stderr}")
    return done.stdout


def sync_milliseconds(folder):
    """How long the disk takes to make a page durable: the median of 200."""
    taken = []
    with open(folder / "page", "wb", buffering=0) as file:
        for number in range(200):
            os.pwrite(file.fileno(), bytes(4096), 4096 * (number % 8))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


def appended(table, example, scratch, rounds, tags):
    """First sights at `Ledger::append` beside a Tessera POSIX log in its own process; both on both cores."""
    say("first seen at the ledger")

    def ours(writers):
        say(f"  fdatasync of a page: {sync_milliseconds(scratch):.2f} ms")
        directory = scratch / "appended"
        text = append_load(example, directory, tags, writers)
        shutil.rmtree(directory)
        rate = number(text, rf"{writers} writers: ([\d.]+) first-seen/s")
        report = {"rate": rate, **latency(text, f"first seen, {writers} writers")}
        report["alone"] = latency(text, "first seen, alone")
        say(f"  tlogistry: alone p50 {report['alone']['p50_ms']:.2f} ms, {writers} writers {report['rate']:,.0f}/s")
        return report

    def tessera(*flags):
        directory = scratch / "tessera"
        command = [TOOLS / "tessera", "-directory", directory, "-entries", str(tags), *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"tessera: {done.stderr}")
        shutil.rmtree(directory)
        report = json.loads(done.stdout)
        say(f"  tessera {' '.join(flags)}: {report['rate']:,.0f}/s, p50 {report['p50_ms']} ms")
        return report

    alone, durable = "Tessera POSIX, one writer, durable only", "Tessera POSIX, 64 writers, durable only"
    signed = "Tessera POSIX, 2,000 writers, signed and provable"
    results = alternate(
        rounds,
        {
            "64": lambda: ours(64),
            alone: lambda: tessera("-writers", "1", "-batch", "1", "-entries", "500"),
            durable: lambda: tessera("-writers", "64", "-batch", "64", "-age", "2ms"),
            "2000": lambda: ours(2000),
            signed: lambda: tessera("-published", "-writers", "2000", "-batch", "2000", "-age", "20ms"),
        },
    )
    by_itself = [report["alone"] for report in results["64"]]
    p50, p99 = median(by_itself, "p50_ms"), median(by_itself, "p99_ms")
    peer = results[alone]
    table.add(
        "first seen at `Ledger::append`, alone",
        f"p50 {p50:.2f} p99 {p99:.2f} ms",
        alone,
        f"p50 {median(peer, 'p50_ms'):.2f} p99 {median(peer, 'p99_ms'):.2f} ms",
        median(peer, "p50_ms") / p50,
        "p50 <= 5, p99 <= 25 ms",
        p50 <= 5 and p99 <= 25,
    )
    rate = median(results["64"], "rate")
    figure = "first seen at `Ledger::append`, 64 writers"
    table.add(figure, f"{rate:,.0f}/s", target=">= 10,000/s", reached=rate >= 10_000)
    table.compare(figure, {"tlogistry": results["64"], durable: results[durable]}, durable)
    figure = "first seen at `Ledger::append`, 2,000 writers"
    table.compare(figure, {"tlogistry": results["2000"], signed: results[signed]}, signed, 1.5)


def million(table, example, binary, scratch, tags):
    """A log of many tags: its disk, its start, its memory."""
    say(f"a log of {tags:,} tags")
    directory = scratch / "million"
    text = append_load(example, directory, tags)
    per_tag = number(text, r"disk without manifests: ([\d.]+) B per tag")
    table.add(f"disk at batches of 64, {tags:,} tags", f"{per_tag:.0f} B per tag", target="<= 400 B", reached=per_tag <= 400)
    with Processes() as processes:
        source = peers.upstream(processes, scratch)
        begun = time.monotonic()
        us = peers.ours(processes, scratch, binary, source.port, "0s", directory)
        seconds = time.monotonic() - begun
        memory = resident_megabytes(us.process)
    table.add(f"start to ready, {tags:,} tags", f"{seconds:.2f} s", target="<= 2 s", reached=seconds <= 2)
    table.add(f"memory after the start, {tags:,} tags", f"{memory} MB", target="<= 250 MB", reached=memory <= 250)
    shutil.rmtree(directory)


def proofs(table, quick):
    """Criterion's own figures; it repeats each until its mean is known."""
    say("proofs and replay")
    command = ["cargo", "bench", "-q", "-p", "taglog", "--bench", "proofs"]
    subprocess.run([*command, "--no-run"], cwd=ROOT, check=True, timeout=1800)
    command += ["--", "--noplot", *(["--quick"] if quick else [])]
    done = subprocess.run(pinned(SERVER_CORE, command), cwd=ROOT, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise SystemExit(f"taglog's benchmark: {done.stderr}")
    size = number(done.stdout, r"3 cosignatures: (\d+) bytes")
    make = micros("make a proof among 1,000,000 tags")
    check = micros("check a proof among 1,000,000 tags")
    none = "none: no other log proves what its tags are"
    table.add("make a tag proof, 10^6 tags, 3 cosignatures", f"{make:.1f} us", none, target="<= 50 us", reached=make <= 50)
    table.add("check it", f"{check:.0f} us", none, target="<= 300 us", reached=check <= 300)
    table.add("its size", f"{size:.0f} B", none, target="<= 3,000 B", reached=size <= 3000)
    for batch, wanted in ((8, 300_000), (64, 150_000)):
        folder = criterion("audit replay", f"batches of {batch}")
        elements = json.loads((folder / "benchmark.json").read_text())["throughput"]["Elements"]
        rate = elements / (mean(folder) / 1e9)
        table.add(f"audit replay, batches of {batch}, one thread", f"{rate:,.0f} leaves/s", target=f">= {wanted:,}", reached=rate >= wanted)


def criterion(*name):
    """Where criterion keeps the newest result of a benchmark."""
    base = ROOT / "target" / "criterion"
    for part in name:
        base /= part
    return base / "new"


def mean(folder):
    return json.loads((folder / "estimates.json").read_text())["median"]["point_estimate"]


def micros(name):
    return mean(criterion(name)) / 1e3
